"""Random histories, delivered in any way, rebuilt while the live consumer goes on (INV-2, INV-3)."""

from datetime import timedelta
from itertools import islice
from typing import NamedTuple

from consumers_world import EPOCH_2024, ITEM, OTHER, A, B, event, item, sweep
from hypothesis import given
from hypothesis import strategies as st
from replay_world import Pipe, Watched, business, oracle, quick_folder

from replay.as_of import EPOCH, plan_as_of
from replay.compare import compare
from replay.fold import EVENT_BYTES
from replay.run import run
from schemas.event import Event, Operation, decode_event, key_hash

KEYS = ["k0", "k1", "k2"]


class Step(NamedTuple):
    """Something that happens: an event published, or one of the pipe's parts moving on."""

    kind: str
    key: int = 0
    number: int = 0
    source: str = A


def steps() -> st.SearchStrategy[list[Step]]:
    facts = st.builds(
        Step,
        st.sampled_from(["upsert", "upsert", "delete", "sweep", "other", "redeployed", "again"]),
        st.integers(0, len(KEYS) - 1),
        st.integers(0, 12),
        st.sampled_from([A, A, B]),
    )
    moves = st.builds(
        Step, st.sampled_from(["flush", "flush zipped", "consume", "reshard"]), st.just(0), st.integers(1, 5)
    )
    return st.lists(st.one_of(facts, facts, moves), max_size=24)


def made(step: Step) -> Event:
    key, number, source = KEYS[step.key], step.number, step.source
    when = EPOCH_2024 + (number * 7 % 13) * 1_000_000  # the order of positions is not that of the clock
    match step.kind:
        case "delete":
            return event(ITEM, {"id": key}, number, Operation.DELETE, source, occurred_at=when)
        case "sweep":
            bucket = key_hash(source, f'["{key}"]')[0]
            return sweep(ITEM, bucket, number, source)._replace(occurred_at=when)
        case "other":
            return event(OTHER, {"id": key}, number, source=source)
        case "redeployed":
            return event(
                ITEM, item(key, number), number, source=source, occurred_at=when, metadata={"x": "y"}
            )
    return event(ITEM, item(key, number), number, source=source, occurred_at=when)


class World:
    """A pipe, and the steps that happen to it."""

    def __init__(self, folder: str) -> None:
        self.pipe = Pipe(folder, [ITEM, OTHER])
        self.watched = Watched(self.pipe.warehouse)
        self.shard = "shard-0"

    def take(self, step: Step) -> None:
        match step.kind:
            case "flush" | "flush zipped":
                self.pipe.flush(compressed="zipped" in step.kind)
            case "consume":
                if not self.watched.locked:
                    self.pipe.consume(step.number)
            case "reshard":
                child = f"shard-{len(self.pipe.stream.records)}"
                self.pipe.stream.reshard(self.shard, child)
                self.shard = child
            case "again":
                self.pipe.publish(
                    *map(decode_event, self.pipe.published[-step.number - 1 :]), shard=self.shard
                )
            case _:
                self.pipe.publish(made(step), shard=self.shard)

    def busy_with(self, steps: list[Step]) -> None:
        """From now on each of these happens before some read, or some transaction, of replay."""
        rest = iter(steps)

        def meanwhile(_what: object) -> None:
            for step in islice(rest, 1):
                self.take(step)

        self.pipe.log.before_read = self.pipe.stream.before_read = self.watched.before = meanwhile


@given(steps(), steps(), st.integers(1, 5), st.integers(1, 40))
def test_inv3_a_table_rebuilt_beside_a_live_consumer_is_the_live_table_and_the_oracle(
    before: list[Step], during: list[Step], records: int, events: int
) -> None:
    with quick_folder() as folder:
        world = World(folder)
        pipe = world.pipe
        pipe.stream.most = records
        for step in before:
            world.take(step)
        world.busy_with(during)

        outcome = pipe.rebuild(warehouse=world.watched, chunk_bytes=events * EVENT_BYTES)

        assert outcome.swapped
        assert outcome.differences == ()
        world.busy_with([])
        pipe.consume()
        retired = pipe.table(revision=1)
        assert business(pipe.table()) == oracle(ITEM, pipe.published)
        assert {row.key_hash for row in retired} <= {row.key_hash for row in pipe.table()}
        pipe.warehouse.close()


@given(steps(), st.booleans())
def test_inv3_as_of_any_moment_is_the_oracle_of_the_events_up_to_it(
    history: list[Step], flushed: bool
) -> None:
    with quick_folder() as folder:
        world = World(folder)
        pipe = world.pipe
        for step in history:
            world.take(step)
        if flushed:
            pipe.flush()
        for second in (0, 3, 7, 12):
            until = EPOCH_2024 + second * 1_000_000
            ports = pipe.ports(chunk_bytes=7 * EVENT_BYTES)
            outcome = run(plan_as_of(ports, ITEM, EPOCH + timedelta(microseconds=until)), ports)
            assert business(pipe.table(revision=outcome.revision)) == oracle(ITEM, pipe.published, until)
        pipe.warehouse.close()


@given(steps(), steps())
def test_inv2_compare_finds_no_difference_whatever_came_twice_late_or_is_under_way(
    before: list[Step], during: list[Step]
) -> None:
    with quick_folder() as folder:
        world = World(folder)
        for step in before:
            world.take(step)
        world.busy_with(during)
        assert list(compare(world.pipe.ports(warehouse=world.watched), ITEM)) == []
        world.pipe.warehouse.close()
