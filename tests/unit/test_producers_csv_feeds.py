"""Files as people send them: blank rows, titles, columns of an older version, and files in no folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
from csv_world import HEADER, World, entity, links, source_of

from schemas.catalog.drift import Unknown
from schemas.catalog.entity import Entity
from schemas.event import BUCKETS
from schemas.payload.codec import make_schema
from schemas.sources.csv import Mode

NAMES = [
    {"name": "code", "type": "string", "maxLength": 9},
    {"name": "title", "type": "string", "maxLength": 9},
]


def keys(world: World) -> list[str]:
    return [event.key for event in world.facts()]


def test_rows_of_delimiters_alone_are_no_rows_and_keep_the_places_of_the_others() -> None:
    world = World(links(mode=Mode.SNAPSHOT))
    world.drop(f"{HEADER}\n1,a,,Y\n,,,\n2,b,,N\n,,,\n")
    assert keys(world) == ['["1"]', '["2"]']
    assert [event.position[-12:] for event in world.facts()] == ["000000000001", "000000000003"]
    assert len(world.sweeps()) == BUCKETS


@pytest.mark.parametrize("trim", [True, False])
def test_a_row_of_blanks_is_no_row(trim: bool) -> None:
    world = World(entity(NAMES, ("code",), trim=trim))
    world.drop("code,title\na,b\n  ,   \n  \n")
    assert keys(world) == ['["a"]']
    assert world.reasons() == []


@pytest.mark.parametrize("cell", ['""', "  "])
def test_a_row_of_one_column_is_a_row_although_it_is_empty(cell: str) -> None:
    world = World(entity(NAMES[:1]))
    world.drop(f"code\na\n\n{cell}\n")
    assert len(keys(world)) == 2


@pytest.mark.parametrize("key", [("code",), ("code", "title")])
def test_a_row_with_an_empty_key_is_rejected(key: tuple[str, ...]) -> None:
    other = {"name": "n", "type": ["null", "int"], "default": None}
    world = World(entity([*NAMES, other], key))
    world.drop("code,title,n\n,,5\na,b,6\n")
    assert len(keys(world)) == 1
    assert [row[3] for row in world.rejects()] == ["reason", "the key is empty"]


def test_a_part_of_a_key_may_be_empty() -> None:
    world = World(entity(NAMES, ("code", "title")))
    world.drop("code,title\na,\n,b\n")
    assert keys(world) == ['["a",""]', '["","b"]']


def test_titles_above_the_header_and_text_with_quotes() -> None:
    world = World(links(skip_lines=2, delimiter="\t", quoting=False))
    world.drop('Register "of links\n\n' + HEADER.replace(",", "\t") + '\n1\t"Al"\t\tY\n')
    assert keys(world) == ['["1"]']


def test_a_correction_has_the_form_of_rejects_whatever_the_feeds_own_is() -> None:
    world = World(links(skip_lines=1, delimiter="\t", quoting=False))
    world.drop("title\n" + HEADER.replace(",", "\t") + "\n1\ta\t\tmaybe\n")
    header, row = world.rejects()
    world.drop("\n".join(map(",".join, [header, [*row[:-1], "Y"]])), "corrections/links/a.csv")
    assert keys(world) == ['["1"]']


def two_versions(**source: object) -> Entity:
    old = entity(NAMES, ("code",), **source)
    region = {"name": "region", "type": ["null", "string"], "default": None, "maxLength": 9}
    avro = {"type": "record", "name": "Row", "fields": [*NAMES, region]}
    return replace(old, schema=make_schema("links", 2, ("code",), avro), older=(old.schema,))


def test_a_file_from_before_a_field_was_added_is_refused_with_the_property_that_takes_it() -> None:
    world = World(two_versions())
    world.drop("code,title\na,b\n")
    assert keys(world) == []
    (letter,) = world.letters.letters
    assert (
        letter.reason
        == "the column region is missing: older_files = true takes files from before it was added"
    )


def test_a_file_from_before_a_field_was_added_has_its_default() -> None:
    world = World(two_versions(older_files=True))
    world.drop("code,title\na,b\n")
    (event,) = world.events()
    assert world.entity.schema.decode(event.after or b"") == {"code": "a", "title": "b", "region": None}


def test_a_file_that_lacks_an_older_field_is_refused_even_so() -> None:
    world = World(two_versions(older_files=True))
    world.drop("code,region\na,b\n")
    assert [letter.reason for letter in world.letters.letters] == ["the column title is missing"]


@pytest.mark.parametrize("key", ["drop/x.csv", "drop//x.csv", "corrections/x.csv"])
def test_a_file_in_no_feeds_folder_is_a_dead_letter(key: str) -> None:
    world = World(links())
    world.drop("URN\n1\n", key)
    (letter,) = world.letters.letters
    assert "it lies in no feed's folder" in letter.reason
    world.drop("", "drop/links/")  # a folder, as the console makes it
    assert len(world.letters.letters) == 1


def test_a_trailing_delimiter_in_the_header_is_no_name() -> None:
    one = replace(links(), unknown=Unknown.REJECT)
    assert source_of(one).header is True
    world = World(one)
    world.drop(f"{HEADER},\n1,a,,Y,\n")
    assert keys(world) == ['["1"]']
