"""Pending rows of the reports in a warehouse, counted without what a refresh needs, such as sqlglot."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import Connection, TableClause, func, select, table

from consumers.warehouse.mssql import ddl as mssql
from consumers.warehouse.mssql.warehouse import MssqlWarehouse
from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite import ddl as sqlite
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse
from consumers.warehouse.system import pending_table


def backlog(warehouse: Warehouse) -> dict[str, int]:
    """Return the number of pending rows of each live report that is kept change by change.

    Needs no right on the reports themselves. Raises TransientError and ConfigurationError; TypeError for an
    engine without reports.
    """
    match warehouse:
        case SqliteWarehouse():
            reports = sqlite.SYSTEM.reports
        case MssqlWarehouse():
            reports = mssql.SYSTEM.reports
        case _:
            raise TypeError(f"no reports in a {type(warehouse).__name__}")
    with warehouse.reading("backlog of reports") as connection:
        return dict(_counts(connection, reports))


def _counts(connection: Connection, reports: TableClause) -> Iterator[tuple[str, int]]:
    c, prefix = reports.c, reports.name.removesuffix("reports")
    kept = select(c.name, c.number, c.sources).where(c.state == "live", c.minutes.is_(None)).order_by(c.name)
    for name, number, sources in connection.execute(kept).all():
        tables = (
            table(f"{prefix}{pending_table(name, number, index)}", schema=reports.schema)
            for index in range(len(json.loads(sources)))
        )
        counts = (select(func.count()).select_from(pending) for pending in tables)
        yield name, sum(connection.execute(count).scalar_one() for count in counts)
