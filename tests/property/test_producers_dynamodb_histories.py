"""Random histories of a table of two entities, in any batches, under any faults: the events are the table."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from decimal import Context, Decimal
from typing import Any

from dynamodb_world import ROOM, TEACHER, World, account, entity, logical, record
from hypothesis import given
from hypothesis import strategies as st

from producers.dynamodb.images import NO_STATE, ItemReader
from producers.kinesis import Fault
from schemas.catalog.entity import Entity
from schemas.event import Event
from schemas.payload.fields import canonical_json
from schemas.sources.dynamodb import DynamoDbSource

Item = Mapping[str, Mapping[str, Any]]

SORT_KEYS = st.sampled_from(["TEACHER#1", "TEACHER#2", "R#1", "R#2"])
ITEMS = st.builds(
    lambda kind, floor, seats, name, secret: {
        "kind": {"S": kind},
        "floor": {"N": floor},
        "seats": {"N": seats},
        "name": {"S": name},
        "secret": {"S": secret},
    },
    st.sampled_from(["room", "room", "other"]),
    st.sampled_from(["1", "1.0", "2", "3"]),
    st.sampled_from(["30", "31"]),
    st.sampled_from(["", "Ada", "Zoë"]),
    st.sampled_from(["a", "b"]),
)
HISTORY = st.lists(st.tuples(SORT_KEYS, ITEMS | st.none()), max_size=30)
REFUSED = st.frozensets(st.integers(0, 5), max_size=3)
FAULTS = st.lists(
    st.builds(Fault, split=st.none(), refused=REFUSED, before=st.booleans(), after=st.booleans()), max_size=10
)


def records(history: list[tuple[str, Item | None]]) -> Iterator[dict[str, Any]]:
    """What the stream tells of puts and deletes: a put of the same item and a delete of none tell nothing."""
    table: dict[str, Item] = {}
    for sequence, (key, put) in enumerate(history, 1):
        new = None if put is None else {"pk": {"S": "S#1"}, "sk": {"S": key}, **put}
        old = table.pop(key, None)
        if new is not None:
            table[key] = new
        if old != new:
            yield account(sequence, old, new)


def rows(history: list[tuple[str, Item | None]]) -> dict[tuple[str, str], dict[str, object]]:
    """The oracle: what the two tables hold in the end, by entity and key."""
    table = dict(history)
    found: dict[tuple[str, str], dict[str, object]] = {}
    for key, item in table.items():
        if item is not None and key.startswith("TEACHER#"):
            row: dict[str, object] = {"school": "S#1", "person": key, "name": item["name"]["S"]}
            found["teacher", f'["S#1","{key}"]'] = row
        if item is not None and item["kind"]["S"] == "room":
            floor = int(Decimal(item["floor"]["N"]))
            row = {"school": "S#1", "room": key, "floor": floor, "seats": int(item["seats"]["N"])}
            found["room", f'["S#1","{key}","{floor}"]'] = row
    return found


def fold(world: World, events: list[Event]) -> dict[tuple[str, str], dict[str, object]]:
    last = {}
    for one in sorted(events, key=lambda one: one.position):
        last[one.entity, one.key] = world.values(one)[1]
    return {key: row for key, row in last.items() if row is not None}


def deliver(world: World, told: list[dict[str, Any]], size: int) -> None:
    """As Lambda does: batches of a size, each sent again from its first failure."""
    sequences = [one["dynamodb"]["SequenceNumber"] for one in told]
    start = 0
    while start < len(told):
        answer = world.producer.publish(told[start : start + size]).answer()["batchItemFailures"]
        start = sequences.index(answer[0]["itemIdentifier"]) if answer else start + size


@given(HISTORY, FAULTS, st.integers(1, 12), st.integers(1, 4))
def test_inv1_inv2_whatever_fails_the_events_are_what_the_table_holds(
    history: list[tuple[str, Item | None]], faults: list[Fault], size: int, shards: int
) -> None:
    world = World(TEACHER, ROOM, shards=shards, faults=faults)
    deliver(world, list(records(history)), size)
    assert fold(world, world.events()) == rows(history)
    assert world.letters.letters == []


@given(HISTORY, FAULTS, st.integers(1, 12))
def test_inv5_a_history_told_again_in_other_batches_gives_the_same_bytes(
    history: list[tuple[str, Item | None]], faults: list[Fault], size: int
) -> None:
    plain, faulty = World(TEACHER, ROOM), World(TEACHER, ROOM, faults=faults)
    deliver(plain, list(records(history)), 100)
    deliver(faulty, list(records(history)), size)
    assert set(plain.frames()) == set(faulty.frames())
    assert len(plain.frames()) == len(set(plain.frames()))


@given(HISTORY)
def test_a_record_has_at_most_one_event_for_a_key_and_each_before_is_the_after_before_it(
    history: list[tuple[str, Item | None]],
) -> None:
    world = World(TEACHER, ROOM)
    state: dict[tuple[str, str], bytes | None] = {}
    for told in records(history):
        events = world.read(told)
        assert len({(one.entity, one.key) for one in events}) == len(events)
        for one in events:
            if one.operation in ("update", "delete"):
                assert one.before == state[one.entity, one.key]
            else:
                assert state.get((one.entity, one.key)) is None
            state[one.entity, one.key] = one.after


# Values

WIDE = Context(prec=60)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=None).filter(
    lambda number: len(number.as_tuple().digits) <= 38 and -130 <= number.adjusted() <= 125
)
NUMBER_TEXTS = st.builds(str, NUMBERS) | st.builds(str, st.integers(-(10**38) + 1, 10**38 - 1))
DECIMAL = entity(
    "thing",
    [
        {"name": "id", "type": "string"},
        {"name": "x", "type": logical("decimal", "bytes", precision=38, scale=10)},
    ],
    ["id"],
)


@given(NUMBER_TEXTS)
def test_a_number_arrives_exactly_or_not_at_all(text: str) -> None:
    world = World(DECIMAL)
    reading = world.reader.read(record(1, new={"id": {"S": "1"}, "x": {"N": text}}))
    exact = Decimal(text)
    fits = abs(exact) < 10**28 and exact == exact.quantize(Decimal("1E-10"), context=WIDE)
    assert bool(reading.events) is fits
    assert bool(reading.letters) is not fits
    for event, _ in reading.events:
        _, after = world.values(event)
        assert after is not None
        assert after["x"] == exact


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
BASE64 = st.builds(lambda raw: b64encode(raw).decode(), st.binary(max_size=6))
ATTRIBUTES = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, TEXTS),
        st.builds(lambda text: {"N": text}, NUMBER_TEXTS),
        st.builds(lambda text: {"B": text}, BASE64),
        st.builds(lambda value: {"BOOL": value}, st.booleans()),
        st.just({"NULL": True}),
        st.builds(lambda texts: {"SS": texts}, st.lists(TEXTS, min_size=1, max_size=4, unique=True)),
        st.builds(lambda texts: {"NS": texts}, st.lists(NUMBER_TEXTS, min_size=1, max_size=4, unique=True)),
        st.builds(lambda texts: {"BS": texts}, st.lists(BASE64, min_size=1, max_size=4, unique=True)),
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"L": items}, st.lists(inner, max_size=4)),
        st.builds(lambda members: {"M": members}, st.dictionaries(TEXTS, inner, max_size=4)),
    ),
    max_leaves=12,
)
JSON = entity(
    "thing",
    [
        {"name": "id", "type": "string"},
        {"name": "x", "type": ["null", "string"], "default": None, "headwater.json": True},
    ],
    ["id"],
)


def plain(attribute: Mapping[str, Any]) -> object:
    ((kind, value),) = attribute.items()
    return PLAIN.get(kind, lambda same: same)(value)


PLAIN: dict[str, Callable[[Any], object]] = {
    "N": Decimal,
    "B": b64decode,
    "NULL": lambda _: None,
    "M": lambda members: {name: plain(one) for name, one in members.items()},
    "L": lambda items: [plain(one) for one in items],
    "SS": set,
    "NS": lambda texts: {Decimal(one) for one in texts},
    "BS": lambda texts: {b64decode(one) for one in texts},
}


@given(ATTRIBUTES)
def test_a_json_field_is_the_canonical_json_of_its_value(attribute: Mapping[str, Any]) -> None:
    world = World(JSON)
    (event,) = world.read(record(1, new={"id": {"S": "1"}, "x": attribute}))
    _, after = world.values(event)
    assert after is not None
    assert after["x"] == (None if "NULL" in attribute else canonical_json(plain(attribute)))


def reader_of(made: Entity) -> ItemReader:
    (source,) = made.sources
    assert isinstance(source, DynamoDbSource)
    return ItemReader(made, source)


@given(ATTRIBUTES, ATTRIBUTES, NUMBER_TEXTS, NUMBER_TEXTS, st.booleans())
def test_an_old_image_says_the_same_beside_a_new_one_as_alone(
    old: Mapping[str, Any], new: Mapping[str, Any], total: str, other: str, same: bool
) -> None:
    for reader, first, second in (
        (reader_of(JSON), old, old if same else new),
        (reader_of(DECIMAL), {"N": total}, {"N": total if same else other}),
    ):
        images = [{"id": {"S": "1"}, "x": first}, {"id": {"S": "1"}, "x": second}]
        alone = reader.old_state(images[0], NO_STATE)
        beside = reader.old_state(images[0], reader.new_state(images[1]))
        assert (alone.key, alone.payload) == (beside.key, beside.payload)
