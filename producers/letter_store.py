"""Dead letters of the producers, in S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from schemas.aws_errors import aws_errors
from schemas.letters.letter import DeadLetter, encode_letters, letters_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Letters:
    """A bucket's `dead-letters/`. The same letters go to the same object with the same bytes (INV-5)."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Durable when it returns (INV-1). Raises TransientError, ConfigurationError."""
        if letters:
            with aws_errors(f"PutObject of dead letters to the bucket {self._bucket}"):
                self._s3.put_object(
                    Bucket=self._bucket, Key=letters_key(letters), Body=encode_letters(letters)
                )
