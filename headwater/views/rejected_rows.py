"""Rejected rows of files, which of them are still open, and a person's decision about the others."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from io import TextIOWrapper
from itertools import chain
from typing import IO, NamedTuple, cast

from headwater.aws import Aws
from headwater.settings import Settings
from headwater.views.kept_facts import facts_of
from headwater.views.stored import StoredObject, list_objects, read_object
from producers.csv.rejects import ENDING as CLOSED
from producers.csv.rejects import Closed, decode_closed, encode_closed
from producers.csv.text import MAX_FIELD
from producers.csv.uploads import REJECT_COLUMNS
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.positions import ROW_DIGITS

PREFIX = "rejects/"
ROWS = ".csv"
"""Ending of a key under rejects/ that holds the rejected rows of a file."""
REASON = ".reason.json"
"""Ending of a key that says why a file was rejected whole; the file is beside it."""

_SUMMARY = "rejects"
_POSITION = re.compile(rf"(.+)-([0-9]{{{ROW_DIGITS}}})")
_PLACE = re.compile(r"(.+#)([0-9]+)")


class Rejects(NamedTuple):
    """Rejected rows that wait for a person, files that were rejected whole (each has a dead letter), and rows
    that were corrected or discarded."""

    rows: int
    files: int
    closed: int


class RejectedRow(NamedTuple):
    """One rejected row. `id`: its position, or where that is none its place in the rejects file; `cells`: all
    columns of that file; `closed`: what became of it."""

    id: str
    key: str
    cells: Mapping[str, str]
    closed: Closed | None


def count_rejects(aws: Aws, settings: Settings) -> Rejects:
    """Count; rows that are in several files (rejected, and again when corrected) once. Each object is read
    once in its life. Raises TransientError, ConfigurationError."""
    facts = _facts(aws, settings.source_bucket)
    rejected, closed = _union(facts, ROWS), _union(facts, CLOSED)
    open_rows = sum(len(rows - closed.get(prefix, set())) for prefix, rows in rejected.items())
    files = sum(key.endswith(REASON) for key in facts)
    return Rejects(open_rows, files, sum(map(len, rejected.values())) - open_rows)


def rejected(aws: Aws, settings: Settings) -> Iterator[RejectedRow]:
    """Every rejected row once, in order of the keys of the rejects files."""
    bucket = settings.source_bucket
    closed = _closed(aws, bucket)
    seen: set[str] = set()
    for item in list_objects(aws, bucket, PREFIX):
        if item.key.endswith(ROWS):
            for name, cells in _rows(aws, bucket, item.key):
                if name not in seen:
                    seen.add(name)
                    yield RejectedRow(name, item.key, cells, closed.get(name))


def discard(aws: Aws, settings: Settings, ids: Sequence[str], reason: str) -> None:
    """Record why nothing will be done about these open rows, beside their rejects. Repeats are harmless.

    Raises ConfigurationError for an id that is no open row's: then nothing is recorded.
    """
    found = {row.id: row for row in rejected(aws, settings) if row.id in ids}
    for name in ids:
        if name not in found or found[name].closed:
            raise ConfigurationError(f"{name} is no open rejected row: see `headwater rejects list`")
    by_key: dict[str, list[Closed]] = {}
    for row in found.values():
        by_key.setdefault(row.key, []).append(Closed(row.id, "discarded", reason))
    for key, decisions in by_key.items():
        body = b"".join(sorted(map(encode_closed, decisions)))
        name = f"{key.removesuffix(ROWS)}.{sha256(body).hexdigest()[:32]}{CLOSED}"
        with aws_errors(f"PutObject of s3://{settings.source_bucket}/{name}"):
            aws.s3.put_object(Bucket=settings.source_bucket, Key=name, Body=body)


def _facts(aws: Aws, bucket: str) -> Mapping[str, Mapping[str, Sequence[int]]]:
    """Of each object under rejects/ the rows that it names, as their numbers by what comes before these."""

    def read(item: StoredObject) -> Mapping[str, Sequence[int]]:
        if item.key.endswith(ROWS):
            return _numbers(name for name, _ in _rows(aws, bucket, item.key))
        if item.key.endswith(CLOSED):
            return _numbers(row.position for row in _decisions(aws, bucket, item.key))
        return {}

    return facts_of(aws, bucket, _SUMMARY, list_objects(aws, bucket, PREFIX), read)


def _numbers(names: Iterable[str]) -> Mapping[str, Sequence[int]]:
    made: dict[str, set[int]] = {}
    for name in names:
        if found := _POSITION.fullmatch(name) or _PLACE.fullmatch(name):
            made.setdefault(found[1], set()).add(int(found[2]))
    return {prefix: sorted(rows) for prefix, rows in made.items()}


def _union(facts: Mapping[str, Mapping[str, Sequence[int]]], ending: str) -> Mapping[str, set[int]]:
    made: dict[str, set[int]] = {}
    for key, named in facts.items():
        if key.endswith(ending):
            for prefix, rows in named.items():
                made.setdefault(prefix, set()).update(rows)
    return made


def _closed(aws: Aws, bucket: str) -> Mapping[str, Closed]:
    """By id; a correction counts over a decision."""
    made: dict[str, Closed] = {}
    keys = [item.key for item in list_objects(aws, bucket, PREFIX) if item.key.endswith(CLOSED)]
    for row in chain.from_iterable(_decisions(aws, bucket, key) for key in keys):
        if row.state == "corrected" or row.position not in made:
            made[row.position] = row
    return made


def _decisions(aws: Aws, bucket: str, key: str) -> Iterator[Closed]:
    return filter(None, map(decode_closed, read_object(aws, bucket, key).splitlines()))


def _rows(aws: Aws, bucket: str, key: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Id and cells of each row of a rejects file. Memory holds one row; a file that is none of ours is read
    as it comes, not refused."""
    csv.field_size_limit(MAX_FIELD)  # of the whole process; a reject's cells are as large as its file's
    with aws_errors(f"reading s3://{bucket}/{key}"):
        body = aws.s3.get_object(Bucket=bucket, Key=key)["Body"]
        text = TextIOWrapper(cast(IO[bytes], body), errors="replace", encoding="utf-8", newline="")
        rows = filter(None, csv.reader(text))
        header = next(rows, [])
        for number, cells in enumerate(rows, 1):
            position = cells[1] if tuple(header[:4]) == REJECT_COLUMNS and len(cells) > 1 else ""
            name = position if _POSITION.fullmatch(position) else f"{key}#{number}"
            yield name, dict(zip(header, cells, strict=False))
