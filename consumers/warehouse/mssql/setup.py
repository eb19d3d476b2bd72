"""A database of SQL Server made ready, and what it lacks: `headwater warehouse init` and `check`.

READ_COMMITTED_SNAPSHOT: a reader sees the last committed rows and waits for no writer; without it a report
would wait for each batch, and see half of one and half of the next.
"""

from sqlalchemy import Connection

from consumers.warehouse.mssql.ddl import revisions_in, run
from consumers.warehouse.mssql.sql import READER_ROLE, REFRESHER_ROLE, WRITER_ROLE, grant_view, quoted
from consumers.warehouse.tables import StagingTables
from schemas.errors import ConfigurationError

LEVEL = 130
"""The compatibility level from which on there is OPENJSON."""
SELECT_LEVEL = "SELECT compatibility_level FROM sys.databases WHERE name = DB_NAME()"
SNAPSHOT_IS_ON = "SELECT CAST(is_read_committed_snapshot_on AS INT) FROM sys.databases WHERE name = DB_NAME()"
# NO_WAIT: it needs the database to itself, and is not to throw others out or to hang.
SNAPSHOT_ON = "ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON WITH NO_WAIT"

# A refresh of a report reads several tables as of one moment. Needs nobody to be away.
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
"""What the consumer does, and no more: it makes no tables, and deletes but the summary that it replaces."""

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
"""What keeps reports: tables and views of its own, which it shows to readers (CONTROL is what it takes to
grant, and it has to see whom); triggers and indexes on tables of staging (ALTER); pending rows in headwater,
made, read and removed. It writes no rows of staging or history. But ALTER on a schema is the right to drop
what is in it, and a view made in one reads by its owner's rights: a member is trusted like their owner."""
OWNERS = (
    "SELECT COUNT(DISTINCT principal_id) FROM sys.schemas "
    "WHERE name IN (N'headwater', N'staging', N'reporting', N'history')"
)

MAY_SELECT = (
    "SELECT CASE WHEN SCHEMA_ID(N'headwater') IS NOT NULL "
    "THEN HAS_PERMS_BY_NAME(N'headwater', N'SCHEMA', N'SELECT') END"
)
"""0: the schema is there, and its tables are not for this login; NULL: it is not there."""
OWNS = "SELECT HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'CONTROL')"
"""1: every table and view of the database is to be seen by this login."""


UNSEEN = "missing, or not to be seen by this login"


def make_snapshot_readers(connection: Connection) -> None:
    """Outside a transaction."""
    if not run(connection, SNAPSHOT_IS_ON).scalar_one():
        run(connection, SNAPSHOT_ON)
    if not run(connection, SNAPSHOTS_ALLOWED).scalar_one():
        run(connection, ALLOW_SNAPSHOTS)


def make_roles(connection: Connection) -> None:
    """Roles and their rights; both may be there."""
    for role in ROLES:
        run(connection, f"IF DATABASE_PRINCIPAL_ID(N'{role}') IS NULL CREATE ROLE {quoted(role)}")
    for statement in (*WRITER_GRANTS, *REFRESHER_GRANTS):
        run(connection, statement)
    for (view,) in run(connection, "SELECT name FROM [headwater].[views] ORDER BY name").all():
        run(connection, grant_view(view))


def lacks(connection: Connection, tables: StagingTables, missing_tables: list[str]) -> list[str]:
    """What is not as `init` makes it, in words. Who is no owner sees only the roles that he is in."""
    found = [
        f"the role {role} is {UNSEEN}"
        for role in ROLES
        if run(connection, f"SELECT DATABASE_PRINCIPAL_ID(N'{role}')").scalar_one() is None
    ]
    if not run(connection, SNAPSHOT_IS_ON).scalar_one():
        found.append("READ_COMMITTED_SNAPSHOT is off: readers wait for writers")
    if not run(connection, SNAPSHOTS_ALLOWED).scalar_one():
        found.append("ALLOW_SNAPSHOT_ISOLATION is off: no report can be refreshed")
    if run(connection, OWNERS).scalar_one() > 1:
        found.append(
            "the schemas have several owners, and triggers and views are refused what is another's: "
            "ALTER AUTHORIZATION ON SCHEMA::reporting TO dbo, and so the others"
        )
    level = run(connection, SELECT_LEVEL).scalar_one()
    if level < LEVEL:
        found.append(f"the database's compatibility level is {level}: OPENJSON needs {LEVEL}")
    if missing_tables and run(connection, MAY_SELECT).scalar_one() == 0:
        return [*found, "the tables of headwater are not to be seen by this login: run `check` as the owner"]
    missing = "missing" if run(connection, OWNS).scalar_one() else UNSEEN
    if missing_tables:
        return [*found, *(f"the table headwater.{name} is {missing}" for name in missing_tables)]
    return [*found, *_lacking_entities(connection, tables, missing)]


def _lacking_entities(connection: Connection, tables: StagingTables, missing: str) -> list[str]:
    found, revisions = [], revisions_in(connection)
    for table in tables:
        try:
            found += revisions.lacks(table, missing)
        except ConfigurationError as error:
            found.append(str(error))
    return found
