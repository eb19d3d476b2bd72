"""One transaction of the SQLite engine: guard, floors, history and checkpoints."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from consumers.warehouse.floors import Floors, apply_sweeps
from consumers.warehouse.history import HistoryTable, history_table
from consumers.warehouse.locks import Locks
from consumers.warehouse.port import (
    NO_REVISIONS,
    Batch,
    Checkpoint,
    Counts,
    History,
    HistoryRow,
    RefusedRowError,
    Revision,
    Row,
    Sweep,
)
from consumers.warehouse.sqlite import sql as sql
from consumers.warehouse.sqlite.ddl import revisions_in
from consumers.warehouse.sqlite.errors import RowRefused, sqlite_errors
from consumers.warehouse.sqlite.history import ADD_SWEEP, add_facts, swept
from consumers.warehouse.sqlite.rows import parameters, read_rows
from consumers.warehouse.tables import StagingTable, StagingTables
from schemas.errors import ConfigurationError

_VARIABLES = 500
"""Parameters per SELECT. The limit of SQLite was 999 before version 3.32."""


class SqliteTransaction:
    """`port.Transaction` inside BEGIN IMMEDIATE, which excludes all other writers."""

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

    def apply(self, batch: Batch, revisions: Mapping[str, int] = NO_REVISIONS) -> Counts:
        counts = Counts()
        for entity in batch.entities():
            table, revision = self._target(entity, revisions.get(entity))
            floors = self._revisions.floors(table, revision.number)
            # Sweeps before rows, so that the rows of this batch already meet the new floors.
            sweeps = batch.sweeps.get(entity, ())
            if sweeps and revision.state == "live":
                self._locks.need_exclusive(entity)
            counts += self._sweep(table, revision.number, sweeps, floors)
            counts += self._upsert(table, revision.number, batch.rows.get(entity, ()), floors)
            if entity in batch.history:
                self._remember(history_table(table), revision.number, batch.history[entity])
        self.save_checkpoints(batch.checkpoints)
        return counts

    def _target(self, entity: str, number: int | None) -> tuple[StagingTable, Revision]:
        table = self._tables[entity]
        self._locks.need(entity)
        return table, self._revisions.target(table, number)

    def _sweep(self, table: StagingTable, revision: int, sweeps: Sequence[Sweep], floors: Floors) -> Counts:
        """Raise the floors, in the table and in `floors`, and delete the rows below them."""
        risen, counts = apply_sweeps(sweeps, floors)
        entity = table.entity.name
        self._many(sql.RAISE_FLOOR, [(entity, revision, *sweep) for sweep in risen])
        self._many(sql.bury(table, revision), list(map(sql.buried, risen)))
        return counts

    def _upsert(self, table: StagingTable, revision: int, rows: Sequence[Row], floors: Floors) -> Counts:
        """Write rows through the guard."""
        written = parameters(table, rows, floors, self._now)
        applied = self._written(table, sql.upsert(table, revision), written, rows)
        if applied == len(rows):
            return Counts(applied)
        # Some rows lost. Where the table has an equal rank, the row was written now or before; any other rank
        # in the table is greater.
        stored = self.rows_of(table.entity.name, revision, [row.key_hash for row in rows])
        superseded = sum(stored[row.key_hash].rank != row.rank for row in rows)
        return Counts(applied, superseded, len(rows) - applied - superseded)

    def _remember(self, table: HistoryTable, revision: int, history: History) -> None:
        """Add all facts to the history, if the revision has one."""
        if not self._revisions.has_history(table, revision):
            return
        # No floors: history keeps `deleted` as the event has it, and its view applies the sweeps.
        name, written = table.entity.name, parameters(table, history.rows, {}, self._now)
        self._written(table, add_facts(table, revision), written, history.rows)
        self._many(ADD_SWEEP, [swept(name, revision, sweep) for sweep in history.sweeps])

    def _written(
        self,
        table: StagingTable,
        statement: str,
        written: list[tuple[object, ...]],
        rows: Sequence[Row | HistoryRow],
    ) -> int:
        """Run a statement for all rows; return how many it changed. Raises RefusedRowError."""
        try:
            return self._many(statement, written)
        except RowRefused as refusal:
            raise self._refused(table, statement, written, rows) from refusal

    def _refused(
        self,
        table: StagingTable,
        statement: str,
        written: list[tuple[object, ...]],
        rows: Sequence[Row | HistoryRow],
    ) -> Exception:
        """Return the error that names the refused rows."""
        # The transaction is going to be rolled back, so each row can be tried in it.
        refused: list[tuple[Row | HistoryRow, str]] = []
        for row, values in zip(rows, written, strict=True):
            try:
                self._stay_in_transaction()
                self._many(statement, [values])
            except RowRefused as refusal:
                refused.append((row, f"the warehouse refuses the row: {refusal}"))
        if refused:
            return RefusedRowError.of(table.entity.name, refused)
        return ConfigurationError(
            f"entity {table.entity.name}: the rows are refused together, but each is accepted alone"
        )

    def _stay_in_transaction(self) -> None:
        """Begin a transaction again if the last statement has ended it."""
        # A trigger with RAISE(ROLLBACK) ends the transaction. In autocommit the next trial would be
        # committed.
        driver = self._connection.connection.driver_connection
        if driver is not None and not driver.in_transaction:
            self._connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _many(self, statement: str, rows: list[tuple[object, ...]]) -> int:
        """Run a statement for these parameters; return the number of rows of the table that it changed."""
        if not rows:
            return 0
        with sqlite_errors("write"):
            return self._connection.exec_driver_sql(statement, rows).rowcount

    def checkpoints(self, reader: str) -> list[Checkpoint]:
        rows = self._connection.exec_driver_sql(
            "SELECT * FROM headwater_checkpoints WHERE reader = ? ORDER BY stream, shard", (reader,)
        )
        return [Checkpoint(*row) for row in rows]

    def save_checkpoints(self, checkpoints: Iterable[Checkpoint]) -> None:
        self._many(sql.SAVE_CHECKPOINT, [tuple(checkpoint) for checkpoint in checkpoints])

    def live_revision(self, entity: str) -> int:
        return self._revisions.live(self._tables[entity]).number

    def rows_of(self, entity: str, revision: int, key_hashes: Collection[bytes]) -> dict[bytes, Row]:
        table, keys = self._tables[entity], list(key_hashes)
        rows_by_key: dict[bytes, Row] = {}
        stored = self._revisions.stored(table, revision)
        select = sql.select_rows(stored, revision)
        for start in range(0, len(keys), _VARIABLES):
            piece = tuple(keys[start : start + _VARIABLES])
            placeholders = ", ".join("?" * len(piece))
            rows = read_rows(self._connection, stored, f"{select} WHERE _key_hash IN ({placeholders})", piece)
            rows_by_key.update((row.key_hash, row) for row in stored.rows_onto(table, rows))
        return rows_by_key

    def swap(self, entity: str, revision: int) -> int:
        self._locks.need_exclusive(entity)
        return self._revisions.swap(self._tables[entity], revision)
