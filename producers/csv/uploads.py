"""The rows of a file and their positions among all facts of the source. Pure.

A dropped file holds new facts. A correction holds corrected rows of a rejects file: each takes the position
of the rejected row, extended by the time of the correction (docs/architecture.md).
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
"""The first columns of a rejects file, before those of the rejected file."""

NO_POSITION = "is not the position of a rejected row of this feed"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Upload(NamedTuple):
    """One version of an object, as S3 describes it: all that a file's events depend on, beside its bytes."""

    key: str
    version: str
    etag: str
    last_modified: datetime
    order: str = ""
    """Order among the uploads of its second, see schemas.positions.order_within_second."""
    size: int | None = None
    """Size in bytes, for progress reports only."""


class CsvRow(NamedTuple):
    """A row of text. `position` is that of its event; `reported` the position that a reject of it names."""

    number: int
    reported: str
    position: str
    occurred_at: int  # microseconds since 1970 in UTC
    cells: Sequence[str]


class Reject(NamedTuple):
    """A row that became no event, with the reason. `column` is empty if no single column has the error."""

    row: int
    position: str
    column: str
    reason: str
    cells: Sequence[str]


class Sheet(Protocol):
    """A file as a sequence of rows with positions.

    `position` is the file's: the positions of its rows begin with it. `filed_as` is that position without the
    order within a second; the file's copies are named by it.
    """

    name: str
    position: str
    filed_as: str
    content: str  # hash of the file's bytes; the ETag until they are read
    occurred_at: int
    encoding: str
    delimiter: str
    quoting: bool
    skip_lines: int

    def columns(self, rows: Iterator[list[str]]) -> Sequence[str]:
        """Return the columns of the file's own cells, consuming a header row. Raises BadFileError."""

    def placed(self, rows: Iterator[list[str]]) -> Iterator[CsvRow | Reject]:
        """Yield the rows after the header, with their positions."""

    def identity(self, row: CsvRow) -> Sequence[str]:
        """Return what identifies this row if the entity has no key."""


class Drop:
    """A file under drop/, which holds new facts."""

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
        self.content = upload.etag  # the MD5, except after an upload in parts or with encryption by KMS
        self._source = source
        self._width = 0  # number of columns, once they are known

    def columns(self, rows: Iterator[list[str]]) -> Sequence[str]:
        if self._lacks_day:
            raise BadFileError(f"the file's name does not follow {self._source.effective}")
        header = self._source.header
        columns = _header(rows, self._source) if header is True else header
        self._width = len(columns)
        return columns

    def placed(self, rows: Iterator[list[str]]) -> Iterator[CsvRow]:
        for number, cells in enumerate(rows, 1):
            # Blank rows are left out but counted, so that the position of a row does not depend on them.
            if not is_blank(cells, self._width):
                position = csv_position(self.position, number)
                yield CsvRow(
                    number=number,
                    reported=position,
                    position=position,
                    occurred_at=self.occurred_at,
                    cells=cells,
                )

    def identity(self, row: CsvRow) -> Sequence[str]:
        return self.name, self.content, str(row.number)


class Correction:
    """A file under corrections/, in the format of a rejects file, whatever the feed's own format is.

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
            reported, own = "".join(cells[1:2]), cells[4:]  # the row may have less than two cells
            original = _parse_position(reported, self._source, self._corrected_at)
            if original is None:
                yield Reject(row=number, position=reported, column="position", reason=NO_POSITION, cells=own)
            else:
                yield CsvRow(
                    number=original.row,
                    reported=reported,
                    position=corrected_position(reported, self._corrected_at, self._order),
                    occurred_at=original.occurred_at,
                    cells=own,
                )

    def identity(self, row: CsvRow) -> Sequence[str]:
        return "corrections", row.reported[: -ROW_DIGITS - 1], str(row.number)


def file_position(upload: Upload, effective: date | None = None) -> str:
    """Return the position of a file, which begins with its effective date if its feed has one."""
    day = effective.isoformat().replace("-", "") if effective else ""
    return csv_file_position(
        day,
        upload.last_modified,
        object_key=upload.key,
        version_id=upload.version,
        etag=upload.etag,
        order=upload.order,
    )


def effective_date(source: CsvSource, name: str) -> date | None:
    """Return the date in a file's name; None if it has none, or the feed is not ordered by dates."""
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


class _Rejected(NamedTuple):
    row: int
    occurred_at: int


def _parse_position(text: str, source: CsvSource, latest: datetime) -> _Rejected | None:
    """Parse the position of a rejected row; None for other text, or a file uploaded after `latest`."""
    # A person may have edited the text: a wrong position would put the row in front of newer facts.
    match = _POSITION.fullmatch(text)
    if match is None or (match[1] is None) is not (source.effective is None):
        return None
    try:
        uploaded = datetime.strptime(match[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        moment = datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC) if match[1] else uploaded
    except ValueError:
        return None
    row = int(match[3])
    return _Rejected(row, _micros(moment)) if row > SWEEP_ROW and uploaded <= latest else None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
