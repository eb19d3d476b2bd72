"""A CSV row to an aggregated Kinesis entry, on one core: both passes over the file and its sweep included.

The raw limit is what nobody can leave out: the csv module reads the rows once, fastavro writes payload and
envelope from values that are there already, and aws-kinesis-agg aggregates the result. Everything else (the
first pass, text to typed values, strict checks, keys, ids, hashes, CRC) is ours.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any

from aws_kinesis_agg.aggregator import AggRecord
from fastavro import parse_schema, schemaless_writer

from producers.aggregator import MAX_AGGREGATE_BYTES
from producers.csv.archive import InMemoryBucket
from producers.csv.handler import Producer
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.catalog.loader import load_catalog
from schemas.event import BUCKETS, ENVELOPE, partition_key
from schemas.letters.letter import InMemoryLetters

ROWS = 30_000
ROUNDS = 5
SHARDS = 4
NOW = datetime(2025, 4, 22, tzinfo=UTC)
EVENT_SCHEMA = parse_schema(ENVELOPE)
KEYS = [partition_key("school", bucket).encode() for bucket in range(BUCKETS)]
COLUMNS = ("URN", "EstablishmentName", "Town", "Postcode", "OpenDate", "NumberOfPupils", "Open")


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    schema = parse_schema(dict(load_catalog().entity("school").schema.avro))
    rows = [_values(number) for number in range(ROWS)]
    body = _file(rows)
    rounds = [
        (_seconds(_taking(body)), _seconds(lambda: _write_bare(schema, rows, body))) for _ in range(ROUNDS)
    ]
    ours, bare = (min(seconds) for seconds in zip(*rounds, strict=True))
    return [
        ("CSV rows of a snapshot to aggregated entries", ROWS / ours, bare / ours, "rows/s"),
        ("  bare csv reading, fastavro, KPL aggregates", ROWS / bare, 1.0, "rows/s"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()  # the machine is not ours alone
    work()
    return time.process_time() - start


def _taking(body: bytes) -> Callable[[], object]:
    """The work of the Lambda function on one file, which is there already."""
    bucket = InMemoryBucket("files", lambda: NOW)
    upload = bucket.upload("drop/school/schools.csv", body)
    stream, letters = InMemoryStream(SHARDS), InMemoryLetters()
    producer = Producer(load_catalog(), Publisher(stream, InMemorySchemaLog()), letters, lambda _: bucket)
    described = {"key": upload.key, "versionId": upload.version, "eTag": upload.etag}
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "files"}, "object": described}}

    def take() -> None:
        producer.take(json.dumps({"Records": [record]}))
        if letters.letters or not stream.calls:
            raise AssertionError(f"not taken: {letters.letters}")

    return take


def _write_bare(payload_schema: Any, rows: Sequence[dict[str, Any]], body: bytes) -> None:
    aggregates = [AggRecord(MAX_AGGREGATE_BYTES) for _ in range(SHARDS)]
    cells = csv.reader(io.TextIOWrapper(BytesIO(body), "cp1252", newline=""))
    next(cells)
    for number, (values, _) in enumerate(zip(rows, cells, strict=True)):
        event = _avro(EVENT_SCHEMA, _event(number, _avro(payload_schema, values)))
        shard = number % SHARDS
        if not aggregates[shard].add_user_record(KEYS[number % len(KEYS)], event):
            aggregates[shard].get_contents()
            aggregates[shard] = AggRecord(MAX_AGGREGATE_BYTES)
    for aggregate in aggregates:
        aggregate.get_contents()


def _avro(schema: Any, value: dict[str, Any]) -> bytes:
    out = BytesIO()
    schemaless_writer(out, schema, value)
    return out.getvalue()


def _event(number: int, after: bytes) -> dict[str, Any]:
    return {
        "event_id": b"0123456789abcdef",
        "source": "csv:school",
        "entity": "school",
        "operation": "upsert",
        "key": f'["{number}"]',
        "position": f"20250422T000000Z-0123456789abcdef-{number:012}",
        "occurred_at": NOW,
        "schema_fingerprint": b"01234567",
        "before": None,
        "after": after,
        "metadata": {"file": "schools.csv", "row": str(number)},
    }


def _values(number: int) -> dict[str, Any]:
    return {
        "urn": 100_000 + number,
        "name": f'Ysgol Gynradd Llan-{number}, "Tŷ\'r Ysgol"'.replace("ŷ", "y"),
        "town": None if number % 7 == 0 else "Caerfyrddin",
        "postcode": f"SA{number % 99} {number % 9}AB",
        "opened_on": None if number % 3 == 0 else date(1950, 9, 1) + timedelta(days=number * 7 % 20_000),
        "pupils": number % 1_900,
        "is_open": number % 10 > 0,
    }


def _file(rows: Sequence[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in values.values()] for values in rows)
    return out.getvalue().encode("cp1252")


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "Y" if value else "N"
        case date():
            return f"{value:%d-%m-%Y}"
    return str(value)


if __name__ == "__main__":
    for name, figure, share, unit in run():
        print(f"{name:<60} {figure:>12,.0f} {unit:<10} {share:>6.0%}")
