"""Parsing of CSV files into rows of text: decoding, quoting, and limits that keep memory constant.

The format is RFC 4180 with any line end, delimiter and encoding of Python. Quoting is strict: after a stray
quote the ends of rows are ambiguous, so the file as a whole is bad. Without quoting a quote is an ordinary
character, as in IANA's text/tab-separated-values.
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
MAX_ROW = 2 * MAX_FIELD  # characters, including quoted line ends
BOM = "\ufeff"
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_LONGEST_MARK = 3  # bytes
_SEPARATOR = re.compile(r"sep=(.)\s*")  # a first line that Excel writes and reads


class BadFileError(PoisonEventError):
    """The file has to be rejected whole: nothing of it may be published. The text holds no field values."""


class TextRows:
    """The rows of one file in order, with the header and without blank lines. Can be iterated once.

    Holds one row and one chunk in memory, however large the file. Skips a byte order mark and Excel's `sep=`.
    Raises BadFileError for bytes that are not in the encoding, the mark of another encoding, a `sep=` with
    another delimiter, broken quoting, and a field or row beyond MAX_FIELD or MAX_ROW.
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
        """`skip_lines` is the number of lines before the first row, such as titles above the header."""
        self._chunks = chunks
        self._encoding = encoding
        self._delimiter = delimiter
        self._quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
        self._skip_lines = skip_lines
        self._rows = 0

    def __iter__(self) -> Iterator[list[str]]:
        csv.field_size_limit(MAX_FIELD)  # a setting of the whole process: the module has no other
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
        """Return how many lines are skipped, and the lines after them."""
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
        """Yield blocks of whole lines."""
        # As StringIO, which iterates over its lines in C: the csv module then runs no Python code per line.
        rest, rows, size = "", 0, 0
        for text in decoded(self._chunks, self._encoding):
            # `size` counts the text since the last row was complete: an unclosed quote would otherwise
            # collect the rest of the file in memory.
            if rows != self._rows:
                rows, size = self._rows, 0
            size += len(text)
            if size > MAX_ROW:
                raise BadFileError(f"a row of more than {MAX_ROW} characters: is a quote missing?")
            rest += text
            # A carriage return at the end may be half of a CR LF: it waits for the next chunk.
            last = len(rest) - rest.endswith("\r")
            end = max(rest.rfind("\n", 0, last), rest.rfind("\r", 0, last)) + 1
            yield StringIO(rest[:end], newline="")
            rest = rest[end:]
        yield StringIO(rest, newline="")


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Decode chunks, without the byte order mark. Raises BadFileError naming the offset of a bad byte."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    start, offset = True, 0
    # An empty chunk at the end makes the decoder report an incomplete last character.
    for chunk in chain(_checked_mark(chunks, encoding), (b"",)):
        pending = len(decoder.getstate()[0])  # bytes of a character that began in an earlier chunk
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            bad = getattr(error, "start", 0)  # missing where UTF-16 lacks its byte order mark
            raise BadFileError(f"byte {offset - pending + bad} is not {encoding}") from None
        offset += len(chunk)
        if text:
            yield text.removeprefix(BOM) if start else text
            start = False


def _checked_mark(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the chunks that are not empty.

    Raises BadFileError if the file begins with another encoding's byte order mark, which this encoding would
    decode as text.
    """
    filled = filter(None, chunks)
    head = b""  # chunks may be shorter than a mark
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
    """Return whether a row consists of delimiters and blanks only. `cells` must not be empty.

    In a file with one column every row counts, even with an empty cell.
    """
    # The first cell decides nearly always, and quickly.
    return width > 1 and not cells[0].strip() and not any(map(str.strip, cells))
