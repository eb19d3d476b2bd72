"""Histories of an entity that keeps its history, and what its versions must be, by brute force."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import Any, NamedTuple

from consumers_world import EPOCH_2024, NULL, A, B, entity, event, field, sweep
from sqlalchemy import Engine

from consumers.warehouse.mssql.values import instant_of as mssql_instant
from consumers.warehouse.sqlite.values import instant_of as sqlite_instant
from schemas.catalog.entity import Catalog
from schemas.event import Event, Operation, decode_event, encode_event, key_hash, rank
from schemas.payload.codec import SchemaRegistry

SECOND = 1_000_000
MOMENTS = 5
FOREVER = 253_402_300_799_999_999

PAST = replace(
    entity(
        "past",
        [
            {**field("id", "string"), "maxLength": 40},
            field("size", [NULL, "int"], default=None),
            field("note", "string", default=""),
        ],
        ["id"],
    ),
    history=True,
)
CATALOG_OF_PAST = Catalog({"past": PAST}, SchemaRegistry([PAST.schema]))
PREFERRED = replace(PAST, prefer=(B, A))
"""Of which readers see one row for each key."""


def _shares_a_bucket(key: str) -> bool:
    return key_hash(A, f'["{key}"]')[0] == key_hash(B, f'["{key}"]')[0]


KEYS = ["k", "k ", *islice((key for key in map("k{}".format, count()) if _shares_a_bucket(key)), 1)]
NOTES = ["", "a", "a "]
"""Equal to each other for SQL Server's `=`."""
OPERATIONS = ["insert", "update", "upsert", "upsert", "delete", "sweep", "sweep"]


class Happened(NamedTuple):
    """What happened at a source; positions and clocks need not agree. A sweep is of the key's bucket."""

    operation: str
    key: str
    source: str
    number: int
    second: int
    size: int | None
    note: str

    def event(self) -> Event:
        when = EPOCH_2024 + self.second * SECOND
        if self.operation == "sweep":
            bucket = key_hash(self.source, f'["{self.key}"]')[0]
            return sweep(PAST, bucket, self.number, self.source)._replace(occurred_at=when)
        values = {"id": self.key, "size": self.size, "note": self.note}
        return event(PAST, values, self.number, Operation(self.operation), self.source, occurred_at=when)


def at_random(dice: random.Random) -> Happened:
    return Happened(
        dice.choice(OPERATIONS),
        dice.choice(KEYS),
        dice.choice([A, A, B]),
        dice.randint(1, 6),
        dice.randint(1, MOMENTS),
        dice.choice([None, 1]),
        dice.choice(NOTES),
    )


class Version(NamedTuple):
    """A row of the view, `valid_to` being FOREVER for what holds still."""

    valid_from: int
    valid_to: int
    operation: str
    event_id: bytes
    ended_by: str | None
    ended_by_event_id: bytes | None
    id: str
    size: int | None
    note: str
    source: str


def versions(frames: Iterable[bytes]) -> list[Version]:
    """Moment by moment: of each key the fact of greatest rank so far, and a version for each change of what
    is there."""
    events = {frame: decode_event(frame) for frame in frames}
    keys = {(made.source, made.key): made for made in events.values() if made.operation != "sweep"}
    found = [each for place in keys for each in _of_key(*place, events)]
    return sorted(found, key=str)


def _of_key(source: str, key: str, events: dict[bytes, Event]) -> Iterator[Version]:
    changes = list(_changes(source, key, events))
    ends = [*changes[1:], (FOREVER, None, None)]
    for (moment, made, state), (end, ending, _) in zip(changes, ends, strict=False):
        if state is not None:
            by = (ending.operation, ending.event_id) if ending else (None, None)
            yield Version(moment, end, made.operation, made.event_id, *by, *state, source)


def _changes(
    source: str, key: str, events: dict[bytes, Event]
) -> Iterator[tuple[int, Event, tuple[Any, ...] | None]]:
    bucket = key_hash(source, key)[0]
    mine = [
        (made.position if made.operation == "sweep" else rank(made.position, 1, frame), made)
        for frame, made in events.items()
        if made.source == source and (made.key == key or made.key == f'["{bucket}"]')
    ]
    shown = None
    for moment in sorted({made.occurred_at for _, made in mine}):
        _, top = max(
            ((order, made) for order, made in mine if made.occurred_at <= moment), key=lambda each: each[0]
        )
        state = None if top.after is None else tuple(PAST.schema.decode(top.after).values())
        if state != shown:
            yield moment, top, state
        shown = state


def at(all_versions: Iterable[Version], second: int) -> list[tuple[Any, ...]]:
    """The rows that are there at a moment."""
    moment = EPOCH_2024 + second * SECOND
    return sorted(
        ((*each[6:],) for each in all_versions if each.valid_from <= moment < each.valid_to), key=str
    )


def shown_versions(engine: Engine, view: str, where: str = "") -> list[Version]:
    """What the view shows, typed."""
    columns = ", ".join((*Version._fields[:-1], "_source"))
    instant = mssql_instant if engine.dialect.name == "mssql" else sqlite_instant
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM {view} {where}").all()
    return sorted((_typed(row, instant) for row in rows), key=str)


def _typed(row: Sequence[Any], instant: Any) -> Version:
    since, until, operation, made, ended_by, ending, *rest = row
    return Version(
        instant(since), instant(until), operation, _id(made), ended_by, ending and _id(ending), *rest
    )


def _id(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.bytes


def frames_of(history: Iterable[Happened]) -> list[bytes]:
    return [encode_event(each.event()) for each in history]
