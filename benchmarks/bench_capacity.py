"""The measurements behind `headwater capacity`: time of a batch, and bytes of a row.

Events of one entity with history and a text of several lengths, half of them of keys that exist, through the
consumer's whole path in batches of several sizes, none above what Lambda hands over. Processor time of the
consumer and of the server's session is counted, not the clock, so that other work on the machine matters
less. The time of a batch is fitted to `a + b * events + c * bytes`, with bytes of frames. SQL Server is that
of HEADWATER_TEST_MSSQL, on this machine if it is Babelfish; without it only SQLite is measured.

Bytes of a row are those of the table and its indexes after 10,000 new keys, divided by its rows, and so
include what page splits leave free. On Babelfish they are those of PostgreSQL, whose text is UTF-8.
"""

from __future__ import annotations

import gzip
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bench_consume import SOURCE, cut, record
from benchmarks.bench_mssql_load import VARIABLE, close_kept, new_database, url_of
from consumers.consume import Consumer
from consumers.handler import KinesisBatches
from consumers.warehouse.engines import open_warehouse
from schemas.catalog.entity import Catalog, Entity
from schemas.event import Operation, encode_event, make_event
from schemas.keys import canonical_key
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.positions import dynamodb_position
from schemas.sources.dynamodb import DynamoDbSource

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from mssql_server import is_babelfish

Figure = tuple[str, float, float, str]

TEXTS = (50, 700, 3_700)
"""Characters of the text of an event."""
BATCHES = (50, 500, 2_500)
"""Events of a batch."""
MOST_BYTES = 4_500_000
"""Bytes of frames in a batch: the 6 MB that Lambda hands over are base64."""
ROUNDS = 7
ROWS = 10_000
SQLITE_BYTES = (
    "SELECT SUM(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = ?)"
)
WORDS = [f"{number:x}" for number in range(4_096, 8_192)]


class Timing(NamedTuple):
    """A batch: its events, the bytes of its frames, and the processor seconds of consumer and server."""

    events: int
    size: int
    consumer: float
    server: float

    @property
    def seconds(self) -> float:
        return self.consumer + self.server


def run() -> Iterator[Figure]:
    """Name, figure, share, unit."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _engine("SQLite", lambda name: f"sqlite:///{Path(folder) / name}.db")
    if os.environ.get(VARIABLE):
        with new_database() as database:
            yield from _engine("T-SQL server", lambda _: url_of(database))
            close_kept()
    yield from _frames()


def _engine(engine: str, url: Any) -> Iterator[Figure]:
    timings: list[Timing] = []
    for length in TEXTS:
        world = _World(url(f"text{length}"), length)
        try:
            staging, history, index = world.row_bytes()
            timings += world.timings()
        finally:
            world.close()
        yield (
            f"{engine}: staging row of a frame of {world.frame} bytes",
            staging,
            staging / world.frame,
            "bytes",
        )
        yield f"{engine}: history row of the same", history, history / world.frame, "bytes"
        yield f"{engine}: an index of one number, for a row", index, index / world.frame, "bytes"
    for timing in timings:
        name = f"{engine}: batch of {timing.events:,} events, {timing.size:,} bytes"
        yield name, timing.events / timing.seconds, timing.consumer / timing.seconds, "events/s"
    whole = _fit([(timing.events, timing.size, timing.seconds) for timing in timings])
    server = whole
    if timings[-1].server:
        server = _fit([(timing.events, timing.size, timing.server) for timing in timings])
    for name, scale, unit, seconds, part in zip(
        ("a batch", "an event", "1,000 bytes"),
        (1e3, 1e6, 1e9),
        ("ms", "us", "us"),
        whole,
        server,
        strict=True,
    ):
        yield f"{engine}: time of {name}", seconds * scale, 1.0, unit
        yield "  the server's part of it", part * scale, part / seconds if seconds else 0.0, unit


class _World:
    """A warehouse with one entity that keeps history."""

    def __init__(self, url: str, length: int) -> None:
        schema = make_schema(
            f"note{length}",
            1,
            ["note_id"],
            {
                "type": "record",
                "name": "Note",
                "fields": [
                    {"name": "note_id", "type": "string", "maxLength": 40},
                    {"name": "number", "type": "int"},
                    {"name": "text", "type": "string", "maxLength": 3_900},
                ],
            },
        )
        self._entity = Entity(
            schema.entity, schema.key, (DynamoDbSource(SOURCE, "notes"),), schema, history=True
        )
        self._length = length
        self._warehouse: Any = open_warehouse(url, [self._entity])
        self._warehouse.ensure()
        self._letters = InMemoryLetters()
        catalog = Catalog({self._entity.name: self._entity}, SchemaRegistry([schema]))
        consumer = Consumer(catalog, self._warehouse, self._letters)
        self._handler = KinesisBatches(consumer, lambda arn: f"{arn}@2024-05-01")
        self._dice = random.Random(3)
        self._keys = self._number = 0
        self.frame = len(self._frame(0))

    def timings(self) -> list[Timing]:
        """Means, by size of the batch. The first batch of a size is not counted."""
        return [self._timing(events) for events in BATCHES if events * self.frame <= MOST_BYTES]

    def _timing(self, events: int) -> Timing:
        consumer = server = 0.0
        for number in range(ROUNDS + 1):
            batch = _lambda_event(self._batch(events))
            begun, served = time.process_time(), self._served()
            counts = self._handler.take(batch)
            if number:
                consumer += time.process_time() - begun
                server += self._served() - served
            if counts.applied != events or self._letters.letters:
                raise AssertionError(f"not all events became rows: {counts}")
        return Timing(events, events * self.frame, consumer / ROUNDS, server / ROUNDS)

    def _served(self) -> float:
        """Processor seconds of the server's session so far."""
        engine = self._warehouse.engine
        if engine.dialect.name == "sqlite":
            return 0.0
        with engine.connect() as connection:
            if not is_babelfish():
                asked = "SELECT cpu_time / 1000.0 FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
                return float(connection.exec_driver_sql(asked).scalar_one())
            session = connection.exec_driver_sql("SELECT @@SPID").scalar_one()
        ticks = Path(f"/proc/{session}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def _batch(self, events: int) -> list[bytes]:
        old = self._dice.sample(range(self._keys), min(events // 2, self._keys))
        new = range(self._keys, self._keys + events - len(old))
        self._keys = new.stop
        return [self._frame(key) for key in (*old, *new)]

    def _frame(self, key: int) -> bytes:
        self._number += 1
        words = " ".join(self._dice.choices(WORDS, k=self._length // 5 + 1))[: self._length]
        values = {"note_id": f"note-{key:08}", "number": self._number, "text": words}
        return encode_event(
            make_event(
                source=SOURCE,
                entity=self._entity.name,
                operation=Operation.UPDATE,
                key=canonical_key([values["note_id"]]),
                position=dynamodb_position("2024-05-01T10:00:00.000000", str(10**20 + self._number)),
                occurred_at=1_714_557_600_000_000,
                schema_fingerprint=self._entity.schema.fingerprint,
                after=self._entity.schema.encode(values),
            )
        )

    def row_bytes(self) -> tuple[float, float, float]:
        """Bytes of a row of staging and of history with their indexes, and of another index of staging."""
        for _ in range(ROWS // 500):
            self._keys += 500
            self._handler.take(
                _lambda_event([self._frame(key) for key in range(self._keys - 500, self._keys)])
            )
        staging, history = self._bytes("staging"), self._bytes("history")
        with self._warehouse.engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE INDEX report_by_number ON {self._table('staging')} (number)")
        return staging / ROWS, history / ROWS, (self._bytes("staging") - staging) / ROWS

    def _bytes(self, part: str) -> float:
        engine, table = self._warehouse.engine, self._table(part)
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                return float(connection.exec_driver_sql(SQLITE_BYTES, (table,)).scalar_one())
            if is_babelfish():
                asked = f"SELECT pg_total_relation_size(CAST(OBJECT_ID('{table}') AS INT))"
                return float(connection.exec_driver_sql(asked).scalar_one())
            row = connection.exec_driver_sql(f"EXEC sp_spaceused N'{table}'").mappings().one()
            return sum(float(str(row[name]).removesuffix("KB")) * 1_024 for name in ("data", "index_size"))

    def _table(self, part: str) -> str:
        sqlite = self._warehouse.engine.dialect.name == "sqlite"
        return f"{part}{'_' if sqlite else '.'}{self._entity.name}__r1"

    def close(self) -> None:
        self._warehouse.close()


def _frames() -> Iterator[Figure]:
    """What GZIP makes of the frames of an object of the log."""
    for length in TEXTS:
        with tempfile.TemporaryDirectory() as folder:
            world = _World(f"sqlite:///{Path(folder) / 'frames.db'}", length)
            data = b"".join(world._batch(2_000))
            world.close()
        packed = len(gzip.compress(data, 6))
        yield f"GZIP of frames of {world.frame} bytes", len(data) / packed, packed / len(data), "times"


def _lambda_event(frames: list[bytes]) -> dict[str, Any]:
    """In aggregates of 200 frames, which fit whatever their size here."""
    return {"Records": [record(number, some) for number, some in enumerate(cut(frames, 200), 1)]}


def _fit(timings: Sequence[tuple[int, int, float]]) -> tuple[float, float, float]:
    """Least squares of the relative error: seconds of a batch, of an event, of a byte; none below zero."""
    rows = [(1 / seconds, events / seconds, size / seconds) for events, size, seconds in timings]
    for columns in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        solved = _solved([[row[column] for column in columns] for row in rows])
        if min(solved) >= 0:
            found = dict(zip(columns, solved, strict=True))
            return found.get(0, 0.0), found.get(1, 0.0), found.get(2, 0.0)
    raise AssertionError("no fit")


def _solved(rows: Sequence[Sequence[float]]) -> list[float]:
    """The x for which `rows * x` is nearest to 1, by the normal equations."""
    size = range(len(rows[0]))
    matrix = [
        [sum(row[i] * row[j] for row in rows) for j in size] + [sum(row[i] for row in rows)] for i in size
    ]
    for pivot in size:
        for other in size:
            if other != pivot:
                factor = matrix[other][pivot] / matrix[pivot][pivot]
                matrix[other] = [x - factor * y for x, y in zip(matrix[other], matrix[pivot], strict=True)]
    return [matrix[i][-1] / matrix[i][i] for i in size]
