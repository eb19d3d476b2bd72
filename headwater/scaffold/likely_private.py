"""Detection of columns with personal data, by their names and by the form of their texts. Pure.

When in doubt a column is private: a false alarm costs a moment of review, while a miss puts personal data
into the log for years.
"""

import re
from dataclasses import dataclass, field

from headwater.scaffold.private_names import Suspicion, by_name

__all__ = ["LookedAt", "Suspicion", "by_name", "is_personal"]

_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"(?:\+|00?|\(0)[\d ()./-]{8,18}", re.ASCII)
_BARE = re.compile(r"00?[1-9]\d{8,13}", re.ASCII)
_POSTCODE = re.compile(r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}", re.ASCII | re.IGNORECASE)
_INSURED = re.compile(r"[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}\d\d(?: ?[A-Z\d]{1,4}){3,8}", re.ASCII)
_CARD = re.compile(r"\d{4}(?:[ -]?\d{4}){2}[ -]?\d{1,7}", re.ASCII)
_TITLED = re.compile(r"(Mrs?|Ms|Miss|Dr|Prof|Sir|Herr|Frau|Mme|Mlle|Sra?|Dhr|Mevr)\.? [^\W\d_]\S*( \S+){0,3}")
_NETWORK = re.compile(r"(\d{1,3}\.){3}\d{1,3}", re.ASCII)
_MAIL_WITHIN = re.compile(r"[\w.+-]+@[\w-]+\.[a-zA-Z]{2,}", re.ASCII)
_PHONE_WITHIN = re.compile(r"(?<![\w.,/-])(?:\+[1-9]|\(?0[1-9])[\d ()/-]{7,16}\d(?![\w.,]\d)", re.ASCII)

_EXAMINED = 1_000  # texts of a column
_LONGEST = 254  # characters of a mail address (RFC 5321)
_SEARCHED = 10_000  # characters of a text that are searched for a mail address or phone number
_ENOUGH = 0.5  # share of the examined texts
_FEW = 3  # fewer numbers are too few to judge the distance between them
_DENSE = 10_000  # maximum average distance between two numbers of a counter


def _is_phone(text: str) -> bool:
    """Return True if the text is formatted like a phone number. Digits alone and padded counters are not."""
    digits = "".join(character for character in text if character.isdigit())
    formatted = _PHONE.fullmatch(text) and not text.isdigit()
    return bool(formatted) and len(digits) >= 10 and not digits.startswith("000")


def _is_iban(text: str) -> bool:
    """Return True for an IBAN with valid check digits (ISO 13616)."""
    if not _IBAN.fullmatch(text):
        return False
    plain = text.replace(" ", "")
    # Country and check digits are moved to the end, and letters count as 10 to 35.
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """Return True for a card number with a valid check digit (Luhn, ISO/IEC 7812)."""
    if not _CARD.fullmatch(text):
        return False
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    # From the right, every second digit is doubled, and replaced by its digit sum.
    total = sum(digit if index % 2 == 0 else sum(divmod(2 * digit, 10)) for index, digit in enumerate(digits))
    return total % 10 == 0


def _holds_one(text: str) -> bool:
    """Return True if the text has a mail address or a phone number among other words."""
    matches = _PHONE_WITHIN.finditer(text)
    return bool(_MAIL_WITHIN.search(text)) or any(sum(map(str.isdigit, match[0])) >= 10 for match in matches)


_SHAPES = (
    ("mail addresses", lambda text: "@" in text and bool(_MAIL.fullmatch(text)), Suspicion.LIKELY, _ENOUGH),
    ("phone numbers", _is_phone, Suspicion.LIKELY, _ENOUGH),
    ("numbers of accounts", _is_iban, Suspicion.LIKELY, _ENOUGH),
    ("numbers of payment cards", _is_card, Suspicion.LIKELY, 1.0),
    ("national insurance numbers", lambda text: bool(_INSURED.fullmatch(text)), Suspicion.LIKELY, 0.9),
    ("names of persons", lambda text: bool(_TITLED.fullmatch(text)), Suspicion.LIKELY, _ENOUGH),
    ("postcodes", lambda text: bool(_POSTCODE.fullmatch(text)), Suspicion.POSSIBLE, _ENOUGH),
    ("network addresses", lambda text: bool(_NETWORK.fullmatch(text)), Suspicion.POSSIBLE, 0.9),
)
"""Forms that a whole text may have: what it is, how to recognize it, its suspicion, and the share of the
examined texts that must have it. The first match counts."""


def is_personal(text: str) -> bool:
    """Return True if a single text has the form of personal data."""
    # Network addresses are too similar to other dotted numbers to decide by a single text.
    return any(shape(text) for what, shape, _, _ in _SHAPES if what != "network addresses")


@dataclass(slots=True)
class LookedAt:
    """Statistics on the form of the first texts of a column."""

    texts: int = 0
    shapes: dict[str, int] = field(default_factory=dict)
    within: int = 0
    """Texts that contain a mail address or a phone number among other words."""
    bare: int = 0
    """Texts of digits alone that could be phone numbers."""
    least: int = 0
    greatest: int = 0

    def add(self, text: str) -> None:
        if self.texts >= _EXAMINED:
            return
        self.texts += 1
        text = text.strip()
        if len(text) <= _LONGEST:  # also bounds the time that the patterns take
            for what, shape, _, _ in _SHAPES:
                if shape(text):
                    self.shapes[what] = self.shapes.get(what, 0) + 1
                    return
            if _BARE.fullmatch(text):
                self._add_bare(int(text))
                return
        self.within += " " in text and _holds_one(text[:_SEARCHED])

    def add_alone(self, text: str) -> None:
        """Add a text that is unrelated to the others, such as a member of a list. A single match counts."""
        alone = LookedAt()
        alone.add(text)
        suspicion, what = alone.verdict()
        if suspicion is not Suspicion.NONE:
            self.shapes[what] = self.shapes.get(what, 0) + 1

    def each(self) -> list[tuple[Suspicion, str]]:
        """Return everything that was seen, however rarely."""
        known = {what: suspicion for what, _, suspicion, _ in _SHAPES}
        return [(known.get(what, Suspicion.POSSIBLE), what) for what in self.shapes]

    def _add_bare(self, number: int) -> None:
        self.least = min(self.least, number) if self.bare else number
        self.greatest = max(self.greatest, number)
        self.bare += 1

    def verdict(self) -> tuple[Suspicion, str]:
        """Return the suspicion for the column, and what its texts seem to be."""
        for what, _, suspicion, share in _SHAPES:
            if self.shapes.get(what, 0) >= max(1, share * self.texts):
                return suspicion, what
        if self.bare + self.shapes.get("phone numbers", 0) >= max(1, _ENOUGH * self.texts):
            return self._bare_verdict()
        return (Suspicion.POSSIBLE, _WITHIN) if self.within else (Suspicion.NONE, "")

    def _bare_verdict(self) -> tuple[Suspicion, str]:
        """Return the suspicion for a column of digits."""
        # Phone numbers are far apart, while the numbers of a counter are close together.
        if self.bare < _FEW:
            return Suspicion.POSSIBLE, "what may be phone numbers"
        far_apart = self.greatest - self.least > _DENSE * self.bare
        return (Suspicion.LIKELY, "phone numbers") if far_apart else (Suspicion.NONE, "")


_WITHIN = "texts that hold mail addresses or phone numbers"
