"""Protection of private values before they leave their source.

Empty values need no protection: NULL stays NULL, and an empty text stays empty.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import Final, TypeAlias

from schemas.errors import ConfigurationError

DROP = "drop"


class Privacy(IntEnum):
    """The protection of a field's values, in increasing order."""

    PUBLIC = 0
    MASK = 1
    HASH = 2


PRIVACY = {"mask": Privacy.MASK, "hash": Privacy.HASH, DROP: Privacy.PUBLIC}
"""Values of the property "headwater.private". A dropped field needs no protection, since it is left out."""

MAX_KEY_ID: Final = 32
"""Most characters of a key's id."""
MIN_KEY: Final = 32
"""Fewest bytes of a key: the size of a SHA-256 hash. RFC 2104 discourages shorter keys."""
MASKED: Final = 7
"""Most characters of a mask, other than that of a mail address."""
HASHED: Final = MAX_KEY_ID + len(":") + 64
"""Most characters of a hashed value."""

Protect: TypeAlias = Callable[[str], str]
"""A function of the text of a value that returns the text to publish instead."""

_MAIL = re.compile(r"[^\s@]+@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63})")


def mask(text: str) -> str:
    """Return a mask that shows the length class of a text, and the domain of a mail address.

    `***` replaces up to 8 characters, `*****` up to 32, `*******` more.
    """
    mail = _MAIL.fullmatch(text) if len(text) <= 320 else None  # RFC 3696: 64 and 255, and the @
    if mail is None:
        return _stars(len(text))
    return f"{_stars(mail.start(1) - 1)}@{mail[1]}"


def _stars(length: int) -> str:
    if length == 0:
        return ""
    return "*" * (3 if length <= 8 else 5 if length <= 32 else 7)


@dataclass(frozen=True, slots=True)
class HashKey:
    """A key for hashed fields, and the id that identifies it. The repr does not contain the key.

    Raises ConfigurationError for an id that is not 1 to 32 of A-Z, a-z, 0-9, _, - and ., and for a key of
    fewer than 32 bytes.
    """

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"[A-Za-z0-9_.-]{{1,{MAX_KEY_ID}}}", self.id):
            # The id is not shown: it may be the key, if a user confused the two (INV-7).
            raise ConfigurationError(
                f"id of the hash key: it has {len(self.id)} characters; "
                f"allowed: 1 to {MAX_KEY_ID} of A-Z, a-z, 0-9, _, - and ."
            )
        if len(self.secret) < MIN_KEY:
            raise ConfigurationError(
                f"hash key {self.id}: has {len(self.secret)} bytes; allowed: at least {MIN_KEY}"
            )


def hasher(key_id: str, key: bytes) -> Protect:
    """Return a function that hashes text as `<key id>:<64 hex digits>`.

    The hash is HMAC-SHA-256 (RFC 2104) of the text in UTF-8. The id identifies the key: values that were
    hashed with one key can be joined, and a key can be replaced.
    """

    def hashed(text: str) -> str:
        try:
            return f"{key_id}:{hmac.digest(key, text.encode(), 'sha256').hex()}"
        except UnicodeEncodeError:
            pass
        # Raised outside the handler: the text of a UnicodeEncodeError contains part of the value (INV-7).
        raise ValueError("holds a lone surrogate, which UTF-8 does not have")

    return hashed


@cache
def protection(private: Privacy, key: HashKey | None) -> Protect | None:
    """Return the function that protects values of a field, or None if the field is public.

    Raises ConfigurationError for a hashed field without a key: nothing may leave the source then.
    """
    if private is Privacy.PUBLIC:
        return None
    if private is Privacy.MASK:
        return mask
    if key is None:
        raise ConfigurationError("a field is hashed, but no hash key is configured")
    hashed = hasher(key.id, key.secret)
    return lambda text: text and hashed(text)  # an empty text stays empty
