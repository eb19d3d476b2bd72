"""Peak memory of the CSV source: it must not grow with the file.

Each size is measured in a process of its own, which reads its file from S3 over HTTP and does all that the
Lambda function does, except that its Kinesis forgets what it acknowledged. A row in a hundred is a reject.
The full size of the promise: python -m benchmarks.bench_csv_memory 1000000000
"""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from headwater.embedded.aws import EmbeddedAws
from producers.csv.archive import S3Bucket
from producers.csv.handler import Producer
from producers.kinesis import HASH_KEYS, Entry, OpenShard
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.catalog.entity import Catalog, Entity
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.sources.csv import CsvSource, Mode

BYTES = 100_000_000
KEY = "drop/notes/notes.csv"
KIB_OF_MAXRSS = 1 if sys.platform != "darwin" else 1 / 1024


def run(size: int = BYTES) -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit (here: the peak of a tenth of the bytes), unit."""
    with EmbeddedAws() as aws:
        environment = {**os.environ, **aws.environment()}
        tenth, whole = (_peak_of(each, environment) for each in (size // 10, size))
    return [
        (f"csv: peak memory, file of {size // 10:,} bytes", tenth, 1.0, "MB"),
        (f"csv: peak memory, file of {size:,} bytes", whole, whole / tenth, "MB"),
    ]


def _peak_of(size: int, environment: dict[str, str]) -> float:
    """This process stays small: on Linux a child's peak begins with that of its parent."""
    for step in ("--upload", "--take"):
        command = [sys.executable, "-m", "benchmarks.bench_csv_memory", step, str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return float(done.stdout)


class _Rows(io.RawIOBase):
    """A CSV file of so many bytes that takes no memory."""

    def __init__(self, size: int) -> None:
        lines = _lines(size)
        self._blocks = iter(lambda: b"".join(islice(lines, 1_000)), b"")
        self._block = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._block = self._block or next(self._blocks, b"")
        taken = self._block[: len(buffer)]
        buffer[: len(taken)] = taken
        self._block = self._block[len(taken) :]
        return len(taken)


def _lines(size: int) -> Iterator[bytes]:
    yield b"id,count,note\r\n"
    number = made = 0
    while made < size:
        count = "many" if number % 100 == 0 else number
        line = f'{number},{count},"note ""{number}"", {"lorem ipsum " * 80}"\r\n'.encode()
        number, made = number + 1, made + len(line)
        yield line


class _Forgetful:
    """A stream that acknowledges everything and keeps nothing."""

    def put(self, entries: Sequence[Entry]) -> list[str | None]:
        return ["shard" for _ in entries]

    def shards(self) -> list[OpenShard]:
        return [OpenShard("shard", 0, HASH_KEYS - 1)]


def _upload(size: int) -> None:
    s3, bucket = _s3(), _bucket(size)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.upload_fileobj(io.BufferedReader(_Rows(size), 1 << 20), bucket, KEY)


def _take(size: int) -> float:
    """Peak of this process, in MB."""
    logging.disable(logging.WARNING)
    s3, letters = _s3(), InMemoryLetters()
    fields = [
        {"name": "id", "type": "int"},
        {"name": "count", "type": "int"},
        {"name": "note", "type": "string"},
    ]
    schema = make_schema("note", 1, ["id"], {"type": "record", "name": "Note", "fields": fields})
    note = Entity("note", ("id",), (CsvSource("csv:notes", "notes", Mode.SNAPSHOT),), schema)
    producer = Producer(
        Catalog({"note": note}, SchemaRegistry([schema])),
        Publisher(_Forgetful(), InMemorySchemaLog()),
        letters,
        lambda name: S3Bucket(s3, name),
    )
    described = {"bucket": {"name": _bucket(size)}, "object": {"key": KEY}}
    producer.take(json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": described}]}))
    if len(letters.letters) != 1:  # no sweep, since rows were rejected
        raise AssertionError(f"not taken as it should be: {letters.letters}")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_OF_MAXRSS / 1024


def _bucket(size: int) -> str:
    return f"bytes-{size}"


def _s3() -> Any:
    import boto3

    return boto3.client("s3")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--upload", size]:
            _upload(int(size))
        case ["--take", size]:
            print(_take(int(size)))
        case [*given]:
            for row in run(*map(int, given)):
                print(*row, sep="\t")
