"""Storage of the producers' dead letters in S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from schemas.aws_errors import aws_errors
from schemas.letters.letter import DeadLetter, encode_letters, letters_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Letters:
    """The prefix `dead-letters/` of a bucket."""

    # The key is derived from the letters, so that a retry writes the same object with the same bytes (INV-5).

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store letters, durably when it returns (INV-1). Raises TransientError and ConfigurationError."""
        if letters:
            with aws_errors(f"PutObject of dead letters to the bucket {self._bucket}"):
                self._s3.put_object(
                    Bucket=self._bucket, Key=letters_key(letters), Body=encode_letters(letters)
                )
