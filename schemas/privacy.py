"""What becomes of a private value before it leaves its source."""

import hmac
from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256

DROP = "drop"


class Privacy(IntEnum):
    """How far a field's values are hidden, the least first."""

    PUBLIC = 0
    MASK = 1
    HASH = 2


PRIVACY = {"mask": Privacy.MASK, "hash": Privacy.HASH, DROP: Privacy.PUBLIC}
"""What "headwater.private" says. A dropped field hides nothing: it is left out altogether."""


def mask(text: str) -> str:
    """The length class of a text, and of a mail address the domain.

    `***` stands for up to 8 characters, `*****` for up to 32, `*******` for more.
    """
    _, at, domain = text.rpartition("@")
    shown = at and "." in domain and domain.isascii() and " " not in domain
    return f"{_stars(len(text) - len(domain) - 1)}@{domain}" if shown else _stars(len(text))


def _stars(length: int) -> str:
    if length == 0:
        return ""
    return "*" * (3 if length <= 8 else 5 if length <= 32 else 7)


def hasher(key_id: str, key: bytes) -> Callable[[str], str]:
    """HMAC-SHA-256 (RFC 2104) of a text's UTF-8, as `<key id>:<64 hex digits>`.

    The id tells which key it was: values of one key can be joined, and a key can be replaced.
    """

    def hashed(text: str) -> str:
        return f"{key_id}:{hmac.new(key, text.encode(), sha256).hexdigest()}"

    return hashed
