"""Set-up of a SQL Server database, and the check of it: `headwater warehouse init` and `check`."""

from sqlalchemy import Connection

from consumers.warehouse.mssql.ddl import revisions_in, run
from consumers.warehouse.mssql.sql import READER_ROLE, REFRESHER_ROLE, WRITER_ROLE, grant_view, quoted
from consumers.warehouse.tables import StagingTables
from schemas.errors import ConfigurationError

LEVEL = 130
"""The lowest compatibility level with OPENJSON."""
SELECT_LEVEL = "SELECT compatibility_level FROM sys.databases WHERE name = DB_NAME()"
# With READ_COMMITTED_SNAPSHOT a reader sees the last committed rows and does not wait for writers. Without it
# a report would wait for every batch, and could see part of one and part of the next (INV-8).
SNAPSHOT_IS_ON = "SELECT CAST(is_read_committed_snapshot_on AS INT) FROM sys.databases WHERE name = DB_NAME()"
# The setting needs exclusive access to the database. NO_WAIT fails at once, where other options would wait
# without limit or disconnect the other sessions.
SNAPSHOT_ON = "ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON WITH NO_WAIT"

# The refresh of a report reads several tables as of one moment. Needs no exclusive access.
SNAPSHOTS_ALLOWED = "SELECT CAST(snapshot_isolation_state AS INT) FROM sys.databases WHERE name = DB_NAME()"
ALLOW_SNAPSHOTS = "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON"

ROLES = (WRITER_ROLE, READER_ROLE, REFRESHER_ROLE)
WRITER_GRANTS = (
    f"GRANT SELECT ON SCHEMA::[headwater] TO [{WRITER_ROLE}]",
    f"GRANT INSERT, UPDATE ON [headwater].[floors] TO [{WRITER_ROLE}]",
    f"GRANT INSERT, UPDATE ON [headwater].[checkpoints] TO [{WRITER_ROLE}]",
    f"GRANT SELECT, INSERT, UPDATE ON SCHEMA::[staging] TO [{WRITER_ROLE}]",
    f"GRANT INSERT ON [headwater].[sweeps] TO [{WRITER_ROLE}]",
    f"GRANT SELECT, INSERT ON SCHEMA::[history] TO [{WRITER_ROLE}]",
    f"GRANT INSERT, DELETE ON [headwater].[dead_letters] TO [{WRITER_ROLE}]",
)
"""Exactly what a consumer needs.

It creates no tables, and deletes nothing but the summary that it replaces.
"""

REFRESHER_GRANTS = (
    f"GRANT CREATE TABLE, CREATE VIEW TO [{REFRESHER_ROLE}]",
    f"GRANT CONTROL ON SCHEMA::[reporting] TO [{REFRESHER_ROLE}]",
    f"GRANT ALTER ON SCHEMA::[staging] TO [{REFRESHER_ROLE}]",
    f"GRANT ALTER ON SCHEMA::[headwater] TO [{REFRESHER_ROLE}]",
    f"GRANT SELECT ON SCHEMA::[staging] TO [{REFRESHER_ROLE}]",
    f"GRANT SELECT ON SCHEMA::[history] TO [{REFRESHER_ROLE}]",
    f"GRANT SELECT, DELETE ON SCHEMA::[headwater] TO [{REFRESHER_ROLE}]",
    f"GRANT INSERT, UPDATE ON [headwater].[reports] TO [{REFRESHER_ROLE}]",
    f"GRANT VIEW DEFINITION ON ROLE::[{READER_ROLE}] TO [{REFRESHER_ROLE}]",
)
"""What the refresh of reports needs.

CONTROL on reporting: it creates tables and views there, and grants them to readers, whose role it must see.
ALTER on staging and headwater: it creates triggers and indexes on staging tables, and pending tables for
their rows. It writes no rows of staging or history. ALTER on a schema includes the right to drop its objects,
and a view reads with the rights of its owner, so a member of this role has to be trusted like the owner.
"""
OWNERS = (
    "SELECT COUNT(DISTINCT principal_id) FROM sys.schemas "
    "WHERE name IN (N'headwater', N'staging', N'reporting', N'history')"
)

MAY_SELECT = (
    "SELECT CASE WHEN SCHEMA_ID(N'headwater') IS NOT NULL "
    "THEN HAS_PERMS_BY_NAME(N'headwater', N'SCHEMA', N'SELECT') END"
)
"""0 if this login may not read the tables of the schema; NULL if there is no such schema."""
OWNS = "SELECT HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'CONTROL')"
"""1 if this login sees every table and view of the database."""

UNSEEN = "missing, or not visible to this login"


def make_snapshot_readers(connection: Connection) -> None:
    """Switch on the row versioning that readers and refreshes need. Not allowed in a transaction."""
    if not run(connection, SNAPSHOT_IS_ON).scalar_one():
        run(connection, SNAPSHOT_ON)
    if not run(connection, SNAPSHOTS_ALLOWED).scalar_one():
        run(connection, ALLOW_SNAPSHOTS)


def make_roles(connection: Connection) -> None:
    """Create the roles and grant their rights. Idempotent."""
    for role in ROLES:
        run(connection, f"IF DATABASE_PRINCIPAL_ID(N'{role}') IS NULL CREATE ROLE {quoted(role)}")
    for statement in (*WRITER_GRANTS, *REFRESHER_GRANTS):
        run(connection, statement)
    # Views that were created before the role existed.
    for (view,) in run(connection, "SELECT name FROM [headwater].[views] ORDER BY name").all():
        run(connection, grant_view(view))


def database_problems(connection: Connection, tables: StagingTables, missing_tables: list[str]) -> list[str]:
    """Return descriptions of what differs from the result of `init`."""
    # A user who is not the owner sees only the roles that he is a member of: hence "or not visible".
    problems = [
        f"the role {role} is {UNSEEN}"
        for role in ROLES
        if run(connection, f"SELECT DATABASE_PRINCIPAL_ID(N'{role}')").scalar_one() is None
    ]
    if not run(connection, SNAPSHOT_IS_ON).scalar_one():
        problems.append("READ_COMMITTED_SNAPSHOT is off: readers wait for writers")
    if not run(connection, SNAPSHOTS_ALLOWED).scalar_one():
        problems.append("ALLOW_SNAPSHOT_ISOLATION is off: no report can be refreshed")
    if run(connection, OWNERS).scalar_one() > 1:
        problems.append(
            "the schemas have several owners, so that triggers and views may not access each other's tables: "
            "run ALTER AUTHORIZATION ON SCHEMA::reporting TO dbo, and the same for the others"
        )
    level = run(connection, SELECT_LEVEL).scalar_one()
    if level < LEVEL:
        problems.append(f"the database's compatibility level is {level}: OPENJSON needs {LEVEL}")
    if missing_tables and run(connection, MAY_SELECT).scalar_one() == 0:
        return [*problems, "the tables of headwater are not visible to this login: run `check` as the owner"]
    missing = "missing" if run(connection, OWNS).scalar_one() else UNSEEN
    if missing_tables:
        return [*problems, *(f"the table headwater.{name} is {missing}" for name in missing_tables)]
    return [*problems, *_entity_problems(connection, tables, missing)]


def _entity_problems(connection: Connection, tables: StagingTables, missing: str) -> list[str]:
    problems, revisions = [], revisions_in(connection)
    for table in tables:
        # One entity's error must not hide the others.
        try:
            problems += revisions.problems(table, missing)
        except ConfigurationError as error:
            problems.append(str(error))
    return problems
