"""Dead letters in S3 with their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from headwater.aws import Aws
from headwater.views.kept_facts import facts_of
from headwater.views.letter_summary import counts_of
from headwater.views.stored import StoredObject, list_objects, read_object
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.letters.letter import LETTER_PREFIX, DeadLetter, decode_letters
from schemas.letters.outcomes import (
    LetterBatch,
    LetterOutcome,
    decode_outcomes,
    encode_outcomes,
    letters_key_of,
    outcomes_key,
)
from schemas.letters.redriving import iter_letters
from schemas.settings import Settings

if TYPE_CHECKING:
    from consumers.warehouse.port import LetterCount

T = TypeVar("T")

_SUMMARY = "dead-letters"


class S3Ledger:
    """`schemas.letters.outcomes.LetterLedger` in one bucket."""

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._aws = aws
        self._bucket = bucket

    def batches(self) -> Iterator[LetterBatch]:
        """Return the objects of letters with the outcomes of each."""
        # One listing is enough: S3 lists the outcomes of an object directly after it, since "." sorts before
        # "/".
        letters: StoredObject | None = None
        outcome_keys: list[str] = []
        for item in list_objects(self._aws, self._bucket, LETTER_PREFIX):
            letters_key = letters_key_of(item.key)
            if letters_key is None:
                if letters:
                    yield self._batch(letters, outcome_keys)
                letters, outcome_keys = item, []
            elif letters and letters_key == letters.key:
                outcome_keys.append(item.key)
        if letters:
            yield self._batch(letters, outcome_keys)

    def outcomes(self) -> Iterator[LetterOutcome]:
        """Return all outcomes. Objects of letters are listed but not read."""
        for item in list_objects(self._aws, self._bucket, LETTER_PREFIX):
            if letters_key_of(item.key):
                yield from self._read(item.key, decode_outcomes)

    def record(self, key: str, outcomes: Sequence[LetterOutcome]) -> None:
        body = encode_outcomes(outcomes)
        with aws_errors(f"PutObject of outcomes of dead letters to the bucket {self._bucket}"):
            self._aws.s3.put_object(
                Bucket=self._bucket,
                Key=outcomes_key(key, body),
                Body=body,
                ContentType="application/jsonl",
            )

    def fact(self, item: StoredObject) -> Sequence[Sequence[Any]]:
        """Return what KeptLedger caches of an object: no reasons and no payloads (INV-7)."""
        if letters_key_of(item.key):
            return [
                (outcome.stage, outcome.id, outcome.state)
                for outcome in self._read(item.key, decode_outcomes)
            ]
        letters = self._read(item.key, decode_letters)
        return [
            (letter.id, letter.stage, letter.entity, letter.cause, letter.occurred_at) for letter in letters
        ]

    def _batch(self, letters: StoredObject, outcome_keys: Sequence[str]) -> LetterBatch:
        return LetterBatch(
            letters.key,
            self._read(letters.key, decode_letters),
            [outcome for key in outcome_keys for outcome in self._read(key, decode_outcomes)],
            round(letters.modified * 1_000_000),
        )

    def _read(self, key: str, decode: Callable[[bytes], list[T]]) -> list[T]:
        try:
            return decode(read_object(self._aws, self._bucket, key))
        except ConfigurationError as error:
            raise ConfigurationError(f"s3://{self._bucket}/{key}: {error}") from error


def ledgers(aws: Aws, settings: Settings) -> list[S3Ledger]:
    """Return the ledgers of the producers and of the consumers."""
    return [S3Ledger(aws, bucket) for bucket in _buckets(settings)]


class KeptLedger:
    """A ledger with a cache that reads each object only once, for counting.

    Its letters have no payload and no reason, and its outcomes no reason. `record` writes to the ledger
    itself.
    """

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._ledger = S3Ledger(aws, bucket)
        self._objects = list(list_objects(aws, bucket, LETTER_PREFIX))
        self._facts = facts_of(aws, bucket, _SUMMARY, self._objects, self._ledger.fact)

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
