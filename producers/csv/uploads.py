"""Which rows a file holds and where each one stands among all facts of its source. Pure.

A file dropped is new facts. A correction is rows of a rejects file, put right: each takes the place of the
row that was rejected, and the time of the correction on top (docs/architecture.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Protocol

from producers.csv.text import BadFileError, is_blank
from schemas.positions import (
    ORDER_PATTERN,
    ROW_DIGITS,
    SWEEP_ROW,
    corrected_position,
    csv_file_position,
    csv_position,
)
from schemas.sources.csv import CsvSource

REJECT_COLUMNS = ("row", "position", "column", "reason")
"""The first columns of a rejects file, before those of the file it speaks of."""

NO_POSITION = "is not the position of a rejected row of this feed"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Upload(NamedTuple):
    """One version of an object, as S3 tells it: what a file's events depend on, beside its bytes."""

    key: str
    version: str
    etag: str
    last_modified: datetime
    order: str = ""
    """Among the uploads of its second: schemas.positions.order_within_second. The notification tells it."""
    size: int | None = None
    """Bytes; for progress alone."""


class CsvRow(NamedTuple):
    """One row of text. `reported` is the position that a reject of it names; `position` that of its event."""

    number: int
    reported: str
    position: str
    occurred_at: int  # microseconds since 1970 in UTC
    cells: Sequence[str]


class Reject(NamedTuple):
    """A row that became no event, and why. `column` is empty where no one column is to blame."""

    row: int
    position: str
    column: str
    reason: str
    cells: Sequence[str]


class Sheet(Protocol):
    """A file as rows in their places. `position` is the file's: of all its rows but for their number.

    `filed_as` is its position without the order within a second: the name of its copies.
    """

    name: str
    position: str
    filed_as: str
    content: str  # hash of the file's bytes, as far as it is known
    occurred_at: int
    encoding: str
    delimiter: str
    quoting: bool
    skip_lines: int

    def columns(self, rows: Iterator[list[str]]) -> Sequence[str]:
        """The columns of the file's own cells. Takes the header row, if there is one. Raises BadFileError."""

    def placed(self, rows: Iterator[list[str]]) -> Iterator[CsvRow | Reject]:
        """The rows after the header."""

    def identity(self, row: CsvRow) -> Sequence[str]:
        """What tells this row from all others, where the entity has no key."""


class Drop:
    """A file under drop/."""

    def __init__(self, source: CsvSource, name: str, upload: Upload) -> None:
        """`name` is the object's key below drop/<feed>/."""
        day = effective_date(source, name)
        self._lacks_day = day is None and source.effective is not None
        self.name = name
        self.position = file_position(upload, day)
        self.filed_as = file_position(upload._replace(order=""), day)
        self.occurred_at = _micros(_midnight(day) if day else upload.last_modified)
        self.encoding = source.encoding
        self.delimiter = source.delimiter
        self.quoting = source.quoting
        self.skip_lines = source.skip_lines
        self.content = upload.etag  # the same hash, unless it came in parts or is encrypted with KMS
        self._source = source
        self._width = 0  # columns, once they are known

    def columns(self, rows: Iterator[list[str]]) -> Sequence[str]:
        if self._lacks_day:
            raise BadFileError(f"the file's name does not follow {self._source.effective}")
        header = self._source.header
        columns = _header(rows, self._source) if header is True else header
        self._width = len(columns)
        return columns

    def placed(self, rows: Iterator[list[str]]) -> Iterator[CsvRow]:
        for number, cells in enumerate(rows, 1):
            # A row without a value is no row, but it is counted: the others keep their positions.
            if not is_blank(cells, self._width):
                position = csv_position(self.position, number)
                yield CsvRow(number, position, position, self.occurred_at, cells)

    def identity(self, row: CsvRow) -> Sequence[str]:
        return self.name, self.content, str(row.number)


class Correction:
    """A file under corrections/, in the format of a rejects file: UTF-8, commas, whatever the feed's own is.

    A row that is rejected again keeps its position, so that it can be corrected again.
    """

    encoding = "utf-8"
    delimiter = ","
    quoting = True
    skip_lines = 0

    def __init__(self, source: CsvSource, name: str, upload: Upload) -> None:
        self.name = name
        self.content = upload.etag
        self.position = file_position(upload)
        self.filed_as = file_position(upload._replace(order=""))
        self.occurred_at = _micros(upload.last_modified)
        self._source = source
        self._corrected_at = upload.last_modified
        self._order = upload.order

    def columns(self, rows: Iterator[list[str]]) -> Sequence[str]:
        header = _header(rows, self._source)
        if tuple(header[:4]) != REJECT_COLUMNS:
            raise BadFileError(f"a correction begins with the columns {', '.join(REJECT_COLUMNS)}")
        return header[4:]

    def placed(self, rows: Iterator[list[str]]) -> Iterator[CsvRow | Reject]:
        for number, cells in enumerate(rows, 1):
            if is_blank(cells, len(REJECT_COLUMNS)):
                continue
            reported, own = "".join(cells[1:2]), cells[4:]
            place = _read_position(reported, self._source, self._corrected_at)
            if place is None:
                yield Reject(number, reported, "position", NO_POSITION, own)
            else:
                position = corrected_position(reported, self._corrected_at, self._order)
                yield CsvRow(place.row, reported, position, place.occurred_at, own)

    def identity(self, row: CsvRow) -> Sequence[str]:
        return "corrections", row.reported[: -ROW_DIGITS - 1], str(row.number)


def file_position(upload: Upload, effective: date | None = None) -> str:
    """The position of a file, from its effective date if its feed has one."""
    day = effective.isoformat().replace("-", "") if effective else ""
    return csv_file_position(day, upload.last_modified, upload.key, upload.version, upload.etag, upload.order)


def effective_date(source: CsvSource, name: str) -> date | None:
    """The date in a file's name; None where there is none, or the feed asks for none."""
    try:
        return datetime.strptime(name.rpartition("/")[2], source.effective or "").date()  # noqa: DTZ007 - a date
    except ValueError:
        return None


def _header(rows: Iterator[list[str]], source: CsvSource) -> list[str]:
    header = next(rows, None)
    if header is None:
        raise BadFileError("the file is empty: not even a header")
    return [name.strip() for name in header] if source.trim else header


_POSITION = re.compile(
    rf"(\d{{8}})?(\d{{8}}T\d{{6}}Z)(?:{ORDER_PATTERN})?-[0-9a-f]{{16}}-(\d{{{ROW_DIGITS}}})", re.ASCII
)


class _Place(NamedTuple):
    row: int
    occurred_at: int


def _read_position(text: str, source: CsvSource, latest: datetime) -> _Place | None:
    """What a position of this feed says, if its file was uploaded by `latest`; None for all else."""
    found = _POSITION.fullmatch(text)
    if found is None or (found[1] is None) is not (source.effective is None):
        return None
    try:
        uploaded = datetime.strptime(found[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        moment = datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC) if found[1] else uploaded
    except ValueError:
        return None
    row = int(found[3])
    return _Place(row, _micros(moment)) if row > SWEEP_ROW and uploaded <= latest else None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
