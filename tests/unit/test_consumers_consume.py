"""Consumer.consume: every event applied, superseded, a duplicate or a dead letter, in one transaction."""

from collections.abc import Sequence
from hashlib import md5
from typing import Any

import pytest
from consumers_world import (
    CATALOG,
    ITEM,
    OTHER,
    event,
    fact,
    item,
    other_schema,
    position,
    seen,
    sweep,
)

from consumers.consume import Consumer, Refusal, letter_of, project
from consumers.warehouse.port import LIVE_READER, Checkpoint, Counts, padded
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse
from producers.aggregator import Aggregate
from schemas.errors import PoisonEventError, TransientError
from schemas.event import Event, Operation, encode_event
from schemas.letters.letter import DeadLetter, InMemoryLetters, letter_id

pytest_plugins = ("sqlite_warehouse",)

PLACE = Checkpoint(LIVE_READER, "stream@2024", "shard-0", padded("7"))


@pytest.fixture
def letters() -> InMemoryLetters:
    return InMemoryLetters()


@pytest.fixture
def consumer(warehouse: SqliteWarehouse, letters: InMemoryLetters) -> Consumer:
    return Consumer(CATALOG, warehouse, letters)


def aggregate(*events: Event) -> bytes:
    made = Aggregate()
    for each in events:
        assert made.add("any", encode_event(each))
    return made.contents()


def poison(key: str, number: int) -> Event:
    """An event whose payload is not the schema's, though all around it is sound."""
    return event(ITEM, item(key), number, after=b"\x00")


def checkpoints(warehouse: SqliteWarehouse) -> list[Checkpoint]:
    with warehouse.transaction() as transaction:
        return transaction.checkpoints(LIVE_READER)


def test_aggregates_and_bare_frames_are_applied_with_their_checkpoint(
    consumer: Consumer, warehouse: SqliteWarehouse
) -> None:
    payloads = [
        aggregate(*(event(ITEM, item(f"{n}"), 1) for n in range(20))),
        encode_event(event(ITEM, item("bare"), 1)),
        aggregate(event(OTHER, {"id": "x"}, 1)),
    ]
    assert consumer.consume(payloads, [PLACE]) == Counts(applied=22)
    assert len(seen(warehouse)) == 21
    assert checkpoints(warehouse) == [PLACE]


def test_a_poison_event_between_two_good_ones_of_its_key_takes_neither_with_it(
    consumer: Consumer, warehouse: SqliteWarehouse, letters: InMemoryLetters
) -> None:
    batch = [event(ITEM, item("x", 1), 1), poison("x", 2), event(ITEM, item("x", 3), 3)]
    assert consumer.consume([aggregate(*batch)], [PLACE]) == Counts(applied=1, superseded=1, dead=1)
    assert [each[1] for each in seen(warehouse)] == [3]
    assert [letter.position for letter in letters.letters] == [position(2)]


def test_a_poison_event_above_all_others_of_its_key_leaves_the_best_good_one(
    consumer: Consumer, warehouse: SqliteWarehouse
) -> None:
    batch = [event(ITEM, item("x", 1), 1), event(ITEM, item("x", 2), 2), poison("x", 3)]
    assert consumer.consume([aggregate(*batch)]) == Counts(applied=1, superseded=1, dead=1)
    assert [each[1] for each in seen(warehouse)] == [2]


def test_a_dead_letter_holds_the_bytes_of_its_event_and_why(
    consumer: Consumer, letters: InMemoryLetters
) -> None:
    bad = poison("x", 2)
    consumer.consume([aggregate(bad)])
    (letter,) = letters.letters
    assert letter == DeadLetter(
        id=bad.event_id.hex(),
        stage="consumer",
        entity="item",
        source=bad.source,
        position=position(2),
        reason=letter.reason,
        cause="data",
        payload=encode_event(bad),
        occurred_at=bad.occurred_at,
    )
    assert letter.reason


def damaged(payload: bytes, at: int) -> bytes:
    return payload[:at] + bytes([payload[at] ^ 0x10]) + payload[at + 1 :]


def with_a_wrong_index(payload: bytes) -> bytes:
    """Index 5 into a table of one partition key, the digest made right again."""
    body = payload[4:-16].replace(b"\x08\x00\x10", b"\x08\x05\x10", 1)
    return payload[:4] + body + md5(body, usedforsecurity=False).digest()


AGGREGATE = aggregate(event(ITEM, item("lost"), 1), event(ITEM, item("lost too"), 1))


@pytest.mark.parametrize(
    "payload",
    [
        damaged(AGGREGATE, 40),
        damaged(AGGREGATE, len(AGGREGATE) - 1),
        AGGREGATE[:-1],
        AGGREGATE[:4],
        with_a_wrong_index(AGGREGATE),
        b"",
        b"Hello, this is a test.",
    ],
)
def test_a_record_that_is_none_of_ours_is_a_dead_letter_and_the_shard_goes_on(
    consumer: Consumer, warehouse: SqliteWarehouse, letters: InMemoryLetters, payload: bytes
) -> None:
    good = aggregate(event(ITEM, item("x"), 1))
    assert consumer.consume([payload, good], [PLACE]) == Counts(applied=1, dead=1)
    assert [each[0] for each in seen(warehouse)] == ["x"]
    assert [(each.id, each.payload, each.entity) for each in letters.letters] == [
        (letter_id(payload), payload, None)
    ]
    assert checkpoints(warehouse) == [PLACE]


def test_a_damaged_frame_inside_a_sound_aggregate_is_one_dead_letter(
    consumer: Consumer, letters: InMemoryLetters
) -> None:
    bad = damaged(encode_event(event(ITEM, item("y"), 1)), 60)
    made = Aggregate()
    for frame in (encode_event(event(ITEM, item("x"), 1)), bad, encode_event(event(ITEM, item("z"), 1))):
        made.add("any", frame)
    assert consumer.consume([made.contents()]) == Counts(applied=2, dead=1)
    assert [(each.id, each.payload) for each in letters.letters] == [(letter_id(bad), bad)]


def test_an_event_of_a_schema_that_is_not_known_yet_is_a_dead_letter_with_cause_schema(
    consumer: Consumer, letters: InMemoryLetters
) -> None:
    newer = other_schema(ITEM)
    made = event(ITEM, item("x"), 1, schema_fingerprint=newer.fingerprint)
    assert consumer.consume([encode_event(made)]) == Counts(dead=1)
    assert [(each.cause, each.entity, each.id) for each in letters.letters] == [
        ("schema", "item", made.event_id.hex())
    ]


def test_inv7_no_reason_holds_a_value(consumer: Consumer, letters: InMemoryLetters) -> None:
    secret = "swordfish"
    batch = [
        event(ITEM, item(secret), 1, after=ITEM.schema.encode(item(secret)) + b"\x00"),
        event(ITEM, item(secret), 2, Operation.DELETE, key=f'["{secret}","{secret}"]'),
        event(ITEM, item(secret), 3, after=secret.encode()),
    ]
    assert consumer.consume([aggregate(*batch)]).dead == 3
    assert not any(secret in letter.reason for letter in letters.letters)
    assert all(secret.encode() in letter.payload for letter in letters.letters)


def test_a_letter_redriven_through_the_normal_path_is_applied_once_it_can_be(
    consumer: Consumer, warehouse: SqliteWarehouse, letters: InMemoryLetters
) -> None:
    good = encode_event(event(ITEM, item("x"), 1))
    letters.put([letter_of(good, PoisonEventError("something that was mended since"))])
    payload = letters.letters[0].payload
    assert consumer.consume([payload]) == Counts(applied=1)
    assert consumer.consume([payload]) == Counts(duplicate=1)


class Refusing(InMemoryLetters):
    """A letter store that is away."""

    def put(self, letters: Sequence[DeadLetter]) -> None:
        raise TransientError("put dead letters: SlowDown")


def test_inv1_nothing_commits_while_a_dead_letter_is_not_durable(warehouse: SqliteWarehouse) -> None:
    consumer = Consumer(CATALOG, warehouse, Refusing())
    batch = [aggregate(event(ITEM, item("x"), 1), poison("y", 1))]
    with pytest.raises(TransientError):
        consumer.consume(batch, [PLACE])
    assert seen(warehouse) == []
    assert checkpoints(warehouse) == []


def refuse_rows(warehouse: SqliteWarehouse, label: str) -> None:
    """A rule of the database that we do not know of."""
    with warehouse.engine.begin() as connection:
        for change in ("INSERT", "UPDATE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER no_{label}_{change} BEFORE {change} ON staging_item__r1 "
                f"WHEN NEW.label = '{label}' BEGIN SELECT RAISE(ABORT, 'refused by a trigger'); END"
            )


def test_a_row_that_the_warehouse_refuses_is_a_dead_letter_and_the_next_best_of_its_key_counts(
    consumer: Consumer, warehouse: SqliteWarehouse, letters: InMemoryLetters
) -> None:
    refuse_rows(warehouse, "bad")
    batch = [event(ITEM, item(f"{n}"), 1) for n in range(30)]
    batch[10:10] = [event(ITEM, item("x", 1), 1), event(ITEM, item("x", 2, label="bad"), 2)]
    batch += [event(ITEM, item("y", 1, label="bad"), 1)]
    assert consumer.consume([aggregate(*batch)], [PLACE]) == Counts(applied=31, dead=2)
    assert ("x", 1) in [each[:2] for each in seen(warehouse)]
    assert {(each.id, each.payload) for each in letters.letters} == {
        (made.event_id.hex(), encode_event(made)) for made in (batch[11], batch[-1])
    }
    assert all("refuses the row" in each.reason for each in letters.letters)
    assert checkpoints(warehouse) == [PLACE]


class CountingLetters(InMemoryLetters):
    """How often letters are stored."""

    puts = 0

    def put(self, letters: Sequence[DeadLetter]) -> None:
        CountingLetters.puts += 1
        super().put(letters)


class CountingWarehouse:
    """How often a batch is committed, or tried."""

    def __init__(self, warehouse: SqliteWarehouse) -> None:
        self.warehouse, self.begun = warehouse, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.warehouse, name)

    def transaction(self, *locks: Any, **more: Any) -> Any:
        self.begun += 1
        return self.warehouse.transaction(*locks, **more)


@pytest.mark.parametrize(("keys", "transactions"), [(200, 3), (10, 22)])
def test_inv4_many_refused_rows_cost_one_put_and_one_transaction_for_each_that_takes_anothers_place(
    warehouse: SqliteWarehouse, keys: int, transactions: int
) -> None:
    refuse_rows(warehouse, "bad")
    counting, store = CountingWarehouse(warehouse), CountingLetters()
    CountingLetters.puts = 0
    consumer = Consumer(CATALOG, counting, store)  # type: ignore[arg-type]
    bad = [event(ITEM, item(f"{n % keys}", n, label="bad"), n + 1) for n in range(200)]
    good = [event(ITEM, item(f"{n}", n), 0) for n in range(300)]
    payloads = [aggregate(*bad[at : at + 50], *good[at : at + 75]) for at in range(0, 200, 50)]
    assert consumer.consume([*payloads, aggregate(*good)]).dead == 200
    assert CountingLetters.puts == 1
    assert counting.begun == transactions
    assert len(store.letters) == 200
    assert {each[0] for each in seen(warehouse)} == {f"{n}" for n in range(300)}


def test_a_trigger_that_rolls_back_leaves_nothing_of_the_search_behind(warehouse: SqliteWarehouse) -> None:
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER no_bad BEFORE INSERT ON staging_item__r1 "
            "WHEN NEW.label = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'refused by a trigger'); END"
        )
    consumer = Consumer(CATALOG, warehouse, Refusing())
    with pytest.raises(TransientError):
        consumer.consume([aggregate(event(ITEM, item("x", label="bad"), 1), event(ITEM, item("y"), 1))])
    assert seen(warehouse) == []


def test_inv1_a_refused_row_is_a_durable_letter_before_the_rest_commits(warehouse: SqliteWarehouse) -> None:
    refuse_rows(warehouse, "bad")
    consumer = Consumer(CATALOG, warehouse, Refusing())
    with pytest.raises(TransientError):
        consumer.consume([aggregate(event(ITEM, item("x"), 1), event(ITEM, item("y", label="bad"), 1))])
    assert seen(warehouse) == []


def test_project_decodes_winners_alone_and_folds_again_without_a_poison_one(
    warehouse: SqliteWarehouse,
) -> None:
    """Replay's way: a poison event that lost is never looked at."""
    facts = [
        fact(each)
        for each in (
            poison("x", 1),
            event(ITEM, item("x", 2), 2),
            event(ITEM, item("y", 1), 1),
            poison("y", 2),
            sweep(ITEM, 3, 1),
        )
    ]
    refused: list[Refusal] = []
    counts = project(facts, CATALOG, warehouse, refused.extend)
    assert counts == Counts(applied=3, superseded=1, dead=1)
    assert [each.fact for each in refused] == [facts[3]]
    assert sorted(each[:2] for each in seen(warehouse)) == [("x", 2), ("y", 1)]


def test_project_into_a_revision_leaves_the_live_one_alone(warehouse: SqliteWarehouse) -> None:
    building = warehouse.create_revision("item")
    facts = [fact(event(ITEM, item("x"), 1)), fact(sweep(ITEM, 3, 1))]
    counts = project(facts, CATALOG, warehouse, lambda _: None, revisions={"item": building})
    assert counts == Counts(applied=2)
    assert seen(warehouse) == []
    assert len(list(warehouse.rows("item", building))) == 1


def test_an_empty_batch_saves_its_checkpoint(consumer: Consumer, warehouse: SqliteWarehouse) -> None:
    assert consumer.consume([], [PLACE]) == Counts()
    assert checkpoints(warehouse) == [PLACE]
