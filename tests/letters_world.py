"""Dead letters by hand, and ledgers of them in memory."""

from __future__ import annotations

from collections.abc import Sequence

from consumers_world import ITEM, event, item

from consumers.consume import letter_of
from schemas.errors import PoisonEventError
from schemas.event import encode_event
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import InMemoryLedger, LetterState
from schemas.letters.redriving import list_letters

MENDED = PoisonEventError("something that was mended since")


def frame(key: str, number: int = 1) -> bytes:
    return encode_event(event(ITEM, item(key), number))


def poison(key: str, number: int = 1) -> bytes:
    return encode_event(event(ITEM, item(key), number, after=b"\x00"))


def letter(payload: bytes, error: PoisonEventError = MENDED) -> DeadLetter:
    return letter_of(payload, error)


def ledger_of(*batches: Sequence[bytes]) -> InMemoryLedger:
    """One object of letters for each."""
    ledger = InMemoryLedger()
    for payloads in batches:
        ledger.put([letter(payload) for payload in payloads])
    return ledger


def states(*ledgers: InMemoryLedger) -> dict[str, LetterState]:
    return {each.status.letter.id: each.status.state for each in list_letters(ledgers)}
