"""Choice of the report engine by the warehouse's. No other module knows the engines."""

from __future__ import annotations

from consumers.reporting.mssql.engine import MssqlReports
from consumers.reporting.refresh.refresher import ReportEngine
from consumers.reporting.sqlite.engine import SqliteReports
from consumers.warehouse.mssql.warehouse import MssqlWarehouse
from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse


def reports_in(warehouse: Warehouse) -> ReportEngine:
    """Return the reports of a warehouse. Raises TypeError for an engine without reports."""
    match warehouse:
        case SqliteWarehouse():
            return SqliteReports(warehouse)
        case MssqlWarehouse():
            return MssqlReports(warehouse)
    raise TypeError(f"no reports in a {type(warehouse).__name__}")
