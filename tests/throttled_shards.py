"""Shards that take 1 MB/s as Kinesis has it, shared by several processes, in virtual time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from producers.kinesis import HASH_KEYS, Entry, OpenShard

RATE = 1_000_000  # bytes per second
BURST = 1_050_000  # bytes
CALL_SECONDS = 0.05


class VirtualTime:
    """Threads of which one runs at a time: the one whose clock is least."""

    def __init__(self, threads: int) -> None:
        self._clocks = {number: number / 100 for number in range(threads)}
        self._turn = threading.Condition()

    def now(self, thread: int) -> float:
        return self._clocks[thread]

    def sleep(self, thread: int, seconds: float) -> None:
        with self._turn:
            self._clocks[thread] += seconds
            self._turn.notify_all()
            self._turn.wait_for(lambda: thread == min(self._clocks, key=lambda one: (self._clocks[one], one)))

    def run(self, work: Callable[[int], None]) -> float:
        """Runs `work` in every thread. Returns the time at which the last one ended."""
        ends: list[float] = []

        def guarded(thread: int) -> None:
            try:
                self.sleep(thread, 0)
                work(thread)
            finally:
                with self._turn:
                    ends.append(self._clocks.pop(thread))
                    self._turn.notify_all()

        threads = [threading.Thread(target=guarded, args=(number,)) for number in list(self._clocks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(ends)


class ThrottledShards:
    """A stream whose shards refuse what is beyond their rate. `writer` is one process's view of it."""

    def __init__(self, time: VirtualTime, shards: int = 2) -> None:
        width = HASH_KEYS // shards
        self.shards = [OpenShard(str(n), n * width, (n + 1) * width - 1) for n in range(shards)]
        self.time = time
        self.taken: list[Entry] = []
        self._room = dict.fromkeys((shard.id for shard in self.shards), float(BURST))
        self._seen = dict.fromkeys(self._room, 0.0)

    def writer(self, thread: int) -> _Writer:
        return _Writer(self, thread)

    @property
    def bytes_taken(self) -> int:
        return sum(len(entry.payload) for entry in self.taken)

    def take(self, entry: Entry, now: float) -> str | None:
        shard = next(one.id for one in self.shards if one.start <= int(entry.hash_key) <= one.end)
        self._room[shard] = min(BURST, self._room[shard] + (now - self._seen[shard]) * RATE)
        self._seen[shard] = now
        if self._room[shard] < len(entry.payload):
            return None
        self._room[shard] -= len(entry.payload)
        self.taken.append(entry)
        return shard


class _Writer:
    """`producers.kinesis.StreamWriter` of one thread."""

    def __init__(self, stream: ThrottledShards, thread: int) -> None:
        self._stream = stream
        self._thread = thread

    def shards(self) -> list[OpenShard]:
        return self._stream.shards

    def put(self, entries: Sequence[Entry]) -> list[str | None]:
        time = self._stream.time
        time.sleep(self._thread, CALL_SECONDS)
        return [self._stream.take(entry, time.now(self._thread)) for entry in entries]
