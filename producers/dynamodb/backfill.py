"""A backfill: the items that a table holds, published below every record of its stream, and then sweeps.

An event of a backfill has sequence number 0 of the stream's generation. So it loses to every stream record of
the generation, and wins over everything older. That is right only if the stream is read from before the
items are: an item that changes later has a record (tests/property/test_backfill_model.py).

Sweeps delete rows of older generations whose items no longer exist. They need every item, so none are
published for an entity of which an item was rejected, or none was found.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import NamedTuple

from producers.drift_reporter import DriftReporter
from producers.dynamodb.item_records import item_record
from producers.dynamodb.records import Reading, RecordReader, letter_of_event
from producers.dynamodb.scan import ItemPage, ItemSource, Table
from producers.publisher import Publisher
from producers.runs.chunk import Chunk, Page, Totals, sum_totals, totals_key
from producers.runs.publishing import ChunkPublisher
from producers.runs.run import BEAT, Run
from producers.runs.store import RunStore
from producers.wiring import Wiring
from schemas.catalog.entity import Catalog, Entity
from schemas.errors import PoisonEventError
from schemas.event import BUCKETS, fitting_frame, make_sweep
from schemas.letters.letter import DeadLetter, LetterStore
from schemas.positions import backfill_sweep_position
from schemas.privacy import HashKey
from schemas.sources.dynamodb import DynamoDbSource, entities_of_table

_MICROS = 1_000_000
ALL = "_all"  # no name of an entity begins with an underscore


def entities_to_fill(catalog: Catalog, table: str, entity: str | None = None) -> Catalog:
    """Return a catalog of the entities of a table, or of one of them."""
    names = [found.name for found, _ in entities_of_table(catalog, table) if entity in (None, found.name)]
    return Catalog({name: catalog.entities[name] for name in names}, catalog.registry)


def run_name(catalog: Catalog, table: str, filled: Catalog) -> str:
    """Return the name of the run that fills these entities of a table."""
    whole = filled.entities.keys() == entities_to_fill(catalog, table).entities.keys()
    return f"dynamodb/{table}/{ALL if whole else next(iter(filled.entities))}"


def subject(table: Table, filled: Catalog, method: str) -> dict[str, object]:
    """Return what a run reads: another stream is another generation, so that its run begins again."""
    return {"stream": table.stream_arn, "entities": sorted(filled.entities), "method": method}


class Filled(NamedTuple):
    """The result for one entity and source. `unswept` is the reason for which nothing was swept, if any."""

    entity: str
    source: str
    published: int
    rejected: int
    unswept: str | None


@dataclass(frozen=True, slots=True)
class Ports:
    """What a backfill writes to. No other thread may use them."""

    publisher: Publisher
    letters: LetterStore
    store: RunStore
    hash_key: HashKey | None = None
    drift: DriftReporter | None = None

    @classmethod
    def of(cls, wiring: Wiring, store: RunStore) -> Ports:
        return cls(wiring.publisher, wiring.letters, store, wiring.hash_key, wiring.drift)


class Backfill:
    """Fills the entities of one table, in this thread; the items are read ahead by other threads."""

    def __init__(self, table: Table, catalog: Catalog, source: ItemSource, run: Run, ports: Ports) -> None:
        """`catalog` has only the entities to fill. Raises ConfigurationError."""
        self._table = table
        self._catalog = catalog
        self._source = source
        self._run = run
        self._ports = ports
        self._reader = RecordReader(catalog, ports.hash_key, ports.drift)
        self._chunks = ChunkPublisher(
            ports.store, run.folder, ports.publisher, ports.letters, catalog.registry
        )
        self._last: dict[int, Chunk | None] = {}

    @property
    def totals(self) -> Totals:
        """Return the sums of what is published so far."""
        return sum_totals(self._last.values())

    def advance(self) -> Generator[Totals]:
        """Work until the end, and yield the totals at least every few seconds.

        A caller that stops early has to close the iterator. Raises TransientError, after which the run can go
        on; ConflictError if another process took it over; ConfigurationError.
        """
        segments = range(self._run.document.segments)
        try:
            with ThreadPoolExecutor(len(segments)) as pool:
                try:
                    yield from self._segments(pool, segments)
                finally:
                    self._source.stop()  # or leaving the pool would wait for reads that wait for their turn
            results = self._sweep()
            self._run.finish({"rows": self.totals.rows, "entities": [one._asdict() for one in results]})
            yield self.totals
        finally:
            self._ports.publisher.forget()

    def _segments(self, pool: ThreadPoolExecutor, segments: Sequence[int]) -> Iterator[Totals]:
        reading: dict[Future[ItemPage], int] = {}
        for segment in segments:
            chunk = self._last[segment] = self._chunks.resume(segment)
            if chunk is None or chunk.place is not None:
                reading[pool.submit(self._source.read, segment, chunk and chunk.place)] = segment
        while reading:
            done, _ = wait(reading, timeout=BEAT, return_when=FIRST_COMPLETED)
            for future in done:
                segment = reading.pop(future)
                chunk = self._chunks.add(segment, self._last[segment], self._page(future.result()))
                self._last[segment] = chunk
                if chunk.place is not None:
                    reading[pool.submit(self._source.read, segment, chunk.place)] = segment
            self._run.beat()
            yield self.totals

    def _page(self, read: ItemPage) -> Page:
        published: dict[str, int] = {}
        frames: list[bytes] = []
        letters: list[DeadLetter] = []
        positions: set[str] = set()
        for item in read.items:
            record = item_record(
                item,
                stream_arn=self._table.stream_arn,
                key=self._table.key,
                method=self._source.method,
                read_at=read.read_at,
            )
            reading = self._reader.read(record)
            letters += reading.letters
            for key in self._encode(reading, frames, letters):
                published[key] = published.get(key, 0) + 1
                positions.add(reading.position)
        if self._ports.drift:
            self._ports.drift.flush()
        position = min(positions, default=None)
        return Page(len(read.items), frames, published, letters, position, read.read_at * _MICROS, read.place)

    def _encode(self, reading: Reading, frames: list[bytes], letters: list[DeadLetter]) -> Iterator[str]:
        """Add the frames of a record. Yields the key in totals of each."""
        for event, _ in reading.events:
            try:
                frames.append(fitting_frame(event))
            except PoisonEventError as error:  # too large
                letters.append(letter_of_event(reading.record, error, event))
            else:
                yield totals_key(event.entity, event.source)

    def _sweep(self) -> list[Filled]:
        """Publish the sweeps of all entities for which that is safe, and return the results."""
        totals = self.totals
        results = []
        for entity, source in entities_of_table(self._catalog, self._table.name):
            filled = _filled(totals, entity, source)
            if filled.unswept is None:
                self._sweep_buckets(entity, source, totals)
            results.append(filled)
        self._ports.publisher.flush()
        return results

    def _sweep_buckets(self, entity: Entity, source: DynamoDbSource, totals: Totals) -> None:
        # Position and time are those of the chunks, so that a retry writes the same bytes (INV-5).
        assert totals.position
        for bucket in range(BUCKETS):
            sweep = make_sweep(
                source=source.name,
                entity=entity.name,
                bucket=bucket,
                position=backfill_sweep_position(totals.position),
                occurred_at=totals.read_at,
                schema_fingerprint=entity.schema.fingerprint,
            )
            self._ports.publisher.add(sweep, entity.schema)


def _filled(totals: Totals, entity: Entity, source: DynamoDbSource) -> Filled:
    key = totals_key(entity.name, source.name)
    published = totals.published.get(key, 0)
    rejected = totals.rejected.get(key, 0)
    unswept = None
    if rejected or totals.rejected.get(""):
        unswept = "items were rejected, and their rows must stay"
    elif not published:
        unswept = "no item was found"
    return Filled(entity.name, source.name, published, rejected, unswept)


def results_of(result: Mapping[str, object]) -> list[Filled]:
    """Return the results in the document of a finished run."""
    entities = result["entities"]
    assert isinstance(entities, list)
    return [Filled(**one) for one in entities]
