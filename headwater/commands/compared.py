"""What `headwater reports plan --compare` says of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.output import counted, show

if TYPE_CHECKING:
    from consumers.reporting.refresh.verification import Comparison


def show_comparison(name: str, made: Comparison | None) -> None:
    """Counts and hashes of keys; no value (INV-7)."""
    if made is None:
        show(f"{name}: nothing to compare with: it has no table yet")
        return
    show(f"{name}: {counted(made.rows_old, 'row')} now, {counted(made.rows_new, 'row')} then")
    _columns(made)
    if made.old_key is not None:
        show(f"  its key was {', '.join(made.old_key)}: rows are not compared")
        return
    show(
        f"  rows that only the old table has: {made.only_old:,}; only the new one: {made.only_new:,}; "
        f"of both, and different: {made.differing:,}"
    )
    for column, rows in made.by_column:
        show(f"  {column}: differs in {counted(rows, 'row')}")
    if made.hashes:
        show(f"  hashes of such keys: {', '.join(made.hashes)}")
    if made.waiting:
        show(f"  {counted(made.waiting, 'change')} that wait are among the differences")


def _columns(made: Comparison) -> None:
    for told, columns in (("new", made.added), ("gone", made.gone), ("not compared", made.retyped)):
        if columns:
            show(f"  columns that are {told}: {', '.join(columns)}")
