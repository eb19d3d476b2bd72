"""Connections to SQL Server are cut at random byte counts while rows come, reports are kept and commands run:
only a TransientError ever leaves, and in the end every table is right."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import pytest
from kept_reports import KeptReports, Table
from mssql_server import NOT_SET, VARIABLE, emptied, server, url_of
from replay_world import Pipe, business, oracle
from report_shop import SALES
from reports_world import CATALOG, ENTITIES, PURCHASE, Writer
from sqlalchemy.engine import make_url
from tcp_proxy import Proxy, proxy, random_allowance

from consumers.reporting.definition.report import read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.port import LetterCount
from schemas.errors import TransientError

pytest_plugins = ("warehouse_engines",)

REPORT = read_report("sales", SALES, CATALOG)
COMMANDS = 12
"""Each that `Work.look` knows, once."""
LETTERS = [LetterCount("purchase", "csv", "data", "open", 2, 0, 1)]


class Work:
    """What `up` and a person's commands do with one warehouse, each until it succeeds."""

    def __init__(self, pipe: Pipe, dice: Random) -> None:
        self.pipe = pipe
        self.lost = 0
        self._dice = dice
        self._refresher = Refresher(reports_in(pipe.warehouse), wait_seconds=1)

    def consume(self, is_over: Callable[[], bool]) -> None:
        """The consumer's thread: a few events at a time."""
        dice = Random(self._dice.random())
        while not is_over():
            self.done(partial(self.pipe.consume, dice.randint(1, 9)))
            time.sleep(0.05)

    def refresh(self, is_over: Callable[[], bool]) -> None:
        """The report's thread."""
        while not is_over():
            self.done(lambda: self._refresher.refresh(REPORT))
            time.sleep(0.05)  # lets others have the report

    def look(self, turn: int) -> None:
        """One command of a person, by turns."""
        warehouse = self.pipe.warehouse
        commands: Sequence[Callable[[], object]] = [
            self._verify,
            lambda: self._refresher.plan(REPORT),
            lambda: self._refresher.compare(REPORT),
            self._refresher.revisions,
            warehouse.status,
            warehouse.problems,
            warehouse.ensure,
            lambda: warehouse.revisions("purchase"),
            lambda: warehouse.select("purchase"),
            lambda: warehouse.save_letter_counts(LETTERS),
            warehouse.letter_counts,
            self._rebuild,
        ]
        self.done(commands[turn % len(commands)])

    def finish(self) -> None:
        """All that is left to do. Connections that were cut are still in the pool."""
        self.done(self.pipe.consume)
        self.done(lambda: self._refresher.refresh(REPORT))
        self.done(self._verify)

    def _verify(self) -> None:
        assert self._refresher.verify(REPORT) == []

    def _rebuild(self) -> None:
        outcome = self.pipe.rebuild(PURCHASE)
        assert (outcome.swapped, outcome.differences) == (True, ())
        for each in self.pipe.warehouse.revisions("purchase"):
            if each.state == "retired":
                self.pipe.warehouse.drop_revision("purchase", each.number)

    def done(self, command: Callable[[], object], attempts: int = 200) -> None:
        for _ in range(attempts):
            try:
                command()
            except TransientError:
                self.lost += 1
            else:
                return
        command()


def play(database: str, folder: Path, seed: int, is_over: Callable[[int], bool], events: int = 400) -> Proxy:
    """Cuts until `is_over` says so of the count of a person's commands, then lets all pass, and compares."""
    dice, writer = Random(seed), Writer(Random(seed))
    with proxy(server().host or "", server().port or 1433) as between:
        url = make_url(url_of(database)).set(host="127.0.0.1", port=between.port)
        pipe = Pipe(folder, ENTITIES, url.render_as_string(hide_password=False))
        pipe.publish(*(writer.event() for _ in range(events // 2)))
        pipe.flush()
        pipe.publish(*(writer.event() for _ in range(events // 2)))
        work = Work(pipe, dice)
        between.allowance = random_allowance(seed)
        _cut(work, between, is_over)
        work.finish()
        work.done(lambda: _compare(pipe, folder))  # a connection of the pool may have been cut
        pipe.warehouse.close()
        return between


def _compare(pipe: Pipe, folder: Path) -> None:
    for each in ENTITIES:
        assert business(pipe.table(each)) == oracle(each, pipe.published)
    assert _report(pipe) == _expected(folder, pipe)


def _cut(work: Work, between: Proxy, is_over: Callable[[int], bool]) -> None:
    between.drop_all()
    looked, ended = 0, False
    with ThreadPoolExecutor(2) as pool:
        threads = [pool.submit(each, lambda: ended) for each in (work.consume, work.refresh)]
        try:
            while not is_over(looked) and not any(each.done() for each in threads):
                work.look(looked)
                looked += 1
        finally:
            ended, between.allowance = True, None
        for each in threads:
            each.result()
    between.drop_all()


def _report(pipe: Pipe) -> Table:
    return KeptReports(pipe.warehouse, CATALOG, {"sales": SALES}).table("sales")


def _expected(folder: Path, pipe: Pipe) -> Table:
    """By the other engine, which nothing disturbed."""
    calm = Pipe(folder, ENTITIES)
    calm.consumer.consume(pipe.published)
    reports = KeptReports(calm.warehouse, CATALOG, {"sales": SALES})
    reports.refresh()
    made = reports.table("sales")
    calm.warehouse.close()
    return made


@pytest.mark.timeout(1_200)
@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=NOT_SET)
def test_inv2_connections_cut_at_random_bytes_lose_nothing_and_raise_nothing_but_transient_errors(
    mssql_database: str, tmp_path: Path
) -> None:
    emptied(mssql_database)
    between = play(mssql_database, tmp_path, 1, lambda looked: looked >= COMMANDS, events=120)
    assert between.cuts > 5
