"""The bytes of a CSV file to rows of text: decoding, quoting and the limits that keep memory constant.

RFC 4180, with any of its line ends, any delimiter and any encoding of Python's. Quoting is strict: after a
stray quote nobody knows where a row ends, so that the file as a whole is bad.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import chain

from schemas.errors import PoisonEventError

MAX_FIELD = 16 * 1024 * 1024  # characters
MAX_ROW = 2 * MAX_FIELD  # characters, line ends in quotes included
BOM = "\ufeff"
UTF8_BOM = codecs.BOM_UTF8.decode("latin-1")


class BadFileError(PoisonEventError):
    """The file is rejected whole: nothing of it may be published. The text names no field values."""


class TextRows:
    """The rows of one file in order, the header too, blank lines left out. To be iterated once.

    Holds one row and one chunk, however large the file. A byte order mark is not text. Raises BadFileError
    for bytes that are not of the encoding, broken quoting, and a field or row beyond MAX_FIELD or MAX_ROW.
    """

    def __init__(self, chunks: Iterable[bytes], encoding: str, delimiter: str) -> None:
        self._chunks = chunks
        self._encoding = encoding
        self._delimiter = delimiter
        self._rows = 0

    def __iter__(self) -> Iterator[list[str]]:
        csv.field_size_limit(MAX_FIELD)  # of the whole process: the module knows no other
        lines = chain.from_iterable(self._blocks())
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        try:
            for row in reader:
                self._rows += 1
                if row:
                    yield row
        except csv.Error as error:
            raise BadFileError(f"line {reader.line_num}: {error}") from None

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
            end = max(rest.rfind("\n"), rest.rfind("\r")) + 1  # between \r and \n: one blank line more
            yield StringIO(rest[:end], newline="")
            rest = rest[end:]
        yield StringIO(rest, newline="")


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """The text of the chunks without a byte order mark. Raises BadFileError naming where a bad byte is."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    start, place = True, 0
    for chunk in chain(filter(None, chunks), (b"",)):
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
