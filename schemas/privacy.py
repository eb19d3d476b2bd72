"""What becomes of a private value before it leaves its source.

What is empty holds nothing to hide: NULL stays NULL, and no text stays no text.
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
    """How far a field's values are hidden, the least first."""

    PUBLIC = 0
    MASK = 1
    HASH = 2


PRIVACY = {"mask": Privacy.MASK, "hash": Privacy.HASH, DROP: Privacy.PUBLIC}
"""What "headwater.private" says. A dropped field hides nothing: it is left out altogether."""

MAX_KEY_ID: Final = 32
"""Characters."""
MIN_KEY: Final = 32
"""Bytes: what SHA-256 gives. RFC 2104 discourages fewer."""
MASKED: Final = 7
"""Characters of the longest mask of what is no mail address."""
HASHED: Final = MAX_KEY_ID + len(":") + 64
"""Characters of a hashed value, at most."""

Protect: TypeAlias = Callable[[str], str]
"""Of a value's text, which is what is published in its place."""

_MAIL = re.compile(r"[^\s@]+@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63})")


def mask(text: str) -> str:
    """The length class of a text, and of a mail address the domain.

    `***` stands for up to 8 characters, `*****` for up to 32, `*******` for more.
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
    """The key of hashed fields, and the id under which it is known. The key is in no text of this object.

    Raises ConfigurationError for an id that is not 1 to 32 of A-Z, a-z, 0-9, _, - and ., and for a key of
    fewer than 32 bytes.
    """

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"[A-Za-z0-9_.-]{{1,{MAX_KEY_ID}}}", self.id):
            raise ConfigurationError(  # not shown: id and key may have been mixed up (INV-7)
                f"id of the hash key: it has {len(self.id)} characters; "
                f"allowed: 1 to {MAX_KEY_ID} of A-Z, a-z, 0-9, _, - and ."
            )
        if len(self.secret) < MIN_KEY:
            raise ConfigurationError(
                f"hash key {self.id}: has {len(self.secret)} bytes; allowed: at least {MIN_KEY}"
            )


def hasher(key_id: str, key: bytes) -> Protect:
    """HMAC-SHA-256 (RFC 2104) of a text's UTF-8, as `<key id>:<64 hex digits>`.

    The id tells which key it was: values of one key can be joined, and a key can be replaced.
    """

    def hashed(text: str) -> str:
        try:
            return f"{key_id}:{hmac.digest(key, text.encode(), 'sha256').hex()}"
        except UnicodeEncodeError:  # its own text holds a piece of the value (INV-7)
            pass
        raise ValueError("holds a lone surrogate, which UTF-8 does not have")

    return hashed


@cache
def protection(private: Privacy, key: HashKey | None) -> Protect | None:
    """What a field of that privacy does to its values; None where it hides nothing. Made once for a key.

    Raises ConfigurationError where a hash has no key: nothing may leave then.
    """
    if private is Privacy.PUBLIC:
        return None
    if private is Privacy.MASK:
        return mask
    if key is None:
        raise ConfigurationError("a field is hashed, and there is no key to hash it with")
    hashed = hasher(key.id, key.secret)
    return lambda text: text and hashed(text)
