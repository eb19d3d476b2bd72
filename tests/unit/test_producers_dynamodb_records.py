"""What the records of a stream say: routing, keys, operations, positions, times, letters."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from dynamodb_world import AT, ORDER, ROOM, TEACHER, World, account, entity, order, record, room

from producers.dynamodb.records import Reading, RecordReader
from schemas.errors import ConfigurationError
from schemas.event import MAX_FRAME_BYTES, Event, encode_event, event_id
from schemas.letters.letter import letter_id


def outline(events: list[Event]) -> list[tuple[str, str, str, bool, bool]]:
    return [(e.entity, e.operation, e.key, e.before is not None, e.after is not None) for e in events]


# One entity, one key


def test_an_insert_has_the_state_after_it() -> None:
    world = World()
    (one,) = world.read(record(7, new=order(1, "2.50")))
    assert (one.operation, one.key, one.source) == ("insert", '["1"]', "dynamodb:orders")
    assert world.values(one) == (None, {"id": "1", "total": Decimal("2.50"), "note": None})
    assert one.schema_fingerprint == ORDER.schema.fingerprint
    assert one.metadata == {}


def test_an_update_has_both_states_whole() -> None:
    world = World()
    (one,) = world.read(record(7, order(1), order(1, "2.50", note={"S": "more"})))
    assert (one.operation, one.key) == ("update", '["1"]')
    assert world.values(one) == (
        {"id": "1", "total": Decimal("1.00"), "note": None},
        {"id": "1", "total": Decimal("2.50"), "note": "more"},
    )


def test_a_delete_has_the_state_before_it() -> None:
    world = World()
    (one,) = world.read(record(7, old=order(1)))
    assert (one.operation, one.key) == ("delete", '["1"]')
    assert world.values(one) == ({"id": "1", "total": Decimal("1.00"), "note": None}, None)


def test_the_position_is_the_generation_and_the_sequence_number() -> None:
    (one,) = World().read(record(7, new=order(1)))
    assert one.position == f"2026-03-01T12:00:00.000000-{7:040}"


def test_a_stream_switched_off_and_on_again_orders_what_follows_it_later() -> None:
    """Its sequence numbers may begin anew: the generation decides."""
    world = World()
    (first,) = world.read(record(900, new=order(1)))
    (second,) = world.read(record(3, new=order(1), label="2026-03-01T12:00:00.001"))
    assert first.position < second.position


@pytest.mark.parametrize(
    ("seconds", "micros"),
    [
        (AT, AT * 1_000_000),
        (float(AT), AT * 1_000_000),
        (1772366400.123, 1772366400123000),
        (1772366400.123457, 1772366400123457),
        (2147483648.000003, 2147483648000003),  # a product that is just below it
        (4102444799.999999, 4102444799999999),
        (0, 0),
    ],
)
def test_the_time_is_exact_to_the_microsecond(seconds: float, micros: int) -> None:
    (one,) = World().read(record(7, new=order(1), at=seconds))
    assert one.occurred_at == micros


def test_every_fraction_of_a_second_is_exact() -> None:
    world = World()
    for fraction in range(0, 1_000_000, 997):
        text = f"{AT}.{fraction:06}"
        (one,) = world.read(record(7, new=order(1), at=json.loads(text)))
        assert one.occurred_at == AT * 1_000_000 + fraction


def test_a_deletion_by_time_to_live_is_marked() -> None:
    ttl = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    for identity in (ttl, {**ttl, "more": "to come"}):
        (one,) = World().read(record(7, old=order(1), userIdentity=identity))
        assert (one.operation, one.metadata) == ("delete", {"deleted_by": "ttl"})
    (other,) = World().read(record(7, old=order(1), userIdentity={"type": "Service", "principalId": "else"}))
    assert other.metadata == {}


def test_inv5_the_same_record_told_again_gives_the_same_bytes() -> None:
    """Maps and sets have no order."""
    made = entity(
        "order",
        [{"name": "id", "type": "string"}, {"name": "tags", "type": "string", "headwater.json": True}],
        ["id"],
    )
    tags = {"M": {"a": {"SS": ["x", "y"]}, "b": {"NS": ["1", "2.0"]}}}
    again = {"M": {"b": {"NS": ["2", "1"]}, "a": {"SS": ["y", "x"]}}}
    world = World(made)
    assert world.read(record(7, new={"id": {"S": "1"}, "tags": tags})) == world.read(
        record(7, new={"tags": again, "id": {"S": "1"}})
    )


def test_inv7_what_no_schema_names_never_leaves() -> None:
    (one,) = World().read(record(7, order(1), order(1, "2.50")))
    assert not [text for text in one if "stays" in str(text)]


# Routing


def test_an_item_that_no_entity_claims_is_skipped() -> None:
    reading = World(TEACHER, ROOM).reader.read(account(1, None, {"pk": {"S": "S#1"}, "sk": {"S": "CLASS#1"}}))
    assert (reading.events, reading.letters) == ([], [])


def test_an_item_that_moves_to_another_entity_is_a_delete_there_and_an_upsert_here() -> None:
    old = {**room(), "sk": {"S": "TEACHER#9"}, "kind": {"S": "none"}}
    new = {**room(), "sk": {"S": "TEACHER#9"}}
    world = World(ROOM, TEACHER)
    assert outline(world.read(account(1, old, new))) == [
        ("room", "upsert", '["S#1","TEACHER#9","1"]', False, True),
        ("teacher", "update", '["S#1","TEACHER#9"]', True, True),
    ]
    assert outline(world.read(account(2, new, old))) == [
        ("room", "delete", '["S#1","TEACHER#9","1"]', True, False),
        ("teacher", "update", '["S#1","TEACHER#9"]', True, True),
    ]


def test_a_key_that_changes_is_a_delete_of_the_old_and_an_upsert_of_the_new() -> None:
    world = World(ROOM)
    assert outline(world.read(account(1, room(1), room(2)))) == [
        ("room", "delete", '["S#1","R#1","1"]', True, False),
        ("room", "upsert", '["S#1","R#1","2"]', False, True),
    ]


def test_a_key_that_is_only_written_otherwise_is_an_update() -> None:
    assert outline(World(ROOM).read(account(1, room("1"), room("1.0")))) == [
        ("room", "update", '["S#1","R#1","1"]', True, True)
    ]


def test_two_entities_with_one_key_in_one_table_are_two_facts() -> None:
    """The same key and position: the entity alone tells them apart."""
    fields = [{"name": "id", "type": "string"}]
    world = World(entity("one", fields, ["id"]), entity("two", fields, ["id"]))
    first, second = world.read(record(7, new={"id": {"S": "1"}}))
    assert (first.entity, second.entity) == ("one", "two")
    assert (first.key, first.position) == (second.key, second.position)
    assert first.event_id != second.event_id


# What can't be used


def test_an_after_image_that_does_not_fit_is_a_letter_with_the_whole_record() -> None:
    told = record(7, order(1), order(1, "0.001"))
    letter = World().refused(told)
    position = f"2026-03-01T12:00:00.000000-{7:040}"
    assert (letter.stage, letter.entity, letter.source) == ("dynamodb", "order", "dynamodb:orders")
    assert (letter.position, letter.occurred_at, letter.cause) == (position, AT * 1_000_000, "data")
    assert letter.id == event_id("order", "dynamodb:orders", '["1"]', position).hex()
    assert letter.reason == "field total: does not fit decimal(10,2) exactly"
    assert json.loads(letter.payload) == told
    assert World().reader.read(told).events == []


def test_a_before_image_that_does_not_fit_is_null_and_no_letter() -> None:
    world = World()
    broken = order(1, "0.001")
    assert outline(world.read(record(7, broken, order(1)))) == [("order", "update", '["1"]', False, True)]
    assert outline(world.read(record(7, old=broken))) == [("order", "delete", '["1"]', False, False)]


def test_a_delete_needs_only_its_key() -> None:
    (one,) = World().read(record(7, old={"id": {"S": "1"}}))
    assert (one.operation, one.key, one.before) == ("delete", '["1"]', None)


def test_a_new_item_that_does_not_fit_under_another_key_still_deletes_the_old_one() -> None:
    world = World(ROOM)
    reading = world.reader.read(account(1, room(1), room(2, seats="x")))
    assert outline([event for event, _ in reading.events]) == [
        ("room", "delete", '["S#1","R#1","1"]', True, False)
    ]
    (letter,) = reading.letters
    assert letter.reason == "field seats: is not a number"


def test_a_new_item_without_a_usable_key_still_deletes_the_old_one() -> None:
    reading = World(ROOM).reader.read(account(1, room(1), room("x")))
    assert [event.operation for event, _ in reading.events] == ["delete"]
    (letter,) = reading.letters
    assert letter.id == letter_id(b"room\n" + letter.payload)
    assert letter.entity == "room"


def test_an_old_key_that_can_not_be_read_is_a_letter_beside_the_event_of_the_new_item() -> None:
    """Its delete would be lost else: the letter brings it again once the key can be read."""
    reading = World(ROOM).reader.read(account(1, room("x"), room(1)))
    assert outline([event for event, _ in reading.events]) == [
        ("room", "upsert", '["S#1","R#1","1"]', False, True)
    ]
    (letter,) = reading.letters
    assert letter.reason == "field floor: is not a number"


def test_one_entity_that_refuses_an_item_does_not_hold_up_another() -> None:
    item = {**room(seats="x"), "sk": {"S": "TEACHER#9"}}
    reading = World(ROOM, TEACHER).reader.read(account(1, None, item))
    assert [event.entity for event, _ in reading.events] == ["teacher"]
    assert [letter.entity for letter in reading.letters] == ["room"]


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"SequenceNumber": "12a"}, "sequence number"),
        ({"SequenceNumber": "1" * 41}, "sequence number"),
        ({"ApproximateCreationDateTime": None}, "ApproximateCreationDateTime: not a number of seconds"),
        ({"ApproximateCreationDateTime": "2026-03-01"}, "ApproximateCreationDateTime"),
        ({"ApproximateCreationDateTime": True}, "ApproximateCreationDateTime"),
        ({"ApproximateCreationDateTime": float("nan")}, "ApproximateCreationDateTime"),
        ({"ApproximateCreationDateTime": 1e300}, "ApproximateCreationDateTime"),
        ({"ApproximateCreationDateTime": -1}, "ApproximateCreationDateTime"),
        ({"NewImage": {}}, "neither image"),
    ],
)
def test_a_record_that_can_not_be_used_is_one_letter(changed: Mapping[str, Any], rule: str) -> None:
    told = record(7, new=order(1))
    told["dynamodb"] |= changed
    letter = World().refused(told)
    assert rule in letter.reason
    assert (letter.entity, letter.source, letter.position, letter.occurred_at) == (None, None, None, None)
    assert letter.id == letter_id(letter.payload)


def test_inv5_a_letter_is_the_same_bytes_however_the_record_is_told() -> None:
    told = record(7, new=order(1, "x"))
    again = json.loads(json.dumps(told, sort_keys=True))
    assert World().refused(told) == World().refused(again)


# Configuration


@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", None])
def test_a_stream_without_both_images_is_refused_with_the_remedy(view: str | None) -> None:
    told = record(7, new=order(1))
    told["dynamodb"]["StreamViewType"] = view
    with pytest.raises(ConfigurationError, match=r"table orders.*not NEW_AND_OLD_IMAGES.*a new one on"):
        World().reader.read(told)


def test_a_table_that_no_entity_names_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match=r"table unknown: no entity names it; add \[\[source\]\]"):
        World().reader.read(record(7, new=order(1), table="unknown"))


@pytest.mark.parametrize("arn", ["arn:aws:sqs:eu-west-1:123456789012:queue", "nonsense"])
def test_what_is_no_stream_of_a_table_is_refused(arn: str) -> None:
    with pytest.raises(ConfigurationError, match="not the ARN"):
        World().reader.read({**record(7, new=order(1)), "eventSourceARN": arn})


@pytest.mark.parametrize("missing", ["eventSourceARN", "dynamodb"])
def test_another_services_record_is_refused(missing: str) -> None:
    told = {name: value for name, value in record(7, new=order(1)).items() if name != missing}
    with pytest.raises(ConfigurationError, match=f"not a record of a DynamoDB stream: it has no '{missing}'"):
        World().reader.read(told)


@pytest.mark.parametrize("missing", ["Keys", "SequenceNumber"])
def test_a_change_without_what_every_one_has_is_refused(missing: str) -> None:
    told = record(7, new=order(1))
    del told["dynamodb"][missing]
    with pytest.raises(ConfigurationError, match=f"it has no '{missing}'"):
        World().reader.read(told)


def test_a_key_that_leaves_out_the_tables_own_is_refused() -> None:
    """Else two items fight for one row."""
    told = record(7, new={**order(1), "sk": {"S": "x"}}, key=("id", "sk"))
    with pytest.raises(ConfigurationError, match=r"entity order: its key lacks sk.*two items would be"):
        World().reader.read(told)


def test_the_tables_key_is_checked_for_every_record() -> None:
    world = World()
    world.read(record(7, new=order(1)))
    with pytest.raises(ConfigurationError):
        world.reader.read(record(8, new={**order(1), "sk": {"S": "x"}}, key=("id", "sk")))


def test_the_reader_can_be_asked_again_after_a_refusal() -> None:
    reader = RecordReader(World().catalog)
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            reader.read(record(7, new=order(1), table="unknown"))
    assert isinstance(reader.read(record(7, new=order(1))), Reading)


@pytest.mark.parametrize("at", [1_772_366_400_123, 1_772_366_400_123.0, 1_772_366_400_123_000])
def test_a_moment_in_milliseconds_or_microseconds_is_read_as_the_same_moment(at: float) -> None:
    (one,) = World().read(record(7, new=order(1), at=at))
    assert one.occurred_at == 1_772_366_400_123_000


def test_an_item_of_400_kb_with_both_images_is_one_event_below_the_limit() -> None:
    note = {"S": "é" * 204_000}
    (one,) = World().read(record(7, order(1, note=note), order(1, "2.00", note=note)))
    assert 800_000 < len(encode_event(one)) < MAX_FRAME_BYTES
