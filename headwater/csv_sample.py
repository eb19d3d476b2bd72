"""The first rows of a CSV file as a sample of its columns: read as the CSV producer reads it, in bounded
memory. Nothing that is said of the file holds a value of it (INV-7)."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from producers.csv.cells import packed_cell
from producers.csv.text import BadFileError, TextRows, decoded
from schemas.errors import ConfigurationError
from schemas.fields import Field, FieldType
from schemas.keys import canonical_key
from schemas.loader import NOT_IN_A_KEY
from schemas.proposal import ColumnSample, check_width, text_column
from schemas.sources import text_encoding

DELIMITERS = (",", ";", "\t", "|")
GUESSES = ("utf-8", "cp1252", "latin-1")
_CHUNK = 256 * 1024  # bytes
_FEW_ROWS = 10
_SAME_TEXT = (FieldType.STRING, FieldType.INT, FieldType.LONG)  # as they are proposed
_CELLS = 5_000_000  # of the sample: 40 MB of hashes


@dataclass(frozen=True, slots=True)
class CsvSample:
    """`rows`: how many were looked at, `odd`: those among them that the producer rejects whatever the schema
    says; `whole`: whether these are all that the file has."""

    columns: Sequence[ColumnSample]
    rows: int
    odd: int
    unnamed: int
    whole: bool
    encoding: str
    delimiter: str


def sample_file(path: Path, delimiter: str | None, encoding: str | None, limit: int) -> CsvSample:
    """At most `limit` rows, fewer where there are thousands of columns. Raises ConfigurationError."""
    try:
        encoding = text_encoding("--encoding", encoding) if encoding else _encoding(path)
        delimiter = delimiter or _delimiter(path, encoding)
        return _sample(path, delimiter, encoding, limit)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except BadFileError as error:
        raise ConfigurationError(f"{path}: {error.reason}{_other_encoding(path, encoding)}") from None


def _sample(path: Path, delimiter: str, encoding: str, limit: int) -> CsvSample:
    for _ in decoded(_chunks(path), encoding):
        pass  # a bad byte behind the sample makes the file as bad as one in it
    rows = iter(TextRows(_chunks(path), encoding, delimiter))
    header = next(rows, None)
    if header is None:
        raise ConfigurationError(f"{path}: is empty: not even a header")
    _check_header(path, header)
    columns = [text_column(name, _reading) for name in header]
    most = min(limit, max(1, _CELLS // len(columns)))
    taken = odd = 0
    for cells in islice(rows, most):
        if _is_odd(cells, len(columns)):
            odd += 1
            continue
        taken += 1
        for column, cell in zip(columns, cells, strict=True):
            column.add(cell)
    whole = next(rows, None) is None
    _key_by_value(columns, islice(TextRows(_chunks(path), encoding, delimiter), 1, most + 1))
    return _made(path, columns, taken, odd, whole, encoding, delimiter)


def _is_odd(cells: Sequence[str], width: int) -> bool:
    return len(cells) != width or any("\0" in cell for cell in cells)


def _key_by_value(columns: Sequence[ColumnSample], rows: Iterable[Sequence[str]]) -> None:
    """Has the columns told apart by what a key is made of: 01:30+01:00 and 00:30Z are one moment."""
    typed = [(place, column, text) for place, column in enumerate(columns) if (text := _key_text(column))]
    for _, column, _ in typed:
        del column.hashes[:]
    for cells in rows if typed else ():
        if not _is_odd(cells, len(columns)):
            for place, column, text in typed:
                column.add_hash(text(cells[place]))


def _key_text(column: ColumnSample) -> Callable[[str], str] | None:
    """From a cell to its text in a key; None where that is the cell itself, and for what can be in no key."""
    field, _ = column.kind()
    if column.nulls or not column.texts.texts or field.kind in _SAME_TEXT or field.kind in NOT_IN_A_KEY:
        return None
    pack = packed_cell(field, trim=False)
    return lambda cell: canonical_key([field.unpack(pack(cell))])


def _made(
    path: Path,
    columns: Sequence[ColumnSample],
    taken: int,
    odd: int,
    whole: bool,
    encoding: str,
    delimiter: str,
) -> CsvSample:
    if not taken:
        found = "no row with as many cells as the header" if odd else "a header and 0 rows"
        raise ConfigurationError(f"{path}: found {found}; allowed: at least one row to see what columns hold")
    named = [column for column in columns if column.source_name]
    return CsvSample(named, taken + odd, odd, len(columns) - len(named), whole, encoding, delimiter)


def _check_header(path: Path, header: Sequence[str]) -> None:
    for name, times in Counter(header).items():
        if name and times > 1:
            raise ConfigurationError(
                f"{path}: the column {name} is there {times} times; allowed: each once, since nobody "
                "could tell which is meant"
            )
    if any("\0" in name for name in header):
        raise ConfigurationError(
            f"{path}: the first row holds a NUL; allowed: text: a file in UTF-16 or UTF-32 needs its name, "
            "as in --encoding utf-16-le"
        )
    try:
        check_width(len(header))
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not any(header):
        raise ConfigurationError(f"{path}: the first row names no column; allowed: a header")


def _reading(field: Field) -> Callable[[str], object]:
    return packed_cell(field, trim=False)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


def _other_encoding(path: Path, encoding: str | None) -> str:
    """What else the bytes may be, if that is what is wrong."""
    if encoding is None or _decodes(path, encoding):
        return ""
    other = next((each for each in GUESSES if each != encoding and _decodes(path, each)), None)
    return f": if the file is {other}, say --encoding {other}" if other else ""


def _decodes(path: Path, encoding: str) -> bool:
    try:
        for _ in decoded(_chunks(path), encoding):
            pass
    except BadFileError:
        return False
    return True


def _delimiter(path: Path, encoding: str) -> str:
    """The one that cuts the first rows into most cells, counted where they are as many as the header's."""
    text = next(decoded(_chunks(path), encoding), "")
    return max(DELIMITERS, key=lambda each: _cuts(text, each))


def _cuts(text: str, delimiter: str) -> int:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    widths: list[int] = []
    with suppress(csv.Error):
        widths += (len(row) for row in islice(rows, _FEW_ROWS) if row)
    return sum(width - 1 for width in widths if width == widths[0])
