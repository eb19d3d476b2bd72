"""The objects of the log in order, small ones read ahead in a few threads."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from replay.log.reader import LogObject, LogStore

SMALL_BYTES = 1024 * 1024
"""What an object may have to be read ahead: a larger one comes in parts, as it is used."""
AHEAD_BYTES = 16 * 1024 * 1024
"""What may be read and not used yet, of all objects together: memory does not grow with the log."""
AHEAD_OBJECTS = 64


def opened(log: LogStore, items: Iterable[LogObject]) -> Iterator[tuple[LogObject, Iterable[bytes]]]:
    """Each object with its bytes, in order. An error of a read is raised when its object's turn comes.

    A store says in `threads` how many may read it at once; one without is read in this thread alone, each
    object when it is used.
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
                small = item.size <= SMALL_BYTES
                waiting.append((item, pool.submit(_parts, log, item) if small else None))
                ahead += item.size if small else 0
        if waiting:
            item, future = waiting.popleft()
            yield item, log.parts(item) if future is None else future.result()
            ahead -= 0 if future is None else item.size


def _parts(log: LogStore, item: LogObject) -> list[bytes]:
    return list(log.parts(item))
