"""Events whose envelope fields are odd: dead letters, for rows and sweeps alike, live and in a rebuild."""

from dataclasses import replace
from typing import Any

from consumers_world import EPOCH_2024, ITEM, OTHER, A, event, item, other_schema, sweep
from hypothesis import given
from hypothesis import strategies as st
from replay_world import Pipe, business, quick_folder

from schemas.event import MAX_OCCURRED_AT, MIN_OCCURRED_AT, Event, Operation, encode_event
from schemas.payload.codec import SchemaRegistry

REMEMBERING = replace(ITEM, history=True)
GOOD_POSITIONS = ("2024-000001", "2024-000002", "2024-000002+1", "~" * 378)
ODD_POSITIONS = (
    "",
    " ",
    "2024-000002 ",
    "2024-000002\x01",
    "2024-000002\x00",
    "2024-00000²",
    "9" * 379,
    "\n",
)
ODD_SOURCES = ("", "dynamodb:a\n", "csv:\x00", "csv: b", "dynamodb:ä", "s" * 301)
ODD_MOMENTS = (2**62, -(2**62), MIN_OCCURRED_AT - 1, MAX_OCCURRED_AT + 1)
ODD_ENTITIES = ("", "item; DROP TABLE item", "Item", "x" * 5_000)
ODD_KEYS = ("", "null", "[" * 100_000, '["256"]', "[3]")


def odd(draw: st.DrawFn, made: Event) -> Event:
    """One field of the envelope as no producer writes it."""
    name, values = draw(
        st.sampled_from(
            [
                ("position", ODD_POSITIONS),
                ("source", ODD_SOURCES),
                ("occurred_at", ODD_MOMENTS),
                ("entity", ODD_ENTITIES),
                ("schema_fingerprint", (OTHER.schema.fingerprint, bytes(8))),
            ]
        )
    )
    changed: dict[str, Any] = {name: draw(st.sampled_from(values))}
    return made._replace(**changed)


@st.composite
def events(draw: st.DrawFn) -> Event:
    operation = draw(st.sampled_from([Operation.UPSERT, Operation.DELETE, Operation.SWEEP]))
    if operation is Operation.SWEEP:
        made = sweep(ITEM, draw(st.integers(0, 255)), 1)
    else:
        made = event(ITEM, item(draw(st.sampled_from(["k1", "k2"]))), 1, operation)
    made = made._replace(position=draw(st.sampled_from(GOOD_POSITIONS)))
    if draw(st.booleans()):
        made = odd(draw, made)
    return made._replace(key=draw(st.sampled_from(ODD_KEYS))) if draw(st.integers(0, 9)) == 0 else made


@given(st.lists(events(), max_size=20), st.booleans())
def test_inv3_inv4_an_odd_envelope_stops_nobody_and_a_rebuild_agrees(
    made: list[Event], remembers: bool
) -> None:
    of = REMEMBERING if remembers else ITEM
    with quick_folder() as folder:
        pipe = Pipe(folder, [of, OTHER])
        pipe.publish(*made)
        pipe.flush()
        assert pipe.consume().accepted == len(made)
        live = business(pipe.table(of))
        pipe.clock.pass_by(hours=3)
        outcome = pipe.rebuild(of)
        assert (outcome.differences, outcome.swapped) == ((), True)
        assert business(pipe.table(of)) == live
        pipe.warehouse.close()


def test_a_sweep_of_an_entity_that_the_catalog_lacks_is_a_dead_letter_that_can_be_redriven_later() -> None:
    with quick_folder() as folder:
        pipe = Pipe(folder, [ITEM])
        pipe.catalog.registry.add(OTHER.schema)
        pipe.publish(sweep(OTHER, 3, 5), event(ITEM, item("k1"), 1))
        assert pipe.consume() == (1, 0, 0, 1)
        assert [(each.cause, each.position) for each in pipe.letters.letters] == [("schema", "2024-000005")]
        pipe.warehouse.close()


def test_a_sweep_by_a_newer_schema_version_stops_the_consumer_as_a_row_does() -> None:
    newer = other_schema(ITEM)
    swept = sweep(ITEM, 3, 5)._replace(schema_fingerprint=newer.fingerprint)
    upserted = event(ITEM, item("k1"), 1)._replace(
        schema_fingerprint=newer.fingerprint, after=newer.encode({**item("k1"), "added": 1})
    )
    for made in (swept, upserted):
        assert _refused_by_older_code(encode_event(made), newer) == {"ConfigurationError"}


def _refused_by_older_code(frame: bytes, newer: Any) -> set[str]:
    """What the live consumer and a rebuild raise, neither of which knows the newer version."""
    raised = set()
    with quick_folder() as folder:
        pipe = Pipe(folder, [ITEM])
        pipe.log.put_schema(newer)
        pipe.log.put("log/2026/03/01/12/000000", frame)
        pipe.consumer = type(pipe.consumer)(pipe.catalog, pipe.warehouse, pipe.letters, pipe.log.document)
        for attempt in (
            lambda: pipe.consumer.consume([frame]),
            lambda: pipe.rebuild(registry=SchemaRegistry()),
        ):
            try:
                attempt()
                raised.add("nothing")
            except Exception as error:  # noqa: BLE001
                raised.add(type(error).__name__)
        pipe.warehouse.close()
    return raised


def test_moments_within_the_years_1_to_9999_are_taken() -> None:
    with quick_folder() as folder:
        pipe = Pipe(folder, [REMEMBERING])
        for number, moment in enumerate((MIN_OCCURRED_AT, EPOCH_2024, MAX_OCCURRED_AT)):
            pipe.publish(event(ITEM, item("k1"), number, source=A)._replace(occurred_at=moment))
            pipe.publish(sweep(ITEM, number, number)._replace(occurred_at=moment))
        assert pipe.consume().dead == 0
        pipe.warehouse.close()
