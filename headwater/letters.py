"""The dead letters of an installation, as they lie in S3 with what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from headwater.aws import Aws
from headwater.settings import Settings
from headwater.stored import StoredObject, list_objects, read_object
from schemas.aws_errors import aws_errors
from schemas.dead_letter import PREFIX, decode_letters
from schemas.errors import ConfigurationError
from schemas.letter_outcomes import (
    LetterBatch,
    Outcome,
    decode_outcomes,
    encode_outcomes,
    letters_of_outcomes,
    outcomes_key,
)

T = TypeVar("T")


class S3Ledger:
    """`schemas.letter_outcomes.LetterLedger` in one bucket."""

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._aws = aws
        self._bucket = bucket

    def batches(self) -> Iterator[LetterBatch]:
        """The outcomes of an object stand right behind it in S3's order, since "." comes before "/"."""
        letters: StoredObject | None = None
        beside: list[str] = []
        for item in list_objects(self._aws, self._bucket, PREFIX):
            of = letters_of_outcomes(item.key)
            if of is None:
                if letters:
                    yield self._batch(letters, beside)
                letters, beside = item, []
            elif letters and of == letters.key:
                beside.append(item.key)
        if letters:
            yield self._batch(letters, beside)

    def outcomes(self) -> Iterator[Outcome]:
        """One request for each object of outcomes, and none for those of letters."""
        for item in list_objects(self._aws, self._bucket, PREFIX):
            if letters_of_outcomes(item.key):
                yield from self._read(item.key, decode_outcomes)

    def record(self, key: str, outcomes: Sequence[Outcome]) -> None:
        body = encode_outcomes(outcomes)
        with aws_errors(f"PutObject of outcomes of dead letters to the bucket {self._bucket}"):
            self._aws.s3.put_object(
                Bucket=self._bucket,
                Key=outcomes_key(key, body),
                Body=body,
                ContentType="application/jsonl",
            )

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
    """Of the producers, in the source account's bucket, and of the consumers, in that of the log."""
    return [S3Ledger(aws, bucket) for bucket in dict.fromkeys((settings.source_bucket, settings.log_bucket))]
