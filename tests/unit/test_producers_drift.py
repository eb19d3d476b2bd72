"""Names that no schema has: told by name and day, once, never a value, and never in the way of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from csv_world import World, links
from dynamodb_world import AT, catalog, entity, record

from producers.drift_reporter import MOST_DAYS, DriftReporter, S3Sightings
from producers.dynamodb.handler import Producer
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.catalog.drift import (
    DRIFT_PREFIX,
    MAX_NAMES,
    MORE_NAMES,
    OTHER_FORM,
    Drift,
    Sighting,
    Unknown,
    fold_sightings,
    safe_name,
    sighting_keys,
    sighting_of,
)
from schemas.catalog.entity import Entity
from schemas.errors import TransientError
from schemas.letters.letter import InMemoryLetters

SECRET = "SECRET-3141"
DAY = 86_400
TODAY = date(2026, 3, 1)
FIELDS = [
    {"name": "id", "type": "string"},
    {"name": "note", "type": ["null", "string"], "default": None, "from": "remark"},
    {"name": "gone", "type": "string", "headwater.private": "drop", "from": "hidden"},
]


class Kept:
    """A store in memory, which may be down."""

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []
        self.down = False

    def put(self, sighting: Sighting) -> None:
        if self.down:
            raise TransientError("S3 is down")
        self.sightings.append(sighting)


class Items:
    """One container, its store and what came of its records."""

    def __init__(self, unknown: Unknown = Unknown.REPORT, one: Entity | None = None) -> None:
        self.kept, self.letters, self.stream = Kept(), InMemoryLetters(), InMemoryStream(1)
        made = replace(one or entity("order", FIELDS, ["id"]), unknown=unknown)
        publisher = Publisher(self.stream, InMemorySchemaLog(), sleep=lambda _: None)
        self.producer = Producer(catalog(made), publisher, self.letters, None, DriftReporter(self.kept))

    def publish(self, *items: Mapping[str, Any], at: float = AT) -> int:
        said = {"id": {"S": "1"}}
        records = [record(n, None, {**said, **item}, at=at) for n, item in enumerate(items, 1)]
        return self.producer.publish(records).published


def other(*names: str) -> dict[str, Any]:
    return {name: {"S": SECRET} for name in names}


def test_inv7_a_name_that_no_schema_has_is_told_and_its_value_is_not() -> None:
    items = Items()
    assert items.publish(other("colour", "remark", "hidden")) == 1
    assert items.kept.sightings == [Sighting("order", "dynamodb:orders", TODAY, ("colour",))]
    assert SECRET not in repr(items.kept.sightings)


def test_a_set_of_names_is_told_once_for_a_day_and_new_ones_alone() -> None:
    items = Items()
    items.publish(other("colour"), other("colour", "size"))
    items.publish(other("size"), other("colour"))
    items.publish(other("size", "weight"))
    items.publish(other("size"), at=AT + DAY)
    days = [(each.day.day, each.names) for each in items.kept.sightings]
    assert days == [(1, ("colour", "size")), (1, ("weight",)), (2, ("size",))]


def test_names_of_attributes_that_where_and_the_key_have_are_known() -> None:
    one = entity("order", FIELDS, ["id"], where={"kind": SECRET})
    items = Items(one=one)
    items.publish(other("kind", "colour"))
    assert [each.names for each in items.kept.sightings] == [("colour",)]


def test_an_item_of_another_entity_is_not_looked_at() -> None:
    items = Items(one=entity("order", FIELDS, ["id"], where={"kind": "order"}))
    items.publish(other("kind", "colour"))
    assert items.kept.sightings == []


def test_a_name_of_an_older_version_is_known() -> None:
    older = entity(
        "order", [*FIELDS, {"name": "colour", "type": ["null", "string"], "default": None}], ["id"]
    )
    newer = entity("order", FIELDS, ["id"])
    schema = replace(newer.schema, avro={**newer.schema.avro, "headwater.version": 2})
    items = Items(one=replace(newer, schema=schema, older=(older.schema,)))
    items.publish(other("colour", "size"))
    assert [each.names for each in items.kept.sightings] == [("size",)]


def test_ignored_names_are_not_told() -> None:
    items = Items(Unknown.IGNORE)
    assert items.publish(other("colour")) == 1
    assert items.kept.sightings == []


def test_inv7_a_rejected_item_is_a_dead_letter_that_names_names() -> None:
    items = Items(Unknown.REJECT)
    assert items.publish(other("colour", "remark"), other("remark")) == 1
    [letter] = items.letters.letters
    assert (letter.reason, letter.cause) == ("no schema names colour, and unknown = reject", "schema")
    assert [each.names for each in items.kept.sightings] == [("colour",)]


def test_a_store_that_is_down_holds_no_event_up_and_is_told_when_it_is_back() -> None:
    items = Items()
    items.kept.down = True
    assert items.publish(other("colour")) == 1
    items.kept.down = False
    items.publish(other("colour"))
    assert [each.names for each in items.kept.sightings] == [("colour",)]


def test_names_are_bounded_whatever_comes() -> None:
    items = Items()
    for number in range(MAX_NAMES * 2):
        items.publish(other(f"x{number}"))
    names = [name for each in items.kept.sightings for name in each.names]
    assert len(names) == len(set(names)) == MAX_NAMES + 1
    assert MORE_NAMES in names


def test_what_a_container_remembers_is_bounded_and_what_it_forgot_is_told_again() -> None:
    kept = Kept()
    drift = DriftReporter(kept)
    for day in [*range(MOST_DAYS + 1), 0, MOST_DAYS]:
        drift.observe("order", "dynamodb:orders", day * DAY * 1_000_000, ["colour"])
        drift.flush()
    told = [(each.day - date(1970, 1, 1)).days for each in kept.sightings]
    assert told == [*range(MOST_DAYS + 1), 0]


@pytest.mark.parametrize(
    "name", ["colour", "TypeOfEstablishment (name)", "_x-1", "Head's name", "a.b:c/d & e"]
)
def test_what_looks_like_a_name_is_shown(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name", ["ada@example.org", "447700900123", "x12345", "Zoë", "", "x" * 65, "a\nb", "1a"]
)
def test_inv7_what_may_be_a_value_in_the_place_of_a_name_is_not_shown(name: str) -> None:
    assert safe_name(name) == OTHER_FORM
    items = Items(Unknown.REJECT)
    items.publish(other(name))
    assert items.kept.sightings[0].names == (OTHER_FORM,)
    assert items.letters.letters[0].reason == f"no schema names {OTHER_FORM}, and unknown = reject"


def test_a_file_tells_its_columns_and_a_rejected_one_publishes_nothing() -> None:
    text = f"URN,Name,Since,Open,Extra\n1,Alpha,01-02-2020,Y,{SECRET}\n"
    kept = Kept()
    world = World(links())
    world.drift = DriftReporter(kept)
    world.drop(text)
    assert len(world.facts()) == 1
    assert [(each.source, each.names) for each in kept.sightings] == [("csv:links", ("Extra",))]
    strict = World(replace(links(), unknown=Unknown.REJECT))
    strict.drop(text)
    assert strict.facts() == []
    assert [each for each in strict.reasons() if "no schema names Extra, and unknown = reject" in each]
    assert SECRET not in repr(strict.reasons())


def test_inv7_a_file_without_a_header_tells_no_cell_of_its_first_row() -> None:
    """The first row stands where names should: that a column is missing is said first, and nothing else."""
    kept = Kept()
    world = World(replace(links(), unknown=Unknown.REJECT), drift=DriftReporter(kept))
    world.drop("1,Ada Lovelace,01-02-2020,Y\n2,Other,01-02-2020,Y\n")
    [reason] = [letter.reason for letter in world.letters.letters]
    assert reason == "the column URN is missing"
    assert kept.sightings == []
    assert not [key for key in world.objects() if "Lovelace" in key]


# Objects


def test_inv5_a_name_of_a_day_is_one_object_whatever_it_was_seen_with() -> None:
    """So the objects of a day are as many as its names, however many containers saw which of them first."""
    both = Sighting("order", "dynamodb:orders", TODAY, ("b", "a"))
    alone = [sighting_keys(both._replace(names=(name,))) for name in ("a", "b")]
    assert sighting_keys(both) == [key for keys in alone for key in keys]
    assert all(key.startswith(f"{DRIFT_PREFIX}2026-03-01/order/") for key in sighting_keys(both))
    assert sighting_keys(both) != sighting_keys(both._replace(source="csv:orders"))


@pytest.mark.parametrize("name", ["colour", "a.b:c/d & e", "Head's name, (50)", OTHER_FORM, MORE_NAMES])
def test_a_key_says_all_of_a_sighting(name: str) -> None:
    one = Sighting("order", "dynamodb:orders", TODAY, (name,))
    [key] = sighting_keys(one)
    assert sighting_of(key) == one


@pytest.mark.parametrize(
    "key", ["drift/", "drift/x", "drift/2026-03-01/order/0123.json", "drift/today/order/s/a"]
)
def test_a_key_that_is_none_of_a_sighting_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|isoformat"):
        sighting_of(key)


def test_days_are_counted_and_not_sightings() -> None:
    seen = [Sighting("order", "s", date(2026, 3, day), ("a",)) for day in (4, 2, 2, 3)]
    seen.append(Sighting("order", "s", date(2026, 3, 2), ("b", "a")))
    assert (
        fold_sightings(seen)
        == fold_sightings(seen[::-1])
        == [
            Drift("order", "s", "a", 3, date(2026, 3, 2), date(2026, 3, 4)),
            Drift("order", "s", "b", 1, date(2026, 3, 2), date(2026, 3, 2)),
        ]
    )


def test_inv5_what_is_told_again_is_the_object_that_is_there(aws: Any) -> None:
    s3, bucket = aws.client("s3"), f"drift-{aws.suffix}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    one = Sighting("order", "dynamodb:orders", TODAY, ("a", "b"))
    for seen in (one, one._replace(names=("b",)), one._replace(names=("b", "c"))):
        S3Sightings(s3, bucket).put(seen)
    stored = [each["Key"] for each in s3.list_object_versions(Bucket=bucket)["Versions"]]
    assert stored == sighting_keys(one._replace(names=("a", "b", "c")))
