"""Small objects of the log are read ahead in threads: in order, errors in their turn, memory bounded."""

from collections.abc import Iterator
from itertools import islice
from threading import Barrier, Lock, current_thread, main_thread

import pytest
from consumers_world import ITEM, event, item

from replay.fold import EventFilter
from replay.load import Damages, chunks
from replay.log.in_memory import InMemoryLog
from replay.log.read_ahead import AHEAD_BYTES, AHEAD_OBJECTS, SMALL_BYTES, read_in_order
from replay.log.reader import LogObject
from schemas.errors import TransientError
from schemas.event import encode_event


class Threaded(InMemoryLog):
    """A log that threads may read."""

    threads = 4


class Sized:
    """A log of objects of these sizes, which counts what was read and by whom."""

    threads = 4

    def __init__(self, *sizes: int) -> None:
        self.items = [LogObject(f"log/{number:06}", size, "") for number, size in enumerate(sizes)]
        self.read, self.lock, self.by_main = 0, Lock(), 0

    def parts(self, item: LogObject) -> Iterator[bytes]:
        with self.lock:
            self.read += item.size
            self.by_main += current_thread() is main_thread()
        yield item.key.encode()


def log_of(count: int) -> tuple[Threaded, list[bytes]]:
    frames = [encode_event(event(ITEM, item(f"k{n}", n), n)) for n in range(count)]
    return Threaded({f"log/{n:06}": frame for n, frame in enumerate(frames)}), frames


def test_the_frames_come_in_the_order_of_the_objects() -> None:
    log, frames = log_of(500)
    made = list(chunks(log, EventFilter(ITEM).needle, Damages()))
    assert [frame for chunk in made for frame in chunk.frames] == frames
    assert made[-1][1:] == ("log/000499", 500, 500)


def test_several_objects_are_read_at_once() -> None:
    log, frames = log_of(8)
    together = Barrier(4)
    log.before_read = lambda _key: together.wait(30) and None  # each waits for three others
    assert [b"".join(parts) for _, parts in read_in_order(log, log.objects())] == frames


def test_an_error_comes_when_its_object_has_its_turn_and_ends_the_reading() -> None:
    log, frames = log_of(400)

    def fail(key: str) -> None:
        if key == "log/000123":
            raise TransientError("away")

    log.before_read = fail
    found: list[bytes] = []
    with pytest.raises(TransientError, match="away"):
        found.extend(b"".join(parts) for _, parts in read_in_order(log, log.objects()))
    assert found == frames[:123]


@pytest.mark.parametrize("size", [100, SMALL_BYTES // 2, SMALL_BYTES])
def test_what_is_read_and_not_used_yet_is_bounded_whatever_the_log(size: int) -> None:
    log = Sized(*[size] * 2_000)
    reading = read_in_order(log, iter(log.items))
    assert [key.key for key, _ in islice(reading, 1_000)] == [each.key for each in log.items[:1_000]]
    with log.lock:
        assert log.read <= 1_000 * size + min(AHEAD_BYTES + size, AHEAD_OBJECTS * size)
    reading.close()
    assert log.by_main == 0


def test_a_large_object_is_read_when_it_is_used_and_in_this_thread() -> None:
    log = Sized(10, SMALL_BYTES + 1, 10)
    for expected, (found, parts) in zip(log.items, read_in_order(log, iter(log.items)), strict=True):
        assert b"".join(parts) == found.key.encode()
        assert found == expected
    assert log.by_main == 1


def test_a_log_that_does_not_say_so_is_read_in_one_thread_object_by_object() -> None:
    log, frames = log_of(3)
    alone, opened_so_far = InMemoryLog(log.contents), list[str]()
    alone.before_read = opened_so_far.append
    reading = read_in_order(alone, alone.objects())
    assert b"".join(next(reading)[1]) == frames[0]
    assert opened_so_far == ["log/000000"]
