"""The first rows of a CSV file as a sample of its columns: read as the CSV producer reads it, in bounded
memory. Nothing that is said of the file holds a value of it (INV-7)."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from headwater.scaffold.csv_dialect import declared, has_plain_quotes, likeliest
from headwater.scaffold.first_row import title_rows, values_in
from headwater.scaffold.proposal import ColumnSample, check_width, text_column
from producers.csv.cells import packed_cell
from producers.csv.text import BadFileError, TextRows, decoded, is_blank
from schemas.catalog.drift import safe_name
from schemas.catalog.loader import NOT_IN_A_KEY
from schemas.errors import ConfigurationError
from schemas.keys import canonical_key
from schemas.payload.fields import Field, FieldType
from schemas.sources.csv import text_encoding

GUESSES = ("utf-8", "cp1252", "latin-1")
_CHUNK = 256 * 1024  # bytes
_FEW_ROWS = 100  # that tell a header from values
_SAME_TEXT = (FieldType.STRING, FieldType.INT, FieldType.LONG)  # as they are proposed
_TITLE_LINES = 100
_SEP = "the first line is sep= for Excel: it is left out, and must name the feed's delimiter in every file"
_QUOTES = "quotes are taken for characters like any other, since some cells have them and some have not"
_CELLS = 5_000_000  # of the sample: 40 MB of hashes


@dataclass(frozen=True, slots=True)
class CsvSample:
    """`rows`: how many were looked at, `odd`: those among them that the producer rejects whatever the schema
    says, `blank`: those without a value, left out of the sample; `whole`: whether these are all that the file
    has. `header`: whether the file has one. `quoting`, `skip_lines`: as in entity.toml. `remarks`: what a
    person should know of its form."""

    columns: Sequence[ColumnSample]
    rows: int
    odd: int
    unnamed: int
    whole: bool
    encoding: str
    delimiter: str
    blank: int = 0
    header: bool = True
    quoting: bool = True
    skip_lines: int = 0
    remarks: tuple[str, ...] = ()


def sample_file(
    path: Path, delimiter: str | None, encoding: str | None, limit: int, header: bool | None = None
) -> CsvSample:
    """At most `limit` rows, fewer where there are thousands of columns. `header`: whether the first row is
    one, where that is known; else it is refused where it looks like values. Raises ConfigurationError."""
    try:
        encoding = text_encoding("--encoding", encoding) if encoding else _encoding(path)
        for _ in decoded(_chunks(path), encoding):
            pass  # a bad byte behind the sample makes the file as bad as one in it
        return _sample(_opened(path, encoding, delimiter), limit, header)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except BadFileError as error:
        raise ConfigurationError(f"{path}: {error.reason}{_other_encoding(path, encoding)}") from None


@dataclass(frozen=True, slots=True)
class _File:
    """How the file is read, and remarks on it."""

    path: Path
    encoding: str
    delimiter: str
    quoting: bool = True
    skip_lines: int = 0
    remarks: tuple[str, ...] = ()

    def rows(self) -> Iterator[list[str]]:
        chunks, quoting, skip_lines = _chunks(self.path), self.quoting, self.skip_lines
        return iter(TextRows(chunks, self.encoding, self.delimiter, quoting=quoting, skip_lines=skip_lines))


def _opened(path: Path, encoding: str, given: str | None) -> _File:
    """With the delimiter that is given, declared or likeliest."""
    text = next(decoded(_chunks(path), encoding), "")
    said, found = declared(text), likeliest(text)
    delimiter = given or said or found.character
    remarks = [_SEP] if said else []
    if not given and not said and found.also:
        others = " and ".join(map(json.dumps, found.also))
        remarks.append(f"the delimiter {json.dumps(delimiter)} is a guess: {others} would do as well")
    plain = has_plain_quotes(text, delimiter)
    return _File(path, encoding, delimiter, not plain, 0, (*remarks, *([_QUOTES] if plain else [])))


def _without_titles(file: _File) -> _File:
    """The file from its header on, where there are titles above it."""
    rows = list(islice(file.rows(), _FEW_ROWS))
    if not (titles := title_rows(rows)):
        return file
    skipped = (replace(file, skip_lines=lines) for lines in range(1, _TITLE_LINES))
    found = next((each for each in skipped if next(each.rows(), None) == rows[titles]), file)
    if found is file:
        return file
    remark = f"the first {found.skip_lines} lines are taken for a title above the header, and left out"
    return replace(found, remarks=(*file.remarks, remark))


def _sample(file: _File, limit: int, header: bool | None) -> CsvSample:
    file = _without_titles(file) if header is None else file
    first = list(islice(file.rows(), _FEW_ROWS))
    if not first:
        raise ConfigurationError(f"{file.path}: is empty: not even a header")
    if header is None:
        _refuse_values(file.path, first)
    names = [f"column_{place}" for place, _ in enumerate(first[0], 1)] if header is False else first[0]
    _check_header(file.path, names)
    columns = [text_column(name, _reading) for name in names]
    most = min(limit, max(1, _CELLS // len(columns)))
    start = int(header is not False)
    rows = islice(file.rows(), start, None)
    taken, odd, blank = _take(columns, islice(rows, most))
    whole = next(rows, None) is None
    if not taken:
        raise _without_rows(file.path, odd)
    _key_by_value(columns, islice(file.rows(), start, most + start))
    named = [column for column in columns if column.source_name]
    return CsvSample(
        *(named, taken + odd, odd, len(columns) - len(named), whole, file.encoding, file.delimiter, blank),
        header is not False,
        file.quoting,
        file.skip_lines,
        file.remarks,
    )


def _take(columns: Sequence[ColumnSample], rows: Iterable[Sequence[str]]) -> tuple[int, int, int]:
    """Adds the cells to their columns; how many rows were taken, how many are odd, and how many are blank."""
    taken = odd = blank = 0
    for cells in rows:
        if is_blank(cells, len(columns)):
            blank += 1
        elif _is_odd(cells, len(columns)):
            odd += 1
        else:
            taken += 1
            for column, cell in zip(columns, cells, strict=True):
                column.add(cell)
    return taken, odd, blank


def _without_rows(path: Path, odd: int) -> ConfigurationError:
    found = "no row without a NUL and with as many cells as the header" if odd else "a header and 0 rows"
    return ConfigurationError(f"{path}: found {found}; allowed: at least one row to see what columns hold")


def _refuse_values(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Raises ConfigurationError for a first row that does not look like a header."""
    if places := values_in(rows[0], rows[1:]):
        some = ", ".join(map(str, places[:10]))
        raise ConfigurationError(
            f"{path}: the first row looks like values, not like the names of columns (column {some}); say "
            "--no-header if the file has no header, or --header if these are names"
        )


def _is_odd(cells: Sequence[str], width: int) -> bool:
    return len(cells) != width or any("\0" in cell for cell in cells)


def _key_by_value(columns: Sequence[ColumnSample], rows: Iterable[Sequence[str]]) -> None:
    """Has the columns told apart by what a key is made of: 01:30+01:00 and 00:30Z are one moment."""
    typed = [(place, column, text) for place, column in enumerate(columns) if (text := _key_text(column))]
    for _, column, _ in typed:
        del column.hashes[:]
    for cells in rows if typed else ():
        if not is_blank(cells, len(columns)) and not _is_odd(cells, len(columns)):
            for place, column, text in typed:
                column.add_hash(text(cells[place]))


def _key_text(column: ColumnSample) -> Callable[[str], str] | None:
    """From a cell to its text in a key; None where that is the cell itself, and for what can be in no key."""
    field, _ = column.kind()
    if column.nulls or not column.texts.texts or field.kind in _SAME_TEXT or field.kind in NOT_IN_A_KEY:
        return None
    pack = packed_cell(field, trim=False)
    return lambda cell: canonical_key([field.unpack(pack(cell))])


def _check_header(path: Path, header: Sequence[str]) -> None:
    for name, times in Counter(header).items():
        if name and times > 1:
            raise ConfigurationError(
                f"{path}: the column {safe_name(name)} is there {times} times; allowed: each once, since it "
                "would be unclear which is meant"
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
