"""Corrections: a row that was rejected, put right, takes its old place plus the time of the correction."""

import csv
import io

import pytest
from csv_world import HEADER, World, entity, links

from schemas.sources.csv import Mode

REJECTS_HEADER = f"row,position,column,reason,{HEADER}"
BAD = f"{HEADER}\n1,Alpha,,Y\nx,Beta,,Y\n3,Gamma,,perhaps\n"


def put_right(world: World, **cells: str) -> str:
    """What a person makes of the rejects file: the cells of these columns replaced."""
    header, *rows = world.rejects()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([cells.get(name, old) for name, old in zip(header, row, strict=True)] for row in rows)
    return out.getvalue()


def test_a_corrected_row_is_above_its_old_place_and_below_the_next_row() -> None:
    world = World(links())
    world.drop(f"{HEADER}\nx,Beta,,Y\n1,Gamma,,Y\n")
    rejected = world.rejects()[1][1]
    world.drop(put_right(world, URN="2"), "corrections/links/fix.csv")
    corrected, gamma = world.facts()
    assert corrected.position == f"{rejected}+20250422T093200Z"
    assert rejected < corrected.position < gamma.position
    assert corrected.occurred_at == gamma.occurred_at  # as-of sees the row where its file was
    assert corrected.metadata == {"file": "fix.csv", "row": "1"}
    assert world.values()[0] == {"urn": 2, "name": "Beta", "since": None, "open": True}


def test_the_effective_date_of_the_old_file_counts() -> None:
    world = World(links(effective="links_%Y%m%d.csv"))
    world.drop(f"{HEADER}\nx,Beta,,Y\n1,Gamma,,Y\n", "drop/links/links_20230421.csv")
    world.drop(put_right(world, URN="2"), "corrections/links/any name.csv")
    corrected, gamma = world.facts()
    assert corrected.occurred_at == gamma.occurred_at
    assert world.reasons() == []


def test_a_correction_never_sweeps() -> None:
    world = World(links(mode=Mode.SNAPSHOT))
    world.drop(BAD)
    world.drop(put_right(world, URN="2", Open="N"), "corrections/links/a.csv")
    assert [values["urn"] for values in world.values()] == [1, 2, 2]
    assert world.sweeps() == []
    assert world.reasons() == [
        "no sweep published: 2 of 3 rows were rejected"
    ]  # of the file, not of its correction


def test_a_correction_is_archived_as_any_file() -> None:
    world = World(links())
    world.drop(BAD)
    world.drop(put_right(world, URN="2", Open="N"), "corrections/links/a.csv")
    assert len([key for key in world.objects() if key.startswith("archive/links/a.csv/")]) == 2


def test_a_row_rejected_again_keeps_its_place_so_that_it_can_be_corrected_again() -> None:
    world = World(links())
    world.drop(BAD, "drop/links/first.csv")
    places = [reject[1] for reject in world.rejects()[1:]]
    world.drop(put_right(world, URN="2"), "corrections/links/second.csv")
    names = [key for key in world.objects() if key.startswith("rejects/links/second.csv/")]
    (key,) = [key for key in names if key.endswith(".csv")]
    _, again = csv.reader(io.StringIO(world.bucket.body(key).decode(), newline=""))
    assert again[:4] == ["3", places[1], "Open", "Open is neither Y nor N"]


def test_rows_of_a_feed_in_another_form_are_corrected_in_the_form_of_the_rejects() -> None:
    world = World(links(encoding="utf-16", delimiter=";", header=("URN", "Name", "Since", "Open")))
    world.drop("x;Pêl, droed;;Y\n".encode("utf-16"))
    world.drop(f"\ufeff{put_right(world, URN='2')}", "corrections/links/a.csv")
    assert world.values() == [{"urn": 2, "name": "Pêl, droed", "since": None, "open": True}]


def test_a_corrected_row_without_a_key_is_known_by_its_old_place() -> None:
    fields = [{"name": "n", "type": "int"}]
    world = World(entity(fields))
    world.drop("n\nx\n")
    fixed = put_right(world, n="1")
    world.drop(fixed, "corrections/links/a.csv")
    world.drop(put_right(world, n="2"), "corrections/links/b.csv")
    first, second = world.facts()
    assert first.key == second.key
    assert first.position < second.position


@pytest.mark.parametrize(
    "position",
    [
        "",
        "20250422T093100Z-a3569e79ec1da100",
        "20250422T093100Z-a3569e79ec1da100-000000000000",  # a sweep's
        "2023042120250422T093100Z-a3569e79ec1da100-000000000001",  # a feed with dates in its names
        "20250422T093100Z-a3569e79ec1da100-000000000001+20250422T093200Z",
        "20250422T096100Z-a3569e79ec1da100-000000000001",
        "20250422T093200Z-a3569e79ec1da100-000000000001",  # later than the correction
    ],
)
def test_a_row_that_names_no_place_of_its_feed_is_rejected(position: str) -> None:
    world = World(links())
    world.drop(f"{REJECTS_HEADER}\n1,{position},,,1,Alpha,,Y\n", "corrections/links/a.csv")
    assert world.events() == []
    assert world.rejects()[1] == [
        "1",
        position,
        "position",
        "is not the position of a rejected row of this feed",
        *["1", "Alpha", "", "Y"],
    ]


def test_a_place_at_the_second_of_the_correction_is_taken() -> None:
    world = World(links())
    position = "20250422T093100Z-a3569e79ec1da100-000000000001"
    world.drop(f"{REJECTS_HEADER}\n1,{position},,,1,Alpha,,Y\n", "corrections/links/a.csv")
    assert len(world.facts()) == 1


@pytest.mark.parametrize("header", [HEADER, "row,position,reason,column,URN,Name,Since,Open"])
def test_a_correction_without_the_columns_of_a_rejects_file_is_bad(header: str) -> None:
    world = World(links())
    world.drop(f"{header}\n1,Alpha,,Y\n", "corrections/links/a.csv")
    assert world.reasons() == ["a correction begins with the columns row, position, column, reason"]
    assert world.events() == []
