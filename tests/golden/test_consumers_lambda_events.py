"""The Kinesis handler takes real payloads: AWS's own sample, and one of ours that must decode for ever.

https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers import handler as lambda_handler
from consumers.consume import Consumer
from consumers.handler import KinesisBatches
from consumers.warehouse.port import LIVE_READER, Checkpoint, Counts, padded
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from schemas.catalog.loader import load_catalog
from schemas.letters.letter import InMemoryLetters

FOLDER = Path(__file__).parent / "lambda_events"
CATALOG = load_catalog()


def golden(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[SqliteWarehouse]:
    made = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}", CATALOG.entities.values())
    made.ensure()
    yield made
    made.close()


def take(warehouse: SqliteWarehouse, letters: InMemoryLetters, name: str) -> Counts:
    consumer = Consumer(CATALOG, warehouse, letters)
    return KinesisBatches(consumer, lambda arn: f"{arn}@2024-05-01T00:00:00+00:00").take(golden(name))


def checkpoints(warehouse: SqliteWarehouse) -> list[Checkpoint]:
    with warehouse.transaction() as transaction:
        return transaction.checkpoints(LIVE_READER)


def test_the_sample_of_aws_is_two_dead_letters_and_one_checkpoint(warehouse: SqliteWarehouse) -> None:
    letters = InMemoryLetters()
    assert take(warehouse, letters, "kinesis.json") == Counts(dead=2)
    assert [letter.payload for letter in letters.letters] == [
        b"Hello, this is a test.",
        b"This is only a test.",
    ]
    assert checkpoints(warehouse) == [
        Checkpoint(
            LIVE_READER,
            "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream@2024-05-01T00:00:00+00:00",
            "shardId-000000000006",
            padded("49590338271490256608559692540925702759324208523137515618"),
        )
    ]


def test_aggregates_of_ours_are_applied_for_ever(warehouse: SqliteWarehouse) -> None:
    letters = InMemoryLetters()
    counts = Counts(applied=4, superseded=2)
    assert take(warehouse, letters, "kinesis_aggregates.json") == counts
    assert letters.letters == []
    assert warehouse.select("subscription")[1] == [
        (
            "sub-1",
            100_003,
            "basic",
            "11.00",
            3,
            1,
            "2024-05-01",
            None,
            "2024-05-01T10:00:03.000000+00:00",
            '{"theme":"dark"}',
            "dynamodb:subscriptions",
        )
    ]
    assert warehouse.select("school")[1][0][:3] == (100_001, "Sir John Cass’s School", "London")
    assert take(warehouse, letters, "kinesis_aggregates.json") == Counts(duplicate=4, superseded=2)


def test_a_batch_of_several_shards_has_a_checkpoint_for_each(warehouse: SqliteWarehouse) -> None:
    batch = golden("kinesis.json")
    batch["Records"][0]["eventID"] = "shardId-000000000005:4959"
    consumer = Consumer(CATALOG, warehouse, InMemoryLetters())
    KinesisBatches(consumer, lambda arn: arn).take(batch)
    assert [each.shard[-1] for each in checkpoints(warehouse)] == ["5", "6"]


def test_the_handler_answers_that_the_whole_batch_is_done(
    warehouse: SqliteWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = Consumer(CATALOG, warehouse, InMemoryLetters())
    monkeypatch.setattr(lambda_handler, "_built", lambda: KinesisBatches(consumer, lambda arn: arn))
    assert lambda_handler.handler(golden("kinesis_aggregates.json"), None) == {"batchItemFailures": []}
