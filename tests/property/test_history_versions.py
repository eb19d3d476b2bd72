"""Any history of an entity that keeps it, delivered in any way: at every moment its versions are the as-of
fold, and all of them are what a count moment by moment says (INV-2, INV-3)."""

from datetime import timedelta

from consumers_world import EPOCH_2024, A, B
from history_world import (
    KEYS,
    MOMENTS,
    NOTES,
    OPERATIONS,
    PAST,
    PREFERRED,
    SECOND,
    Happened,
    at,
    frames_of,
    shown_versions,
    versions,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_world import Pipe, quick_folder

from consumers.consume import Consumer
from replay.as_of import EPOCH, plan_as_of
from replay.fold import EVENT_BYTES
from replay.run import run
from schemas.event import decode_event

VIEW = "history_past"
HAPPENED = st.builds(
    Happened,
    st.sampled_from(OPERATIONS),
    st.sampled_from(KEYS),
    st.sampled_from([A, A, B]),
    st.integers(1, 6),
    st.integers(1, MOMENTS),
    st.none() | st.just(1),
    st.sampled_from(NOTES),
)


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[bytes]]:
    """Everything at least once, some of it again, in any order, cut anywhere."""
    frames = frames_of(draw(st.lists(HAPPENED, min_size=1, max_size=14)))
    again = draw(st.lists(st.sampled_from(frames), max_size=5))
    order = draw(st.permutations([*frames, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@settings(max_examples=settings().max_examples // 2)  # each folds seven times
@given(deliveries(), st.booleans())
def test_inv3_the_history_at_every_moment_is_the_as_of_fold(
    batches: list[list[bytes]], flushed: bool
) -> None:
    with quick_folder() as folder:
        pipe = Pipe(folder, [PAST])
        for batch in batches:
            pipe.publish(*map(decode_event, batch))
            pipe.consume()
        if flushed:
            pipe.flush()
        found = shown_versions(pipe.warehouse.engine, VIEW)
        for second in range(MOMENTS + 2):
            ports = pipe.ports(chunk_bytes=7 * EVENT_BYTES)
            moment = EPOCH + timedelta(microseconds=EPOCH_2024 + second * SECOND)
            view = run(plan_as_of(ports, PAST, moment), ports).view
            with pipe.warehouse.engine.connect() as connection:
                folded = connection.exec_driver_sql(f'SELECT * FROM "{view}"').all()
            assert at(found, second) == sorted(map(tuple, folded), key=str)
        pipe.warehouse.close()


@given(deliveries())
def test_inv2_every_version_its_event_and_what_ended_it_are_those_of_a_count_moment_by_moment(
    batches: list[list[bytes]],
) -> None:
    with quick_folder() as folder:
        pipe = Pipe(folder, [PAST])
        for batch in batches:
            pipe.consumer.consume(batch)
        assert shown_versions(pipe.warehouse.engine, VIEW) == versions(
            frame for batch in batches for frame in batch
        )
        pipe.warehouse.close()


@given(deliveries(), deliveries(), st.integers(1, 5), st.integers(1, 20))
def test_inv3_a_rebuilt_history_is_the_live_one_and_readers_see_it_from_the_swap_on(
    before: list[list[bytes]], during: list[list[bytes]], records: int, events: int
) -> None:
    with quick_folder() as folder:
        pipe = Pipe(folder, [PAST])
        pipe.stream.most = records
        for batch in before:
            pipe.publish(*map(decode_event, batch))
        pipe.flush()
        pipe.consume(records)
        rest = iter(during)

        def meanwhile(_what: object) -> None:
            for batch in rest:
                pipe.publish(*map(decode_event, batch))
                return

        pipe.log.before_read = pipe.stream.before_read = meanwhile
        assert pipe.rebuild(PAST, chunk_bytes=events * EVENT_BYTES).swapped
        pipe.consume()
        assert pipe.live(PAST) == 2
        assert shown_versions(pipe.warehouse.engine, VIEW) == versions(pipe.published)
        pipe.warehouse.close()


@given(deliveries())
def test_a_preference_among_sources_hides_no_version_and_no_source(batches: list[list[bytes]]) -> None:
    with quick_folder() as folder:
        pipe = Pipe(folder, [PREFERRED])
        consumer = Consumer(pipe.catalog, pipe.warehouse, pipe.letters)
        for batch in batches:
            consumer.consume(batch)
        assert shown_versions(pipe.warehouse.engine, VIEW) == versions(
            frame for batch in batches for frame in batch
        )
        pipe.warehouse.close()
