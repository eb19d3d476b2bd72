"""What bench_report_latency changes: its entities and report, what staging holds beforehand, and each batch.

2,000 schools of 200 towns, ten subscriptions each. A batch is due every 100 ms: nine tenths change a
subscription that is there (its plan, hence its group, its price and seats), one tenth makes one; in every
tenth batch a few schools move to another town. Last comes a subscription of each shard that is alone in its
group: its seats tell the batch.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias

from benchmarks.bench_dynamodb_producer import Case, stream_record, subscription
from benchmarks.latency_changes import ENTITY, probes
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import SAMPLE_ENTITIES

EVERY = 0.1
"""Seconds from one batch to the next."""
SCHOOLS = 2_000
TOWNS = 200
SUBSCRIPTIONS = 20_000
MOVES = 5
FILL_BATCH = 500
FIRST_URN = 100_000
PROBE_TOWNS = ("probe 1", "probe 2")

Record: TypeAlias = dict[str, Any]
Call: TypeAlias = list[Record]
"""What the producer is called with: records of one table, as Lambda does it."""

REPORT = "by_town"
SELECT = """SELECT s.town, u.plan, COUNT(*) AS subscriptions, SUM(u.seats) AS seats, SUM(u.price) AS price
FROM staging.subscription AS u INNER JOIN staging.school AS s ON s.urn = u.urn
WHERE u.active = 1
GROUP BY s.town, u.plan
"""
SCHOOL_TOML = 'key = ["urn"]\n\n[[source]]\ndynamodb = "schools"\n'
SCHOOL_AVSC = """{"type": "record", "name": "School", "fields": [
  {"name": "urn", "type": "int"}, {"name": "name", "type": "string", "maxLength": 200},
  {"name": "town", "type": "string", "maxLength": 100}]}
"""


class Load(NamedTuple):
    """Changes per second, and for how many seconds before it counts and while it does."""

    rate: int
    warm: float
    measured: float

    @property
    def warm_batches(self) -> int:
        return round(self.warm / EVERY)

    @property
    def batches(self) -> int:
        return self.warm_batches + round(self.measured / EVERY)


def make_home(folder: Path) -> None:
    """An installation with these two entities and this report."""
    shutil.copytree(SAMPLE_ENTITIES / ENTITY, folder / "entities" / ENTITY)
    school = folder / "entities" / "school"
    school.mkdir()
    (school / "entity.toml").write_text(SCHOOL_TOML)
    (school / "v1.avsc").write_text(SCHOOL_AVSC)
    (folder / "reports").mkdir()
    header = '/* headwater\nkey = ["town", "plan"]\n*/\n'
    (folder / "reports" / f"{REPORT}.sql").write_text(header + SELECT)


class Changes:
    """The same ones each time. A record's number is its place in its table's stream."""

    def __init__(self, catalog: Catalog) -> None:
        self._cases = {
            ENTITY: Case(ENTITY, catalog.entity(ENTITY), subscription),
            "school": Case("school", catalog.entity("school"), subscription),
        }
        self._dice = Random(7)
        self._rows: dict[tuple[str, str], Record] = {}
        self._made = 0
        self._number = 0

    def filling(self) -> Iterator[Call]:
        """What is there beforehand: schools, their subscriptions, and both probes."""
        urns = range(FIRST_URN, FIRST_URN + SCHOOLS)
        schools = (self._school(urn, f"town {urn % TOWNS}") for urn in urns)
        own = (self._school(urn, town) for urn, town in enumerate(PROBE_TOWNS, 1))
        subscriptions = (self._new() for _ in range(SUBSCRIPTIONS))
        for records in (schools, own, subscriptions, self._probes(0)):
            left = iter(records)
            while call := list(islice(left, FILL_BATCH)):
                yield call

    def batch(self, number: int, size: int) -> list[Call]:
        """`number` counts from 0; a probe's seats are one more."""
        moves = []
        if number % 10 == 9:
            urns = [self._dice.randrange(FIRST_URN, FIRST_URN + SCHOOLS) for _ in range(MOVES)]
            moves = [self._school(urn, f"town {self._dice.randrange(TOWNS)}") for urn in urns]
        ordinary = size - len(moves) - len(probes())
        records = [self._new() if self._dice.random() < 0.1 else self._changed() for _ in range(ordinary)]
        return [call for call in (moves, [*records, *self._probes(number + 1)]) if call]

    def _probes(self, seats: int) -> Iterator[Record]:
        for urn, key in enumerate(probes(), 1):
            yield self._subscription(key, urn, plan="basic", seats=seats)

    def _new(self) -> Record:
        self._made += 1
        return self._subscription(f"sub-{self._made:08}", self._urn_of(self._made))

    def _changed(self) -> Record:
        place = self._dice.randrange(self._made) + 1
        return self._subscription(f"sub-{place:08}", self._urn_of(place))

    def _urn_of(self, place: int) -> int:
        return FIRST_URN + place % SCHOOLS

    def _subscription(self, key: str, urn: int, **values: Any) -> Record:
        row = {**subscription(self._number, 1), "subscription_id": key, "urn": urn, **values}
        return self._record(ENTITY, key, row)

    def _school(self, urn: int, town: str) -> Record:
        return self._record("school", str(urn), {"urn": urn, "name": f"school {urn}", "town": town})

    def _record(self, entity: str, key: str, row: Record) -> Record:
        old = self._rows.get((entity, key), row)
        self._rows[entity, key] = row
        self._number += 1
        return stream_record(self._cases[entity], self._number, old, row)
