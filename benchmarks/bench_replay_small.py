"""A log of many small objects, as Firehose writes them at low rates: read ahead in threads, or one by one.

Over the embedded AWS, which serves on this machine, and over a store that answers after the time that S3
takes to its first byte. The limit of each is the same log read one object at a time. Then objects of the size
that `up` writes, which gathers records for five seconds; the limit is the same events in large objects.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING
from unittest import mock

from benchmarks.bench_replay import frames
from headwater.aws import connect
from headwater.embedded.aws import EmbeddedAws
from replay.fold import EventFilter
from replay.load import Damages, chunks
from replay.log.in_memory import InMemoryLog
from replay.log.reader import LogObject, LogStore, S3Log
from schemas.catalog.loader import load_catalog

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OBJECTS = 500
FRAMES_OF_AN_OBJECT = 10
FIRST_BYTE = 0.02
"""Seconds. S3's own guide speaks of 100 to 200 ms; within a region less is seen."""
ROUNDS = 2
GATHERED, LARGE = (20, 1_000), (2, 10_000)
"""Objects, and frames of each."""


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of reading one by one, unit."""
    contents = _contents(OBJECTS, FRAMES_OF_AN_OBJECT)
    memory = InMemoryLog(contents)
    rows = _rows("a store 20 ms away", AwayLog(memory), AwayLog(memory, threads=0))
    with EmbeddedAws() as aws, mock.patch.dict(os.environ, aws.environment()):
        s3 = connect().s3
        _fill(s3, "log", contents)
        rows += _rows("the embedded AWS", S3Log(s3, "log"), S3Log(s3, "log", threads=0))
        return rows + _gathered(s3)


def _fill(s3: S3Client, bucket: str, contents: Mapping[str, bytes]) -> None:
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key, content in contents.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)


def _gathered(s3: S3Client) -> list[tuple[str, float, float, str]]:
    seconds = []
    for bucket, (objects, frames_of_each) in (("gathered", GATHERED), ("large", LARGE)):
        _fill(s3, bucket, _contents(objects, frames_of_each))
        seconds.append(min(map(partial(_seconds, S3Log(s3, bucket)), range(ROUNDS))))
    events, (gathered, large) = GATHERED[0] * GATHERED[1], seconds
    return [
        (
            f"replay: {GATHERED[0]} objects as `up` writes them",
            events / gathered,
            large / gathered,
            "events/s",
        ),
        (f"  {LARGE[0]} large objects", events / large, 1.0, "events/s"),
    ]


@dataclass(frozen=True, slots=True)
class AwayLog:
    """A log in memory that is some way away."""

    log: InMemoryLog
    threads: int = S3Log.THREADS

    def objects(self, after: str = "") -> Iterator[LogObject]:
        return self.log.objects(after)

    def parts(self, item: LogObject) -> Iterator[bytes]:
        time.sleep(FIRST_BYTE)
        return self.log.parts(item)

    def schemas(self) -> Iterator[tuple[str, bytes]]:
        return self.log.schemas()

    def document(self, key: str) -> bytes | None:
        return self.log.document(key)


def _contents(objects: int, frames_of_each: int) -> dict[str, bytes]:
    made = frames(load_catalog(), objects * frames_of_each, 1_000)
    return {
        f"log/2024/05/01/10/{number:06}": b"".join(islice(made, frames_of_each)) for number in range(objects)
    }


def _rows(where: str, ahead: LogStore, one_by_one: LogStore) -> list[tuple[str, float, float, str]]:
    alone, threaded = (min(map(partial(_seconds, log), range(ROUNDS))) for log in (one_by_one, ahead))
    events = OBJECTS * FRAMES_OF_AN_OBJECT
    return [
        (f"replay: {OBJECTS:,} small objects, {where}", events / threaded, alone / threaded, "events/s"),
        ("  one object at a time", events / alone, 1.0, "events/s"),
    ]


def _seconds(log: LogStore, _round: int) -> float:
    began, damages = time.perf_counter(), Damages()
    for _ in chunks(log, EventFilter(load_catalog().entity("subscription")).needle, damages):
        pass
    damages.check()
    return time.perf_counter() - began
