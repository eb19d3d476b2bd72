"""The backfills that `up` starts by itself: of tables that hold items and were never backfilled here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from headwater.output import counted, tell
from headwater.polling.runtime import Found
from headwater.polling.runtime_report import Side
from headwater.sources.dynamodb.filling import (
    BY_DEFAULT,
    Filling,
    is_done,
    run_store,
    start_filling,
    wanted_run,
)
from headwater.sources.kind import Environment
from producers.dynamodb.backfill import entities_to_fill
from producers.dynamodb.scan import Table, describe
from producers.runs.run import Wanted, read_document, record_done
from producers.wiring import Wiring
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError, ConflictError, TransientError
from schemas.sources.dynamodb import tables

BACKFILL = "backfill"
"""Name of the poller."""


def tables_to_fill(at: Environment) -> list[Table]:
    """Return the tables that hold items and have no finished backfill in the generation of their stream.

    A table that is empty is recorded as filled: all its items come by its stream. Raises ConfigurationError,
    TransientError.
    """
    try:
        described = [describe(at.aws.dynamodb, name) for name in tables(at.here.catalog)]
        return [table for table in described if _needs_filling(at, table)]
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; or start `headwater up --no-backfill`") from error


def _needs_filling(at: Environment, table: Table) -> bool:
    wanted = _wanted(at, table)
    if _is_filled(at, wanted):
        return False
    with aws_errors(f"Scan of the table {table.name} (needs dynamodb:Scan)"):
        found = at.aws.dynamodb.scan(TableName=table.name, Limit=1, ConsistentRead=True)
    if found["Items"]:
        return True
    record_done(run_store(at.aws, at.here.settings), wanted, {"rows": 0, "entities": []})
    return False


def _wanted(at: Environment, table: Table) -> Wanted:
    catalog = at.here.catalog
    return wanted_run(catalog, table, entities_to_fill(catalog, table.name), BY_DEFAULT, restart=False)


def _is_filled(at: Environment, wanted: Wanted) -> bool:
    return is_done(read_document(run_store(at.aws, at.here.settings), wanted.name), wanted)


class BackfillPoller:
    """Fills tables one after another, once their streams are being read. One page in each pass."""

    name = BACKFILL
    side: Side = "source"

    def __init__(
        self,
        at: Environment,
        wiring: Wiring,
        waiting: Sequence[Table],
        is_reading: Callable[[], bool],
    ) -> None:
        """`wiring` is of this poller alone. `is_reading` returns whether the tables' streams are read."""
        self._at = at
        self._wiring = wiring
        self._waiting = list(waiting)
        self._is_reading = is_reading
        self._filling: Filling | None = None
        self._since = time.monotonic()
        self._done_before = 0
        self.busy = ""

    def poll(self, since: float) -> Found:  # noqa: ARG002 - all that it knows of was there before
        if not self._waiting:
            return Found(0, level=True)
        if not self._is_reading():
            return Found(0, level=False)
        try:
            return self._advance()
        except (TransientError, ConflictError) as error:
            # Another process that fills the table is no reason to end: it is looked at again later.
            self.close()
            raise TransientError(str(error)) from error

    def _advance(self) -> Found:
        if self._filling is None:
            if _is_filled(self._at, _wanted(self._at, self._waiting[0])):  # by another process, meanwhile
                del self._waiting[0]
                return Found(0, level=False)
            self._filling = self._start(self._waiting[0])
        filling = self._filling
        items = filling.step()
        if items is None:
            tell(_outcome(filling))
            del self._waiting[0]
            self.close()
            return Found(1, level=False)
        self._done_before = self._done_before or items
        self.busy = filling.progress(items, time.monotonic() - self._since, self._done_before)
        return Found(1, level=False)

    def _start(self, table: Table) -> Filling:
        filling = start_filling(self._at.aws, self._wiring, self._at.here.settings, table, tell=tell)
        verb = "goes on" if filling.resumed else "begins"
        tell(
            f"the table {table.name} holds items from before its stream was read here: their backfill {verb}"
        )
        self._since, self._done_before = time.monotonic(), 0
        return filling

    def close(self) -> None:
        """Stop what is in progress; the next start goes on with it."""
        if self._filling:
            self._filling.close()
        self._filling, self.busy = None, ""


def _outcome(filling: Filling) -> str:
    published = sum(one.published for one in filling.results)
    rejected = sum(one.rejected for one in filling.results)
    text = f"backfill of the table {filling.table.name}: {counted(published, 'row')} published"
    return (
        f"{text}, {counted(rejected, 'item')} rejected (`headwater dead-letters list`)" if rejected else text
    )
