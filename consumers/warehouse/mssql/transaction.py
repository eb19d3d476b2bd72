"""One transaction of the SQL Server engine: guard, floors, history and checkpoints.

A batch of one entity takes three round trips: locks and revisions; the rows; the checkpoints with the COMMIT.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from consumers.warehouse.floors import apply_sweeps
from consumers.warehouse.history import HistoryTable, history_table
from consumers.warehouse.locks import Locks
from consumers.warehouse.mssql import sql as sql
from consumers.warehouse.mssql.ddl import Result, revisions_in, run
from consumers.warehouse.mssql.errors import RowRefused, mssql_errors
from consumers.warehouse.mssql.guard import raise_floors, write_rows
from consumers.warehouse.mssql.history import add_facts, add_sweeps
from consumers.warehouse.mssql.load import AnyRow, LoadStatement, check_all_loaded, json_text, loads
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
from consumers.warehouse.tables import StagingTable, StagingTables
from consumers.warehouse.versions import RevisionRow, current_revision
from schemas.errors import ConfigurationError

_KEYS = 5_000
"""Key hashes per SELECT."""


class MssqlTransaction:
    """`port.Transaction` on a connection of its own, from its creation to `commit`."""

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
        self._revision_rows = self._begin()

    def _begin(self) -> list[RevisionRow]:
        """Open the transaction, take its locks, and return the revisions of the locked entities."""
        # A swap needs the exclusive lock, so these revisions do not change until the end of the transaction.
        select = sql.select_revisions(self._locks.held) if self._locks.held else ""
        begun = run(self._connection, sql.begin(self._locks.held, self._locks.exclusive) + select)
        return list(begun) if self._locks.held else []

    def commit(self) -> None:
        """Save the pending checkpoints and commit."""
        # If the connection breaks here, the outcome is unknown. Repeating the batch is harmless (INV-2).
        self._flush(sql.COMMIT)

    def apply(self, batch: Batch, revisions: Mapping[str, int] = NO_REVISIONS) -> Counts:
        counts = Counts()
        for entity in batch.entities():
            table, revision = self._target(entity, revisions.get(entity))
            sweeps = batch.sweeps.get(entity, ())
            # Sweeps before rows, so that the rows of this batch already meet the new floors.
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
            matching = [row for row in self._revision_rows if row.entity == entity and row.state == "live"]
            return table, current_revision(table, matching, "live")
        matching = [row for row in self._revision_rows if row.entity == entity and row.number == number]
        return table, current_revision(table, matching, number)

    def _sweep(self, table: StagingTable, revision: int, sweeps: Sequence[Sweep]) -> Counts:
        """Raise the floors and delete the rows below them."""
        if not sweeps:
            return Counts()
        risen, counts = apply_sweeps(sweeps, self._revisions.floors(table, revision))
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
        """Write rows through the guard."""
        results = self._write(table, write_rows(table, revision), rows)
        changed, equal = (sum(column) for column in zip((0, 0), *results, strict=True))
        # `equal` includes the changed rows; a row with equal rank that did not change was there before.
        return Counts(changed, superseded=len(rows) - equal, duplicate=equal - changed)

    def _remember(self, table: HistoryTable, revision: int, history: History) -> None:
        """Add all facts to the history, if the revision has one."""
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
        """Load rows into #rows and run `write` on them, in pieces; return the result of each piece.

        Raises RefusedRowError.
        """
        try:
            return [self._written(table, write, load) for load in loads(table, rows)]
        except RowRefused as refusal:
            raise self._refused(table, write, rows, refusal) from None

    def _written(self, table: StagingTable, write: str, load: LoadStatement) -> Sequence[int]:
        """Run one load with its write, as one batch; return the result of the write."""
        declared = (
            f"DECLARE @now DATETIME2(6) = {sql.text(self._now)}, @loaded INT, @changed INT, @equal INT; "
        )
        with mssql_errors(f"write {table.entity.name}"):
            loaded, *result = self._send(declared + load.statement + write, load.parameters).one()
        check_all_loaded(load, loaded)
        return result

    def _refused(
        self, table: StagingTable, write: str, rows: Sequence[AnyRow], refusal: RowRefused
    ) -> Exception:
        """Return the error that names the refused rows."""
        refused = self._all_refused(table, write, list(rows), refusal)
        if refused:
            reasons = [(row, f"the warehouse refuses the row: {reason}") for row, reason in refused]
            return RefusedRowError.of(table.entity.name, reasons)
        return ConfigurationError(
            f"entity {table.entity.name}: the rows are refused together, but each is accepted alone"
        )

    def _all_refused(
        self, table: StagingTable, write: str, suspects: list[AnyRow], refusal: RowRefused
    ) -> list[tuple[AnyRow, RowRefused]]:
        """Return those of `suspects` that are refused alone, each with its reason.

        All of them together were refused with `refusal`.
        """
        # Bisection: one refused row among n costs about 2 log2(n) statements.
        if len(suspects) == 1:
            return [(suspects[0], refusal)]
        refused: list[tuple[AnyRow, RowRefused]] = []
        middle = len(suspects) // 2
        for half in (suspects[:middle], suspects[middle:]):
            if half_refusal := self._refusal(table, write, half):
                refused += self._all_refused(table, write, half, half_refusal)
        return refused

    def _refusal(self, table: StagingTable, write: str, rows: Sequence[AnyRow]) -> RowRefused | None:
        """Write rows alone; return the refusal, if any."""
        # XACT_ABORT has rolled the transaction back, so each attempt runs in a new one, without locks, which
        # the next attempt or the caller rolls back.
        run(self._connection, f"{sql.ROLLBACK}; {sql.begin((), ())}")
        try:
            for load in loads(table, rows):
                self._written(table, write, load)
        except RowRefused as refusal:
            return refusal
        return None

    def checkpoints(self, reader: str) -> list[Checkpoint]:
        self._flush()  # reads what this transaction has saved
        rows = self._send(sql.SELECT_CHECKPOINTS, (reader,))
        return [Checkpoint(*row) for row in rows]

    def save_checkpoints(self, checkpoints: Iterable[Checkpoint]) -> None:
        # Sent with the COMMIT, or before the next read, to save a round trip.
        self._points.extend(checkpoints)

    def _flush(self, then: str = "") -> None:
        """Send the pending checkpoints, and the statement `then` in the same batch."""
        points = furthest(self._points)
        self._points = []
        if points:
            self._send(f"{sql.SAVE_CHECKPOINTS}; {then}", (json_text(points),))
        elif then:
            run(self._connection, then)

    def live_revision(self, entity: str) -> int:
        return self._revisions.live(self._tables[entity]).number

    def rows_of(self, entity: str, revision: int, key_hashes: Collection[bytes]) -> dict[bytes, Row]:
        table, keys = self._tables[entity], [(binary_text(key_hash),) for key_hash in key_hashes]
        stored = self._revisions.stored(table, revision)
        rows_by_key: dict[bytes, Row] = {}
        for start in range(0, len(keys), _KEYS):
            parameter = json_text(keys[start : start + _KEYS])
            rows = read_rows(stored, self._send(sql.select_some(stored, revision), (parameter,)))
            rows_by_key.update((row.key_hash, row) for row in stored.rows_onto(table, rows))
        return rows_by_key

    def swap(self, entity: str, revision: int) -> int:
        self._locks.need_exclusive(entity)
        self._flush()  # the swap copies the live checkpoints
        old = self._revisions.swap(self._tables[entity], revision)
        self._revision_rows = list(run(self._connection, sql.select_revisions(self._locks.held)))
        return old

    def _send(self, statement: str, parameters: tuple[object, ...] | None) -> Result:
        if parameters is None:
            return run(self._connection, statement)
        return self._connection.exec_driver_sql(statement, parameters)


def furthest(points: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Return the furthest checkpoint of each reader, stream and shard."""
    # The INSERT would violate the primary key with two rows of one key.
    furthest: dict[tuple[str, str, str], Checkpoint] = {}
    for point in points:
        key = point[:3]
        if key not in furthest or point.sequence > furthest[key].sequence:
            furthest[key] = point
    return list(furthest.values())
