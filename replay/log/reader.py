"""The log of record in S3: its objects, the frames in them, the schemas beside them.

Firehose delivers at least once and in no order, so readers have to take duplicates and disorder as normal
(INV-2).
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
"""Where Firehose writes what it could not deliver to `log/`: a part of the log."""
SCHEMAS = "log/_schemas/"
ACKNOWLEDGED = "log/_acknowledged/"
"""Damage of the log that a person has acknowledged (replay/log/acknowledged.py)."""
IDENTITY = "log/_identity"
DOCUMENT_PREFIXES = (SCHEMAS, ACKNOWLEDGED, IDENTITY)
"""Prefixes under `log/` that hold documents and no frames."""

PART_BYTES = 8 * 1024 * 1024
"""Bytes of an object in one request, and so what is read again when a connection breaks."""
PAGE_KEYS = 1_000
"""Keys in one listing; S3 allows no more."""
LINE_BYTES = 4 * 1024 * 1024
"""Longest line of an error object: a record of 1,000 KiB in base64, and Firehose's own fields beside it."""


class LogObject(NamedTuple):
    """One object of the log. `size` is in bytes; `etag` pins what was listed."""

    key: str
    size: int
    etag: str


class LogStore(Protocol):
    """Reads the log. Every method may raise TransientError and ConfigurationError.

    A store that several threads may read at once states how many in an attribute `threads`
    (replay/log/read_ahead.py).
    """

    def objects(self, after: str = "") -> Iterator[LogObject]:
        """Yield every object with frames whose key is greater than `after`, in order of key."""

    def parts(self, item: LogObject) -> Iterator[bytes]:
        """Yield the object's bytes. Raises LogIntegrityError when it is no longer what was listed."""

    def schemas(self) -> Iterator[tuple[str, bytes]]:
        """Yield key and document of every schema beside the log."""

    def document(self, key: str) -> bytes | None:
        """Return one document beside the log; None where it does not exist."""


def frames_of(log: LogStore, item: LogObject) -> Iterator[bytes | Damage]:
    """Yield the frames of an object, and the byte ranges that hold no valid frame."""
    return frames_in(log.parts(item), item.key)


def frames_in(parts: Iterable[bytes], key: str) -> Iterator[bytes | Damage]:
    """Yield the frames and damages of the object with this key, from its bytes."""
    return error_frames(parts, key) if key.startswith(ERRORS) else read_frames(parts, key)


def error_frames(chunks: Iterable[bytes], name: str) -> Iterator[bytes | Damage]:
    """Yield the frames of an error object: JSON lines that hold the record in base64 as `rawData`.

    The range of a damage is that of its line, after decompression. Source: Amazon Data Firehose Developer
    Guide, "Handle data delivery failures".
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
    for piece in read_frames([record], name):
        # Offsets inside the record mean nothing to a person with the object in hand: give the line's.
        yield Damage(name, start, end, f"rawData: {piece.reason}") if isinstance(piece, Damage) else piece


def _lines(pieces: Iterable[bytes | str]) -> Iterator[tuple[int, bytes | str]]:
    """Yield lines with their offsets, and as text the reason why bytes are missing at an offset.

    A line that is too long is yielded in parts, of which all but the last are longer than LINE_BYTES.
    """
    start, partial_line = 0, b""
    for piece in pieces:
        if isinstance(piece, str):
            yield start, partial_line
            yield start + len(partial_line), piece
            start, partial_line = start + len(partial_line), b""
            continue
        *lines, partial_line = (partial_line + piece).split(b"\n")
        for line in lines:
            yield start, line
            start += len(line) + 1
        # Without this bound, damage without line ends would be collected in memory as one line.
        if len(partial_line) > LINE_BYTES:
            yield start, partial_line
            start, partial_line = start + len(partial_line), b""
    yield start, partial_line


class S3Log:
    """The log in an S3 bucket. Threads may share it, because botocore's clients are thread-safe."""

    THREADS = 8
    """Fewer than the ten connections in a client's pool."""

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
        """Yield every object under `log-errors/` and `log/`."""
        # In this order the two listings together are in the order of keys, since "-" sorts before "/".
        for prefix in (ERRORS, LOG):
            for item in self._listed(prefix, after):
                if item.size and not item.key.startswith(DOCUMENT_PREFIXES):
                    yield item

    def parts(self, item: LogObject) -> Iterator[bytes]:
        """Yield the object in parts. A part that breaks off in transit is read again on its own."""
        for first in range(0, item.size, self._part_bytes):
            last = min(first + self._part_bytes, item.size) - 1
            yield self._retry.call(partial(self._part, item, first, last))

    def schemas(self) -> Iterator[tuple[str, bytes]]:
        """Yield key and document of every schema beside the log."""
        for item in self._listed(SCHEMAS):
            if item.size:
                yield item.key, b"".join(self.parts(item))

    def document(self, key: str) -> bytes | None:
        """Return a small object; None where it does not exist."""
        return self._retry.call(partial(LogDocuments(self._s3, self._bucket).read, key))

    def put(self, key: str, content: bytes) -> None:
        """Store a document beside the log, durably when it returns."""
        self._retry.call(partial(self._put, key, content))

    def _put(self, key: str, content: bytes) -> None:
        with aws_errors(f"writing s3://{self._bucket}/{key}"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType="application/json")

    def _listed(self, prefix: str, after: str = "") -> Iterator[LogObject]:
        while True:
            page = self._retry.call(partial(self._page, prefix, after))
            for content in page.get("Contents", ()):
                yield LogObject(content["Key"], content["Size"], content["ETag"])
                # A key is the page token as well: the same request resumes the listing at any object.
                after = content["Key"]
            if not page["IsTruncated"]:
                return

    def _page(self, prefix: str, after: str) -> ListObjectsV2OutputTypeDef:
        with aws_errors(f"listing s3://{self._bucket}/{prefix}"):
            return self._s3.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, StartAfter=after, MaxKeys=self._page_keys
            )

    def _part(self, item: LogObject, first: int, last: int) -> bytes:
        """Return the bytes `first` to `last`, both included."""
        doing = f"reading s3://{self._bucket}/{item.key}"
        try:
            with aws_errors(doing):
                # IfMatch pins the content that was listed: a changed object must not be mixed with it.
                answer = self._s3.get_object(
                    Bucket=self._bucket, Key=item.key, Range=f"bytes={first}-{last}", IfMatch=item.etag
                )
                part = answer["Body"].read()
        except Exception as error:
            if is_missing(error) or isinstance(error, ConflictError):
                raise LogIntegrityError(f"{item.key}: is no longer what was listed") from error
            raise
        # A connection may end early without an error. That is no damage of the log, so it is retried.
        if len(part) != last - first + 1:
            raise TransientError(f"{doing}: the connection ended early")
        return part
