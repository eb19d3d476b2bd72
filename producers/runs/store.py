"""The objects of runs: a port with conditional writes, its S3 adapter and an in-memory fake.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import md5
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from schemas.aws_errors import aws_errors, is_existing, is_missing
from schemas.errors import ConflictError, TransientError
from schemas.s3_objects import list_objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "runs/"
"""Prefix in the source bucket."""


class Stored(NamedTuple):
    """The content of an object, and the ETag that a replacement names."""

    body: bytes
    etag: str


class RunStore(Protocol):
    """Objects under `runs/`. Every method may raise TransientError and ConfigurationError."""

    def create(self, key: str, body: bytes) -> bytes:
        """Write an object unless it exists. Returns its content, which may be that of an earlier attempt."""

    def read(self, key: str) -> Stored | None:
        """Return an object, or None if it does not exist."""

    def replace(self, key: str, body: bytes, etag: str | None) -> str:
        """Write an object if it still has this ETag; None: if it does not exist. Returns the new ETag.

        Raises ConflictError if it has changed.
        """

    def keys(self, prefix: str) -> list[str]:
        """Return the keys with this prefix, sorted."""

    def erase(self, keys: Iterable[str]) -> None:
        """Delete objects."""


class S3RunStore:
    """The prefix `runs/` of a bucket."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def create(self, key: str, body: bytes) -> bytes:
        try:
            with self._errors("PutObject", key):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
        except ConflictError as error:
            stored = self.read(key) if is_existing(error) else None
            if stored is None:
                raise TransientError(f"{PREFIX} in {self._bucket} is being written elsewhere") from error
            return stored.body
        return body

    def read(self, key: str) -> Stored | None:
        try:
            with self._errors("GetObject", key):
                answer = self._s3.get_object(Bucket=self._bucket, Key=key)
                return Stored(answer["Body"].read(), answer["ETag"])
        except Exception as error:
            if is_missing(error):
                return None
            raise

    def replace(self, key: str, body: bytes, etag: str | None) -> str:
        condition: dict[str, Any] = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            with self._errors("PutObject", key):
                answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, **condition)
        except Exception as error:
            if is_missing(error):  # it had an ETag, and was deleted meanwhile
                raise ConflictError(f"{key} was deleted meanwhile") from error
            raise
        return answer["ETag"]

    def keys(self, prefix: str) -> list[str]:
        return [found.key for found in list_objects(self._s3, self._bucket, prefix)]

    def erase(self, keys: Iterable[str]) -> None:
        # One by one: DeleteObjects needs no other permission but has an answer of its own for each object.
        for key in keys:
            with self._errors("DeleteObject", key):
                self._s3.delete_object(Bucket=self._bucket, Key=key)

    def _errors(self, call: str, key: str) -> Any:
        return aws_errors(f"{call} of s3://{self._bucket}/{key}")


class InMemoryRunStore:
    """A store in memory, for tests and demonstrations."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def create(self, key: str, body: bytes) -> bytes:
        return self.objects.setdefault(key, body)

    def read(self, key: str) -> Stored | None:
        body = self.objects.get(key)
        return None if body is None else Stored(body, _etag(body))

    def replace(self, key: str, body: bytes, etag: str | None) -> str:
        stored = self.read(key)
        if (stored and stored.etag) != etag:
            raise ConflictError(f"{key} has changed")
        self.objects[key] = body
        return _etag(body)

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def erase(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self.objects.pop(key, None)


def _etag(body: bytes) -> str:
    return md5(body, usedforsecurity=False).hexdigest()
