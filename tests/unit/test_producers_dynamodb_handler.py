"""The Lambda function of DynamoDB streams: what it answers, what it stores, what it leaves for a retry."""

import json
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from dynamodb_world import ORDER, TEACHER, Item, World, account, event, order, record

from producers.dynamodb import handler as module
from producers.dynamodb.handler import Outcome, Producer
from producers.kinesis import Fault
from producers.wiring import wire
from schemas.errors import ConfigurationError, TransientError
from schemas.event import WITHOUT_BEFORE, encode_event
from schemas.letters.letter import DeadLetter, InMemoryLetters
from schemas.settings import Settings

AWAY = [Fault(before=True)] * 4  # as many attempts as the world's publisher makes


def sequence(number: int) -> str:
    return f"{number:021}"


def orders(count: int, **more: str) -> list[dict[str, Any]]:
    return [record(number, new=order(number, **more)) for number in range(1, count + 1)]


def test_a_batch_is_published_in_order_and_answered_as_done() -> None:
    world = World()
    outcome = world.producer.publish(orders(20))
    assert outcome == Outcome(published=20, dead=0, skipped=0, failed=None)
    assert outcome.answer() == {"batchItemFailures": []}
    assert [one.key for one in world.events()] == [f'["{n}"]' for n in range(1, 21)]


def test_an_empty_batch_is_done() -> None:
    assert World().producer.publish([]).answer() == {"batchItemFailures": []}


def test_inv1_a_batch_that_kinesis_does_not_take_is_answered_with_its_first_record() -> None:
    world = World(faults=AWAY)
    outcome = world.producer.publish(orders(3))
    assert outcome == Outcome(published=0, dead=0, skipped=0, failed=sequence(1))
    assert outcome.answer() == {"batchItemFailures": [{"itemIdentifier": sequence(1)}]}


def big_orders(count: int) -> list[dict[str, Any]]:
    """Three fill an aggregate: the fourth is added when the first three are sent."""
    note = {"S": "x" * 300_000}
    return [record(number, new=order(number, note=note)) for number in range(1, count + 1)]


def test_the_answer_names_the_first_record_that_kinesis_does_not_have() -> None:
    world = World(faults=[Fault(), *AWAY])
    outcome = world.producer.publish(big_orders(5))
    assert outcome == Outcome(published=3, dead=0, skipped=0, failed=sequence(4))
    assert [one.key for one in world.events()] == ['["1"]', '["2"]', '["3"]']


def test_it_stops_at_the_first_record_that_failed() -> None:
    """What follows is neither read nor sent: Lambda sends it again with the failed one."""
    world = World(faults=AWAY)
    records = [*big_orders(4), record(5, new=order(5), table="unknown")]
    assert world.producer.publish(records).failed == sequence(1)
    assert len(world.kinesis.calls) == 4


def test_after_a_failure_the_next_batch_is_published_alone() -> None:
    world = World(faults=AWAY)
    world.producer.publish(orders(3))
    assert world.producer.publish(orders(2)).published == 2
    assert len(world.events()) == 2


def test_some_shards_that_fail_hold_up_only_what_follows_the_first_of_their_records() -> None:
    broken = [Fault(broken=frozenset({1})), *[Fault(broken=frozenset({0}))] * 3]
    world = World(shards=4, faults=broken)
    outcome = world.producer.publish(orders(60))
    assert outcome.failed is not None
    taken = {one.position[-21:] for one in world.events()}
    assert outcome.failed not in taken
    assert all(sequence(number) in taken for number in range(1, int(outcome.failed)))
    assert outcome.published == int(outcome.failed) - 1


# Dead letters


def test_one_bad_item_is_a_letter_with_its_payload_and_the_shard_goes_on() -> None:
    world = World()
    records = orders(3)
    records[1] = record(2, new=order(2, "0.001"))
    outcome = world.producer.publish(records)
    assert outcome == Outcome(published=2, dead=1, skipped=0, failed=None)
    (letter,) = world.letters.letters
    assert json.loads(letter.payload) == records[1]
    assert [one.key for one in world.events()] == ['["1"]', '["3"]']


def test_an_event_that_is_too_large_is_a_letter_and_the_shard_goes_on() -> None:
    world = World()
    big = record(2, new=order(2, note={"S": "x" * 1_000_000}))
    outcome = world.producer.publish([*orders(1), big, record(3, new=order(3))])
    assert outcome == Outcome(published=2, dead=1, skipped=0, failed=None)
    (letter,) = world.letters.letters
    assert letter.reason.startswith("event: 1,000,")
    assert (letter.entity, letter.source, letter.stage) == ("order", "dynamodb:orders", "dynamodb")
    assert letter.id == world.reader.read(big).events[0][0].event_id.hex()
    assert json.loads(letter.payload) == big


def large(payload: str) -> Item:
    """Two of these do not fit in one event, one does."""
    return order(1, note={"S": payload * 600_000})


@pytest.mark.parametrize(("old", "new"), [(large("x"), large("y")), (large("x"), None)])
def test_a_before_image_that_does_not_fit_is_left_out(old: Item, new: Item | None) -> None:
    old = old if new else order(1, note={"S": "x" * 1_000_000})
    world = World()
    assert world.producer.publish([record(1, old, new)]) == Outcome(1, 0, 0, None)
    (made,) = world.events()
    assert made.before is None
    assert made.operation == ("update" if new else "delete")
    assert made == world.read(record(1, old, new))[0]._replace(before=None, metadata=WITHOUT_BEFORE)


def test_inv5_a_before_image_is_left_out_by_the_event_alone_whatever_else_is_in_the_batch() -> None:
    records = [record(1, large("x"), large("y")), record(2, order(2), order(2, "2.00"))]
    together, apart = World(), World()
    together.producer.publish(records)
    for each in records[::-1]:
        apart.producer.publish([each])
    assert sorted(map(encode_event, together.events())) == sorted(map(encode_event, apart.events()))
    assert [one.before is None for one in together.events()] == [True, False]


def test_an_after_image_that_does_not_fit_by_itself_is_a_letter_that_says_what_the_table_keeps() -> None:
    world = World()
    big = record(2, order(2), order(2, note={"S": "x" * 1_000_000}))
    assert world.producer.publish([big]).dead == 1
    (letter,) = world.letters.letters
    assert "at most 1,000,000 are allowed; the table keeps the older state of this key" in letter.reason


class AwayLetters(InMemoryLetters):
    """A store that is away a few times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def put(self, letters: Sequence[DeadLetter]) -> None:
        if self.failures:
            self.failures -= 1
            raise TransientError("the bucket is away")
        super().put(letters)


def test_inv1_a_letter_that_can_not_be_stored_makes_its_record_fail() -> None:
    world = World()
    letters = AwayLetters(1)
    producer = Producer(world.catalog, world.publisher, letters)
    records = [
        *orders(2),
        record(3, new=order(3, "x")),
        record(4, new=order(4)),
        record(5, new=order(5, "x")),
    ]
    first = producer.publish(records)
    assert first == Outcome(published=2, dead=0, skipped=0, failed=sequence(3))
    assert letters.letters == []
    assert producer.publish(records[2:]) == Outcome(published=1, dead=2, skipped=0, failed=None)
    assert [json.loads(one.payload)["dynamodb"]["SequenceNumber"] for one in letters.letters] == [
        sequence(3),
        sequence(5),
    ]


def test_letters_of_records_that_come_again_are_left_to_their_retry() -> None:
    world = World(faults=AWAY)
    outcome = world.producer.publish([*orders(1), record(2, new=order(2, "x"))])
    assert outcome == Outcome(published=0, dead=0, skipped=0, failed=sequence(1))
    assert world.letters.letters == []


def test_letters_before_the_failed_record_are_stored() -> None:
    world = World(faults=AWAY)
    outcome = world.producer.publish([record(1, new=order(1, "x")), *orders(2)[1:]])
    assert outcome == Outcome(published=0, dead=1, skipped=0, failed=sequence(2))
    assert len(world.letters.letters) == 1


def test_inv5_a_letter_that_comes_twice_is_one() -> None:
    world = World()
    for _ in range(2):
        world.producer.publish([record(1, new=order(1, "x"))])
    assert len(world.letters.letters) == 1


def test_inv4_every_record_is_counted_once() -> None:
    world = World(TEACHER)
    skipped = account(1, None, {"pk": {"S": "S#1"}, "sk": {"S": "CLASS#1"}})
    good = account(2, None, {"pk": {"S": "S#1"}, "sk": {"S": "TEACHER#1"}})
    bad = account(3, None, {"pk": {"S": "S#1"}, "sk": {"S": "TEACHER#2"}, "name": {"N": "1"}})
    outcome = world.producer.publish([skipped, good, skipped, bad])
    assert outcome == Outcome(published=1, dead=1, skipped=2, failed=None)


# Configuration


def test_a_wrong_configuration_fails_the_batch_loudly_and_leaves_nothing_for_the_next() -> None:
    world = World()
    with pytest.raises(ConfigurationError):
        world.producer.publish([*orders(2), record(3, new=order(3), table="unknown")])
    assert world.producer.publish(orders(1)).published == 1
    assert [one.key for one in world.events()] == ['["1"]']


def test_a_bug_of_ours_fails_the_batch_loudly_and_leaves_nothing_for_the_next() -> None:
    world = World()
    with pytest.raises(AttributeError):
        world.producer.publish([*orders(2), {**record(3, new=order(3)), "userIdentity": "no map"}])
    assert world.producer.publish(orders(1)).published == 1
    assert [one.key for one in world.events()] == ['["1"]']


ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


@pytest.fixture
def _aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_aws_environment")
def test_wiring_refuses_a_home_without_entities(tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="entities"):
        wire(Settings(home=tmp_path))


@pytest.mark.usefixtures("_aws_environment")
def test_the_dependencies_are_built_once_a_container_and_not_at_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    built: list[object] = []

    def builds(wiring: object) -> Producer:
        built.append(wiring)
        return world.producer

    monkeypatch.setattr(module, "build", builds)
    module._producer.cache_clear()
    assert built == []
    for _ in range(2):
        assert module.handler({"Records": orders(1)}, None) == {"batchItemFailures": []}
    assert len(built) == 1
    module._producer.cache_clear()


def test_inv7_the_log_line_of_a_batch_holds_counts_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="producers"):
        World().producer.handle({"Records": [*orders(1), record(2, new=order(2, "SECRET"))]})
    assert caplog.messages == ["1 events published, 1 dead letters, 0 records skipped, failed from None"]


@pytest.mark.parametrize(
    ("world", "records", "level"),
    [
        (World(), orders(1), logging.INFO),
        (World(faults=AWAY), orders(1), logging.WARNING),
        (World(), [record(1, new=order(1, "SECRET"))], logging.WARNING),
    ],
    ids=["all published", "not durable", "dead letter"],
)
def test_a_batch_that_is_not_all_published_is_a_warning(
    world: World, records: list[dict[str, Any]], level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A partial failure is answered, not raised: Lambda counts no error, so the log has to show it."""
    with caplog.at_level(logging.DEBUG, logger=module.__name__):
        world.producer.handle({"Records": records})
    assert [one.levelno for one in caplog.records if one.name == module.__name__] == [level]


def test_an_event_travels_with_its_schema() -> None:
    world = World()
    world.producer.publish(orders(1))
    assert world.schema_log.documents.keys() >= {f"log/_schemas/{ORDER.schema.fingerprint.hex()}.avsc"}
    assert world.events()[0].schema_fingerprint == event(1).schema_fingerprint
