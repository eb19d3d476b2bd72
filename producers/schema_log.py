"""`log/_schemas/`: every writer schema beside the log, before the first event that uses it (INV-6)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from schemas.aws_errors import aws_errors, is_missing
from schemas.errors import ConflictError, TransientError
from schemas.event import ENVELOPE, ENVELOPE_FINGERPRINT
from schemas.payload.codec import Schema, schema_document, schema_log_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class SchemaLog(Protocol):
    """Where writer schemas are kept for as long as the log is."""

    def ensure(self, schema: Schema) -> None:
        """When it returns, the schema and the event's own are durable. Raises TransientError."""


def documents(schema: Schema) -> dict[str, bytes]:
    """Object key to content, of all that is needed to read an event of this schema."""
    envelope = json.dumps(ENVELOPE, indent=2, sort_keys=True).encode()
    return {
        schema_log_key(ENVELOPE_FINGERPRINT): envelope,
        schema_log_key(schema.fingerprint): schema_document(schema),
    }


class S3SchemaLog:
    """The log bucket's `log/_schemas/`. An object that is there is never written again."""

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
        except ConflictError:
            self._check_there(key)  # or somebody is just writing it (409): that is not durable yet

    def _check_there(self, key: str) -> None:
        try:
            with aws_errors(f"HeadObject of a schema in the bucket {self._bucket}"):
                self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if not is_missing(error):
                raise
            raise TransientError("a schema is being written to the log by somebody else") from error


class InMemorySchemaLog:
    """A schema log that forgets everything with the process."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}

    def ensure(self, schema: Schema) -> None:
        self.documents |= documents(schema)
