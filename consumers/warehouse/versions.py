"""Revisions as the warehouse has them, and the schema version of each beside that of this process."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from sqlalchemy import Row as SqlRow

from consumers.warehouse.port import Revision
from consumers.warehouse.tables import StagingTable
from schemas.errors import ConfigurationError
from schemas.evolution.rules import Category

RevisionRow: TypeAlias = "SqlRow[*tuple[Any, ...]]"
"""A row of `Revisions.selected`."""


def find_revision(
    table: StagingTable, rows: Iterable[RevisionRow], which: object
) -> tuple[Revision, StagingTable]:
    """Return the revision in `rows`, and the table with the schema version of that revision.

    `rows` are from `Revisions.selected`, at most one. The table is `table` itself if the version is the
    newest. Raises ConfigurationError if `rows` is empty, or if the schema is not among the table's versions.
    """
    entity = table.entity
    row = next(iter(rows), None)
    if row is None:
        advice = ": run `headwater warehouse init`" if which == "live" else ""
        raise ConfigurationError(f"entity {entity.name}: the warehouse has no revision {which}{advice}")
    revision, fingerprint = revision_of(row), bytes(row.schema_fingerprint)
    # An unknown schema means that a newer process created the table: this one must not write to it.
    if not entity.evolution.has(fingerprint):
        raise ConfigurationError(
            f"entity {entity.name}: revision {revision.number} was created by schema version "
            f"{revision.schema_version}, {fingerprint.hex()}; this process has version "
            f"{entity.schema.version}, {entity.schema.fingerprint.hex()}"
        )
    return revision, table if fingerprint == entity.schema.fingerprint else table.until(fingerprint)


def current_revision(table: StagingTable, rows: Iterable[RevisionRow], which: object) -> Revision:
    """Return the revision in `rows`, as `find_revision` does.

    Raises ConfigurationError also if its schema version is not the newest.
    """
    revision, stored = find_revision(table, rows, which)
    if stored is not table:
        raise ConfigurationError(outdated(revision, stored, table))
    return revision


def outdated(revision: Revision, stored: StagingTable, table: StagingTable) -> str:
    """Describe a revision whose schema version is not the newest, and what to do."""
    name = table.entity.name
    command = f"replay rebuild {name}" if needs_rebuild(stored, table) else "warehouse init"
    return f"entity {name}: {versions_of(revision, table)}: run `headwater {command}`"


def versions_of(revision: Revision, table: StagingTable) -> str:
    """Describe the schema versions of a revision and of this process."""
    return (
        f"revision {revision.number} is of schema version {revision.schema_version}, and this process has "
        f"version {table.entity.schema.version}"
    )


def needs_rebuild(stored: StagingTable, table: StagingTable) -> bool:
    """Return whether the schema change is more than new columns and wider types."""
    older, newer = len(stored.entity.versions), len(table.entity.versions)
    return (table.entity.evolution.cost(older, newer) or Category.ADDITIVE) >= Category.REBUILD


def revision_of(row: RevisionRow) -> Revision:
    """Return the revision of a row."""
    number, state, created_at, schema_version, as_of, fingerprint, *_ = row
    return Revision(
        number=number,
        state=state,
        created_at=created_at,
        schema_version=schema_version,
        as_of=as_of,
        schema_fingerprint=bytes(fingerprint),
    )
