"""Two reports over the links of England's schools register, three real files (../shared/data/README.md).

Each file is a snapshot: its rows, then sweeps of what it has no more. The reports' tables are kept change by
change, and after every tenth of all events are what Python makes of the files' own rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pytest
from gias_links import FILES, rows_of, write_links
from kept_reports import KeptReports, shown
from pipe import Pipe

from consumers.consume import Consumer
from consumers.warehouse.port import Warehouse
from producers.kinesis import InMemoryStream

pytest_plugins = ("warehouse_engines",)

LINKS_BY_TYPE = """/* headwater
key = ["link_type", "year"]
*/
-- How many links of each type the register has, by the year in which they were established (NULL: not told).
SELECT
    l.link_type,
    YEAR(l.established_on)          AS year,
    COUNT(*)                        AS links,
    COUNT(DISTINCT l.urn)           AS establishments,
    MIN(l.established_on)           AS first_on,
    MAX(l.established_on)           AS last_on
FROM staging.school_link AS l
GROUP BY l.link_type, YEAR(l.established_on)
"""
SUCCEEDED = """/* headwater
key = ["urn"]
*/
-- Establishments that have successors: how many, since when, how many of these say so themselves, and whether
-- one of them has a successor in its turn.
WITH succession AS (
    SELECT l.urn, l.link_urn, l.established_on
    FROM staging.school_link AS l
    WHERE l.link_type LIKE 'Successor%'
)
SELECT
    s.urn,
    COUNT(DISTINCT s.link_urn)                                  AS successors,
    COUNT(DISTINCT p.urn)                                       AS confirmed_by,
    MAX(s.established_on)                                       AS last_on,
    MAX(CASE WHEN n.urn IS NULL THEN 0 ELSE 1 END)              AS goes_on
FROM succession AS s
LEFT JOIN staging.school_link AS p
    ON p.urn = s.link_urn AND p.link_urn = s.urn AND p.link_type LIKE 'Predecessor%'
LEFT JOIN succession AS n ON n.urn = s.link_urn
GROUP BY s.urn
"""
REPORTS = {"links_by_type": LINKS_BY_TYPE, "succeeded": SUCCEEDED}
Key = tuple[object, ...]
Links = Mapping[Key, tuple[object, ...]]
"""Rows by key, as the files tell them: urn, link_urn, link_name, link_type, established_on."""


def links_by_type(links: Links) -> list[tuple[object, ...]]:
    groups = defaultdict(list)
    for urn, _, _, kind, day in links.values():
        groups[kind, day and day.year].append((urn, day))  # type: ignore[attr-defined]
    made: list[tuple[object, ...]] = []
    for key, group in groups.items():
        days: list[object] = sorted(day for _, day in group if day) or [None]  # type: ignore[type-var]
        made.append((*key, len(group), len({urn for urn, _ in group}), days[0], days[-1]))
    return made


def succeeded(links: Links) -> list[tuple[object, ...]]:
    told, back = defaultdict(list), set()
    for urn, other, _, kind, day in links.values():
        if str(kind).startswith("Successor"):
            told[urn].append((other, day))
        if str(kind).startswith("Predecessor"):
            back.add((urn, other))
    made: list[tuple[object, ...]] = []
    for urn, each in told.items():
        successors = {other for other, _ in each}
        last = max((day for _, day in each if day), default=None)  # type: ignore[type-var]
        confirmed = sum((other, urn) in back for other in successors)
        made.append((urn, len(successors), confirmed, last, int(any(other in told for other in successors))))
    return made


class Flow:
    """The files through the producer, the stream and the consumer into one warehouse."""

    def __init__(self, home: Path, connect: Callable[..., Warehouse]) -> None:
        write_links(home)
        (home / "producer").mkdir()
        self.pipe = Pipe(home, home / "producer", stream=InMemoryStream())
        self.links: dict[Key, tuple[object, ...]] = {}
        warehouse = connect(list(self.pipe.catalog.entities.values()))
        warehouse.ensure()
        self.consumer = Consumer(self.pipe.catalog, warehouse, self.pipe.letters)
        self.kept = KeptReports(warehouse, self.pipe.catalog, REPORTS)
        self.kept.create_indexes()

    def frames(self, file: Path) -> list[bytes]:
        """The events of a file, in its order."""
        before = len(self.pipe.frames())
        self.pipe.take(self.pipe.upload(f"drop/school_links/{file.name}", file.read_bytes()))
        return self.pipe.frames()[before:]

    def come_through(self, frames: Sequence[bytes]) -> None:
        assert self.consumer.consume(frames).dead == 0
        self.kept.refresh()

    def check(self) -> None:
        assert self.kept.table("links_by_type") == shown(links_by_type(self.links))
        assert self.kept.table("succeeded") == shown(succeeded(self.links))


BETWEEN_REFRESHES = 700
SWEEPS = 256
PART_ON_SQL_SERVER = 6_000


def parts(files: Iterable[Path], folder: Path, lines: int) -> Iterator[Path]:
    """The files' first lines, as files of their own."""
    for file in files:
        part = folder / file.name
        part.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:lines]))
        yield part


@pytest.mark.timeout(900)  # half a minute of work, on a machine that may be busy
def test_reports_on_three_real_files_are_the_files_own_after_every_tenth(
    shared_data: Path, tmp_path: Path, warehouse_url: str, connect: Callable[..., Warehouse]
) -> None:
    files = [shared_data / "gias_links" / name for name in FILES]
    if not warehouse_url.startswith("sqlite"):
        files = list(parts(files, tmp_path, PART_ON_SQL_SERVER))
    every = sum(len(rows_of(file)) for file in files)
    flow, done, checked = Flow(tmp_path, connect), 0, 0
    for file in files:
        rows, frames = rows_of(file), flow.frames(file)
        assert len(frames) == len(rows) + SWEEPS
        for start in range(0, len(rows), BETWEEN_REFRESHES):
            some = dict(islice(rows.items(), start, start + BETWEEN_REFRESHES))
            flow.links.update(some)
            flow.come_through(frames[start : start + len(some)])
            done += len(some)
            if done * 10 // every > checked:
                checked = done * 10 // every
                flow.check()
        flow.links = rows
        flow.come_through(frames[len(rows) :])
        flow.check()
    assert checked == 10
    assert flow.kept.were_kept_unit_by_unit()
    flow.pipe.close()
