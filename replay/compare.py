"""Comparison of a live table with the fold of its log."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from consumers.warehouse.port import LIVE_READER, Row, Transaction, Warehouse
from consumers.warehouse.sqlite.warehouse import open_warehouse
from replay.differences import Difference, differences
from replay.fold import EventFilter
from replay.load import load
from replay.log.log_schemas import refuse_newer_versions
from replay.pending import PendingDifferences
from replay.ports import Ports
from replay.progress import with_progress
from replay.revisions import live_of, plan_load, revisions_of
from replay.tail import Tail
from replay.write import RevisionWriter
from schemas.catalog.entity import Entity
from schemas.log.registry import LogRegistry

MAX_PENDING = 100_000
"""Differing rows that are kept in memory to be checked again; further ones are reported at once."""


def compare(ports: Ports, entity: Entity) -> Iterator[Difference]:
    """Yield the rows of the live table that differ from the fold of the log and the stream.

    Rows that events in flight may explain come last: they are checked again once both sides have read equally
    far, for which the live consumers wait a moment. The fold is built in a temporary SQLite file, so memory
    grows with neither table.

    Raises LogIntegrityError for a damaged log, before the first difference; ConfigurationError where the log
    has a newer schema version than this process knows; and what the ports raise.
    """
    refuse_newer_versions(ports.log, entity)
    with TemporaryDirectory(prefix="headwater-compare-") as folder:
        wanted = EventFilter(entity).without_history
        scratch = open_warehouse(f"sqlite:///{Path(folder) / 'scratch.db'}", [wanted.entity])
        try:
            yield from _Comparison(ports, wanted, scratch).differences()
        finally:
            # SQLite has to let go of its files before their folder is removed.
            scratch.close()


class _Comparison:
    """The live table, and the table that the log makes, which is built in `scratch`."""

    def __init__(self, ports: Ports, wanted: EventFilter, scratch: Warehouse) -> None:
        entity = wanted.entity
        self._ports, self._entity, self._scratch = ports, entity, scratch
        scratch.ensure()
        self._writer = RevisionWriter(
            scratch,
            wanted,
            LogRegistry(ports.registry, ports.log.document),
            revision=scratch.create_revision(entity.name),
            live=1,  # `ensure` has just created it, empty
            retry=ports.retry,
        )

    def differences(self) -> Iterator[Difference]:
        tail = self._fill_scratch()
        live = live_of(revisions_of(self._ports, self._entity)).number
        pending = PendingDifferences(self._entity, live, tail, self._rows_of)
        for difference in differences(self._entity, *self._tables(live)):
            # Two rows of one rank come from the same event: no event in flight can make them equal.
            if difference.newer == "neither" or len(pending) >= MAX_PENDING:
                yield difference
            else:
                pending.add(difference)
        pending.wait_for_live(self._ports.warehouse, self._ports.retry)
        if pending:
            # The stream is read before each attempt, so that little is left to read under the lock.
            yield from self._ports.retry.call(
                lambda: self._confirmed(tail, pending), prepare=tail.read_to_tip
            )

    def _fill_scratch(self) -> Tail:
        ports = self._ports
        # Taken before the log is listed: what Firehose flushes after the listing is read from the stream.
        since = ports.now() - ports.reach
        ports.check_stream_holds(since)
        load(ports, self._writer, total=plan_load(ports).objects)
        tail = Tail(
            ports.stream,
            self._writer,
            since=since,
            saved=(),
            retry=ports.retry,
            report=ports.report,
            clock=ports.clock,
        )
        tail.read_to_tip()
        return tail

    def _tables(self, live: int) -> tuple[Iterator[Row], Iterator[Row]]:
        name = self._entity.name
        actual = self._ports.warehouse.rows(name, live)
        expected = self._scratch.rows(name, self._writer.revision)
        return expected, with_progress(actual, self._ports.report, self._ports.clock)

    def _rows_of(self, _transaction: Transaction, key_hashes: list[bytes]) -> Mapping[bytes, Row]:
        # The expected rows are in another database than the live table, hence a transaction of its own.
        with self._scratch.transaction() as scratch:
            return scratch.rows_of(self._entity.name, self._writer.revision, key_hashes)

    def _confirmed(self, tail: Tail, pending: PendingDifferences) -> list[Difference]:
        # The exclusive lock stops the live consumers: both sides then have read exactly the same events.
        with self._ports.warehouse.transaction(exclusive=[self._entity.name]) as transaction:
            live = tail.sequences_of(transaction.checkpoints(LIVE_READER))
            tail.catch_up(live, self._writer.write_at_once, self._ports.time_box())
            # A list, not an iterator: the caller must not hold the lock while it prints rows.
            return list(pending.confirmed(transaction))
