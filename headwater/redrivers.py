"""The normal path of each stage's dead letters, put together for one installation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from consumers.redrive_handler import build as consumer_redrive
from consumers.warehouse.port import Warehouse
from consumers.wiring import Wiring as ConsumerWiring
from headwater.aws import Aws
from headwater.installation import Installation
from headwater.sources.kind import LocalKind
from headwater.sources.kinds import KINDS
from producers.wiring import Wiring, wire
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import LetterOutcome, Redriver


class _Late:
    """A `Redriver` that is created when its first letter comes."""

    def __init__(self, create: Callable[[], Redriver]) -> None:
        self._redriver = cache(create)

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        return self._redriver().redrive(letters)


def redrivers(here: Installation, aws: Aws, warehouse: Warehouse) -> Mapping[str, Redriver]:
    """Redrivers by stage.

    Those of the producers look for the key of hashed fields when their first letter comes, and raise
    ConfigurationError then: who redrives the consumer's letters needs no key, and should have none.
    """
    wiring = cache(lambda: wire(here.settings, aws.client, here.catalog))
    sources: dict[str, Redriver] = {
        kind.name: _Late(partial(_of_source, kind, wiring)) for kind in KINDS.values()
    }
    consumer = consumer_redrive(ConsumerWiring(here.settings, here.catalog, warehouse, aws.client))
    return {**consumer.redrivers, **sources}


def has_redrive(letter: DeadLetter) -> bool:
    """Return whether a letter of any stage can be redriven."""
    kind = KINDS.get(letter.stage)
    return kind is None or kind.has_redrive(letter)


def instead_of_redrive() -> str:
    """Describe what to do about letters that can't be redriven, after `3 letters of`."""
    return "; ".join(filter(None, (kind.instead_of_redrive for kind in KINDS.values())))


def _of_source(kind: LocalKind, wiring: Callable[[], Wiring]) -> Redriver:
    return kind.redriver(wiring())
