"""A sample of the columns of a CSV file from its first rows, read like the CSV producer, in bounded memory.

Errors and remarks about a file contain none of its values (INV-7).
"""

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
_FEW_ROWS = 100  # rows that are compared with the first one, to recognize a header
_SAME_TEXT = (FieldType.STRING, FieldType.INT, FieldType.LONG)  # equal to the cell in a key, as proposed
_TITLE_LINES = 100
_SEP = "the first line is sep= for Excel: it is left out, and must name the feed's delimiter in every file"
_QUOTES = "quotes are taken for characters like any other, since some cells have them and some have not"
_CELLS = 5_000_000  # cells of the sample: 40 MB of hashes


@dataclass(frozen=True, slots=True)
class CsvSample:
    """Columns of a file, and its form.

    `rows` is the number of rows read; the producer would reject `odd` of them with any schema. `blank` rows
    without a value are not in the sample. `unnamed` columns are left out. `whole` is True if the sample has
    all rows of the file. `encoding` to `skip_lines` are as in entity.toml. `remarks` are to be reviewed.
    """

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
    """Read at most `limit` rows, or fewer if there are thousands of columns.

    `header` is whether the first row is a header; with None it is taken for one, and refused if it looks like
    values. Raises ConfigurationError.
    """
    try:
        encoding = text_encoding("--encoding", encoding) if encoding else _encoding(path)
        for _ in decoded(_chunks(path), encoding):
            pass  # the producer rejects a file for an invalid byte anywhere, not only in the sample
        return _sample(_opened(path, encoding, delimiter), limit, header)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except BadFileError as error:
        raise ConfigurationError(f"{path}: {error.reason}{_other_encoding(path, encoding)}") from None


@dataclass(frozen=True, slots=True)
class _File:
    """The form in which a file is read, and remarks about it."""

    path: Path
    encoding: str
    delimiter: str
    quoting: bool = True
    skip_lines: int = 0
    remarks: tuple[str, ...] = ()

    def rows(self) -> Iterator[list[str]]:
        chunks, quoting, skip_lines = _chunks(self.path), self.quoting, self.skip_lines
        return iter(TextRows(chunks, self.encoding, self.delimiter, quoting=quoting, skip_lines=skip_lines))


def _opened(path: Path, encoding: str, delimiter: str | None) -> _File:
    """Return the file with the given, declared or likeliest delimiter."""
    text = next(decoded(_chunks(path), encoding), "")
    in_file, guess = declared(text), likeliest(text)
    character = delimiter or in_file or guess.character
    remarks = [_SEP] if in_file else []
    if not delimiter and not in_file and guess.also:
        others = " and ".join(map(json.dumps, guess.also))
        remarks.append(f"the delimiter {json.dumps(character)} is a guess: {others} would do as well")
    plain = has_plain_quotes(text, character)
    return _File(
        path,
        encoding,
        character,
        quoting=not plain,
        remarks=(*remarks, *([_QUOTES] if plain else [])),
    )


def _without_titles(file: _File) -> _File:
    """Skip the titles above the header, if there are any."""
    rows = list(islice(file.rows(), _FEW_ROWS))
    if not (titles := title_rows(rows)):
        return file
    # `titles` counts rows, but entity.toml skips lines, and a quoted cell may have several: try each number.
    candidates = (replace(file, skip_lines=lines) for lines in range(1, _TITLE_LINES))
    skipped = next((each for each in candidates if next(each.rows(), None) == rows[titles]), None)
    if skipped is None:
        return file
    remark = f"the first {skipped.skip_lines} lines are taken for a title above the header, and left out"
    return replace(skipped, remarks=(*file.remarks, remark))


def _sample(file: _File, limit: int, header: bool | None) -> CsvSample:
    file = _without_titles(file) if header is None else file
    first = list(islice(file.rows(), _FEW_ROWS))
    if not first:
        raise ConfigurationError(f"{file.path}: is empty: not even a header")
    columns = [text_column(name, _reading) for name in _names(file.path, first, header)]
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
        columns=named,
        rows=taken + odd,
        odd=odd,
        unnamed=len(columns) - len(named),
        whole=whole,
        encoding=file.encoding,
        delimiter=file.delimiter,
        blank=blank,
        header=header is not False,
        quoting=file.quoting,
        skip_lines=file.skip_lines,
        remarks=file.remarks,
    )


def _names(path: Path, first: Sequence[Sequence[str]], header: bool | None) -> Sequence[str]:
    """Return the names of the columns; numbered ones for a file without a header."""
    if header is None:
        _refuse_values(path, first)
    names = [f"column_{number}" for number, _ in enumerate(first[0], 1)] if header is False else first[0]
    _check_header(path, names)
    return names


def _take(columns: Sequence[ColumnSample], rows: Iterable[Sequence[str]]) -> tuple[int, int, int]:
    """Add the cells to their columns. Return the numbers of rows taken, odd and blank."""
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
    content = "no row without a NUL and with as many cells as the header" if odd else "a header and 0 rows"
    return ConfigurationError(f"{path}: found {content}; allowed: at least one row to see what columns hold")


def _refuse_values(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Raise ConfigurationError for a first row that does not look like a header."""
    if numbers := values_in(rows[0], rows[1:]):
        some = ", ".join(map(str, numbers[:10]))
        raise ConfigurationError(
            f"{path}: the first row looks like values, not like the names of columns (column {some}); use "
            "--no-header if the file has no header, or --header if these are names"
        )


def _is_odd(cells: Sequence[str], width: int) -> bool:
    return len(cells) != width or any("\0" in cell for cell in cells)


def _key_by_value(columns: Sequence[ColumnSample], rows: Iterable[Sequence[str]]) -> None:
    """Hash the columns again by the texts that their values have in a key."""
    # Different cells may be the same value, and so the same key: 01:30+01:00 and 00:30Z are one moment. The
    # types are known only after a first pass over the rows.
    typed = [(index, column, text) for index, column in enumerate(columns) if (text := _key_text(column))]
    for _, column, _ in typed:
        del column.hashes[:]
    for cells in rows if typed else ():
        if not is_blank(cells, len(columns)) and not _is_odd(cells, len(columns)):
            for index, column, text in typed:
                column.add_hash(text(cells[index]))


def _key_text(column: ColumnSample) -> Callable[[str], str] | None:
    """Return the function from a cell to its text in a key.

    None if the two are equal, and for a column that can't be in a key.
    """
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
    """Return a hint at another encoding if the file can't be decoded, else ""."""
    if encoding is None or _decodes(path, encoding):
        return ""
    other = next((guess for guess in GUESSES if guess != encoding and _decodes(path, guess)), None)
    return f": if the file is {other}, use --encoding {other}" if other else ""


def _decodes(path: Path, encoding: str) -> bool:
    try:
        for _ in decoded(_chunks(path), encoding):
            pass
    except BadFileError:
        return False
    return True
