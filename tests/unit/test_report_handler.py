"""The Lambda function that refreshes reports: their order, the time limit, and problems of single reports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from reports_world import CATALOG

from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.files import Reports
from consumers.reporting.handler import Pass, refresh_all
from consumers.reporting.refresh.freshness import ReportRevision, due_order
from consumers.reporting.refresh.refresher import HeldError, Refresher
from consumers.reporting.refresh.transaction import Refreshed
from schemas.errors import ConfigurationError, TransientError

NOTHING = Refreshed("nothing", rows=100)


def reports(*names: str) -> Reports:
    body = "SELECT c.region, COUNT(*) AS n FROM staging.customer AS c GROUP BY c.region"
    made = {name: read_report(name, f'/* headwater\nkey = ["region"]\n*/\n{body}', CATALOG) for name in names}
    return Reports(made, {})


class Scripted(Refresher):
    """Does for each report what a test says; a refresh takes a minute."""

    def __init__(self, seconds: float = 900, **outcomes: Refreshed | Exception) -> None:
        self.seconds = seconds
        self.outcomes = outcomes
        self.refreshed: list[str] = []

    def left(self) -> float:
        return self.seconds

    def due_order(self, names: Iterable[str]) -> list[str]:
        return sorted(names)

    def refresh(self, report: Report, *, whole: bool = False) -> Refreshed:
        self.seconds -= 60
        self.refreshed.append(report.name)
        outcome = self.outcomes.get(report.name, NOTHING)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_a_problem_of_one_report_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    refresher = Scripted(
        a=ConfigurationError("report a: its key is not unique"),
        b=TransientError("report b: a deadlock"),
        c=Refreshed("units", changes=7, units=2, rows=40),
        d=HeldError("held"),
        e=Refreshed("whole", rows=5),
    )
    given = reports(*"abcdef")
    given.wrong[Path("reports/g.sql")] = "line 1: not UTF-8"
    done = refresh_all(refresher, given, refresher.left)
    assert done == Pass(
        refreshed=3,
        rows=12,
        problems={
            "g": "line 1: not UTF-8",
            "a": "report a: its key is not unique",
            "b": "report b: a deadlock",
        },
        left=["d"],
    )
    assert len(caplog.messages) == 3


def test_it_ends_before_the_time_is_up_and_names_what_is_left() -> None:
    refresher = Scripted(seconds=200)
    done = refresh_all(refresher, reports(*"abcdef"), refresher.left)
    assert (refresher.refreshed, done.left) == (["a", "b", "c"], ["d", "e", "f"])


def revision(name: str, at: str | None, **more: object) -> ReportRevision:
    members = {"number": 1, "state": "live", "definition": "", "sources": {"customer": (1, "")}, **more}
    return ReportRevision(name=name, refreshed_at=at, **members)  # type: ignore[arg-type]


def test_the_report_that_has_waited_longest_is_first() -> None:
    known = [
        revision("old", "2026-01-01T00:00:00.000000"),
        revision("older", "2025-01-01T00:00:00.000000"),
        revision("gone", "2024-01-01T00:00:00.000000"),
    ]
    assert due_order(known, ["old", "older", "new"]) == ["new", "older", "old"]


def test_a_report_that_is_wrong_or_too_slow_has_its_turn_after_all_others() -> None:
    """A rebuild that was killed leaves a revision. Tried first each time, it would hold up all others."""
    known = [
        revision("slow", "2024-01-01T00:00:00.000000"),
        revision("slow", None, number=2, state="building"),
        revision("never-built", None, state="building"),
        revision("wrong", "2025-01-01T00:00:00.000000", problem="its key is not unique"),
        revision("fine", "2026-01-01T00:00:00.000000"),
    ]
    names = ["slow", "never-built", "wrong", "fine"]
    assert due_order(known, names) == ["fine", "wrong", "never-built", "slow"]
