"""Which columns are likely to say something of a person: by their names, and by what their texts look like.
Pure.

A guess that is too careful costs a word of review; one that is too bold puts a person into a log for years.
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

_LOOKED_AT = 1_000  # texts
_LONGEST = 254  # characters of a mail address (RFC 5321)
_SEARCHED = 10_000  # characters of a text in which something of a person may be
_ENOUGH = 0.5  # of them
_FEW = 3  # texts say too little of how far apart numbers are
_DENSE = 10_000  # between two numbers of a counter, on average, at most


def _is_phone(text: str) -> bool:
    """Written as phone numbers are: zeros that fill up a counter are none, nor are digits alone."""
    digits = "".join(each for each in text if each.isdigit())
    written = _PHONE.fullmatch(text) and not text.isdigit()
    return bool(written) and len(digits) >= 10 and not digits.startswith("000")


def _is_iban(text: str) -> bool:
    if not _IBAN.fullmatch(text):
        return False
    plain = text.replace(" ", "")
    return int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """Luhn's check of ISO/IEC 7812."""
    if not _CARD.fullmatch(text):
        return False
    digits = [int(each) for each in reversed(text) if each.isdigit()]
    return (
        sum(each if place % 2 == 0 else sum(divmod(2 * each, 10)) for place, each in enumerate(digits)) % 10
        == 0
    )


def _holds_one(text: str) -> bool:
    """A mail address or a phone number among other words."""
    found = _PHONE_WITHIN.finditer(text)
    return bool(_MAIL_WITHIN.search(text)) or any(sum(map(str.isdigit, each[0])) >= 10 for each in found)


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
"""What a text may be as a whole, and which share of the texts has to be that."""


def is_personal(text: str) -> bool:
    """Whether one text by itself has the shape of something that names a person."""
    return any(shape(text) for what, shape, _, _ in _SHAPES if what not in ("network addresses",))


@dataclass(slots=True)
class LookedAt:
    """What the first texts of a column look like."""

    texts: int = 0
    shapes: dict[str, int] = field(default_factory=dict)
    within: int = 0
    """Texts that hold a mail address or a phone number among other words."""
    bare: int = 0
    """Digits alone that could be a phone number."""
    least: int = 0
    greatest: int = 0

    def add(self, text: str) -> None:
        if self.texts >= _LOOKED_AT:
            return
        self.texts += 1
        text = text.strip()
        if len(text) <= _LONGEST:
            for what, shape, _, _ in _SHAPES:
                if shape(text):
                    self.shapes[what] = self.shapes.get(what, 0) + 1
                    return
            if _BARE.fullmatch(text):
                self._add_bare(int(text))
                return
        self.within += " " in text and _holds_one(text[:_SEARCHED])

    def add_alone(self, text: str) -> None:
        """One that says nothing of others, such as a text of a list: each counts."""
        alone = LookedAt()
        alone.add(text)
        suspicion, what = alone.verdict()
        if suspicion is not Suspicion.NONE:
            self.shapes[what] = self.shapes.get(what, 0) + 1

    def each(self) -> list[tuple[Suspicion, str]]:
        """Everything that was seen, however rarely."""
        known = {what: suspicion for what, _, suspicion, _ in _SHAPES}
        return [(known.get(what, Suspicion.POSSIBLE), what) for what in self.shapes]

    def _add_bare(self, number: int) -> None:
        self.least = min(self.least, number) if self.bare else number
        self.greatest = max(self.greatest, number)
        self.bare += 1

    def verdict(self) -> tuple[Suspicion, str]:
        for what, _, suspicion, share in _SHAPES:
            if self.shapes.get(what, 0) >= max(1, share * self.texts):
                return suspicion, what
        if self.bare + self.shapes.get("phone numbers", 0) >= max(1, _ENOUGH * self.texts):
            return self._bare_verdict()
        return (Suspicion.POSSIBLE, _WITHIN) if self.within else (Suspicion.NONE, "")

    def _bare_verdict(self) -> tuple[Suspicion, str]:
        """Numbers of phones are far apart; those of a counter lie close together."""
        if self.bare < _FEW:
            return Suspicion.POSSIBLE, "what may be phone numbers"
        far_apart = self.greatest - self.least > _DENSE * self.bare
        return (Suspicion.LIKELY, "phone numbers") if far_apart else (Suspicion.NONE, "")


_WITHIN = "texts that hold mail addresses or phone numbers"
