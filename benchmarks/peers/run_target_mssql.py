"""Meltano's target-mssql, by the Python that has it: Singer lines in, rows in SQL Server; its own defaults.

By default it talks through pymssql, in batches of 10,000 rows: INSERTs of many rows with parameters into a
staging table of its own, then one MERGE. Babelfish has no MERGE: there, and there alone, that statement goes
as the UPDATE and the INSERT that it stands for, in one trip; and SQLAlchemy is kept from asking what
Babelfish can't answer. All else goes as it is sent.
"""

import io
import json
import logging
import os
import re
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from rows import ROWS, THERE, rows
from sqlalchemy import Engine, event
from sqlalchemy.dialects.mssql.base import MSDialect
from sqlalchemy.dialects.mssql.pymssql import MSDialect_pymssql
from sqlalchemy.engine import make_url
from target_mssql.sinks import MSSQLSink
from target_mssql.target import TargetMSSQL

STREAM = "subscription"
TYPES = {
    "subscription_id": {"type": "string", "maxLength": 64},
    "urn": {"type": "integer"},
    "plan": {"type": "string", "maxLength": 20},
    "price": {"type": "number"},
    "seats": {"type": "integer"},
    "active": {"type": "boolean"},
    "starts_on": {"type": "string", "format": "date"},
    "updated_at": {"type": "string", "format": "date-time"},
}
MERGE = re.compile(
    r"\s*MERGE INTO (?P<target>\S+) AS target\s+USING (?P<source>\S+) AS temp\s+ON (?P<same>.+?)\s+"
    r"WHEN MATCHED THEN UPDATE SET (?P<changes>.+?)\s+WHEN NOT MATCHED THEN\s+"
    r"INSERT \((?P<columns>.+?)\)\s+VALUES \((?P<values>.+?)\);\s*",
    re.DOTALL,
)


def main() -> None:
    if os.environ.get("HEADWATER_BENCH_BABELFISH"):
        take_babelfish()
    logging.disable(logging.WARNING)
    load, staging = timed(MSSQLSink, "process_batch"), timed(MSSQLSink, "bulk_insert_records")
    upsert(THERE, 1)
    load.clear()
    staging.clear()
    whole = upsert(ROWS, 2)
    figures = {"whole": whole, "load": sum(load), "staging": sum(staging), "table": f"dbo.{STREAM}"}
    print(json.dumps(figures))


def upsert(count: int, version: int) -> float:
    """Seconds."""
    url = make_url(os.environ["HEADWATER_BENCH_DATABASE"])
    config = {
        "username": url.username,
        "password": url.password,
        "host": url.host,
        "port": str(url.port or 1433),
        "database": url.database,
        "default_target_schema": "dbo",
    }
    target, lines = TargetMSSQL(config=config), io.StringIO(singer(count, version))
    begun = time.perf_counter()
    target.listen(lines)
    return time.perf_counter() - begun


def singer(count: int, version: int) -> str:
    schema = {"type": "object", "properties": TYPES}
    start = {"type": "SCHEMA", "stream": STREAM, "key_properties": ["subscription_id"], "schema": schema}
    records = ({"type": "RECORD", "stream": STREAM, "record": row} for row in rows(count, version))
    return "".join(json.dumps(one, default=as_json) + "\n" for one in (start, *records))


def as_json(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    assert isinstance(value, date)
    return value.isoformat()


def timed(owner: type, name: str) -> list[float]:
    """The seconds of each call of this method from now on."""
    seconds: list[float] = []
    method = getattr(owner, name)

    def watched(*given: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return method(*given, **named)
        finally:
            seconds.append(time.perf_counter() - begun)

    setattr(owner, name, watched)
    return seconds


# Babelfish.


def take_babelfish() -> None:
    event.listen(Engine, "before_cursor_execute", rewritten, retval=True)
    # Its probes for version and comments; and a rollback where there is no transaction is an error there.
    MSDialect._setup_supports_comments = lambda self, _: setattr(self, "supports_comments", False)
    MSDialect_pymssql._get_server_version_info = lambda _self, _connection: (16, 0)
    MSDialect.do_rollback = quiet(MSDialect.do_rollback)


def rewritten(
    _connection: object, _cursor: object, statement: str, parameters: Any, *_: object
) -> tuple[str, Any]:
    if found := MERGE.fullmatch(statement):
        statement = as_two(**found.groupdict())
    return statement, parameters


def as_two(target: str, source: str, same: str, changes: str, columns: str, values: str) -> str:
    return (
        f"UPDATE target SET {changes.replace('target.', '')} FROM {target} AS target "
        f"INNER JOIN {source} AS temp ON {same}; "
        f"INSERT INTO {target} ({columns}) SELECT {values} FROM {source} AS temp "
        f"WHERE NOT EXISTS (SELECT 1 FROM {target} AS target WHERE {same})"
    )


def quiet(rollback: Callable[..., None]) -> Callable[..., None]:
    def undo(*given: object) -> None:
        try:
            rollback(*given)
        except Exception as error:
            if "3903" not in str(error):
                raise

    return undo


if __name__ == "__main__":
    main()
