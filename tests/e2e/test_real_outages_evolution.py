"""Real drift: the outages under a first version of their schema, and from August 2025 on under a second.

An attribute vanishes on the first day, three that were null become text in August 2025, and one turns from
number to text in December 2025 (../shared/data/README.md). The table that lived through it, the table rebuilt
under the second version, and the fold of the file are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import outages
import pytest
from outages import Change, changes
from pipe import Pipe, Table

from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.evolution.rules import Category

TURN = int(datetime(2025, 8, 21, 19, tzinfo=UTC).timestamp())
BATCH_RECORDS, CONSUMED_RECORDS = 1_000, 20


def rows_of(on: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[object, ...]]:
    """In the second version's columns, and then the retired one."""
    places = {column: place for place, column in enumerate(["", *outages.COLUMNS])}
    found = {}
    for key, new in on.items():
        row = list(outages.expected(key, new))
        row[places["F_OUTAGE_ID"]] = str(new["F_OUTAGE_ID"])
        retired = row.pop(places[outages.VANISHED])
        found[key] = (*row, retired)
    return found


class Flow:
    """The pipe of one version after the other, over one stream, log and warehouse."""

    def __init__(self) -> None:
        self.table, self.fold = Table("outages", "outage_key"), outages.Fold()
        self.consumed: set[bytes] = set()
        self.dead = 0

    def goes_on(self, pipe: Pipe, some: Iterable[Change]) -> None:
        """These changes are published and consumed."""
        for change in some:
            self.fold.add(change)
            if change.new is None:
                self.table.delete(outages.item(change), change.at)
            else:
                self.table.put(outages.item(change), change.at)
            if len(self.table.stream) == BATCH_RECORDS:
                self._publish(pipe)
        self._publish(pipe)
        payloads = [payload for payload in pipe.payloads() if payload not in self.consumed]
        for start in range(0, len(payloads), CONSUMED_RECORDS):
            self.dead += pipe.consume(payloads[start : start + CONSUMED_RECORDS]).dead
        self.consumed.update(payloads)

    def _publish(self, pipe: Pipe) -> None:
        pipe.publish(self.table.stream)
        self.table.stream.clear()


@pytest.mark.timeout(900)
def test_inv3_the_table_that_lived_through_real_drift_is_the_fold_and_the_rebuilt_one(
    shared_data: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    outages.write_first_version(first)
    outages.write_second_version(second)
    every = list(changes(shared_data))
    before = [change for change in every if change.at < TURN]
    flow = Flow()

    old = Pipe(first, tmp_path)
    flow.goes_on(old, before)
    at_the_turn = dict(flow.fold.on)
    new = Pipe(second, tmp_path, stream=old.stream)
    new.schema_log = old.schema_log
    entity: Entity = new.catalog.entity("outage")
    assert entity.evolution.cost(1, 2) is Category.REBUILD
    with pytest.raises(ConfigurationError, match="run `headwater replay rebuild outage`"):
        new.consume(old.payloads()[:1])
    assert new.rebuild("outage", new.caught_up(new.ports())).swapped
    assert outages.live(new.rows("outage")) == rows_of(at_the_turn)

    flow.goes_on(new, every[len(before) :])
    assert (flow.dead, old.source_letters.letters, new.source_letters.letters) == (0, [], [])
    lived = new.rows("outage")
    assert outages.live(lived) == rows_of(flow.fold.on)
    assert new.rebuild("outage", new.caught_up(new.ports())).swapped
    assert new.rows("outage") == lived
    for at, on in flow.fold.fullest.values():
        assert outages.live(new.as_of("outage", datetime.fromtimestamp(at, UTC))) == rows_of(on)
    old.close()
    new.close()
