"""Peak memory of a log's fold into a table: it must not grow with the log.

Each size is measured in a process of its own, over a log that is made while it is read. The full size of the
promise: python -m benchmarks.bench_replay_memory 5000000
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.bench_replay import FRAMES_OF_AN_OBJECT, frames, write
from replay.log.reader import LogObject
from schemas.catalog.loader import load_catalog

EVENTS = 2_000_000  # a tenth fills two chunks
KEYS = 20_000


def run(events: int = EVENTS) -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit (here: the peak of a tenth of the events), unit."""
    tenth, whole = _peak_of(events // 10), _peak_of(events)
    return [
        (f"replay: peak memory, log of {events // 10:,} events", tenth, 1.0, "MB"),
        (f"replay: peak memory, log of {events:,} events", whole, whole / tenth, "MB"),
    ]


@dataclass(frozen=True, slots=True)
class MadeWhileRead:
    """A log of so many events that takes no memory."""

    made: Iterator[bytes]
    events: int

    def objects(self, after: str = "") -> Iterator[LogObject]:  # noqa: ARG002
        for number in range(-(-self.events // FRAMES_OF_AN_OBJECT)):
            yield LogObject(f"log/{number:09}", 1, "")

    def parts(self, item: LogObject) -> Iterator[bytes]:  # noqa: ARG002
        yield b"".join(islice(self.made, FRAMES_OF_AN_OBJECT))

    def schemas(self) -> Iterator[tuple[str, bytes]]:
        return iter(())


def _peak_of(events: int) -> float:
    command = [sys.executable, "-m", "benchmarks.bench_replay_memory", "--alone", str(events)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _alone(events: int) -> float:
    """Peak of this process, in MB."""
    catalog = load_catalog()
    write(
        MadeWhileRead(frames(catalog, events, KEYS), events), catalog.entity("subscription"), catalog.registry
    )
    return _peak_kib() / 1024


def _peak_kib() -> float:
    """On Linux not by getrusage: there a process begins with the peak of the one that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return float(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)


if __name__ == "__main__":
    if sys.argv[1] == "--alone":
        print(_alone(int(sys.argv[2])))
    else:
        for row in run(int(sys.argv[1])):
            print(*row, sep="\t")
