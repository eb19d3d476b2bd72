"""The source bucket and its keys: a port, its S3 adapter and an in-memory fake.

A file is one version of one object. S3 never changes a version, so reading it again returns the same bytes,
and deleting it can't remove a newer upload.
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
PART = 1024 * 1024 * 1024  # bytes; larger objects are copied in parts, which S3 requires from 5 GB on


LONGEST_KEY = 960  # bytes: S3 allows 1,024, and the keys in archive/ and rejects/ are longer than the file's


class ObjectGoneError(Exception):
    """The object, or that version of it, does not exist any more."""


class Location(NamedTuple):
    """The parts of a key under drop/ or corrections/. `file` may contain slashes."""

    prefix: str
    feed: str
    file: str

    def archived(self, position: str) -> str:
        """Return the key that a published file is moved to."""
        return f"archive/{self.feed}/{self.file}/{position}"

    def rejected(self, position: str) -> str:
        """Return the key of a file that was rejected whole, and the stem of the keys of its rejected rows."""
        return f"rejects/{self.feed}/{self.file}/{position}"


def locate(key: str) -> Location | None:
    """Parse the key of a feed's file.

    Returns None for another prefix, for a folder, and for a file that is in no feed's folder.
    """
    prefix, _, rest = key.partition("/")
    feed, _, file = rest.partition("/")
    if prefix not in (DROP, CORRECTIONS) or not feed or not file or file.endswith("/"):
        return None
    return Location(prefix, feed, file)


def is_loose(key: str) -> bool:
    """Return whether a key is a file under drop/ or corrections/, but in no feed's folder."""
    return key.startswith((f"{DROP}/", f"{CORRECTIONS}/")) and not key.endswith("/") and locate(key) is None


class Bucket(Protocol):
    """A versioned bucket. Every method may raise TransientError and ConfigurationError."""

    name: str

    def pin(self, key: str, version: str | None) -> Upload:
        """Return the version of the object, or its newest one for None. Raises ObjectGoneError."""

    def version(self, key: str, etag: str) -> str | None:
        """Return the oldest version of the object with that ETag; None if no version has it."""

    def read(self, upload: Upload) -> Iterator[bytes]:
        """Yield the object's bytes in chunks, in constant memory. Raises ObjectGoneError."""

    def put(self, key: str, body: IO[bytes]) -> None:
        """Store an object, durably when it returns."""

    def copy(self, upload: Upload, key: str) -> None:
        """Copy an object of any size, durably when it returns. Raises ObjectGoneError."""

    def delete(self, upload: Upload) -> None:
        """Delete that version and no other. Does nothing if it is gone already."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with the prefix."""


def erase(bucket: Bucket, keys: Iterable[str]) -> None:
    """Delete objects with all their versions."""
    for key in keys:
        # One version after another, until none is left to pin.
        with suppress(ObjectGoneError):
            while True:
                bucket.delete(bucket.pin(key, None))


def is_settled(bucket: Bucket, location: Location, key: str, version: str | None, etag: str | None) -> bool:
    """Return whether an object that is gone was processed: a copy of it is in the archive or the rejects."""
    # The name of a copy ends with the hash of key, version and ETag. A notification may lack them, as those
    # of moto and LocalStack lack the version: then a copy of any version counts.
    ending = ""
    if version and etag:
        upload = Upload(key, version, etag, datetime.min.replace(tzinfo=UTC))  # the time is not in the hash
        ending = file_position(upload).rpartition("-")[2]
    # A slash means a file of a longer name; a dot means what is kept beside a copy, such as its rejects.
    return any(
        name.endswith(ending) and "/" not in name and "." not in name
        for folder in (location.archived(""), location.rejected(""))
        for name in (copy.removeprefix(folder) for copy in bucket.keys(folder))
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
        # "null" is the version of an object that was stored while versioning was off: it can be overwritten.
        version_id = answer.get("VersionId", "null")
        if version_id == "null":
            raise not_versioned(self.name)
        etag = answer["ETag"].strip('"')
        return Upload(key, version_id, etag, answer["LastModified"], size=answer["ContentLength"])

    def version(self, key: str, etag: str) -> str | None:
        oldest = None
        with self._errors("ListObjectVersions"):
            for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=key):
                # Newest first, so the last match is the oldest. The prefix also matches longer keys.
                for listed in page.get("Versions", ()):
                    if listed["Key"] == key and listed["ETag"].strip('"') == etag.strip('"'):
                        oldest = listed["VersionId"]
        return oldest

    def read(self, upload: Upload) -> Iterator[bytes]:
        with self._errors("GetObject"):
            answer = self._s3.get_object(Bucket=self.name, Key=upload.key, VersionId=upload.version)
            yield from answer["Body"].iter_chunks(CHUNK)

    def put(self, key: str, body: IO[bytes]) -> None:
        # Below the threshold one call streams the file. Parts are held in memory, hence one at a time.
        one_at_a_time = TransferConfig(
            multipart_threshold=PART, multipart_chunksize=64 * CHUNK, use_threads=False
        )
        with self._errors("PutObject"):
            self._s3.upload_fileobj(body, self.name, key, Config=one_at_a_time)

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
                yield from (listed["Key"] for listed in page.get("Contents", ()))

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
    """Return the error about a bucket without versioning."""
    return ConfigurationError(
        f"the bucket {bucket} keeps no versions, so that a file could change while it is read: "
        "enable versioning, then upload its files again"
    )


class _Version(NamedTuple):
    upload: Upload
    body: bytes


class InMemoryBucket:
    """A versioned bucket in memory. `now` returns the time of an upload, which is cut to seconds as in S3."""

    def __init__(self, name: str, now: Callable[[], datetime]) -> None:
        self.name = name
        self._now = now
        self._uploads = 0
        self._versions: dict[str, list[_Version]] = {}

    def upload(self, key: str, body: bytes, etag: str | None = None) -> Upload:
        """Store a new version, as a user of the bucket does.

        `etag` replaces the MD5 of the body, as for an upload in parts.
        """
        self._uploads += 1
        etag = etag or md5(body, usedforsecurity=False).hexdigest()
        moment = self._now().replace(microsecond=0)
        upload = Upload(key, f"version-{self._uploads}", etag, moment, size=len(body))
        self._versions.setdefault(key, []).append(_Version(upload, body))
        return upload

    def body(self, key: str) -> bytes:
        """Return the bytes of the newest version."""
        return self._versions[key][-1].body

    def pin(self, key: str, version: str | None) -> Upload:
        return self._find(key, version).upload

    def version(self, key: str, etag: str) -> str | None:
        uploads = (stored.upload for stored in self._versions.get(key, ()))
        return next((upload.version for upload in uploads if upload.etag == etag.strip('"')), None)

    def read(self, upload: Upload) -> Iterator[bytes]:
        body = self._find(upload.key, upload.version).body
        yield from (body[start : start + CHUNK] for start in range(0, len(body), CHUNK))

    def put(self, key: str, body: IO[bytes]) -> None:
        self.upload(key, body.read())

    def copy(self, upload: Upload, key: str) -> None:
        self.upload(key, self._find(upload.key, upload.version).body)

    def delete(self, upload: Upload) -> None:
        versions = self._versions.get(upload.key, ())
        left = [stored for stored in versions if stored.upload.version != upload.version]
        self._versions[upload.key] = left
        if not left:
            del self._versions[upload.key]

    def keys(self, prefix: str) -> Iterator[str]:
        return (key for key in sorted(self._versions) if key.startswith(prefix))

    def _find(self, key: str, version: str | None) -> _Version:
        for stored in reversed(self._versions.get(key, ())):
            if version in (None, stored.upload.version):
                return stored
        raise ObjectGoneError
