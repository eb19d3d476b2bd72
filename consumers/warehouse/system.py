"""System tables, in which a warehouse keeps its own state. Engines differ only in their names and types."""

from typing import NamedTuple

from sqlalchemy import LargeBinary, TableClause, column, table

from consumers.warehouse.port import LetterCount

LETTER_COLUMNS = (*LetterCount._fields, "refreshed_at")
"""Columns of the summary of dead letters. The last three are timestamps with microseconds, in UTC."""


PENDING = "pending_"
"""Prefix of the names of the reports' pending tables and triggers."""


def pending_table(report: str, number: int, index: int) -> str:
    """Return the name of a report's pending table, by its revision and the index of the entity.

    The entity's name could make this one too long.
    """
    return f"{PENDING}{report}__r{number}__{index + 1}"


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
"""Columns of the table of reports; see consumers.reporting.refresh.freshness."""


class SystemTables(NamedTuple):
    """The system tables of one engine."""

    revisions: TableClause  # of staging tables
    floors: TableClause  # the highest sweep of each source and bucket
    sweeps: TableClause  # every sweep of an entity with history
    checkpoints: TableClause
    dead_letters: TableClause  # a summary; the letters themselves are in S3
    reports: TableClause  # revisions of reports


def system_tables(prefix: str = "", schema: str | None = None) -> SystemTables:
    """Return the tables for use in SQLAlchemy statements; the engine creates them, with its own types."""
    return SystemTables(
        revisions=table(
            f"{prefix}revisions",
            *map(column, ("entity", "number", "state", "schema_version")),
            column("schema_fingerprint", LargeBinary),  # typed, so that SQLAlchemy binds bytes as binary
            *map(column, ("created_at", "as_of")),
            schema=schema,
        ),
        floors=table(
            f"{prefix}floors",
            *map(column, ("entity", "revision", "source", "bucket", "position")),
            schema=schema,
        ),
        sweeps=table(
            f"{prefix}sweeps",
            *map(column, ("entity", "revision", "source", "bucket", "position", "occurred_at", "event_id")),
            schema=schema,
        ),
        checkpoints=table(
            f"{prefix}checkpoints",
            *map(column, ("reader", "stream", "shard", "sequence")),
            schema=schema,
        ),
        dead_letters=table(f"{prefix}dead_letters", *map(column, LETTER_COLUMNS), schema=schema),
        reports=table(f"{prefix}reports", *map(column, REPORT_COLUMNS), schema=schema),
    )
