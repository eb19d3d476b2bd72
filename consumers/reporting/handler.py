"""The Lambda function that refreshes reports, on a schedule of once a minute.

Its reserved concurrency is 1; a second process that refreshes a report at the same time, such as `headwater
reports refresh`, is excluded by the report's lock. The environment: schemas/settings.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, NamedTuple

from consumers.reporting.engines import reports_in
from consumers.reporting.files import Reports, read_reports
from consumers.reporting.refresh.refresher import HeldError, Refresher
from consumers.wiring import Wiring, wire_from_environment
from schemas.deadline import Deadline, SecondsLeft, seconds_left
from schemas.errors import ConfigurationError, TransientError
from schemas.telemetry.invocation import invocation

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pass:
    """What one call did."""

    refreshed: int = 0
    """Reports that are up to date now."""
    rows: int = 0
    """Pending rows that were applied; of a report that was rebuilt, all its rows."""
    problems: dict[str, str] = field(default_factory=dict)
    """By report: why it stays as it was. The texts contain no field values."""
    left: list[str] = field(default_factory=list)
    """Reports for the next call: there was no time left, or another process is refreshing them."""


def handler(_event: object, context: object) -> dict[str, Any]:
    """Refresh the reports until the time is nearly up; the next call goes on with those that are left."""
    with invocation("refresher", context) as measured:
        refresher, reports = _built()
        done = refresh_all(refresher, reports, seconds_left(context))
        measured.add("Rows", done.rows)
        return asdict(done)


class Parts(NamedTuple):
    """What a call needs. Report files do not change while a function runs."""

    refresher: Refresher
    reports: Reports


def build(wiring: Wiring) -> Parts:
    """Build the parts of the function."""
    reports = read_reports(wiring.settings.home, wiring.catalog)
    return Parts(Refresher(reports_in(wiring.warehouse)), reports)


@cache
def _built() -> Parts:
    return build(wire_from_environment())


def refresh_all(refresher: Refresher, reports: Reports, left: SecondsLeft) -> Pass:
    """Refresh one report after the other, those first that have waited longest.

    A problem of one report stops no other. Raises TransientError and ConfigurationError if the warehouse
    can't be read at all.
    """
    deadline, done = Deadline(left), Pass()
    done.problems |= {path.stem: problem for path, problem in reports.wrong.items()}
    for name in refresher.due_order(reports.right):
        if deadline.near:
            done.left.append(name)
        else:
            _refresh(refresher, reports, name, done)
    _report(done.problems)
    return done


def _refresh(refresher: Refresher, reports: Reports, name: str, done: Pass) -> None:
    try:
        refreshed = refresher.refresh(reports.right[name])
    except HeldError:
        done.left.append(name)
    except (ConfigurationError, TransientError) as error:
        done.problems[name] = str(error)
    else:
        done.refreshed += 1
        done.rows += refreshed.rows if refreshed.how == "whole" else refreshed.changes


def _report(problems: Mapping[str, str]) -> None:
    for name, problem in problems.items():
        _log.warning("report %s stays as it was: %s", name, problem)
