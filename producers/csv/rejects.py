"""The rejected rows of a file, written as a CSV file: the reason, then the cells of the row unchanged."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Literal, NamedTuple, Protocol, Self

from producers.csv.uploads import REJECT_COLUMNS, Reject

IN_MEMORY = 1024 * 1024  # bytes; a larger file is kept on disk


class Rejects(Protocol):
    """Collects the rejects of a file."""

    count: int
    size: int  # characters of cells and reasons, without those of `restore`

    def add(self, reject: Reject) -> None:
        """Add a reject."""

    def restore(self, chunks: Iterable[bytes], count: int) -> None:
        """Add the rejects of an earlier attempt, which got these bytes from `since`."""

    def end(self) -> int:
        """Return the offset in bytes at which the next reject will be written."""

    def since(self, offset: int) -> bytes:
        """Return the rejects from the offset on. More can be added afterwards."""


class RejectCount:
    """Counts rejects without keeping them."""

    def __init__(self) -> None:
        self.count = self.size = 0

    def add(self, reject: Reject) -> None:  # noqa: ARG002 - as the protocol has it
        self.count += 1

    def restore(self, chunks: Iterable[bytes], count: int) -> None:  # noqa: ARG002 - nothing was kept
        self.count += count

    def end(self) -> int:
        return 0

    def since(self, offset: int) -> bytes:  # noqa: ARG002 - as the protocol has it
        return b""


class RejectFile:
    """Collects any number of rejects in constant memory. A context manager that removes its file at the end.

    Writes UTF-8 with commas, as in RFC 4180: the format that producers.csv.uploads.Correction reads.
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
        # The bytes go below the text layer, which must not hold text that belongs before them.
        self._text.flush()
        for chunk in chunks:
            self._file.write(chunk)
        self.count += count

    def end(self) -> int:
        self._text.flush()
        return self._file.tell()

    def since(self, offset: int) -> bytes:
        self._text.flush()
        self._file.seek(offset)
        return self._file.read()  # leaves the file at its end, where the next reject is written

    def written(self) -> IO[bytes]:
        """Return the whole file, positioned at its start. No reject can be added afterwards."""
        self._text.flush()
        self._file.seek(0)
        return self._file


ENDING = ".closed.jsonl"

RejectState = Literal["corrected", "discarded"]


class Closed(NamedTuple):
    """The end of a rejected row, which is identified by its position in the rejects file.

    `reason` is a person's.
    """

    position: str
    state: RejectState
    reason: str = ""


def encode_closed(row: Closed) -> bytes:
    """Encode as a line of JSON."""
    return f"{json.dumps(row._asdict(), sort_keys=True, separators=(',', ':'))}\n".encode()


def decode_closed(line: bytes) -> Closed | None:
    """Decode a line of `encode_closed`; None for any other line."""
    try:
        return Closed(**json.loads(line))
    except (ValueError, TypeError):
        return None
