"""Report files that no reader expects: each is reported on its own, and the others are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consumers.reporting.definition.outputs import is_type
from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.files import read_reports
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog

CATALOG = load_catalog(None)


@pytest.mark.parametrize(
    "given",
    [
        "INT;",
        "INT;x",
        "INT); DROP TABLE x--",
        "INT IDENTITY",
        "int a",
        "DECIMAL(12,2) NOT NULL",
        "DECIMAL(12,2),",
        "DECIMAL(12, 2) COLLATE x",
        "VARCHAR(10) DEFAULT 1",
        "INT -- money",
        "DECIMAL(x)",
        "DECIMAL(12,2",
        "DECIMAL(39,2)",
        "DECIMAL(5,9)",
        "VARCHAR(0)",
        "NVARCHAR(4001)",
        "NVARCHAR(MAX, 1)",
        "DATETIME2(8)",
        "INT(3)",
        "",
        "x y",
    ],
)
def test_a_type_is_one_type_and_nothing_else(given: str) -> None:
    assert not is_type(given)


@pytest.mark.parametrize(
    "given",
    [
        "INT",
        "decimal ( 12 , 2 )",
        "NUMERIC(38)",
        "NVARCHAR(MAX)",
        "varbinary(max)",
        "DATETIME2",
        "DATETIMEOFFSET(7)",
        "UNIQUEIDENTIFIER",
        "DOUBLE PRECISION",
        "CHARACTER VARYING(10)",
        "FLOAT(53)",
        "MONEY",
    ],
)
def test_types_that_sql_server_has(given: str) -> None:
    assert is_type(given)


NESTED = "(" * 40 + "SELECT c.town FROM staging.school AS c" + ")" * 40
ODD = {
    "brackets": "SELECT " + "(" * 5_000 + "1" + ")" * 5_000 + " AS town FROM staging.school AS s",
    "sum": "SELECT s.town, " + " + ".join(["s.urn"] * 500) + " AS n FROM staging.school AS s",
    "cases": "SELECT s.town, "
    + "CASE WHEN s.urn = 1 THEN 1 ELSE " * 400
    + "0"
    + " END" * 400
    + " AS n FROM staging.school AS s",
    "unions": " UNION ALL ".join(["SELECT s.town FROM staging.school AS s"] * 1_500),
    "nested": f"SELECT x.town FROM {NESTED} AS x",
    "types": "SELECT s.town FROM staging.school AS s",
}


@pytest.mark.parametrize("name", ODD)
def test_one_odd_file_stops_no_other(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    more = 'types = { town = "INT); DROP TABLE x--" }' if name == "types" else ""
    (folder / "a_odd.sql").write_text(f'/* headwater\nkey = ["town"]\n{more}\n*/\n{ODD[name]}')
    (folder / "good.sql").write_text(
        '/* headwater\nkey = ["town"]\n*/\nSELECT DISTINCT s.town FROM staging.school AS s'
    )
    found = read_reports(tmp_path, CATALOG)
    assert "good" in found.right
    assert "a_odd" in found.right or [path.stem for path in found.wrong] == ["a_odd"]


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "folder.sql").mkdir()
    (folder / "gone.sql").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe.sql")
    found = read_reports(tmp_path, CATALOG)
    assert {path.stem: said for path, said in found.wrong.items()} == {
        "folder": "this is not a file",
        "gone": "the file can't be read: No such file or directory",
        "pipe": "this is not a file",
    }


def test_a_fault_of_the_reader_is_told_of_its_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.sql").write_text(
            '/* headwater\nkey = ["town"]\n*/\nSELECT DISTINCT s.town FROM staging.school AS s'
        )

    def failing(name: str, text: str, catalog: Catalog) -> Report:
        if name == "a":
            raise KeyError("a value")
        return read_report(name, text, catalog)

    monkeypatch.setattr("consumers.reporting.files.read_report", failing)
    found = read_reports(tmp_path, CATALOG)
    assert list(found.right) == ["b"]
    (said,) = found.wrong.values()
    assert "KeyError" in said
    assert "a value" not in said
