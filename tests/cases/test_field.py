"""Files as other people have them, each with the outcome that is right. They lie beside the checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from headwater_up import ROOT, Done, Up, headwater
from pipe import Pipe

FIELD = ROOT.parent / "shared" / "cases" / "field"


def case(name: str) -> Path:
    folder = FIELD / name
    if not folder.is_dir():
        pytest.skip("../shared/cases/field is not beside this checkout")
    return folder


def new(home: Path, entity: str, file: Path, *words: str) -> Done:
    return headwater("schemas", "new", entity, "--from", file, "--out", home, *words)


def fields(home: Path, entity: str) -> dict[str, Any]:
    schema = json.loads((home / "entities" / entity / "v1.avsc").read_text())
    return {field["name"]: field for field in schema["fields"]}


def toml(home: Path, entity: str) -> str:
    return (home / "entities" / entity / "entity.toml").read_text()


def taken(home: Path, entity: str, *files: Path) -> list[tuple[Any, ...]]:
    """The rows that readers see after these files, once the entity is published."""
    published = headwater("schemas", "publish", entity, "--home", home)
    assert published.code == 0, published
    pipe = Pipe(home, home)
    feed = pipe.catalog.entity(entity).sources[0].name.removeprefix("csv:")
    for number, file in enumerate(files):
        pipe.take(pipe.upload(f"drop/{feed}/{number}.csv", file.read_bytes()))
    pipe.consume(pipe.payloads())
    return list(pipe.warehouse.select(entity)[1])


def put(up: Up, script: Path, *words: str) -> None:
    environment = {**os.environ, **up.environment}
    subprocess.run([sys.executable, script, *words], cwd=script.parent, env=environment, check=True)


def rows(up: Up, entity: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = up.json("tables", entity, "--limit", "0")
    return found


def test_every_case_is_tried() -> None:
    if not FIELD.is_dir():
        pytest.skip("../shared/cases/field is not beside this checkout")
    text = Path(__file__).read_text()
    assert [folder.name for folder in FIELD.iterdir() if f'"{folder.name}"' not in text] == []


def test_the_same_file_in_parts_is_the_same_facts(tmp_path: Path) -> None:
    folder = case("append-same-file-other-etag")
    assert new(tmp_path, "sale", folder / "d.csv").code == 0
    assert headwater("schemas", "publish", "sale", "--home", tmp_path).code == 0
    with Up(environment={"HEADWATER_HOME": str(tmp_path)}) as up:
        put(up, folder / "put.py")
        assert up.run("drain").code == 0
        assert len(rows(up, "sale")) == 3


def test_rows_of_commas_are_no_rows(tmp_path: Path) -> None:
    folder = case("blank-rows")
    assert new(tmp_path, "code", folder / "code.csv", "--key", "code").code == 0
    found = taken(tmp_path, "code", folder / "code.csv", folder / "blank.csv")
    assert found
    assert all(any(row[:2]) for row in found)


def test_a_tie_of_delimiters_is_told_or_right(tmp_path: Path) -> None:
    done = new(tmp_path, "menge", case("delimiter-tie") / "menge.csv")
    assert "delimiter" in done.err
    assert 'delimiter = ";"' in toml(tmp_path, "menge")


@pytest.mark.parametrize("name", ["exponent-ids", "exponent-mixed"])
def test_identifiers_that_look_like_numbers_are_text(name: str, tmp_path: Path) -> None:
    (file,) = case(name).glob("*.csv")
    assert new(tmp_path, "thing", file).code == 0
    assert "double" not in json.dumps(fields(tmp_path, "thing"))
    found = taken(tmp_path, "thing", file)
    written = {line.split(",")[0] for line in file.read_text().splitlines()[1:] if line}
    assert written <= {str(value) for row in found for value in row}


def test_a_file_without_a_header_is_refused_unless_that_is_said(tmp_path: Path) -> None:
    file = case("headerless") / "ppd.csv"
    refused = new(tmp_path, "sale", file)
    assert refused.code == 2
    assert "--no-header" in refused.err
    assert new(tmp_path, "sale", file, "--no-header").code == 0
    values = file.read_text().splitlines()[0].replace('"', "").split(",")
    schema = json.dumps(fields(tmp_path, "sale"))
    assert not [value for value in values if len(value) > 3 and value in schema]


def test_moments_in_a_tables_key_stay_texts(tmp_path: Path) -> None:
    script = case("key-same-instant-dynamodb") / "put.py"
    with Up() as up:
        put(up, script)
        done = headwater(
            *("schemas", "new", "visit", "--from-table", "visits", "--out", tmp_path),
            environment=up.environment,
        )
        assert done.code == 0, done
    assert headwater("schemas", "publish", "visit", "--home", tmp_path).code == 0
    with Up(environment={"HEADWATER_HOME": str(tmp_path)}) as up:
        put(up, script)
        assert up.run("drain").code == 0
        assert len(rows(up, "visit")) == 4
        put(up, script, "delete")
        assert up.run("drain").code == 0
        assert len(rows(up, "visit")) == 3


def test_items_from_before_the_stream_are_rows(tmp_path: Path) -> None:
    script, state, home = case("existing-items") / "put.py", tmp_path / "state", tmp_path / "home"
    with Up("--state", state) as up:
        put(up, script, "before")
        done = headwater(
            *("schemas", "new", "club", "--from-table", "clubs", "--out", home), environment=up.environment
        )
        assert done.code == 0, done
        assert up.stop() == 0
    assert headwater("schemas", "publish", "club", "--home", home).code == 0
    with Up("--state", state, environment={"HEADWATER_HOME": str(home)}) as up:
        put(up, script, "after")
        assert up.run("drain").code == 0
        assert len(rows(up, "club")) == 6
        assert "the table clubs holds items from before its stream was read here" in up.said()


def test_a_key_is_judged_by_values(tmp_path: Path) -> None:
    file = case("key-same-value-csv") / "dst.csv"
    done = new(tmp_path, "reading", file)
    assert done.code == 0
    key = re.search(r"^key = \[(.*)\]", toml(tmp_path, "reading"), re.MULTILINE)
    assert key is None or key[1] != '"taken"'
    assert len(taken(tmp_path, "reading", file)) == 3


def test_a_large_item_has_its_newest_state(tmp_path: Path) -> None:
    folder = case("large-item-update")
    with Up(environment={"HEADWATER_HOME": str(folder / "home")}) as up:
        put(up, folder / "put.py")
        assert up.run("drain").code == 0
        assert [row["v"] for row in rows(up, "big")] == [2]


def test_files_in_no_feeds_folder_are_dead_letters(tmp_path: Path) -> None:
    folder, feed = case("loose-file-in-drop"), case("same-second-uploads")
    assert new(tmp_path, "price", feed / "price.csv", "--key", "sku").code == 0
    assert headwater("schemas", "publish", "price", "--home", tmp_path).code == 0
    with Up(environment={"HEADWATER_HOME": str(tmp_path)}) as up:
        put(up, folder / "put.py")
        assert up.run("drain").code == 3
        assert len(up.json("dead-letters", "list")) == 3
        put(up, feed / "put.py")
        assert up.run("drain").code == 3
        assert {float(row["price"]) for row in rows(up, "price") if row["sku"].startswith("K")} == {2.0}


def test_an_older_file_is_let_in_by_a_property(tmp_path: Path) -> None:
    folder = case("older-file-after-new-column")
    assert new(tmp_path, "thing", folder / "f.csv", "--key", "id").code == 0
    assert headwater("schemas", "publish", "thing", "--home", tmp_path).code == 0
    place = tmp_path / "entities" / "thing"
    schema = json.loads((place / "v1.avsc").read_text())
    names = [field["name"] for field in schema["fields"]]
    if "region" not in names:
        schema["fields"].append(
            {"name": "region", "type": ["null", "string"], "default": None, "maxLength": 50}
        )
        (place / "v2.avsc").write_text(json.dumps(schema))
    (place / "entity.toml").write_text(toml(tmp_path, "thing") + "older_files = true\n")
    assert taken(tmp_path, "thing", folder / "old.csv")


def test_columns_of_persons_are_hidden_or_marked(tmp_path: Path) -> None:
    done = new(tmp_path, "order", case("private-names") / "people.csv")
    plain = [
        name
        for name, field in fields(tmp_path, "order").items()
        if "headwater.private" not in field and not re.search(rf"^{name} .*\S{{3,}}$", done.out, re.MULTILINE)
    ]
    told = {"billing_name", "recipient_name", "cardholder_name", "card_name", "guardian_1_name"}
    told |= {"emergency_contact", "next_of_kin", "account_holder", "payee", "ni_number"}
    assert not told & set(plain)


def test_titles_above_the_header_are_told(tmp_path: Path) -> None:
    done = new(tmp_path, "report", case("title-lines") / "report.csv")
    assert "skip_lines" in done.err + toml(tmp_path, "report")
    assert len(fields(tmp_path, "report")) > 1


def test_quotes_are_text_where_the_file_has_no_quoting(tmp_path: Path) -> None:
    file = case("tsv-quotes") / "places.tsv"
    assert new(tmp_path, "place", file).code == 0
    assert "quoting = false" in toml(tmp_path, "place")
    assert len(taken(tmp_path, "place", file)) == len(file.read_text().splitlines()) - 1


def test_both_reviews_of_a_date_are_told(tmp_path: Path) -> None:
    done = new(tmp_path, "site", case("two-digit-year-and-swapped") / "opened.csv")
    assert "century" in done.out + done.err or "2045" in done.out + done.err or "year" in done.out + done.err
    assert "month" in done.out + done.err


def test_a_file_with_another_encodings_mark_is_refused(tmp_path: Path) -> None:
    folder = case("utf8-bom-in-cp1252")
    assert new(tmp_path, "school", folder / "first.csv", "--encoding", "cp1252", "--key", "URN").code == 0
    first = taken(tmp_path, "school", folder / "first.csv")
    again = Pipe(tmp_path, tmp_path)
    again.take(again.upload("drop/school/second.csv", (folder / "second.csv").read_bytes()))
    assert "byte order mark" in again.source_letters.letters[0].reason
    assert list(again.warehouse.select("school")[1]) == first
