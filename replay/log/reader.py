"""The log of record in S3: its objects, the frames in them, the schemas beside them.

The log is at least once and in no order: whoever folds it takes duplicates and disorder as normal (INV-2).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from consumers.log_documents import LogDocuments
from replay.retry_policy import RetryPolicy
from schemas.aws_errors import aws_errors, is_missing
from schemas.errors import ConflictError, LogIntegrityError, TransientError
from schemas.log.frames import Damage, read_frames
from schemas.log.inflate import inflate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

LOG = "log/"
ERRORS = "log-errors/"
"""Where Firehose puts what it could not deliver otherwise: a part of the log."""
SCHEMAS = "log/_schemas/"
ACKNOWLEDGED = "log/_acknowledged/"
IDENTITY = "log/_identity"
"""Which damage of the log a person has acknowledged (replay/log/acknowledged.py)."""
BESIDE = (SCHEMAS, ACKNOWLEDGED, IDENTITY)
"""Prefixes under `log/` that hold documents and no frames."""

PART_BYTES = 8 * 1024 * 1024
"""How much of an object is asked for in one call: what is read again when the connection breaks."""
PAGE_KEYS = 1_000
"""How many keys one listing gives: S3's own most."""
LINE_BYTES = 4 * 1024 * 1024
"""Longest line of an error object: a record of 1,000 KiB in base64 and Firehose's own words around it."""


class LogObject(NamedTuple):
    """One object of the log. `size` is in bytes; `etag` pins what was listed."""

    key: str
    size: int
    etag: str


class LogStore(Protocol):
    """Reads the log. Every method may raise TransientError and ConfigurationError.

    A store that several threads may read at once says how many in an attribute `threads` (replay/read_ahead).
    """

    def objects(self, after: str = "") -> Iterator[LogObject]:
        """Every object with frames, in order of key, those after this key."""

    def parts(self, item: LogObject) -> Iterator[bytes]:
        """The object's bytes. LogIntegrityError when it is no longer what was listed."""

    def schemas(self) -> Iterator[tuple[str, bytes]]:
        """Key and document of every schema beside the log."""

    def document(self, key: str) -> bytes | None:
        """One of them by its key; None where there is none."""


def frames_of(log: LogStore, item: LogObject) -> Iterator[bytes | Damage]:
    """The frames of one object, and the byte ranges in which there are none to be found."""
    return frames_in(log.parts(item), item.key)


def frames_in(parts: Iterable[bytes], key: str) -> Iterator[bytes | Damage]:
    """The same of the object with this key, from its bytes."""
    return error_frames(parts, key) if key.startswith(ERRORS) else read_frames(parts, key)


def error_frames(chunks: Iterable[bytes], name: str) -> Iterator[bytes | Damage]:
    """The frames of an error object: JSON lines that hold the record in base64 as `rawData`.

    Source: Amazon Data Firehose Developer Guide, "Handle data delivery failures". The range of a damage is
    that of its line, after decompression.
    """
    for start, line in _lines(inflate(chunks)):
        end = start + len(line)
        if isinstance(line, str):
            yield Damage(name, start, start, line)
        elif len(line) > LINE_BYTES:
            yield Damage(name, start, end, "a line longer than any record")
        elif line.strip():
            yield from _frames_of_line(line, name, start, end)


def _frames_of_line(line: bytes, name: str, start: int, end: int) -> Iterator[bytes | Damage]:
    try:
        record = base64.b64decode(json.loads(line)["rawData"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        yield Damage(name, start, end, "not a line that Firehose writes")
        return
    for found in read_frames([record], name):
        yield Damage(name, start, end, f"rawData: {found.reason}") if isinstance(found, Damage) else found


def _lines(pieces: Iterable[bytes | str]) -> Iterator[tuple[int, bytes | str]]:
    """Lines and where each begins, and why bytes are missing, and where. A line that is too long comes in
    parts, each but the last longer than LINE_BYTES."""
    start, held = 0, b""
    for piece in pieces:
        if isinstance(piece, str):
            yield start, held
            yield start + len(held), piece
            start, held = start + len(held), b""
            continue
        *whole, held = (held + piece).split(b"\n")
        for line in whole:
            yield start, line
            start += len(line) + 1
        if len(held) > LINE_BYTES:
            yield start, held
            start, held = start + len(held), b""
    yield start, held


class S3Log:
    """The log in an S3 bucket. Threads may share it: botocore's clients are thread-safe."""

    THREADS = 8
    """Below the ten connections that a client keeps."""

    def __init__(
        self,
        s3: S3Client,
        bucket: str,
        retry: RetryPolicy | None = None,
        *,
        part_bytes: int = PART_BYTES,
        page_keys: int = PAGE_KEYS,
        threads: int = THREADS,
    ) -> None:
        self._s3, self._bucket, self._retry = s3, bucket, retry or RetryPolicy()
        self._part_bytes, self._page_keys = part_bytes, page_keys
        self.threads = threads

    def objects(self, after: str = "") -> Iterator[LogObject]:
        """Every object under `log-errors/` and `log/`: in this order they are in the order of their keys."""
        for prefix in (ERRORS, LOG):
            for item in self._listed(prefix, after):
                if item.size and not item.key.startswith(BESIDE):
                    yield item

    def parts(self, item: LogObject) -> Iterator[bytes]:
        """The object in parts, each read again on its own when it breaks off in transit."""
        for first in range(0, item.size, self._part_bytes):
            last = min(first + self._part_bytes, item.size) - 1
            yield self._retry.call(partial(self._part, item, first, last))

    def schemas(self) -> Iterator[tuple[str, bytes]]:
        """Key and document of every schema beside the log."""
        for item in self._listed(SCHEMAS):
            if item.size:
                yield item.key, b"".join(self.parts(item))

    def document(self, key: str) -> bytes | None:
        """A small object whole; None where there is none."""
        return self._retry.call(partial(LogDocuments(self._s3, self._bucket).read, key))

    def put(self, key: str, content: bytes) -> None:
        """Keep a document beside the log. Durable when it returns."""
        self._retry.call(partial(self._put, key, content))

    def _put(self, key: str, content: bytes) -> None:
        with aws_errors(f"writing s3://{self._bucket}/{key}"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType="application/json")

    def _listed(self, prefix: str, after: str = "") -> Iterator[LogObject]:
        while True:
            page = self._retry.call(partial(self._page, prefix, after))
            for found in page.get("Contents", ()):
                yield LogObject(found["Key"], found["Size"], found["ETag"])
                after = found["Key"]
            if not page["IsTruncated"]:
                return

    def _page(self, prefix: str, after: str) -> ListObjectsV2OutputTypeDef:
        with aws_errors(f"listing s3://{self._bucket}/{prefix}"):
            return self._s3.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, StartAfter=after, MaxKeys=self._page_keys
            )

    def _part(self, item: LogObject, first: int, last: int) -> bytes:
        """Bytes first to last. Fewer than S3 has were cut off in transit: that is no damage of the log."""
        doing = f"reading s3://{self._bucket}/{item.key}"
        try:
            with aws_errors(doing):
                answer = self._s3.get_object(
                    Bucket=self._bucket, Key=item.key, Range=f"bytes={first}-{last}", IfMatch=item.etag
                )
                part = answer["Body"].read()
        except Exception as error:
            if is_missing(error) or isinstance(error, ConflictError):
                raise LogIntegrityError(f"{item.key}: is no longer what the listing said") from error
            raise
        if len(part) != last - first + 1:
            raise TransientError(f"{doing}: the connection ended early")
        return part
