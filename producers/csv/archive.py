"""The source bucket: where a file lies before and after, as a port, its S3 form and its form in memory.

A file is one version of one object. S3 never changes a version, so that reading it again gives the same
bytes, and deleting it can't take an upload that came meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import md5
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from boto3.s3.transfer import TransferConfig

from producers.csv.uploads import Upload, file_position
from schemas.aws_errors import aws_errors, is_missing
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DROP = "drop"
CORRECTIONS = "corrections"
CHUNK = 256 * 1024  # bytes
PART = 1024 * 1024 * 1024  # bytes; what is larger goes in parts, as S3 asks for from 5 GB on


LONGEST_KEY = 960  # bytes: S3 takes 1,024, and the keys in archive/ and rejects/ are longer than the file's


class ObjectGoneError(Exception):
    """There is no such object, or no longer that version of it."""


class Location(NamedTuple):
    """The parts of a key under drop/ or corrections/. `file` may hold further slashes."""

    prefix: str
    feed: str
    file: str

    def archived(self, position: str) -> str:
        """The key of a file that is done."""
        return f"archive/{self.feed}/{self.file}/{position}"

    def rejected(self, position: str) -> str:
        """The key of a file that was rejected whole; with an ending, of what is said about it or its rows."""
        return f"rejects/{self.feed}/{self.file}/{position}"


def locate(key: str) -> Location | None:
    """None for a key that is no file of a feed: another prefix, a folder, or a file outside of one."""
    prefix, _, rest = key.partition("/")
    feed, _, file = rest.partition("/")
    if prefix not in (DROP, CORRECTIONS) or not feed or not file or file.endswith("/"):
        return None
    return Location(prefix, feed, file)


def is_loose(key: str) -> bool:
    """Whether a key is a file under drop/ or corrections/ that lies in no feed's folder."""
    return key.startswith((f"{DROP}/", f"{CORRECTIONS}/")) and not key.endswith("/") and locate(key) is None


class Bucket(Protocol):
    """One versioned bucket. All raise TransientError and ConfigurationError."""

    name: str

    def pin(self, key: str, version: str | None) -> Upload:
        """That version of the object, or the newest one. Raises ObjectGoneError."""

    def version(self, key: str, etag: str) -> str | None:
        """The oldest version of the object with that ETag; None if there is none."""

    def read(self, upload: Upload) -> Iterator[bytes]:
        """The object's bytes in chunks, never the whole. Raises ObjectGoneError."""

    def put(self, key: str, body: IO[bytes]) -> None:
        """Durable when it returns."""

    def copy(self, upload: Upload, key: str) -> None:
        """Durable when it returns, whatever the object's size. Raises ObjectGoneError."""

    def delete(self, upload: Upload) -> None:
        """Deletes that version and no other; one that is gone is fine."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with it."""


def erase(bucket: Bucket, keys: Iterable[str]) -> None:
    """Deletes objects in all their versions."""
    for key in keys:
        with suppress(ObjectGoneError):
            while True:
                bucket.delete(bucket.pin(key, None))


def is_settled(bucket: Bucket, location: Location, key: str, version: str | None, etag: str | None) -> bool:
    """Whether an object that is gone was taken care of: a copy of it is archived or rejected.

    A copy's position ends with the hash of key, version and ETag; where a notification lacks them (moto and
    LocalStack tell no version) a copy of any version counts.
    """
    same = ""
    if version and etag:
        same = file_position(Upload(key, version, etag, datetime.min.replace(tzinfo=UTC))).rpartition("-")[2]
    return any(
        name.endswith(same) and "/" not in name and "." not in name
        for folder in (location.archived(""), location.rejected(""))
        for name in (found.removeprefix(folder) for found in bucket.keys(folder))
    )


class S3Bucket:
    """A bucket in S3."""

    def __init__(self, s3: S3Client, name: str) -> None:
        self.name = name
        self._s3 = s3

    def pin(self, key: str, version: str | None) -> Upload:
        with self._errors("HeadObject"):
            if version is None:
                answer = self._s3.head_object(Bucket=self.name, Key=key)
            else:
                answer = self._s3.head_object(Bucket=self.name, Key=key, VersionId=version)
        found = answer.get("VersionId", "null")
        if found == "null":
            raise not_versioned(self.name)
        return Upload(
            key, found, answer["ETag"].strip('"'), answer["LastModified"], size=answer["ContentLength"]
        )

    def version(self, key: str, etag: str) -> str | None:
        found = None
        with self._errors("ListObjectVersions"):
            for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=key):
                for one in page.get("Versions", ()):  # of each key the newest first
                    if one["Key"] == key and one["ETag"].strip('"') == etag.strip('"'):
                        found = one["VersionId"]
        return found

    def read(self, upload: Upload) -> Iterator[bytes]:
        with self._errors("GetObject"):
            answer = self._s3.get_object(Bucket=self.name, Key=upload.key, VersionId=upload.version)
            yield from answer["Body"].iter_chunks(CHUNK)

    def put(self, key: str, body: IO[bytes]) -> None:
        # One call streams the file; parts, each of which is held in memory, come one by one.
        one_by_one = TransferConfig(
            multipart_threshold=PART, multipart_chunksize=64 * CHUNK, use_threads=False
        )
        with self._errors("PutObject"):
            self._s3.upload_fileobj(body, self.name, key, Config=one_by_one)

    def copy(self, upload: Upload, key: str) -> None:
        with self._errors("CopyObject"):
            self._s3.copy(
                {"Bucket": self.name, "Key": upload.key, "VersionId": upload.version},
                self.name,
                key,
                Config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART),
            )

    def delete(self, upload: Upload) -> None:
        with self._errors("DeleteObject"):
            self._s3.delete_object(Bucket=self.name, Key=upload.key, VersionId=upload.version)

    def keys(self, prefix: str) -> Iterator[str]:
        with self._errors("ListObjectsV2"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                yield from (found["Key"] for found in page.get("Contents", ()))

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            with aws_errors(f"{doing} in the bucket {self.name}"):
                yield
        except Exception as error:
            if is_missing(error):
                raise ObjectGoneError from error
            raise


def not_versioned(bucket: str) -> ConfigurationError:
    return ConfigurationError(
        f"the bucket {bucket} keeps no versions, so that a file could change while it is read: "
        "enable versioning and upload again what is there"
    )


class _Version(NamedTuple):
    upload: Upload
    body: bytes


class InMemoryBucket:
    """A versioned bucket in memory. `now` gives the time of an upload, in whole seconds as S3 tells it."""

    def __init__(self, name: str, now: Callable[[], datetime]) -> None:
        self.name = name
        self._now = now
        self._made = 0
        self._versions: dict[str, list[_Version]] = {}

    def upload(self, key: str, body: bytes, etag: str | None = None) -> Upload:
        """What a user of the bucket does: a new version. `etag` is that of an upload in parts, say."""
        self._made += 1
        etag = etag or md5(body, usedforsecurity=False).hexdigest()
        made = Upload(key, f"version-{self._made}", etag, self._now().replace(microsecond=0), size=len(body))
        self._versions.setdefault(key, []).append(_Version(made, body))
        return made

    def body(self, key: str) -> bytes:
        """The newest version's bytes."""
        return self._versions[key][-1].body

    def pin(self, key: str, version: str | None) -> Upload:
        return self._find(key, version).upload

    def version(self, key: str, etag: str) -> str | None:
        of_etag = (one for one in self._versions.get(key, ()) if one.upload.etag == etag.strip('"'))
        return next((one.upload.version for one in of_etag), None)

    def read(self, upload: Upload) -> Iterator[bytes]:
        body = self._find(upload.key, upload.version).body
        yield from (body[start : start + CHUNK] for start in range(0, len(body), CHUNK))

    def put(self, key: str, body: IO[bytes]) -> None:
        self.upload(key, body.read())

    def copy(self, upload: Upload, key: str) -> None:
        self.upload(key, self._find(upload.key, upload.version).body)

    def delete(self, upload: Upload) -> None:
        left = [one for one in self._versions.get(upload.key, ()) if one.upload.version != upload.version]
        self._versions[upload.key] = left
        if not left:
            del self._versions[upload.key]

    def keys(self, prefix: str) -> Iterator[str]:
        return (key for key in sorted(self._versions) if key.startswith(prefix))

    def _find(self, key: str, version: str | None) -> _Version:
        for one in reversed(self._versions.get(key, ())):
            if version in (None, one.upload.version):
                return one
        raise ObjectGoneError
