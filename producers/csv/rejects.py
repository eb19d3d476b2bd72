"""The rejects of one file as a CSV file: what is wrong with each row, then its own cells as they came."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import TextIOWrapper
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Self

from producers.csv.places import REJECT_COLUMNS, Reject

IN_MEMORY = 1024 * 1024  # bytes; more goes to a temporary file


class RejectFile:
    """Collects any number of rejects in constant memory. A context manager: leaving it removes its file.

    UTF-8, commas, RFC 4180: the form in which producers.csv.places.Correction takes them back.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.count = 0
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
        self._writer.writerow([reject.row, reject.position, reject.column, reject.reason, *reject.cells])

    def written(self) -> IO[bytes]:
        """The whole file, from its start; nothing can be added any more."""
        self._text.flush()
        self._file.seek(0)
        return self._file
