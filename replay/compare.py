"""A live table against what the log says it should hold."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from consumers.warehouse.port import LIVE_READER, Row, Transaction, Warehouse
from consumers.warehouse.sqlite.warehouse import open_warehouse
from replay.differences import Difference, differences
from replay.fold import EventFilter
from replay.level import PendingDifferences
from replay.load import load
from replay.log.log_schemas import refuse_newer_versions
from replay.ports import Ports
from replay.progress import watched
from replay.revisions import live_of, measured, revisions_of
from replay.tail import Tail
from replay.write import RevisionWriter
from schemas.catalog.entity import Entity
from schemas.log.registry import LogRegistry

MANY = 100_000
"""So many rows that may only be under way are looked at again; what is beyond counts at once."""


def compare(ports: Ports, entity: Entity) -> Iterator[Difference]:
    """The rows of the live table that differ from the fold of the log and the stream.

    The fold is made in a scratch file of the temporary directory; memory grows with neither table. Rows that
    what is under way may explain come last: they are looked at again when both sides are level, for which the
    live consumers wait a moment. Raises LogIntegrityError for a damaged log, before the first difference;
    ConfigurationError where the log has a newer schema version than is known here; and what the ports raise.
    """
    refuse_newer_versions(ports.log, entity)
    with TemporaryDirectory(prefix="headwater-compare-") as folder:
        wanted = EventFilter(entity).rows_alone
        scratch = open_warehouse(f"sqlite:///{Path(folder) / 'scratch.db'}", [wanted.entity])
        try:
            yield from _Comparison(ports, wanted, scratch).differences()
        finally:
            scratch.close()


class _Comparison:
    """The live table, and in `scratch` the one that the log makes."""

    def __init__(self, ports: Ports, wanted: EventFilter, scratch: Warehouse) -> None:
        entity = wanted.entity
        self._ports, self._entity, self._scratch = ports, entity, scratch
        scratch.ensure()
        registry, revision = (
            LogRegistry(ports.registry, ports.log.document),
            scratch.create_revision(entity.name),
        )
        self._writer = RevisionWriter(scratch, wanted, registry, revision, 1, ports.retry)

    def differences(self) -> Iterator[Difference]:
        tail = self._filled()
        live = live_of(revisions_of(self._ports, self._entity)).number
        suspects = PendingDifferences(self._entity, live, tail, self._rows_of)
        for each in differences(self._entity, *self._tables(live)):
            if each.newer == "neither" or len(suspects) >= MANY:
                yield each
            else:
                suspects.add(each)
        suspects.let_live_catch_up(self._ports.warehouse, self._ports.retry)
        if suspects:
            yield from self._ports.retry.call(
                lambda: self._when_level(tail, suspects), prepare=tail.read_to_tip
            )

    def _filled(self) -> Tail:
        ports = self._ports
        since = ports.now() - ports.reach
        ports.check_stream_holds(since)
        load(ports, self._writer, total=measured(ports).objects)
        tail = Tail(
            ports.stream, self._writer, since, (), ports.retry, report=ports.report, clock=ports.clock
        )
        tail.read_to_tip()
        return tail

    def _tables(self, live: int) -> tuple[Iterator[Row], Iterator[Row]]:
        name = self._entity.name
        actual = self._ports.warehouse.rows(name, live)
        expected = self._scratch.rows(name, self._writer.revision)
        return expected, watched(actual, self._ports.report, self._ports.clock)

    def _rows_of(self, _transaction: Transaction, some: list[bytes]) -> Mapping[bytes, Row]:
        with self._scratch.transaction() as scratch:
            return scratch.rows_of(self._entity.name, self._writer.revision, some)

    def _when_level(self, tail: Tail, suspects: PendingDifferences) -> list[Difference]:
        with self._ports.warehouse.transaction(exclusive=[self._entity.name]) as transaction:
            live = tail.places_of(transaction.checkpoints(LIVE_READER))
            tail.level(live, self._writer.write_at_once, self._ports.time_box())
            return list(suspects.counted(transaction))
