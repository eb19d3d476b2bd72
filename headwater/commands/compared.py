"""Output of `headwater reports plan --compare` for one report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.output import counted, show

if TYPE_CHECKING:
    from consumers.reporting.refresh.verification import Comparison


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
