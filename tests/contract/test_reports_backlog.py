"""Pending rows of reports, in every engine: as the refresher counts them, without what a refresh needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from random import Random

from reports_world import CATALOG, ENTITIES, Writer, write

from consumers.reporting.backlog import backlog
from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.port import Warehouse

pytest_plugins = ("warehouse_engines",)

BY_REGION = "SELECT c.region, COUNT(*) AS n FROM staging.customer AS c GROUP BY c.region"
JOINED = (
    "SELECT c.region, SUM(o.amount) AS amount FROM staging.purchase AS o "
    "INNER JOIN staging.customer AS c ON c.id = o.customer GROUP BY c.region"
)


def test_the_backlog_is_what_the_refresher_would_take(connect: Callable[..., Warehouse]) -> None:
    warehouse = connect(ENTITIES)
    warehouse.ensure()
    assert backlog(warehouse) == {}
    refresher, writer = Refresher(reports_in(warehouse)), Writer(Random(4))
    head = '/* headwater\nkey = ["region"]\n{}*/\n'
    reports = [
        read_report("by_region", head.format("") + BY_REGION, CATALOG),
        read_report("joined", head.format("") + JOINED, CATALOG),
        read_report("hourly", head.format('refresh = "full every 60 minutes"\n') + BY_REGION, CATALOG),
    ]
    for report in reports:
        refresher.refresh(report)
    assert backlog(warehouse) == {"by_region": 0, "joined": 0}
    for _ in range(30):
        write(warehouse, *writer.batch())
    pending = backlog(warehouse)
    _, waiting = refresher.revisions()
    assert min(pending.values()) > 0
    assert pending == waiting
    assert refresher.refresh(reports[0]).changes == pending["by_region"]
    assert backlog(warehouse) == {**pending, "by_region": 0}


def test_the_functions_of_the_consumers_package_import_no_sqlglot() -> None:
    """It is a third of a cold start, and is not in their package."""
    modules = "consumers.handler, consumers.redrive_handler, consumers.metrics_handler"
    code = f"import sys, {modules}; sys.exit('sqlglot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
