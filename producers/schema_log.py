"""Storage of writer schemas under `log/_schemas/`, before the first event that uses them (INV-6)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from schemas.aws_errors import aws_errors, is_existing
from schemas.errors import ConflictError, TransientError
from schemas.event import ENVELOPE, ENVELOPE_FINGERPRINT
from schemas.payload.codec import Schema, schema_document, schema_log_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class SchemaLog(Protocol):
    """Stores writer schemas for as long as the log exists."""

    def ensure(self, schema: Schema) -> None:
        """Make the schema, and the schema of the envelope, durable. Raises TransientError."""


def documents(schema: Schema) -> dict[str, bytes]:
    """Return the objects, by key, that a reader needs for an event of this schema."""
    envelope = json.dumps(ENVELOPE, indent=2, sort_keys=True).encode()
    return {
        schema_log_key(ENVELOPE_FINGERPRINT): envelope,
        schema_log_key(schema.fingerprint): schema_document(schema),
    }


class S3SchemaLog:
    """The prefix `log/_schemas/` of the log's bucket. Never overwrites an object."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def ensure(self, schema: Schema) -> None:
        for key, document in documents(schema).items():
            self._put_once(key, document)

    def _put_once(self, key: str, document: bytes) -> None:
        try:
            with aws_errors(f"PutObject of a schema to the bucket {self._bucket}"):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=document, IfNoneMatch="*")
        except ConflictError as error:
            # HeadObject would not do: a producer of another account may write to the log, but not read it.
            if not is_existing(error):
                raise TransientError("a schema is being written to the log by another process") from error


class InMemorySchemaLog:
    """A schema log in memory, for tests and demonstrations."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}

    def ensure(self, schema: Schema) -> None:
        self.documents |= documents(schema)
