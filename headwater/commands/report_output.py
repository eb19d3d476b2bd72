"""Output of `headwater reports` about one report: its comparison, columns and indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.output import counted, show, tell

if TYPE_CHECKING:
    from consumers.reporting.definition.report import Report
    from consumers.reporting.refresh.refresher import ReportEngine
    from consumers.reporting.refresh.verification import Comparison

_LOOKUPS = {
    "missing": "has no index: --create-indexes makes it",
    "impossible": "has no index: it is text of any length; give it a maxLength in its schema",
}


def show_comparison(name: str, comparison: Comparison | None) -> None:
    """Print counts, and keys as hashes, but no values (INV-7)."""
    if comparison is None:
        show(f"{name}: nothing to compare with: it has no table yet")
        return
    rows_old, rows_new = counted(comparison.rows_old, "row"), counted(comparison.rows_new, "row")
    show(f"{name}: {rows_old} now, {rows_new} then")
    _show_columns(comparison)
    if comparison.old_key is not None:
        show(f"  its key was {', '.join(comparison.old_key)}: rows are not compared")
        return
    show(
        f"  rows that only the old table has: {comparison.only_old:,}; "
        f"only the new one: {comparison.only_new:,}; "
        f"of both, and different: {comparison.differing:,}"
    )
    for column, rows in comparison.by_column:
        show(f"  {column}: differs in {counted(rows, 'row')}")
    if comparison.hashes:
        show(f"  hashes of such keys: {', '.join(comparison.hashes)}")
    if comparison.waiting:
        show(f"  {counted(comparison.waiting, 'change')} that wait are among the differences")


def _show_columns(comparison: Comparison) -> None:
    groups = (
        ("new", comparison.added),
        ("gone", comparison.gone),
        ("not compared", comparison.retyped),
    )
    for state, columns in groups:
        if columns:
            show(f"  columns that are {state}: {', '.join(columns)}")


def show_outputs(engine: ReportEngine, report: Report) -> None:
    """Print the columns of a report with their types. Raises ConfigurationError if one can't be stored."""
    from consumers.reporting.definition.outputs import check_stored, remarks

    outputs = engine.outputs(report)
    show(f"{report.name}: {', '.join(f'{column.name} {column.type}'.rstrip() for column in outputs)}")
    check_stored(report.name, outputs)
    for remark in remarks(report.unit, outputs):
        tell(f"{report.name}: {remark}")


def show_indexes(engine: ReportEngine, report: Report, create: bool) -> None:
    """Print the indexes that a refresh lacks. With `create`, create and print them first."""
    from consumers.reporting.refresh.refresher import Refresher

    refresher = Refresher(engine)
    for index in refresher.create_indexes(report) if create else ():
        show(f"  staging.{index.entity} ({', '.join(index.columns)}): index made")
    for lookup in refresher.lookups(report):
        if lookup.state != "there":
            show(f"  staging.{lookup.entity} ({', '.join(lookup.columns)}) {_LOOKUPS[lookup.state]}")
