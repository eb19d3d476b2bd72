"""The tables in which a warehouse keeps what it knows of itself: the same in every engine but for their
names."""

from typing import NamedTuple

from sqlalchemy import LargeBinary, TableClause, column, table

from consumers.warehouse.port import LetterCount

LETTER_COLUMNS = (*LetterCount._fields, "refreshed_at")
"""`oldest`, `newest` and `refreshed_at` are text, ISO 8601 in UTC: as wide as microseconds make it."""


PENDING = "pending_"
"""What the names of reports' pending tables and triggers begin with."""
REPORT_COLUMNS = (
    "name",
    "number",
    "state",
    "definition",
    "sources",
    "minutes",
    "row_count",
    "event_time",
    "checkpoints",
    "refreshed_at",
    "problem",
)
"""Of the table of reports: see consumers.reporting.refresh.freshness."""


class SystemTables(NamedTuple):
    """Revisions of staging tables, floors of sweeps, the sweeps of histories, checkpoints of readers, the
    summary of dead letters, revisions of reports."""

    revisions: TableClause
    floors: TableClause
    sweeps: TableClause
    checkpoints: TableClause
    dead_letters: TableClause
    reports: TableClause


def system_tables(prefix: str = "", schema: str | None = None) -> SystemTables:
    """For use in statements. The engine makes them: types are its own affair."""
    return SystemTables(
        table(
            f"{prefix}revisions",
            *map(column, ("entity", "number", "state", "schema_version")),
            column("schema_fingerprint", LargeBinary),
            *map(column, ("created_at", "as_of")),
            schema=schema,
        ),
        table(
            f"{prefix}floors",
            *map(column, ("entity", "revision", "source", "bucket", "position")),
            schema=schema,
        ),
        table(
            f"{prefix}sweeps",
            *map(column, ("entity", "revision", "source", "bucket", "position", "occurred_at", "event_id")),
            schema=schema,
        ),
        table(
            f"{prefix}checkpoints",
            *map(column, ("reader", "stream", "shard", "sequence")),
            schema=schema,
        ),
        table(f"{prefix}dead_letters", *map(column, LETTER_COLUMNS), schema=schema),
        table(f"{prefix}reports", *map(column, REPORT_COLUMNS), schema=schema),
    )
