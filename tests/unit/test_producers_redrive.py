"""Dead letters of the producers once more through their normal path: what becomes of each kind of letter."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from csv_world import World as Files
from csv_world import links, notification
from dynamodb_world import ORDER, entity, order, record
from dynamodb_world import World as Stream

from producers.csv.handler import Producer as CsvProducer
from producers.csv.redrive import CsvRedriver
from producers.dynamodb.handler import Producer
from producers.dynamodb.redrive import DynamoDbRedriver
from schemas.catalog.entity import Catalog, Entity
from schemas.letters.letter import DeadLetter, letter_id
from schemas.letters.outcomes import InMemoryLedger, LetterOutcome
from schemas.letters.redriving import LetterFilter, redrive
from schemas.payload.codec import SchemaRegistry
from schemas.sources.dynamodb import DynamoDbSource

GOOD = "URN,Name,Since,Open\n1,a,,Y\n"


# DynamoDB


def redriver(world: Stream) -> DynamoDbRedriver:
    return DynamoDbRedriver(world.catalog, lambda store: Producer(world.catalog, world.publisher, store))


def letter_of(world: Stream, number: int) -> DeadLetter:
    """Of an item whose number is none."""
    world.producer.publish([record(number, new=order(number, "x"))])
    return world.letters.letters[-1]


def mended(letter: DeadLetter, number: int) -> DeadLetter:
    """As if its schema took it by now: a redrive itself changes no bytes."""
    return replace(letter, payload=json.dumps(record(number, new=order(number))).encode())


def test_an_item_fails_again_for_its_reason_and_is_no_new_letter() -> None:
    world = Stream()
    letter = letter_of(world, 1)
    assert redriver(world).redrive([letter]) == [
        LetterOutcome("dynamodb", letter.id, "failed-again", letter.reason)
    ]
    assert (len(world.letters.letters), world.events()) == (1, [])


def test_a_refusal_is_found_whatever_form_the_payload_of_its_letter_has() -> None:
    world = Stream()
    letter = letter_of(world, 1)
    spaced = replace(letter, payload=json.dumps(json.loads(letter.payload), indent=1).encode())
    [outcome] = redriver(world).redrive([spaced])
    assert (outcome.state, outcome.reason) == ("failed-again", letter.reason)


def test_inv2_an_item_redriven_twice_is_published_with_the_same_bytes() -> None:
    world = Stream()
    letters = [mended(letter_of(world, number), number) for number in (1, 2)]
    for _ in range(2):
        states = [outcome.state for outcome in redriver(world).redrive(letters)]
        assert states == ["redriven", "redriven"]
    events = world.events()
    assert (len(events), len({event.event_id for event in events})) == (4, 2)


def test_of_a_record_for_two_entities_each_letter_has_the_outcome_of_its_own() -> None:
    note = entity("note", [{"name": "id", "type": "string"}, {"name": "note", "type": "int"}], ["id"])
    world = Stream(ORDER, _of_orders(note))
    world.producer.publish([record(1, new=order(1, "x", note={"S": "y"}))])
    letters = sorted(world.letters.letters, key=lambda letter: str(letter.entity))
    assert [letter.entity for letter in letters] == ["note", "order"]
    whole = json.dumps(record(1, new=order(1, note={"S": "y"}))).encode()
    outcomes = redriver(world).redrive([replace(letter, payload=whole) for letter in letters])
    assert [outcome.state for outcome in outcomes] == ["failed-again", "redriven"]
    assert "note" in outcomes[0].reason


def test_inv4_two_entities_that_know_no_key_of_one_record_have_a_letter_each() -> None:
    """One id for both would be one letter, and what became of the one that of the other."""
    numbers = entity("number", [{"name": "id", "type": "int"}], ["id"])
    dates = entity("day", [{"name": "id", "type": "bytes"}], ["id"])
    world = Stream(_of_orders(numbers), _of_orders(dates))
    world.producer.publish([record(1, new=order("x"))])
    letters = world.letters.letters
    assert [letter.entity for letter in letters] == ["number", "day"]
    assert len({letter.name for letter in letters}) == 2
    ledger = InMemoryLedger()
    ledger.put(letters)
    texts = _of_orders(entity("number", [{"name": "id", "type": "string"}], ["id"]))
    mended = Stream(texts, _of_orders(dates))
    done = redrive([ledger], {"dynamodb": redriver(mended)}, LetterFilter())
    assert (done.redriven, done.failed_again) == (1, 1)


def _of_orders(one: Entity) -> Entity:
    """The same table's items are rows of this entity, too."""
    (source,) = ORDER.sources
    assert isinstance(source, DynamoDbSource)
    return replace(one, sources=(source,))


def test_a_letter_whose_entity_no_more_claims_the_record_fails_again_and_says_why() -> None:
    world = Stream()
    letter = replace(mended(letter_of(world, 1), 1), entity="customer")
    [outcome] = redriver(world).redrive([letter])
    assert outcome.state == "failed-again"
    assert "says nothing of entity customer any more: see its `where`" in outcome.reason


def test_a_letter_of_a_table_that_no_entity_names_any_more_stops_no_other() -> None:
    world, other = Stream(), Stream(replace(ORDER, sources=(DynamoDbSource("dynamodb:gone", "gone", {}),)))
    other.producer.publish([record(1, new=order(1, "x"), table="gone")])
    [gone], good = other.letters.letters, mended(letter_of(world, 2), 2)
    outcomes = redriver(world).redrive([gone, good])
    assert [outcome.state for outcome in outcomes] == ["failed-again", "redriven"]
    assert outcomes[0].reason == "no entity names the table gone any more"
    assert len(world.events()) == 1


@pytest.mark.parametrize(
    "payload", [b"[]", b"{}", b'"a value"', b"null", b"a value {", b"[" * 100_000, b"\xff"]
)
def test_a_letter_whose_payload_is_no_record_stops_no_other(payload: bytes) -> None:
    world = Stream()
    altered, good = replace(letter_of(world, 1), payload=payload), mended(letter_of(world, 2), 2)
    outcomes = redriver(world).redrive([altered, good])
    assert [outcome.state for outcome in outcomes] == ["failed-again", "redriven"]
    assert outcomes[0].reason == "the payload is no record of a table's stream"
    assert len(world.events()) == 1


def test_a_record_that_the_producer_calls_wrong_wiring_stops_no_other() -> None:
    world = Stream()
    whole = json.loads(mended(letter_of(world, 1), 1).payload)
    old_view = {**whole["dynamodb"], "StreamViewType": "KEYS_ONLY"}
    old_key = {**whole["dynamodb"], "Keys": {"former": {"S": "1"}}}
    odd: list[dict[str, object]] = [{"dynamodb": {}}, {"dynamodb": old_view}, {"dynamodb": old_key}]
    letters = [
        replace(letter_of(world, 2), payload=json.dumps({**whole, **each}).encode())
        for each in [*odd, {"eventSourceARN": "x"}, {"dynamodb": None}]
    ]
    *outcomes, last = redriver(world).redrive([*letters, mended(letter_of(world, 3), 3)])
    assert {outcome.state for outcome in outcomes} == {"failed-again"}
    assert (len({outcome.reason for outcome in outcomes}), last.state) == (3, "redriven")


# CSV


def csv_redriver(world: Files, known: Entity) -> CsvRedriver:
    catalog = Catalog({known.name: known}, SchemaRegistry([known.schema]))
    publisher = world.producer()._publisher
    return CsvRedriver(
        lambda store: CsvProducer(catalog, publisher, store, lambda _: world.bucket), world.letters
    )


def unknown_feed(world: Files, body: str = GOOD) -> DeadLetter:
    world.drop(body, "drop/unknown/a.csv")
    return world.letters.letters.pop()


def test_a_file_whose_feed_is_known_by_now_is_read_and_moved() -> None:
    world = Files(links())
    letter = unknown_feed(world)
    [outcome] = csv_redriver(world, links(feed="unknown")).redrive([letter])
    assert outcome == LetterOutcome("csv", letter.id, "redriven")
    assert [row["urn"] for row in world.values()] == [1]
    assert [key.partition("/")[0] for key in world.objects()] == ["archive"]
    assert world.letters.letters == []


def test_inv5_a_file_redriven_has_the_place_among_the_uploads_of_its_second_that_it_had() -> None:
    known, unknown = Files(links(feed="unknown")), Files(links())
    for world in (known, unknown):
        upload = world.upload(GOOD, "drop/unknown/a.csv")
        told = json.loads(notification(upload, sequencer="0A1B"))
        told["Records"][0]["eventTime"] = "2025-04-22T09:31:00.250Z"
        world.producer().take(json.dumps(told))
    letter = unknown.letters.letters.pop()
    [outcome] = csv_redriver(unknown, links(feed="unknown")).redrive([letter])
    assert outcome == LetterOutcome("csv", letter.id, "redriven")
    assert unknown.facts()[0].position == known.facts()[0].position
    assert "Z.00002500A1B" in known.facts()[0].position


def test_inv2_a_file_redriven_twice_is_read_once() -> None:
    world = Files(links())
    letter, twice = unknown_feed(world), csv_redriver(world, links(feed="unknown"))
    states = [twice.redrive([letter])[0].state for _ in range(2)]
    assert states == ["redriven", "redriven"]
    assert len(world.events()) == 1


def test_a_file_whose_feed_is_not_known_yet_fails_again_and_stays() -> None:
    world = Files(links())
    letter = unknown_feed(world)
    [outcome] = csv_redriver(world, links()).redrive([letter])
    assert (outcome.state, outcome.reason) == ("failed-again", letter.reason)
    assert (world.objects(), world.letters.letters) == (["drop/unknown/a.csv"], [])


def test_of_two_files_each_has_the_outcome_of_its_own() -> None:
    world = Files(links())
    first, second = unknown_feed(world), unknown_feed(world)
    unknown = replace(first, payload=first.payload.replace(b"drop/unknown/", b"drop/nobody/"))
    unknown = replace(unknown, id=letter_id(unknown.payload))
    world.upload(GOOD, "drop/nobody/a.csv")
    outcomes = csv_redriver(world, links(feed="unknown")).redrive([unknown, second])
    assert [outcome.state for outcome in outcomes] == ["failed-again", "redriven"]


def test_inv1_a_file_that_is_read_now_and_is_bad_has_a_letter_of_its_own() -> None:
    """It is moved, and that letter alone says where to."""
    world = Files(links())
    letter = unknown_feed(world, "what,is,this\n1,2,3\n")
    [outcome] = csv_redriver(world, links(feed="unknown")).redrive([letter])
    assert outcome.state == "redriven"
    [moved] = world.letters.letters
    assert json.loads(moved.payload)["moved_to"] in world.objects()


def test_inv4_a_version_that_was_gone_is_not_redriven_by_the_copy_of_another() -> None:
    """Nothing of it was ever read: an earlier file of the same name says nothing about it."""
    world = Files(links())
    world.drop(GOOD)
    lost = world.upload(GOOD.replace("1,a", "2,b"))
    world.bucket.delete(lost)
    world.producer().take(notification(lost))
    [letter] = world.letters.letters
    assert "was gone before it was read" in letter.reason
    [outcome] = csv_redriver(world, world.entity).redrive([letter])
    assert (outcome.state, outcome.reason) == ("failed-again", letter.reason)


def test_an_empty_notification_has_an_outcome_too() -> None:
    world = Files(links())
    world.producer().take("")
    [letter] = world.letters.letters
    [outcome] = csv_redriver(world, world.entity).redrive([letter])
    assert (outcome.state, outcome.reason) == ("failed-again", letter.reason)


def test_a_file_that_was_read_has_no_redrive() -> None:
    world = Files(links())
    world.drop("what,is,this\n1,2,3\n")
    [letter] = world.letters.letters
    before = world.objects()
    assert csv_redriver(world, world.entity).redrive([letter]) == []
    assert (world.objects(), world.events()) == (before, [])


def test_a_letter_of_a_moment_in_milliseconds_is_redriven() -> None:
    """As earlier versions stored them, which took seconds alone."""
    world = Stream()
    made = record(1, new=order(1), at=1_772_366_400_123)
    payload = json.dumps(made, sort_keys=True, separators=(",", ":")).encode()
    stored = DeadLetter(
        letter_id(payload), "dynamodb", None, None, None, "not seconds", "data", payload, None
    )
    assert redriver(world).redrive([stored]) == [LetterOutcome("dynamodb", stored.id, "redriven")]
    assert [one.occurred_at for one in world.events()] == [1_772_366_400_123_000]
