"""One transaction of the SQL Server engine: the guard, sweep floors and checkpoints.

Three round trips for a batch of one entity: locks and revisions, the rows, the checkpoints with the COMMIT.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from consumers.warehouse.floors import rise
from consumers.warehouse.history import HistoryTable, history_table
from consumers.warehouse.locks import Locks
from consumers.warehouse.mssql import sql as sql
from consumers.warehouse.mssql.ddl import Result, revisions_in, run
from consumers.warehouse.mssql.errors import RowRefused, mssql_errors
from consumers.warehouse.mssql.guard import raise_floors, write_rows
from consumers.warehouse.mssql.history import add_facts, add_sweeps
from consumers.warehouse.mssql.load import AnyRow, LoadStatement, json_text, loads, nothing_lost
from consumers.warehouse.mssql.rows import read_rows
from consumers.warehouse.mssql.values import binary_text, instant_text, uuid_text
from consumers.warehouse.port import (
    NO_REVISIONS,
    Batch,
    Checkpoint,
    Counts,
    History,
    RefusedRowError,
    Revision,
    Row,
    Sweep,
)
from consumers.warehouse.revisions import RevisionRow, current_revision
from consumers.warehouse.tables import StagingTable, StagingTables
from schemas.errors import ConfigurationError

_KEYS = 5_000
"""Key hashes of one SELECT."""


class MssqlTransaction:
    """`port.Transaction` on a connection of its own, from `begin` to `commit`."""

    def __init__(
        self,
        connection: Connection,
        tables: StagingTables,
        shared: Collection[str],
        exclusive: Collection[str],
        now: str,
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._locks = Locks(tables, shared, exclusive)
        self._now = now
        self._revisions = revisions_in(connection)
        self._points: list[Checkpoint] = []
        self._known = self._begin()

    def _begin(self) -> list[RevisionRow]:
        """The locks, and the revisions that they hold still."""
        select = sql.select_revisions(self._locks.held) if self._locks.held else ""
        begun = run(self._connection, sql.begin(self._locks.held, self._locks.exclusive) + select)
        return list(begun) if self._locks.held else []

    def commit(self) -> None:
        """End the transaction, with the checkpoints that wait. An answer that is lost is not known to have
        failed: the same batch again changes nothing (INV-2)."""
        self._flush(sql.COMMIT)

    def apply(self, batch: Batch, revisions: Mapping[str, int] = NO_REVISIONS) -> Counts:
        counts = Counts()
        for entity in batch.entities():
            table, revision = self._target(entity, revisions.get(entity))
            sweeps = batch.sweeps.get(entity, ())
            if sweeps and revision.state == "live":
                self._locks.need_exclusive(entity)
            counts += self._sweep(table, revision.number, sweeps)
            counts += self._upsert(table, revision.number, batch.rows.get(entity, ()))
            if entity in batch.history:
                self._remember(history_table(table), revision.number, batch.history[entity])
        self.save_checkpoints(batch.checkpoints)
        return counts

    def _target(self, entity: str, number: int | None) -> tuple[StagingTable, Revision]:
        table = self._tables[entity]
        self._locks.need(entity)
        if number is None:
            wanted = [row for row in self._known if row.entity == entity and row.state == "live"]
            return table, current_revision(table, wanted, "live")
        wanted = [row for row in self._known if row.entity == entity and row.number == number]
        return table, current_revision(table, wanted, number)

    def _sweep(self, table: StagingTable, revision: int, sweeps: Sequence[Sweep]) -> Counts:
        """Raise the floors and bury what is below."""
        if not sweeps:
            return Counts()
        risen, counts = rise(sweeps, self._revisions.floors(table, revision))
        bounds = [
            (
                *sweep,
                binary_text(bytes([sweep.bucket]) + bytes(15)),
                binary_text(bytes([sweep.bucket]) + b"\xff" * 15),
            )
            for sweep in risen
        ]
        if bounds:
            self._send(raise_floors(table, revision), (json_text(bounds),))
        return counts

    def _upsert(self, table: StagingTable, revision: int, rows: Sequence[Row]) -> Counts:
        """How many rows changed the table, and how many are in it with their rank, is what its statement
        tells."""
        told = self._write(table, write_rows(table, revision), rows)
        changed, equal = (sum(column) for column in zip((0, 0), *told, strict=True))
        return Counts(changed, superseded=len(rows) - equal, duplicate=equal - changed)

    def _remember(self, table: HistoryTable, revision: int, history: History) -> None:
        """Every fact, where the revision was made with a history."""
        if not self._revisions.has_history(table, revision):
            return
        self._write(table, add_facts(table, revision), history.rows)
        sweeps = [
            (source, bucket, position, instant_text(occurred_at), uuid_text(event_id))
            for source, bucket, position, occurred_at, event_id in history.sweeps
        ]
        if sweeps:
            self._send(add_sweeps(table.entity.name, revision), (json_text(sweeps),))

    def _write(self, table: StagingTable, write: str, rows: Sequence[AnyRow]) -> list[Sequence[int]]:
        """Load #rows and run `write` on it, in pieces; what it tells of each. Raises RefusedRowError."""
        try:
            return [self._written(table, write, load) for load in loads(table, rows)]
        except RowRefused as refusal:
            raise self._refused(table, write, rows, refusal) from None

    def _written(self, table: StagingTable, write: str, load: LoadStatement) -> Sequence[int]:
        declared = (
            f"DECLARE @now DATETIME2(6) = {sql.text(self._now)}, @loaded INT, @changed INT, @equal INT; "
        )
        with mssql_errors(f"write {table.entity.name}"):
            loaded, *told = self._send(declared + load.statement + write, load.parameters).one()
        nothing_lost(load, loaded)
        return told

    def _refused(
        self, table: StagingTable, write: str, rows: Sequence[AnyRow], refusal: RowRefused
    ) -> Exception:
        """Which rows they are, by halves. The transaction is gone: each try has its own, and undoes it."""
        found = self._all_refused(table, write, list(rows), refusal)
        if found:
            named = [(row, f"the warehouse refuses the row: {reason}") for row, reason in found]
            return RefusedRowError.of(table.entity.name, named)
        return ConfigurationError(f"entity {table.entity.name}: rows are refused together, and no row alone")

    def _all_refused(
        self, table: StagingTable, write: str, suspects: list[AnyRow], refusal: RowRefused
    ) -> list[tuple[AnyRow, RowRefused]]:
        """Those of `suspects` that are refused alone, each with the reason of its own; all of them together
        were refused already, with `refusal`."""
        if len(suspects) == 1:
            return [(suspects[0], refusal)]
        found: list[tuple[AnyRow, RowRefused]] = []
        middle = len(suspects) // 2
        for half in (suspects[:middle], suspects[middle:]):
            if again := self._refusal(table, write, half):
                found += self._all_refused(table, write, half, again)
        return found

    def _refusal(self, table: StagingTable, write: str, rows: Sequence[AnyRow]) -> RowRefused | None:
        run(self._connection, f"{sql.ROLLBACK}; {sql.begin((), ())}")
        try:
            for load in loads(table, rows):
                self._written(table, write, load)
        except RowRefused as refusal:
            return refusal
        return None

    def checkpoints(self, reader: str) -> list[Checkpoint]:
        self._flush()
        rows = self._send(sql.SELECT_CHECKPOINTS, (reader,))
        return [Checkpoint(*row) for row in rows]

    def save_checkpoints(self, checkpoints: Iterable[Checkpoint]) -> None:
        """They wait for the COMMIT, or for who reads them."""
        self._points.extend(checkpoints)

    def _flush(self, then: str = "") -> None:
        points = greatest(self._points)
        self._points = []
        if points:
            self._send(f"{sql.SAVE_CHECKPOINTS}; {then}", (json_text(points),))
        elif then:
            run(self._connection, then)

    def live_revision(self, entity: str) -> int:
        return self._revisions.live(self._tables[entity]).number

    def rows_of(self, entity: str, revision: int, key_hashes: Collection[bytes]) -> dict[bytes, Row]:
        table, wanted = self._tables[entity], [(binary_text(each),) for each in key_hashes]
        stored = self._revisions.stored(table, revision)
        found: dict[bytes, Row] = {}
        for start in range(0, len(wanted), _KEYS):
            some = json_text(wanted[start : start + _KEYS])
            rows = read_rows(stored, self._send(sql.select_some(stored, revision), (some,)))
            found.update((row.key_hash, row) for row in stored.rows_onto(table, rows))
        return found

    def swap(self, entity: str, revision: int) -> int:
        self._locks.need_exclusive(entity)
        self._flush()
        old = self._revisions.swap(self._tables[entity], revision)
        self._known = list(run(self._connection, sql.select_revisions(self._locks.held)))
        return old

    def _send(self, statement: str, parameters: tuple[object, ...] | None) -> Result:
        if parameters is None:
            return run(self._connection, statement)
        return self._connection.exec_driver_sql(statement, parameters)


def greatest(points: Iterable[Checkpoint]) -> list[Checkpoint]:
    """One for each reader, stream and shard: what is inserted has no two of one key."""
    kept: dict[tuple[str, str, str], Checkpoint] = {}
    for point in points:
        place = point[:3]
        if place not in kept or point.sequence > kept[place].sequence:
            kept[place] = point
    return list(kept.values())
