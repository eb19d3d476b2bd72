"""The rejects of one file as a CSV file: what is wrong with each row, then its own cells as they came."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Literal, NamedTuple, Protocol, Self

from producers.csv.uploads import REJECT_COLUMNS, Reject

IN_MEMORY = 1024 * 1024  # bytes; more goes to a temporary file


class Rejects(Protocol):
    """Where the rejects of a file go."""

    count: int
    size: int  # characters of cells and reasons, those of `restore` left out

    def add(self, reject: Reject) -> None:
        """One more."""

    def restore(self, chunks: Iterable[bytes], count: int) -> None:
        """Takes over what an earlier attempt got from `since`."""

    def end(self) -> int:
        """The place in bytes where the next reject will be."""

    def since(self, place: int) -> bytes:
        """The rejects from that place on. More can be added after it."""


class RejectCount:
    """Counts rejects, and keeps none."""

    def __init__(self) -> None:
        self.count = self.size = 0

    def add(self, reject: Reject) -> None:  # noqa: ARG002 - as the protocol has it
        self.count += 1

    def restore(self, chunks: Iterable[bytes], count: int) -> None:  # noqa: ARG002 - nothing was kept
        self.count += count

    def end(self) -> int:
        return 0

    def since(self, place: int) -> bytes:  # noqa: ARG002 - as the protocol has it
        return b""


class RejectFile:
    """Collects any number of rejects in constant memory. A context manager: leaving it removes its file.

    UTF-8, commas, RFC 4180: the form in which producers.csv.uploads.Correction takes them back.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.count = 0
        self.size = 0
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        self._text = TextIOWrapper(self._file, "utf-8", newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow([*REJECT_COLUMNS, *columns])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()

    def add(self, reject: Reject) -> None:
        self.count += 1
        self.size += len(reject.reason) + sum(map(len, reject.cells))
        self._writer.writerow([reject.row, reject.position, reject.column, reject.reason, *reject.cells])

    def restore(self, chunks: Iterable[bytes], count: int) -> None:
        self._text.flush()
        for chunk in chunks:
            self._file.write(chunk)
        self.count += count

    def end(self) -> int:
        self._text.flush()
        return self._file.tell()

    def since(self, place: int) -> bytes:
        self._text.flush()
        self._file.seek(place)
        return self._file.read()

    def written(self) -> IO[bytes]:
        """The whole file, from its start; nothing can be added any more."""
        self._text.flush()
        self._file.seek(0)
        return self._file


ENDING = ".closed.jsonl"

RejectState = Literal["corrected", "discarded"]


class Closed(NamedTuple):
    """One rejected row, by the position that its rejects file names. `reason`: a person's words."""

    position: str
    state: RejectState
    reason: str = ""


def encode_closed(row: Closed) -> bytes:
    """One line."""
    return f"{json.dumps(row._asdict(), sort_keys=True, separators=(',', ':'))}\n".encode()


def decode_closed(line: bytes) -> Closed | None:
    """The inverse of encode_closed; None for what is no such line."""
    try:
        return Closed(**json.loads(line))
    except (ValueError, TypeError):
        return None
