"""Reading of the log's objects in order, with small ones read ahead in a few threads."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from replay.log.reader import LogObject, LogStore

SMALL_BYTES = 1024 * 1024
"""The largest object that is read ahead, whole; a larger one is read in parts as it is used."""
AHEAD_BYTES = 16 * 1024 * 1024
"""Bytes that may be read but not used yet, of all objects: memory does not grow with the log."""
AHEAD_OBJECTS = 64


def read_in_order(log: LogStore, items: Iterable[LogObject]) -> Iterator[tuple[LogObject, Iterable[bytes]]]:
    """Yield each object with its bytes, in order. An error of a read is raised when its object's turn comes.

    A store states in an attribute `threads` how many threads may read it at once. Without the attribute each
    object is read when it is used, by the caller's thread.
    """
    threads: int = getattr(log, "threads", 0)
    if not threads:
        for item in items:
            yield item, log.parts(item)
        return
    pool = ThreadPoolExecutor(threads, "log")
    try:
        yield from _read_ahead(log, iter(items), pool)
    finally:
        # Also when the caller stops early: closing the generator runs this.
        pool.shutdown(cancel_futures=True)


def _read_ahead(
    log: LogStore, items: Iterator[LogObject], pool: ThreadPoolExecutor
) -> Iterator[tuple[LogObject, Iterable[bytes]]]:
    waiting: deque[tuple[LogObject, Future[list[bytes]] | None]] = deque()
    ahead, more = 0, True
    while more or waiting:
        while more and ahead < AHEAD_BYTES and len(waiting) < AHEAD_OBJECTS:
            item = next(items, None)
            more = item is not None
            if item is not None:
                # A large object takes its turn in the queue without a future, so that the order is kept.
                small = item.size <= SMALL_BYTES
                waiting.append((item, pool.submit(_parts, log, item) if small else None))
                ahead += item.size if small else 0
        if waiting:
            item, future = waiting.popleft()
            yield item, log.parts(item) if future is None else future.result()
            # After the yield: until the caller asks for more, it holds this object's bytes.
            ahead -= 0 if future is None else item.size


def _parts(log: LogStore, item: LogObject) -> list[bytes]:
    return list(log.parts(item))
