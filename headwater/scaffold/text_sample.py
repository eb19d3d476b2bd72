"""Detection of the type of a column from its texts, one by one and in constant memory. Pure.

A type is proposed only if it represents every text of the sample exactly: 007 is not a number, since its
zeros would be lost, nor is 1E5, which is more often a code than 100,000. Guesses are marked for review.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite

from schemas.errors import PoisonEventError
from schemas.payload.fields import Field, FieldType

Reading = Callable[[Field], Callable[[str], object]]
"""Returns the reader of a source for the texts of a field. It raises ValueError or PoisonEventError."""

DATES = (
    "%d-%m-%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%b-%y",
)
TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
_YES_NO = (
    *("Yes|No", "Ja|Nein", "Ja|Nee", "Ja|Nej", "Oui|Non", "Sí|No", "Si|No", "Sì|No", "Sim|Não", "Tak|Nie"),
    *("Ano|Ne", "Wahr|Falsch", "Vrai|Faux", "Kyllä|Ei"),
)
BOOLEANS = (
    *("Y|N", "y|n", "T|F", "t|f", "J|N", "j|n", "On|Off", "ON|OFF", "on|off"),
    *(change(pair) for pair in _YES_NO for change in (str, str.upper, str.lower)),
)
LENGTHS = (50, 100, 200, 500, 1_000, 2_000, 4_000)
CENTURY = "a year of two digits: see that its century is right"
EXPONENTS = (
    "numbers with an exponent that no float gives back, or codes such as 1E5: text; if a spreadsheet made "
    "them of longer numbers, digits are lost in the file"
)
CODES = "numbers with an exponent: text, if these are codes such as 1e5"
FIXED_POINT = "numbers such as 1.1 and 1.10 are one number here: text, if they are to differ"
AMOUNTS = "numbers with separators, a decimal comma, a currency or %: text, as no format reads them"
PLACEHOLDERS = (
    "values of one type beside words for no value, such as N/A: text, as only an empty cell is null"
)
MILLIS, SECONDS = "moments in milliseconds since 1970", "moments in seconds since 1970"
SWAPPED = "day and month may be the other way round: no day above 12 was seen"

_WHOLE = re.compile(r"0|-?[1-9]\d*", re.ASCII)
_POINT = re.compile(r"-?(?:0|[1-9]\d*)\.\d+", re.ASCII)
_EXPONENT = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?[eE][+-]?\d{1,3}", re.ASCII)
_AMOUNT = re.compile(
    r"[-+(]?\s?[£$€¥]?\s?[-+]?(?:0|[1-9]\d{0,2})(?:[ .,'’\u00a0\u202f]?\d{3})*(?:[.,]\d+)?"
    r"\s?(?:[£$€¥%]|EUR|USD|GBP|CHF|kr|zł)?\)?"
)
_NO_VALUE = frozenset(
    {"n/a", "na", "n.a.", "#n/a", "nan", "nil", "null", "none", "-", "--", "?", "unknown", "missing"}
)
_PLAIN = frozenset("0123456789+-")
_FEW = 20  # distinct texts that are kept
_SHORT = 40  # maximum length of a text that is kept
_INT, _LONG = 1_000_000_000, 2**63 - 1
_DIGITS = 38
_FLOAT_DIGITS = 15  # decimal digits that a float always preserves
_FIRST, _LAST = 946_684_800, 4_102_444_800  # 2000 to 2100, in seconds since 1970
_MANY = 1_000  # rows needed to judge the number of distinct values


def moments() -> Iterator[Field]:
    """Yield the types and formats of dates and times that are tried, the likeliest first."""
    local = FieldType.LOCAL_TIMESTAMP_MICROS
    yield Field("f", FieldType.DATE)
    yield from (Field("f", FieldType.DATE, format=each) for each in DATES)
    yield Field("f", FieldType.TIMESTAMP_MICROS)
    yield Field("f", local)
    yield from (Field("f", local, format=f"{day} {time}") for day in DATES for time in TIMES)


@dataclass(slots=True)
class TextSample:
    """Statistics on the texts of a column.

    `reading` is None if they can't be dates. `numbers` is False if they can't be numbers or booleans.
    """

    reading: Reading | None
    numbers: bool = True
    texts: int = 0
    longest: int = 0
    few: set[str] | None = field(default_factory=set)
    """The distinct texts; None if there are more than _FEW, or one is long."""
    _moments: list[tuple[Field, Callable[[str], object]]] | None = None
    _is_number: bool = True
    _exponent: bool = False
    _codes: bool = False
    """True if an E follows a whole number, as in 1E5."""
    _like_codes: bool = False
    """True if an E or e does."""
    _exact: bool = True
    """True if a float preserves each number."""
    _greatest: int = 0
    _whole_digits: int = 0
    _scale: int = 0
    _least: int = 2**63
    _scales: bool = False
    """True if the numbers of decimal places differ."""
    _ends_in_zero: bool = False
    _is_amount: bool = True
    _separated: bool = False
    _placeholders: int = 0

    def add(self, text: str) -> None:
        """Add a text that is not empty."""
        self.texts += 1
        self.longest = max(self.longest, len(text))
        if self.few is not None and text not in self.few:
            self.few = {*self.few, text} if len(self.few) < _FEW and len(text) <= _SHORT else None
        if text.strip().casefold() in _NO_VALUE:
            self._placeholders += 1
        else:
            self._add_value(text)

    def _add_value(self, text: str) -> None:
        if self.numbers and self._is_number:
            self._add_number(text)
        if self._is_amount:
            self._is_amount = len(text) <= _SHORT and bool(_AMOUNT.fullmatch(text))
            self._separated |= not _PLAIN.issuperset(text)
        # Formats that do not fit are dropped one by one; an empty list means that none is left.
        if self._moments != [] and self.reading is not None:
            self._add_moment(text, self.reading)

    def _add_number(self, text: str) -> None:
        if _WHOLE.fullmatch(text) and len(text) <= _DIGITS:
            self._greatest = max(self._greatest, abs(int(text)))
            self._least = min(self._least, int(text))
            self._whole_digits = max(self._whole_digits, len(text.lstrip("-")))
        elif _POINT.fullmatch(text) and len(text) <= 2 * _DIGITS:
            whole, _, behind = text.lstrip("-").partition(".")
            self._whole_digits = max(self._whole_digits, len(whole))
            self._scales |= self._scale not in (0, len(behind))
            self._scale = max(self._scale, len(behind))
            self._ends_in_zero |= behind.endswith("0")
        elif _EXPONENT.fullmatch(text):
            self._exponent = True
            self._codes |= "E" in text and "." not in text and "-" not in text
            self._like_codes |= "." not in text and "-" not in text
        else:
            self._is_number = False
        self._exact = self._exact and self._is_number and _is_exact(text)

    def _add_moment(self, text: str, reading: Reading) -> None:
        candidates = self._moments
        if candidates is None:
            candidates = [(moment, reading(moment)) for moment in moments()]
        self._moments = [(moment, read) for moment, read in candidates if _reads(read, text)]

    @property
    def is_number(self) -> bool:
        """True if a number type of Avro represents each text exactly."""
        return not self._placeholders and self._number() is not None

    def kind(self) -> tuple[Field, str]:
        """Return a field of the likeliest type, and what a person should check, or ""."""
        if not self.texts:
            return Field("f", FieldType.STRING, max_length=200), "no value was seen"
        if self._placeholders:
            return self.string()
        return self._boolean() or self._moment() or self._number() or self.string()

    def string(self) -> tuple[Field, str]:
        """Return a string type with room for longer texts, and what a person should check, or ""."""
        length = next((length for length in LENGTHS if length >= 2 * self.longest), None)
        return Field("f", FieldType.STRING, max_length=length), self._string_review()

    def moment_since_1970(self) -> tuple[str, str] | None:
        """Return the format and the meaning of whole numbers that may be moments, or None."""
        if not self._is_number or self._exponent or self._scale or self._placeholders or not self.texts:
            return None
        for epoch, unit, what in ("epoch-millis", 1_000, MILLIS), ("epoch-seconds", 1, SECONDS):
            if self._least >= _FIRST * unit and self._greatest < _LAST * unit:
                return epoch, what
        return None

    def _string_review(self) -> str:
        if 0 < self._placeholders < self.texts and (self._moment() or self._number()):
            return PLACEHOLDERS
        if self.numbers and self._is_number and self._exponent and self._number() is None:
            return EXPONENTS
        if self.numbers and self._is_amount and self._separated and not self._is_number:
            return AMOUNTS
        if self.few is None or self.texts < _MANY or len(self.few) > 10:
            return ""
        if not all(re.fullmatch(r"[A-Za-z_]\w*", text, re.ASCII) for text in self.few):
            return ""  # not symbols of an Avro enum
        return f"{len(self.few)} different values: an enum, if there will be no others"

    def _boolean(self) -> tuple[Field, str] | None:
        few = self.few or set()
        if not self.numbers or not few:
            return None
        if {text.lower() for text in few} <= {"true", "false"}:
            return Field("f", FieldType.BOOLEAN), ""
        pair = next((pair for pair in BOOLEANS if few == {*pair.split("|")}), None)
        return (Field("f", FieldType.BOOLEAN, format=pair), "") if pair else None

    def _moment(self) -> tuple[Field, str] | None:
        if not self._moments:
            return None
        candidates = [moment for moment, _ in self._moments]
        chosen = candidates[0]
        # Two formats that are equal once %m and %d are the same differ only in the order of day and month.
        orders = {(moment.format or "").replace("%m", "%d") for moment in candidates}
        swapped = SWAPPED if len(orders) < len(candidates) else ""
        century = CENTURY if "%y" in str(chosen.format) else ""
        return chosen, "; ".join(filter(None, (swapped, century)))

    def _number(self) -> tuple[Field, str] | None:
        if not self.numbers or not self._is_number:
            return None
        if self._exponent:
            review = CODES if self._like_codes else ""
            return (Field("f", FieldType.DOUBLE), review) if self._exact and not self._codes else None
        if not self._scale:
            return self._whole()
        scale = max(self._scale, 2)  # at least cents, and below three more digits before the point
        if self._whole_digits + scale > _DIGITS:
            return None
        precision = min(_DIGITS, self._whole_digits + scale + 3)
        review = FIXED_POINT if self._scales and self._ends_in_zero else ""
        return Field("f", FieldType.DECIMAL, precision=precision, scale=scale), review

    def _whole(self) -> tuple[Field, str] | None:
        if self._greatest > _LONG:
            return None
        review = "0 and 1 alone: perhaps a boolean, with the format 1|0" if self.few == {"0", "1"} else ""
        return Field("f", FieldType.INT if self._greatest <= _INT else FieldType.LONG), review


def _is_exact(text: str) -> bool:
    """Return True if the nearest float preserves the number."""
    # Shortcut for the usual case; a number with an exponent may be out of range or subnormal.
    if len(text) <= _FLOAT_DIGITS and text.isascii() and not {"e", "E"} & {*text}:
        return True
    number = float(text)
    return isfinite(number) and Decimal(repr(number)) == Decimal(text)


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except (ValueError, PoisonEventError):
        return False
    return True
