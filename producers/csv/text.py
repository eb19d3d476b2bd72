"""The bytes of a CSV file to rows of text: decoding, quoting and the limits that keep memory constant.

RFC 4180, with any of its line ends, any delimiter and any encoding of Python's. Quoting is strict: after a
stray quote nobody knows where a row ends, so that the file as a whole is bad. Without quoting a quote is a
character like any other, as in IANA's text/tab-separated-values.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import chain, islice
from typing import Literal

from schemas.errors import PoisonEventError

MAX_FIELD = 16 * 1024 * 1024  # characters
MAX_ROW = 2 * MAX_FIELD  # characters, line ends in quotes included
BOM = "\ufeff"
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_LONGEST_MARK = 3  # bytes
_SEPARATOR = re.compile(r"sep=(.)\s*")  # Excel's own first line


class BadFileError(PoisonEventError):
    """The file is rejected whole: nothing of it may be published. The text names no field values."""


class TextRows:
    """The rows of one file in order, the header too, blank lines left out. To be iterated once.

    Holds one row and one chunk, however large the file. Leaves out a byte order mark and Excel's `sep=;`.
    Raises BadFileError for bytes that are not of the encoding, another encoding's mark, a `sep=` of another
    delimiter, broken quoting, and a field or row beyond MAX_FIELD or MAX_ROW.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        encoding: str,
        delimiter: str,
        *,
        quoting: bool = True,
        skip_lines: int = 0,
    ) -> None:
        """`skip_lines`: how many lines at the start are no rows, such as titles above the header."""
        self._chunks = chunks
        self._encoding = encoding
        self._delimiter = delimiter
        self._quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
        self._skip_lines = skip_lines
        self._rows = 0

    def __iter__(self) -> Iterator[list[str]]:
        csv.field_size_limit(MAX_FIELD)  # of the whole process: the module knows no other
        skipped, lines = self._lines()
        reader = csv.reader(lines, delimiter=self._delimiter, quoting=self._quoting, strict=True)
        try:
            for row in reader:
                self._rows += 1
                if row:
                    yield row
        except csv.Error as error:
            raise BadFileError(f"line {skipped + reader.line_num}: {error}") from None

    def _lines(self) -> tuple[int, Iterator[str]]:
        """How many lines are left out, and those after them."""
        lines = chain.from_iterable(self._blocks())
        skipped = sum(1 for _ in islice(lines, self._skip_lines))
        first = next(lines, "")
        separator = _SEPARATOR.fullmatch(first)
        if separator is None:
            return skipped, chain((first,), lines)
        if separator[1] != self._delimiter:
            raise BadFileError(
                f"line {skipped + 1} says sep={separator[1]}, but the feed's delimiter is {self._delimiter!r}"
            )
        return skipped + 1, lines

    def _blocks(self) -> Iterator[StringIO]:
        """Whole lines, as iterators of lines: the csv module reads each line without any Python between."""
        rest, rows, held = "", 0, 0
        for text in decoded(self._chunks, self._encoding):
            if rows != self._rows:
                rows, held = self._rows, 0
            held += len(text)
            if held > MAX_ROW:
                raise BadFileError(f"a row of more than {MAX_ROW} characters: is a quote missing?")
            rest += text
            # A line feed may follow the last carriage return, and does not end another line then.
            last = len(rest) - rest.endswith("\r")
            end = max(rest.rfind("\n", 0, last), rest.rfind("\r", 0, last)) + 1
            yield StringIO(rest[:end], newline="")
            rest = rest[end:]
        yield StringIO(rest, newline="")


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """The text of the chunks without a byte order mark. Raises BadFileError naming where a bad byte is."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    start, place = True, 0
    for chunk in chain(_checked_mark(chunks, encoding), (b"",)):
        cut = len(decoder.getstate()[0])  # bytes of a character that began in the chunk before
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            wrong = getattr(error, "start", 0)  # a UTF-16 without its mark has none
            raise BadFileError(f"byte {place - cut + wrong} is not {encoding}") from None
        place += len(chunk)
        if text:
            yield text.removeprefix(BOM) if start else text
            start = False


def _checked_mark(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The chunks that are not empty. Raises BadFileError where they begin with the mark of an encoding that
    this one would read as text.
    """
    filled = filter(None, chunks)
    head = b""
    for chunk in filled:
        head += chunk
        if len(head) >= _LONGEST_MARK:
            break
    for mark, marked in _MARKS.items():
        if head.startswith(mark) and mark.decode(encoding, "ignore") not in ("", BOM):
            raise BadFileError(
                f"it begins with the byte order mark of {marked}, so that it is not {encoding}"
            )
    if head:
        yield head
    yield from filled


def is_blank(cells: Sequence[str], width: int) -> bool:
    """Whether a row of a file with `width` columns is nothing but delimiters and blanks, hence no row.

    Where there is one column its cell is a value, although it is empty: a line without quotes is no row.
    `cells` holds at least one cell: the first one decides for nearly every row, quickly.
    """
    return width > 1 and not cells[0].strip() and not any(map(str.strip, cells))
