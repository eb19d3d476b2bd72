"""Two reports over a power company's outage list, 162,107 real changes (../shared/data/README.md).

Their tables are kept change by change, and after every tenth of the file are what Python makes of its fold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from kept_reports import KeptReports, shown
from outages import CHANGES, Change, Fold, changes, item, write_outage
from pipe import Pipe, Table

from consumers.consume import Consumer
from consumers.warehouse.port import Warehouse
from producers.kinesis import InMemoryStream

pytest_plugins = ("warehouse_engines",)

CUSTOMERS_OUT = """/* headwater
key = ["cause", "city", "day"]
*/
-- Customers without power: by what caused it (NULL until somebody knows), where, and the day it began.
SELECT
    o.outage_cause                                                              AS cause,
    o.city,
    CAST(o.outage_start AS DATE)                                                AS day,
    COUNT(*)                                                                    AS outages,
    SUM(o.est_customers)                                                        AS customers,
    MAX(o.est_customers)                                                        AS most_in_one,
    SUM(CASE WHEN o.crew_current_status LIKE '%On Site' THEN 1 ELSE 0 END)      AS with_crew_on_site
FROM staging.outage AS o
GROUP BY o.outage_cause, o.city, CAST(o.outage_start AS DATE)
"""
LONGEST = """/* headwater
key = ["extent", "cause"]
*/
-- Of each kind of outage the one that has lasted longest, up to its last update, and what it is part of.
WITH lasted AS (
    SELECT
        o.outage_extent                                         AS extent,
        o.outage_cause                                          AS cause,
        o.outage_key,
        o.city,
        o.outage_start                                          AS began_at,
        DATEDIFF(MINUTE, o.outage_start, o.last_update)         AS minutes
    FROM staging.outage AS o
),
ranked AS (
    SELECT
        l.extent,
        l.cause,
        l.outage_key,
        l.city,
        l.began_at,
        l.minutes,
        COUNT(*) OVER (PARTITION BY l.extent, l.cause)                                      AS outages,
        ROW_NUMBER() OVER (PARTITION BY l.extent, l.cause ORDER BY l.minutes DESC, l.outage_key)  AS place
    FROM lasted AS l
)
SELECT r.extent, r.cause, r.outage_key, r.city, r.began_at, r.minutes, r.outages
FROM ranked AS r
WHERE r.place = 1
"""
REPORTS = {"customers_out": CUSTOMERS_OUT, "longest_outages": LONGEST}
On = Mapping[str, Mapping[str, Any]]
"""The outages that are on, as the file tells them."""


def moment(millis: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=millis)  # noqa: DTZ001 - UTC, as in the tables


def customers_out(on: On) -> list[tuple[Any, ...]]:
    groups = defaultdict(list)
    for told in on.values():
        day = moment(told["OUTAGE_START"]).date()
        groups[told["OUTAGE_CAUSE"], told["CITY"], day].append(told)
    return [
        (
            *key,
            len(group),
            sum(told["EST_CUSTOMERS"] for told in group),
            max(told["EST_CUSTOMERS"] for told in group),
            sum(told["CREW_CURRENT_STATUS"].endswith("On Site") for told in group),
        )
        for key, group in groups.items()
    ]


def longest_outages(on: On) -> list[tuple[Any, ...]]:
    kinds = defaultdict(list)
    for key, told in on.items():
        minutes = told["LAST_UPDATE"] // 60_000 - told["OUTAGE_START"] // 60_000
        kinds[told["OUTAGE_EXTENT"], told["OUTAGE_CAUSE"]].append((-minutes, key))
    made = []
    for kind, outages in kinds.items():
        least, key = min(outages)
        made.append((*kind, key, on[key]["CITY"], moment(on[key]["OUTAGE_START"]), -least, len(outages)))
    return made


class Flow:
    """DynamoDB's own records through the producer, the stream and the consumer into one warehouse."""

    def __init__(self, home: Path, connect: Callable[..., Warehouse]) -> None:
        write_outage(home)
        (home / "producer").mkdir()
        self.pipe = Pipe(home, home / "producer", stream=InMemoryStream())
        self.table, self.fold, self.consumed = Table("outages", "outage_key"), Fold(), 0
        warehouse = connect(list(self.pipe.catalog.entities.values()))
        warehouse.ensure()
        self.consumer = Consumer(self.pipe.catalog, warehouse, self.pipe.letters)
        self.kept = KeptReports(warehouse, self.pipe.catalog, REPORTS)

    def add(self, change: Change) -> None:
        self.fold.add(change)
        if change.new is None:
            self.table.delete(item(change), change.at)
        else:
            self.table.put(item(change), change.at)

    def come_through(self) -> None:
        """What was added since is consumed, and the reports are refreshed."""
        self.pipe.publish(self.table.stream)
        self.table.stream.clear()
        payloads = self.pipe.payloads()[self.consumed :]
        self.consumed += len(payloads)
        assert self.consumer.consume(payloads).dead == 0
        self.kept.refresh()

    def check(self) -> None:
        assert self.kept.table("customers_out") == shown(customers_out(self.fold.on))
        assert self.kept.table("longest_outages") == shown(longest_outages(self.fold.on))


BETWEEN_REFRESHES = 500
PART_ON_SQL_SERVER = 24_000


@pytest.mark.timeout(900)  # a minute of work, on a machine that may be busy
def test_reports_on_real_outages_are_the_files_own_after_every_tenth(
    shared_data: Path, tmp_path: Path, warehouse_url: str, connect: Callable[..., Warehouse]
) -> None:
    count = CHANGES if warehouse_url.startswith("sqlite") else PART_ON_SQL_SERVER
    flow, checked = Flow(tmp_path, connect), 0
    for number, change in enumerate(islice(changes(shared_data), count), 1):
        flow.add(change)
        is_tenth = number * 10 // count > checked
        if is_tenth or number % BETWEEN_REFRESHES == 0:
            flow.come_through()
        if is_tenth:
            flow.check()
            checked += 1
    assert checked == 10
    assert flow.kept.were_kept_unit_by_unit()
    flow.pipe.close()
