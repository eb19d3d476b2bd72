"""Storage of the consumer's dead letters in S3."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from schemas.aws_errors import aws_errors
from schemas.letters.letter import DeadLetter, encode_letters, letters_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Letters:
    """A `LetterStore` in an S3 bucket."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Store these letters durably as one object (INV-1). Raises TransientError, ConfigurationError."""
        with aws_errors("put dead letters"):
            self._s3.put_object(
                Bucket=self._bucket,
                # A hash of the content: a retry overwrites the object with the same bytes (INV-5).
                Key=letters_key(letters),
                Body=encode_letters(letters),
                ContentType="application/jsonl",
            )
