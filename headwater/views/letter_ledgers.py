"""The ledgers of an installation's dead letters, and counts of the letters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headwater.aws import Aws
from headwater.views.kept_facts import facts_of
from headwater.views.letter_summary import counts_of
from schemas.letters.letter import LETTER_PREFIX, DeadLetter
from schemas.letters.outcomes import LetterBatch, LetterOutcome, letters_key_of
from schemas.letters.redriving import iter_letters
from schemas.letters.s3_letters import S3Letters
from schemas.s3_objects import StoredObject, list_objects
from schemas.settings import Settings

if TYPE_CHECKING:
    from consumers.warehouse.port import LetterCount

_SUMMARY = "dead-letters"


def ledgers(aws: Aws, settings: Settings) -> list[S3Letters]:
    """Return the ledgers of the producers and of the consumers."""
    return [S3Letters(aws.s3, bucket) for bucket in _buckets(settings)]


class KeptLedger:
    """A ledger with a cache that reads each object only once, for counting.

    Its letters have no payload and no reason, and its outcomes no reason. `record` writes to the ledger
    itself.
    """

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._ledger = S3Letters(aws.s3, bucket)
        self._objects = list(list_objects(aws.s3, bucket, LETTER_PREFIX))
        self._facts = facts_of(aws, bucket, _SUMMARY, self._objects, self._fact)

    def batches(self) -> Iterator[LetterBatch]:
        for item in self._objects:
            if letters_key_of(item.key) is None:
                letters = [_letter(members) for members in self._facts[item.key]]
                yield LetterBatch(item.key, letters, (), round(item.modified * 1_000_000))

    def outcomes(self) -> Iterator[LetterOutcome]:
        for item in self._objects:
            if letters_key_of(item.key):
                yield from (LetterOutcome(*members) for members in self._facts[item.key])

    def record(self, key: str, outcomes: Sequence[LetterOutcome]) -> None:
        self._ledger.record(key, outcomes)

    def _fact(self, item: StoredObject) -> Sequence[Sequence[Any]]:
        """Return what is cached of an object: no reasons and no payloads (INV-7)."""
        if letters_key_of(item.key):
            outcomes = self._ledger.outcomes_at(item.key)
            return [(outcome.stage, outcome.id, outcome.state) for outcome in outcomes]
        letters = self._ledger.letters_at(item.key)
        return [
            (letter.id, letter.stage, letter.entity, letter.cause, letter.occurred_at) for letter in letters
        ]


def _letter(members: Sequence[Any]) -> DeadLetter:
    id_, stage, entity, cause, occurred_at = members
    return DeadLetter(
        id=id_,
        stage=stage,
        entity=entity,
        source=None,
        position=None,
        reason="",
        cause=cause,
        payload=b"",
        occurred_at=occurred_at,
    )


def count_letters(aws: Aws, settings: Settings) -> list[LetterCount]:
    """Count the letters by entity, stage, cause and state. Raises TransientError, ConfigurationError."""
    return counts_of(iter_letters([KeptLedger(aws, bucket) for bucket in _buckets(settings)]))


def _buckets(settings: Settings) -> Sequence[str]:
    """Return the buckets of dead letters."""
    # The producers write to the source bucket, in the source account; the consumers to the log's bucket. An
    # installation may use one bucket for both.
    return list(dict.fromkeys((settings.source_bucket, settings.log_bucket)))
