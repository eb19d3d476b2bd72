"""The CSV source killed at any write, and beside itself: nothing is lost, and what is written is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from csv_world import HEADER, World, links, notification

from producers.csv.uploads import Upload
from producers.kinesis import Fault, InMemoryStream
from schemas.errors import TransientError
from schemas.letters.letter import InMemoryLetters
from schemas.sources.csv import Mode

CLEAN = f"{HEADER}\n1,Alpha,,Y\n2,Beta,,N\n1,Gamma,,Y\n"
WITH_REJECT = f"{HEADER}\n1,Alpha,,Y\nx,Beta,,N\n"
BAD = f'{HEADER}\n1,Alpha,,Y\n2,"Be"ta,,N\n'
BODIES = pytest.mark.parametrize("body", [CLEAN, WITH_REJECT, BAD], ids=["clean", "with a reject", "bad"])


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class OpenLetters(InMemoryLetters):
    """Letters whose methods can be replaced."""


def snapshot_world() -> World:
    return World(links(mode=Mode.SNAPSHOT), letters=OpenLetters())


def on_each_write(world: World, happens: Callable[[], None]) -> None:
    """Something happens just before each write to anything durable, and just after it was done."""

    def surrounded(write: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(*arguments: Any) -> Any:
            happens()
            answer = write(*arguments)
            happens()
            return answer

        return replacement

    for port, names in (
        (world.bucket, ("put", "copy", "delete")),
        (world.stream, ("put",)),
        (world.letters, ("put",)),
        (world.schema_log, ("ensure",)),
    ):
        for name in names:
            setattr(port, name, surrounded(getattr(port, name)))


class KilledAt:
    """Kills the process at one moment out of all."""

    def __init__(self, moment: int) -> None:
        self.moment = moment
        self.passed = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.moment:
            raise Killed


def outcome(world: World) -> tuple[object, ...]:
    """What must not depend on kills: the distinct events, the objects and their bytes, the letters."""
    events = {repr(event) for event in world.events()}
    objects = {key: world.bucket.body(key) for key in world.objects()}
    return events, objects, world.letters.letters


def killed_once(body: str) -> Iterator[tuple[World, Upload, int]]:
    """Worlds that were killed, each at another moment, until one was not."""
    moment, killed = 0, True
    while killed:
        moment += 1
        world = snapshot_world()
        upload = world.upload(body)
        on_each_write(world, KilledAt(moment))
        try:
            world.producer().take(notification(upload))
            killed = False
        except Killed:
            yield world, upload, moment
    assert moment > 8, "there were too few writes for a test"


@BODIES
def test_inv1_inv5_killed_at_any_write_and_run_again_it_ends_the_same(body: str) -> None:
    untouched = snapshot_world()
    untouched.drop(body)
    for world, upload, moment in killed_once(body):
        world.producer().take(notification(upload))  # another container, the same notification
        assert outcome(world) == outcome(untouched), f"killed at moment {moment}"


@BODIES
def test_inv1_at_every_moment_the_file_is_somewhere_in_the_bucket(body: str) -> None:
    for world, _, moment in killed_once(body):
        there = [world.bucket.body(key) for key in world.objects()]
        assert body.encode() in there, f"lost at moment {moment}"


def test_inv1_no_sweep_is_in_the_stream_before_every_row_is() -> None:
    rows_alone = 0
    for world, _, moment in killed_once(CLEAN):
        rows_alone += not world.sweeps() and len(world.facts()) == 3
        assert not world.sweeps() or len(world.facts()) == 3, f"swept too early, seen at moment {moment}"
    assert rows_alone, "rows and sweeps came in one: nothing was proved"


def test_inv1_no_sweep_follows_rows_that_kinesis_never_acknowledged() -> None:
    world = snapshot_world()
    upload = world.upload(CLEAN)
    world.stream = InMemoryStream(1, faults=[Fault(after=True)] * 8)  # taken, but nobody was told
    with pytest.raises(TransientError):
        world.producer().take(notification(upload))
    assert world.sweeps() == []
    assert world.objects() == [upload.key]


@BODIES
def test_two_workers_that_take_one_file_at_once_do_no_more_than_one(body: str) -> None:
    """The second one runs as a whole at each moment of the first: S3 may deliver a notification twice."""
    alone = snapshot_world()
    alone.drop(body)
    for moment in range(1, 12):
        world = snapshot_world()
        upload = world.upload(body)
        other = world.producer()
        passed = 0

        def at_the_moment(moment: int = moment, other: Any = other, upload: Upload = upload) -> None:
            nonlocal passed
            passed += 1
            if passed == moment:
                other.take(notification(upload))

        on_each_write(world, at_the_moment)
        world.producer().take(notification(upload))
        assert outcome(world) == outcome(alone), f"the other came at moment {moment}"


@pytest.mark.parametrize("fails", [1, 2], ids=["while it is surveyed", "while it is published"])
def test_a_connection_that_breaks_in_the_middle_of_the_file_is_no_end_of_the_file(fails: int) -> None:
    world = snapshot_world()
    upload = world.upload(CLEAN)
    whole = world.bucket.read
    reads = 0

    def read(one: Upload) -> Iterator[bytes]:
        nonlocal reads
        reads += 1
        for chunk in whole(one):
            yield chunk[: len(CLEAN) // 2] if reads == fails else chunk
        if reads == fails:
            raise TransientError("GetObject: IncompleteReadError")

    world.bucket.read = read  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        world.producer().take(notification(upload))
    assert world.objects() == [upload.key]
    assert world.sweeps() == []
    world.producer().take(notification(upload))
    assert [values["name"] for values in world.values()] == ["Alpha", "Beta", "Gamma"]
    assert len(world.sweeps()) == 256


def test_what_a_failed_file_left_in_a_warm_container_does_no_harm_to_the_next() -> None:
    world = snapshot_world()
    first, second = world.upload(CLEAN), world.upload(f"{HEADER}\n7,Eta,,Y\n")
    whole, broken = world.bucket.read, []

    def read(one: Upload) -> Iterator[bytes]:
        yield from whole(one)
        broken.append(one)
        if broken == [first, first]:
            raise TransientError("GetObject: ReadTimeoutError")

    world.bucket.read = read  # type: ignore[method-assign]
    container = world.producer()
    with pytest.raises(TransientError):
        container.take(notification(first))
    container.take(notification(second))
    container.take(notification(first))
    assert [values["urn"] for values in world.values()] == [1, 2, 1, 7]
    assert len({repr(sweep) for sweep in world.sweeps()}) == 2 * 256
