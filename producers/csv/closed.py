"""Rejected rows that a person has dealt with: objects beside the rejects, which name the rows. Pure.

`rejects/<feed>/<file>/<name>.closed.jsonl` has one JSON line for each row: its position, and whether it was
corrected or discarded. Nothing is ever changed or removed. The producer writes one for each file under
corrections/, named as that file's copies are, a person's decision is named by its bytes: a retry writes the
same object again (INV-5).
"""

from __future__ import annotations

import json
from typing import Literal, NamedTuple

ENDING = ".closed.jsonl"

State = Literal["corrected", "discarded"]


class Closed(NamedTuple):
    """One rejected row, by the position that its rejects file names. `reason`: a person's words."""

    position: str
    state: State
    reason: str = ""


def encode_closed(row: Closed) -> bytes:
    """One line."""
    return f"{json.dumps(row._asdict(), sort_keys=True, separators=(',', ':'))}\n".encode()


def decode_closed(line: bytes) -> Closed | None:
    """The inverse of encode_closed; None for what is no such line."""
    try:
        return Closed(**json.loads(line))
    except (ValueError, TypeError):
        return None
