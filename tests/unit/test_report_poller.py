"""Reports while the runtime runs: what one does to the others, and when all are level."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from reports_world import CATALOG

from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.refresh.refresher import HeldError, Refresher
from consumers.reporting.refresh.transaction import Refreshed
from headwater.polling.report_poller import AGAIN_SECONDS, ReportFolder, report_pollers
from headwater.polling.runtime import Found, Pace, Runtime
from schemas.errors import ConfigurationError, TransientError


def report(name: str) -> Report:
    body = "SELECT c.region, COUNT(*) AS n FROM staging.customer AS c GROUP BY c.region"
    return read_report(name, f'/* headwater\nkey = ["region"]\n*/\n{body}', CATALOG)


class Scripted(Refresher):
    """One that does for each report what a test says, and counts."""

    def __init__(self, **outcomes: Refreshed | Exception | threading.Event) -> None:
        self.outcomes = outcomes
        self.refreshed: list[str] = []

    def refresh(self, report: Report, *, whole: bool = False) -> Refreshed:
        self.refreshed.append(report.name)
        outcome = self.outcomes[report.name]
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, threading.Event):
            assert outcome.wait(30)
            return Refreshed("whole")
        return outcome


def test_a_report_that_takes_long_holds_up_no_other(tmp_path: Path) -> None:
    slow = threading.Event()
    refresher = Scripted(slow=slow, quick=Refreshed("nothing"))
    pollers = report_pollers(refresher, [report("slow"), report("quick")], at_once=2)
    with Runtime(pollers, tmp_path, Pace(0.001, 0.001, 0.01)) as runtime:
        while refresher.refreshed.count("quick") < 3:
            runtime.check()
        assert refresher.refreshed.count("slow") == 1
        with pytest.raises(TransientError, match="report slow"):
            runtime.drain(0.5)
        slow.set()
        runtime.drain(20)


def test_so_many_at_a_time_and_no_more() -> None:
    held, entered, most = threading.Event(), threading.Semaphore(0), 2

    class Counting(Scripted):
        def refresh(self, report: Report, *, whole: bool = False) -> Refreshed:
            entered.release()
            return super().refresh(report, whole=whole)

    refresher = Counting(**dict.fromkeys("abc", held))
    threads = [
        threading.Thread(target=poller.poll, args=(0.0,))
        for poller in report_pollers(refresher, map(report, "abc"), at_once=most)
    ]
    for thread in threads:
        thread.start()
    for _ in range(most):
        assert entered.acquire(timeout=20)
    assert not entered.acquire(timeout=0.3)
    held.set()
    for thread in threads:
        thread.join(20)
    assert sorted(refresher.refreshed) == ["a", "b", "c"]


def test_what_is_held_elsewhere_is_not_level_and_what_is_wrong_waits_for_a_person() -> None:
    now = [0.0]
    refresher = Scripted(a=HeldError("held"), b=ConfigurationError("its key is not unique"))
    held, wrong = report_pollers(refresher, [report("a"), report("b")], at_once=1, clock=lambda: now[0])
    assert held.poll(0) == Found(0, level=False)
    for _ in range(3):
        assert wrong.poll(0) == Found(0, level=True)
    assert refresher.refreshed == ["a", "b"]
    now[0] = AGAIN_SECONDS + 1
    wrong.poll(0)
    assert refresher.refreshed == ["a", "b", "b"]


def write(home: Path, name: str, column: str = "n", text: str = "") -> None:
    body = f"SELECT c.region, COUNT(*) AS {column} FROM staging.customer AS c GROUP BY c.region"
    (home / "reports" / f"{name}.sql").write_text(text or f'/* headwater\nkey = ["region"]\n*/\n{body}')


class Recording(Scripted):
    """Says of each refresh which columns it was asked for."""

    def refresh(self, report: Report, *, whole: bool = False) -> Refreshed:
        self.refreshed.append(f"{report.name}: {report.columns[-1]}")
        if report.columns[-1] == "wrong":
            raise ConfigurationError("its query fails")
        return Refreshed("nothing")


def test_files_that_are_added_changed_and_removed_are_taken_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reports").mkdir()
    write(tmp_path, "old")
    folder, refresher = ReportFolder(tmp_path, CATALOG), Recording()
    pollers = report_pollers(refresher, folder.reports().values(), 1, lambda: 1.0, folder)

    def polled() -> list[str]:
        refresher.refreshed = []
        assert all(poller.poll(0).level for poller in pollers)
        return refresher.refreshed

    assert polled() == ["old: n"]
    write(tmp_path, "added")
    assert polled() == ["old: n", "added: n"]
    write(tmp_path, "old", "wrong")
    assert polled() == ["old: wrong", "added: n"]
    assert polled() == ["added: n"]  # a person has to mend it
    write(tmp_path, "old", "mended")
    assert polled() == ["old: mended", "added: n"]
    write(tmp_path, "added", text="SELECT")
    assert polled() == polled() == ["old: mended"]
    assert capsys.readouterr().err.count("added.sql: ") == 1
    (tmp_path / "reports" / "old.sql").rename(tmp_path / "reports" / "renamed.sql")
    assert polled() == ["renamed: mended"]
    write(tmp_path, "old")
    assert sorted(polled()) == ["old: n", "renamed: mended"]


def test_a_home_without_reports_takes_up_the_first(tmp_path: Path) -> None:
    folder, refresher = ReportFolder(tmp_path, CATALOG), Recording()
    (poller,) = report_pollers(refresher, folder.reports().values(), 1, lambda: 1.0, folder)
    assert poller.poll(0) == Found(0, level=True)
    (tmp_path / "reports").mkdir()
    write(tmp_path, "first")
    poller.poll(0)
    assert refresher.refreshed == ["first: n"]
