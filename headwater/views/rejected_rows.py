"""Rejected rows of files: their counts, their state, and the decision to discard them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from io import StringIO, TextIOWrapper
from itertools import chain
from typing import IO, NamedTuple, cast

from headwater.aws import Aws
from headwater.views.kept_facts import facts_of
from producers.csv.rejects import ENDING as CLOSED
from producers.csv.rejects import Closed, decode_closed, encode_closed
from producers.csv.text import MAX_FIELD
from producers.csv.uploads import REJECT_COLUMNS
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.positions import ROW_DIGITS
from schemas.s3_objects import StoredObject, list_objects, read_object
from schemas.settings import Settings

PREFIX = "rejects/"
ROWS = ".csv"
"""Suffix of keys under rejects/ with the rejected rows of a file."""
REASON = ".reason.json"
"""Suffix of keys with the reason why a whole file was rejected; the file is beside it."""

_SUMMARY = "rejects"
_POSITION = re.compile(rf"(.+)-([0-9]{{{ROW_DIGITS}}})")
_PLACE = re.compile(r"(.+#)([0-9]+)")


class Rejects(NamedTuple):
    """Counts: `rows` that wait for a person, `files` that were rejected whole (each has a dead letter), and
    `closed` rows, which were corrected or discarded."""

    rows: int
    files: int
    closed: int


class RejectedRow(NamedTuple):
    """A rejected row.

    `id` is its position or, if it has none, the key of the rejects file with a row number. `cells` has all
    columns of that file. `closed` is the outcome, or None for an open row.
    """

    id: str
    key: str
    cells: Mapping[str, str]
    closed: Closed | None


def rejected_rows(reject_file: bytes) -> list[dict[str, str]]:
    """Return the rows of a rejects file: row number, position, column and reason, followed by the cells."""
    return list(csv.DictReader(StringIO(reject_file.decode(), newline="")))


def count_rejects(aws: Aws, settings: Settings) -> Rejects:
    """Count rejected rows. Raises TransientError, ConfigurationError.

    A row that is in several rejects files, since its correction was rejected as well, counts once. A cache
    makes that each object is read only once.
    """
    facts = _facts(aws, settings.source_bucket)
    rejected, closed = _union(facts, ROWS), _union(facts, CLOSED)
    open_rows = sum(len(rows - closed.get(prefix, set())) for prefix, rows in rejected.items())
    files = sum(key.endswith(REASON) for key in facts)
    return Rejects(open_rows, files, sum(map(len, rejected.values())) - open_rows)


def rejected(aws: Aws, settings: Settings) -> Iterator[RejectedRow]:
    """Return every rejected row once, ordered by the keys of the rejects files."""
    bucket = settings.source_bucket
    closed = _closed(aws, bucket)
    seen: set[str] = set()
    for item in list_objects(aws.s3, bucket, PREFIX):
        if item.key.endswith(ROWS):
            for name, cells in _rows(aws, bucket, item.key):
                if name not in seen:
                    seen.add(name)
                    yield RejectedRow(name, item.key, cells, closed.get(name))


def discard(aws: Aws, settings: Settings, ids: Sequence[str], reason: str) -> None:
    """Record beside their rejects files why nothing will be done about these open rows.

    Raises ConfigurationError for an id that is not that of an open row, and then records nothing.
    """
    rows = {row.id: row for row in rejected(aws, settings) if row.id in ids}
    for name in ids:
        if name not in rows or rows[name].closed:
            raise ConfigurationError(f"{name} is no open rejected row: see `headwater rejects list`")
    by_key: dict[str, list[Closed]] = {}
    for row in rows.values():
        by_key.setdefault(row.key, []).append(Closed(row.id, "discarded", reason))
    for key, decisions in by_key.items():
        body = b"".join(sorted(map(encode_closed, decisions)))
        # Named after its content, so that a repeated call writes the same object again.
        name = f"{key.removesuffix(ROWS)}.{sha256(body).hexdigest()[:32]}{CLOSED}"
        with aws_errors(f"PutObject of s3://{settings.source_bucket}/{name}"):
            aws.s3.put_object(Bucket=settings.source_bucket, Key=name, Body=body)


def _facts(aws: Aws, bucket: str) -> Mapping[str, Mapping[str, Sequence[int]]]:
    """Return, for each object under rejects/, its row numbers by the common prefix of their ids."""

    def read(item: StoredObject) -> Mapping[str, Sequence[int]]:
        if item.key.endswith(ROWS):
            return _numbers(name for name, _ in _rows(aws, bucket, item.key))
        if item.key.endswith(CLOSED):
            return _numbers(row.position for row in _decisions(aws, bucket, item.key))
        return {}

    return facts_of(aws, bucket, _SUMMARY, list_objects(aws.s3, bucket, PREFIX), read)


def _numbers(names: Iterable[str]) -> Mapping[str, Sequence[int]]:
    # Stored as numbers under a common prefix: a file of a million rejected rows stays small in the cache.
    numbers: dict[str, set[int]] = {}
    for name in names:
        if match := _POSITION.fullmatch(name) or _PLACE.fullmatch(name):
            numbers.setdefault(match[1], set()).add(int(match[2]))
    return {prefix: sorted(rows) for prefix, rows in numbers.items()}


def _union(facts: Mapping[str, Mapping[str, Sequence[int]]], ending: str) -> Mapping[str, set[int]]:
    union: dict[str, set[int]] = {}
    for key, numbers in facts.items():
        if key.endswith(ending):
            for prefix, rows in numbers.items():
                union.setdefault(prefix, set()).update(rows)
    return union


def _closed(aws: Aws, bucket: str) -> Mapping[str, Closed]:
    """Return the closed rows by id. A correction takes precedence over a decision to discard."""
    closed: dict[str, Closed] = {}
    keys = [item.key for item in list_objects(aws.s3, bucket, PREFIX) if item.key.endswith(CLOSED)]
    for row in chain.from_iterable(_decisions(aws, bucket, key) for key in keys):
        if row.state == "corrected" or row.position not in closed:
            closed[row.position] = row
    return closed


def _decisions(aws: Aws, bucket: str, key: str) -> Iterator[Closed]:
    return filter(None, map(decode_closed, read_object(aws.s3, bucket, key).splitlines()))


def _rows(aws: Aws, bucket: str, key: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield id and cells of each row of a rejects file, in constant memory.

    A file that Headwater did not write is not refused: its rows get ids from key and row number.
    """
    # A limit of the whole process. A rejected row has cells as large as those of its file.
    csv.field_size_limit(MAX_FIELD)
    with aws_errors(f"reading s3://{bucket}/{key}"):
        body = aws.s3.get_object(Bucket=bucket, Key=key)["Body"]
        text = TextIOWrapper(cast(IO[bytes], body), errors="replace", encoding="utf-8", newline="")
        rows = filter(None, csv.reader(text))
        header = next(rows, [])
        for number, cells in enumerate(rows, 1):
            position = cells[1] if tuple(header[:4]) == REJECT_COLUMNS and len(cells) > 1 else ""
            name = position if _POSITION.fullmatch(position) else f"{key}#{number}"
            yield name, dict(zip(header, cells, strict=False))
