"""The dead letters of an installation, as they lie in S3 with what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from headwater.aws import Aws
from headwater.settings import Settings
from headwater.views.kept_facts import facts_of
from headwater.views.letter_summary import counts_of
from headwater.views.stored import StoredObject, list_objects, read_object
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.letters.letter import PREFIX, DeadLetter, decode_letters
from schemas.letters.outcomes import (
    LetterBatch,
    LetterOutcome,
    decode_outcomes,
    encode_outcomes,
    letters_key_of,
    outcomes_key,
)
from schemas.letters.redriving import iter_letters

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
        """The outcomes of an object stand right behind it in S3's order, since "." comes before "/"."""
        letters: StoredObject | None = None
        beside: list[str] = []
        for item in list_objects(self._aws, self._bucket, PREFIX):
            of = letters_key_of(item.key)
            if of is None:
                if letters:
                    yield self._batch(letters, beside)
                letters, beside = item, []
            elif letters and of == letters.key:
                beside.append(item.key)
        if letters:
            yield self._batch(letters, beside)

    def outcomes(self) -> Iterator[LetterOutcome]:
        """One request for each object of outcomes, and none for those of letters."""
        for item in list_objects(self._aws, self._bucket, PREFIX):
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
        """What KeptLedger keeps of an object."""
        if letters_key_of(item.key):
            return [(each.stage, each.id, each.state) for each in self._read(item.key, decode_outcomes)]
        letters = self._read(item.key, decode_letters)
        return [(each.id, each.stage, each.entity, each.cause, each.occurred_at) for each in letters]

    def _batch(self, letters: StoredObject, beside: Sequence[str]) -> LetterBatch:
        return LetterBatch(
            letters.key,
            self._read(letters.key, decode_letters),
            [outcome for key in beside for outcome in self._read(key, decode_outcomes)],
            round(letters.modified * 1_000_000),
        )

    def _read(self, key: str, decode: Callable[[bytes], list[T]]) -> list[T]:
        try:
            return decode(read_object(self._aws, self._bucket, key))
        except ConfigurationError as error:
            raise ConfigurationError(f"s3://{self._bucket}/{key}: {error}") from error


def ledgers(aws: Aws, settings: Settings) -> list[S3Ledger]:
    """Those of the producers and of the consumers."""
    return [S3Ledger(aws, bucket) for bucket in _buckets(settings)]


class KeptLedger:
    """A ledger of which each object is read once in its life: letters without payload and reason, outcomes
    without reason. Enough to count by; `record` is the ledger's own."""

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._ledger = S3Ledger(aws, bucket)
        self._objects = list(list_objects(aws, bucket, PREFIX))
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
    return DeadLetter(id_, stage, entity, None, None, "", cause, b"", occurred_at)


def count_letters(aws: Aws, settings: Settings) -> list[LetterCount]:
    """Every letter once, by entity, stage, cause and state. Raises TransientError, ConfigurationError."""
    return counts_of(iter_letters([KeptLedger(aws, bucket) for bucket in _buckets(settings)]))


def _buckets(settings: Settings) -> Sequence[str]:
    """Of the producers, in the source account, and of the consumers, that of the log."""
    return list(dict.fromkeys((settings.source_bucket, settings.log_bucket)))
