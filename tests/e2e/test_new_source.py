"""A new source is one folder: nothing else is written, and its rows are there."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from headwater_up import Up

ENTITY = """
key = ["isbn"]

[[source]]
csv = "books"
mode = "upsert"
delimiter = ";"

[[source]]
dynamodb = "book-orders"
where = { kind = "BOOK" }
"""
SCHEMA = """
{
  "type": "record", "name": "Book",
  "fields": [
    {"name": "isbn", "type": "string", "maxLength": 20},
    {"name": "title", "type": "string", "from": {"csv:books": "Title", "dynamodb:book-orders": "name"}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}
  ]
}
"""


def test_one_folder_brings_its_rows_from_files_and_from_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "entities" / "book"
    folder.mkdir(parents=True)
    (folder / "entity.toml").write_text(ENTITY)
    (folder / "v1.avsc").write_text(SCHEMA)
    (tmp_path / "books.csv").write_text("isbn;Title;price\n978-1;Villette;9.99\n978-2;Shirley;12.50\n")
    with Up(environment={"HEADWATER_HOME": str(tmp_path / "home")}) as up:
        assert up.environment["HEADWATER_HOME"] == str(tmp_path / "home")
        up.put(
            "book-orders", {"isbn": "978-3", "kind": "BOOK", "name": "Emma", "price": Decimal("7"), "by": "x"}
        )
        up.put("book-orders", {"isbn": "none", "kind": "PEN", "name": "a pen", "price": Decimal("1")})
        assert up.run("drop", tmp_path / "books.csv", "--entity", "book").code == 0
        assert up.run("drain").code == 0
        assert up.json("tables", "book") == [
            {"isbn": "978-1", "title": "Villette", "price": "9.99", "_source": "csv:books"},
            {"isbn": "978-2", "title": "Shirley", "price": "12.50", "_source": "csv:books"},
            {"isbn": "978-3", "title": "Emma", "price": "7.00", "_source": "dynamodb:book-orders"},
        ]
        assert up.run("tables", "school").code == 2  # the sample entities are not there
        assert up.stop() == 0
