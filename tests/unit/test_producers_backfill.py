"""Backfills of DynamoDB: positions, sweeps, letters and their redrive, and several segments."""

from dataclasses import replace

from backfill_world import ORDERS, Filler
from dynamodb_world import ROOM, TEACHER, World, arn, order

from producers.dynamodb.backfill import entities_to_fill, run_name
from producers.dynamodb.handler import Producer
from producers.dynamodb.redrive import DynamoDbRedriver
from producers.dynamodb.scan import Table
from schemas.event import Operation
from schemas.letters.letter import InMemoryLetters
from schemas.positions import BACKFILL_SEQUENCE, dynamodb_position, generation_of

POSITION = dynamodb_position(generation_of(arn()), BACKFILL_SEQUENCE)
ACCOUNTS = Table("accounts", arn("accounts"), ("pk", "sk"), 10, 1_000, None)


def teacher(number: int, **more: object) -> dict[str, object]:
    return {"pk": {"S": "S#1"}, "sk": {"S": f"TEACHER#{number}"}, "name": {"S": "Ada"}, **more}


def room(number: int, seats: str = "30") -> dict[str, object]:
    key = {"pk": {"S": "S#1"}, "sk": {"S": f"R#{number}"}, "kind": {"S": "room"}}
    return {**key, "floor": {"N": "1"}, "seats": {"N": seats}}


def test_every_item_is_an_upsert_at_sequence_0_and_then_comes_every_sweep() -> None:
    filler = Filler(segments=3)
    (filled,) = filler.fill([order(number) for number in range(20)])
    assert (filled.published, filled.rejected, filled.unswept) == (20, 0, None)
    events = filler.world.events()
    upserts = [event for event in events if event.operation == Operation.UPSERT]
    assert len({event.key for event in upserts}) == len(upserts) == 20
    assert {event.position for event in upserts} == {POSITION}
    assert len({event.event_id for event in events}) == len(events)
    assert all(event.metadata == {"backfill": "scan"} and event.before is None for event in upserts)
    sweeps = [event for event in events if event.operation == Operation.SWEEP]
    assert len(sweeps) == 256
    assert {sweep.position for sweep in sweeps} == {POSITION[:-1]}
    assert {sweep.occurred_at for sweep in sweeps} == {max(event.occurred_at for event in upserts)}
    assert filler.world.letters.letters == []


def test_a_rejected_item_keeps_its_entity_from_being_swept_but_no_other() -> None:
    filler = Filler(table=ACCOUNTS, world=World(TEACHER, ROOM))
    results = {one.entity: one for one in filler.fill([teacher(1), room(1), room(2, "many")])}
    assert (results["teacher"].published, results["teacher"].unswept) == (1, None)
    assert (results["room"].published, results["room"].rejected) == (1, 1)
    assert results["room"].unswept == "items were rejected, and their rows must stay"
    swept = {event.entity for event in filler.world.events() if event.operation == Operation.SWEEP}
    assert swept == {"teacher"}


def test_without_any_item_nothing_is_swept() -> None:
    filler = Filler()
    (filled,) = filler.fill([])
    assert (filled.published, filled.unswept) == (0, "no item was found")
    assert filler.world.events() == []


def test_an_item_that_is_too_large_is_a_letter() -> None:
    filler = Filler()
    (filled,) = filler.fill([order(1), order(2, note={"S": "x" * 1_000_000})])
    assert (filled.published, filled.rejected) == (1, 1)
    (letter,) = filler.world.letters.letters
    assert (letter.entity, letter.position) == ("order", POSITION)


def test_a_letter_of_an_item_is_redriven_as_that_of_a_record() -> None:
    """The cure is usually a changed schema; here the payload is, which is as good."""
    filler = Filler()
    filler.fill([order(1, "x"), order(2)])
    (letter,) = filler.world.letters.letters
    assert (letter.stage, letter.entity, letter.position) == ("dynamodb", "order", POSITION)
    world = World()
    redriver = DynamoDbRedriver(world.catalog, lambda letters: _producer(world, letters))
    (again,) = redriver.redrive([letter])
    assert again.state == "failed-again"
    (outcome,) = redriver.redrive([replace(letter, payload=letter.payload.replace(b'"x"', b'"7"'))])
    assert outcome.state == "redriven"
    (event,) = world.events()
    assert (event.event_id.hex(), event.operation, event.position) == (letter.id, "upsert", POSITION)


def _producer(world: World, letters: InMemoryLetters) -> Producer:
    return Producer(world.catalog, world.publisher, letters)


def test_one_entity_of_a_table_has_a_run_of_its_own() -> None:
    catalog = World(TEACHER, ROOM).catalog
    assert run_name(catalog, "accounts", entities_to_fill(catalog, "accounts")) == "dynamodb/accounts/_all"
    one = entities_to_fill(catalog, "accounts", "room")
    assert run_name(catalog, "accounts", one) == "dynamodb/accounts/room"
    alone = World().catalog
    assert run_name(alone, "orders", entities_to_fill(alone, "orders", "order")) == "dynamodb/orders/_all"


def test_inv7_no_attribute_that_no_schema_names_is_in_a_chunk() -> None:
    filler = Filler()
    advance = filler.start([order(number) for number in range(9)]).advance()
    next(advance)
    assert list(filler.chunks())
    assert not any(b"stays" in body for body in filler.store.objects.values())
    advance.close()


def test_a_table_description_chooses_a_rate_that_spares_the_table() -> None:
    assert ORDERS.default_units == 500
    assert ORDERS._replace(read_units=100).default_units == 25
    assert ORDERS._replace(read_units=1).default_units == 1
