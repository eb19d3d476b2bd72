"""Reports that are kept change by change while real changes come, and what their tables then say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.port import Warehouse
from schemas.catalog.entity import Catalog

Table: TypeAlias = Counter[tuple[str, ...]]
"""Rows, each value as text that both engines have alike."""


class KeptReports:
    """The reports of these texts, by name, in one warehouse. `how` counts what their refreshes did."""

    def __init__(self, warehouse: Warehouse, catalog: Catalog, texts: Mapping[str, str]) -> None:
        self._engine = reports_in(warehouse)
        self._refresher = Refresher(self._engine)
        self._reports = [read_report(name, text, catalog) for name, text in texts.items()]
        self.how: Counter[str] = Counter()

    def create_indexes(self) -> None:
        """Those that `reports check --create-indexes` makes."""
        for report in self._reports:
            self._refresher.create_indexes(report)

    def refresh(self) -> None:
        for report in self._reports:
            self.how[self._refresher.refresh(report).how] += 1

    def table(self, name: str) -> Table:
        dialect = self._engine.dialect
        with self._engine.reading() as session:
            return shown(session.rows(f"SELECT * FROM {dialect.to_sql(dialect.view(name))}"))

    def were_kept_unit_by_unit(self) -> bool:
        """Each was made whole once, at its first refresh, and never again."""
        return self.how["whole"] == len(self._reports) and self.how["units"] > 5 * self.how["whole"]


def shown(rows: Iterable[Iterable[object]]) -> Table:
    return Counter(tuple(_text(value) for value in each) for each in rows)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):  # of more digits than cents only where it is no whole number of them
        return f"{value:.2f}" if value == round(value, 2) else str(value)
    return str(value).removesuffix("+00:00")  # SQLite's moments
