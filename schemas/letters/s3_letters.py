"""Dead letters and their outcomes in S3: the letter store of a producer or consumer, and its ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.letters.letter import (
    LETTER_PREFIX,
    DeadLetter,
    decode_letters,
    encode_letters,
    letters_key,
)
from schemas.letters.outcomes import (
    LetterBatch,
    LetterOutcome,
    decode_outcomes,
    encode_outcomes,
    letters_key_of,
    outcomes_key,
)
from schemas.s3_objects import StoredObject, list_objects, read_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")


class S3Letters:
    """The prefix `dead-letters/` of a bucket, as a `LetterStore` and a `LetterLedger`."""

    # Keys are hashes of the content, so that a retry writes the same bytes to the same key (INV-5).

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store letters of one stage, durably when it returns (INV-1). Raises TransientError and
        ConfigurationError."""
        if letters:
            self._write("dead letters", letters_key(letters), encode_letters(letters))

    def batches(self) -> Iterator[LetterBatch]:
        """Yield the objects of letters with the outcomes of each."""
        # One listing is enough: S3 lists the outcomes of an object directly after it, since "." sorts before
        # "/".
        letters: StoredObject | None = None
        outcome_keys: list[str] = []
        for item in list_objects(self._s3, self._bucket, LETTER_PREFIX):
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
        """Yield all outcomes. Objects of letters are listed but not read."""
        for item in list_objects(self._s3, self._bucket, LETTER_PREFIX):
            if letters_key_of(item.key):
                yield from self.outcomes_at(item.key)

    def record(self, key: str, outcomes: Sequence[LetterOutcome]) -> None:
        body = encode_outcomes(outcomes)
        self._write("outcomes of dead letters", outcomes_key(key, body), body)

    def letters_at(self, key: str) -> list[DeadLetter]:
        """Return the letters of one object. Raises TransientError and ConfigurationError."""
        return self._read(key, decode_letters)

    def outcomes_at(self, key: str) -> list[LetterOutcome]:
        """Return the outcomes of one object. Raises TransientError and ConfigurationError."""
        return self._read(key, decode_outcomes)

    def _batch(self, letters: StoredObject, outcome_keys: Sequence[str]) -> LetterBatch:
        return LetterBatch(
            letters.key,
            self.letters_at(letters.key),
            [outcome for key in outcome_keys for outcome in self.outcomes_at(key)],
            round(letters.modified * 1_000_000),
        )

    def _read(self, key: str, decode: Callable[[bytes], list[T]]) -> list[T]:
        try:
            return decode(read_object(self._s3, self._bucket, key))
        except ConfigurationError as error:
            raise ConfigurationError(f"s3://{self._bucket}/{key}: {error}") from error

    def _write(self, what: str, key: str, body: bytes) -> None:
        with aws_errors(f"PutObject of {what} to the bucket {self._bucket}"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/jsonl")
