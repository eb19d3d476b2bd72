"""Which columns are likely to say something of a person: by their names, and by what their texts look like.
Pure.

A guess that is too careful costs a word of review; one that is too bold puts a person into a log for years.
"""

import re
from dataclasses import dataclass
from enum import IntEnum


class Suspicion(IntEnum):
    """How likely. POSSIBLE: private where the row has LIKELY ones, such as the postcode of a person."""

    NONE = 0
    POSSIBLE = 1
    LIKELY = 2


_PEOPLE = (
    "applicant author carer client contact customer employee guardian head headteacher manager member "
    "nominee owner parent patient person pupil staff student subscriber teacher tenant user"
)
_NAMES: tuple[tuple[str, Suspicion, str], ...] = (
    (r"e?_?mail(_?address)?|email\w*", Suspicion.LIKELY, "a mail address"),
    (r"(tele)?phone\w*|tel|mobile\w*|cell|fax", Suspicion.LIKELY, "a phone number"),
    (
        r"(fore|first|last|sur|given|family|middle|maiden|full|preferred|user)_?names?",
        Suspicion.LIKELY,
        "a person's name",
    ),
    (rf"({'|'.join(_PEOPLE.split())})_?names?", Suspicion.LIKELY, "a person's name"),
    (r"dob|birth\w*|date_of_birth|born", Suspicion.LIKELY, "a date of birth"),
    (
        r"ssn|nino|national_insurance\w*|nhs_(number|no)|passport\w*|iban|sort_code|(card|account)_(number|no)",
        Suspicion.LIKELY,
        "the number of a person's document or account",
    ),
    (r"address\w*|street|house_(name|number)|post_?code|zip(_?code)?", Suspicion.POSSIBLE, "an address"),
)
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"(?:\+|00?|\(0)[\d ()./-]{8,18}", re.ASCII)
_POSTCODE = re.compile(r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}", re.ASCII | re.IGNORECASE)
_LOOKED_AT = 1_000  # texts
_LONGEST = 254  # characters of a mail address (RFC 5321)
_ENOUGH = 0.5  # of them


def by_name(name: str) -> tuple[Suspicion, str]:
    """What a field's name, in snake case, says: how likely, and what it is."""
    for pattern, suspicion, what in _NAMES:
        if re.search(rf"(^|_)(?:{pattern})(_|$)", name):
            return suspicion, what
    return (Suspicion.POSSIBLE, "a name") if name == "name" else (Suspicion.NONE, "")


@dataclass(slots=True)
class LookedAt:
    """What the first texts of a column look like."""

    texts: int = 0
    mails: int = 0
    phones: int = 0
    postcodes: int = 0

    def add(self, text: str) -> None:
        if self.texts >= _LOOKED_AT:
            return
        self.texts += 1
        if len(text) > _LONGEST:
            return
        self.mails += "@" in text and bool(_MAIL.fullmatch(text.strip()))
        self.phones += bool(_PHONE.fullmatch(text.strip())) and _digits(text) >= 10
        self.postcodes += bool(_POSTCODE.fullmatch(text.strip()))

    def verdict(self) -> tuple[Suspicion, str]:
        enough = max(1, _ENOUGH * self.texts)
        if self.mails >= enough:
            return Suspicion.LIKELY, "mail addresses"
        if self.phones >= enough:
            return Suspicion.LIKELY, "phone numbers"
        return (Suspicion.POSSIBLE, "postcodes") if self.postcodes >= enough else (Suspicion.NONE, "")


def _digits(text: str) -> int:
    return sum(each.isdigit() for each in text)
