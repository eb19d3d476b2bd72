"""Backfills as the command line and `up` start them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from headwater.aws import Aws
from headwater.output import counted
from producers.dynamodb.backfill import (
    Backfill,
    Filled,
    Ports,
    entities_to_fill,
    results_of,
    run_name,
    subject,
)
from producers.dynamodb.scan import SEGMENTS, Table, TableScan
from producers.runs.run import Run, RunDocument, Wanted, claim
from producers.runs.store import RunStore, S3RunStore
from producers.wiring import Wiring
from schemas.catalog.entity import Catalog
from schemas.errors import HeadwaterError
from schemas.settings import Settings


class Effort(NamedTuple):
    """The effort of a scan that a user asks for. None: the default."""

    segments: int | None = None
    units: float | None = None
    """Read units per second."""


BY_DEFAULT = Effort()


def run_store(aws: Aws, settings: Settings) -> RunStore:
    """Return the store of runs of an installation."""
    return S3RunStore(aws.s3, settings.source_bucket)


def wanted_run(catalog: Catalog, table: Table, filled: Catalog, effort: Effort, restart: bool) -> Wanted:
    """Return the run that would fill these entities of a table."""
    now = datetime.now(UTC)
    return Wanted(
        name=run_name(catalog, table.name, filled),
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
        subject=subject(table, filled, TableScan.method),
        segments=effort.segments or SEGMENTS,
        began_at=now.isoformat(timespec="seconds"),
        owner=f"{os.getpid()}-{secrets.token_hex(4)}",
        restart=restart,
    )


def is_done(document: RunDocument | None, wanted: Wanted) -> bool:
    """Return whether the newest run has filled what this one would, in the same generation."""
    if document is None or document.result is None:
        return False
    done = document.subject
    same_stream = done["stream"] == wanted.subject["stream"]
    return same_stream and set(wanted.subject["entities"]) <= set(done["entities"])


class Filling:
    """A backfill of one table that this process works on. Has to be closed."""

    def __init__(self, table: Table, backfill: Backfill, run: Run) -> None:
        self.table = table
        self.resumed = run.resumed
        self.began_at = run.document.began_at
        self._run = run
        self._backfill = backfill
        self._advance = backfill.advance()

    def step(self) -> int | None:
        """Work for a few seconds at most, and return the number of items that are done; None at the end.

        Raises as `Backfill.advance` does.
        """
        totals = next(self._advance, None)
        return None if totals is None else totals.rows

    @property
    def results(self) -> list[Filled]:
        """The results, once it is at its end."""
        result = self._run.document.result
        return results_of(result) if result else []

    def close(self) -> None:
        """Stop. What is not done is left to the next start."""
        with suppress(ValueError):  # a thread of `up` that did not end in time is in it
            self._advance.close()
        with suppress(HeadwaterError):  # the claim expires by itself
            self._run.release()

    def progress(self, items: int, seconds: float, done_before: int) -> str:
        """Describe the progress after this time. `done_before`: items that an earlier attempt has done."""
        rate = (items - done_before) / max(seconds, 0.001)
        text = f"backfill of the table {self.table.name}: {counted(items, 'item')} at {rate:,.0f} a second"
        # DynamoDB counts items every six hours: the number may be 0, or less than what was read.
        if rate and (left := self.table.items - items) > 0:
            text += f", about {left / rate:,.0f} s left of about {self.table.items:,} items"
        return text


def start_filling(
    aws: Aws,
    wiring: Wiring,
    settings: Settings,
    table: Table,
    entity: str | None = None,
    effort: Effort = BY_DEFAULT,
    *,
    restart: bool = False,
    tell: Callable[[str], object],
) -> Filling:
    """Begin or resume the backfill of a table, or of one of its entities.

    No other thread may use `wiring`. Raises ConflictError if another process works on it, ConfigurationError,
    TransientError.
    """
    filled = entities_to_fill(wiring.catalog, table.name, entity)
    store = run_store(aws, settings)
    run = claim(store, wanted_run(wiring.catalog, table, filled, effort, restart), tell=tell)
    scan = TableScan(aws.dynamodb, table, run.document.segments, effort.units or table.default_units)
    return Filling(table, Backfill(table, filled, scan, run, Ports.of(wiring, store)), run)
