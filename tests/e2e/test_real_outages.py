"""A power company's outage list, 162,107 real changes (../shared/data/README.md), as a DynamoDB table.

The table is exactly the fold of the file, now and as of any moment; so it is of the first changes as real
writes to the embedded DynamoDB, through the whole pipe.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from headwater_up import Up
from outages import CHANGES, Change, Fold, changes, item, live, request, rows_of, write_outage
from pipe import Pipe, Table

from consumers.warehouse.port import Counts
from consumers.warehouse.sqlite.warehouse import open_warehouse
from schemas.catalog.loader import load_catalog

KEYS = 45_729
BATCH_RECORDS = 1_000
CONSUMED_RECORDS = 20


def play(table: Table, change: Change) -> None:
    if change.new is None:
        table.delete(item(change), change.at)
    else:
        table.put(item(change), change.at)


@pytest.mark.timeout(900)  # a minute of work, on a machine that may be busy
def test_the_table_is_the_fold_of_all_changes_now_and_as_of_ten_moments(
    shared_data: Path, tmp_path: Path
) -> None:
    write_outage(tmp_path)
    pipe, table, fold = Pipe(tmp_path, tmp_path), Table("outages", "outage_key"), Fold()
    for change in changes(shared_data):
        fold.add(change)
        play(table, change)
        if len(table.stream) == BATCH_RECORDS:
            pipe.publish(table.stream)
            table.stream.clear()
    pipe.publish(table.stream)
    counts, payloads = Counts(), pipe.payloads()
    for start in range(0, len(payloads), CONSUMED_RECORDS):
        counts += pipe.consume(payloads[start : start + CONSUMED_RECORDS])

    assert (counts.accepted, counts.dead, pipe.source_letters.letters) == (CHANGES, 0, [])
    rows = pipe.rows("outage")
    assert len(rows) == KEYS
    assert live(rows) == rows_of(fold.on)
    assert len(fold.fullest) == 10
    ports = pipe.ports()
    for at, on in fold.fullest.values():
        assert live(pipe.as_of("outage", datetime.fromtimestamp(at, UTC), ports)) == rows_of(on)
    pipe.close()


REAL_WRITES = 5_000
BATCH_WRITE_ITEMS = 25  # the most that DynamoDB takes, no key twice


@pytest.mark.timeout(900)
def test_real_writes_to_the_embedded_dynamodb_give_the_fold_through_the_whole_pipe(
    shared_data: Path, tmp_path: Path
) -> None:
    write_outage(tmp_path)
    fold, requests = Fold(), dict[str, dict[str, Any]]()
    with Up(environment={"HEADWATER_HOME": str(tmp_path)}) as up:
        dynamodb = up.client("dynamodb")
        for change in islice(changes(shared_data), REAL_WRITES):
            fold.add(change)
            if change.key in requests or len(requests) == BATCH_WRITE_ITEMS:
                dynamodb.batch_write_item(RequestItems={"outages": list(requests.values())})
                requests.clear()
            requests[change.key] = request(change)
        dynamodb.batch_write_item(RequestItems={"outages": list(requests.values())})
        assert up.run("drain").code == 0
        entities = load_catalog(tmp_path).entities.values()
        warehouse = open_warehouse(up.environment["HEADWATER_WAREHOUSE"], entities)
        before = list(warehouse.rows("outage", 1))
        assert live(before) == rows_of(fold.on)
        assert up.json("replay", "rebuild", "outage")["swapped"]
        assert list(warehouse.rows("outage", 2)) == before
        warehouse.close()
