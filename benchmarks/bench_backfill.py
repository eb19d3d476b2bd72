"""A DynamoDB scan to aggregated Kinesis entries, on one core, beside the DynamoDB producer's own rate.

Pages of items as boto3 returns them become records, events, frames, chunks and aggregates, with stores in
memory. The share is of the figure of bench_dynamodb_producer for the same rows; the aim is 60 %. A backfill
encodes one image and not two, but every frame goes into a chunk first and is read from it again.
"""

from __future__ import annotations

import time

from benchmarks import bench_dynamodb_producer as producer_bench
from benchmarks.bench_dynamodb_producer import ORDER, Case, subscription
from producers.dynamodb.backfill import Backfill, Ports, run_name, subject
from producers.dynamodb.scan import InMemoryItems, Table
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.runs.run import Wanted, claim
from producers.runs.store import InMemoryRunStore
from producers.schema_log import InMemorySchemaLog
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog
from schemas.event import BUCKETS
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry
from schemas.sources.dynamodb import DynamoDbSource

ITEMS = 20_000
PAGE = 1_000
ROUNDS = 5
ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/{}/stream/2024-05-01T10:00:00.000"


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the producer's rate, unit."""
    small = Case("subscription", load_catalog().entity("subscription"), subscription)
    cases = [Case("order", ORDER, producer_bench._order), small]
    of_records = producer_bench.run()[::2]
    lines = []
    for case, (_, rate, _, _) in zip(cases, of_records, strict=True):
        ours = ITEMS / min(_seconds(case) for _ in range(ROUNDS))
        lines.append((f"DynamoDB item of {case.name} to aggregated entry", ours, ours / rate, "items/s"))
        lines.append(("  the producer: record with both images", rate, 1.0, "records/s"))
    return lines


def _seconds(case: Case) -> float:
    catalog = Catalog({case.entity.name: case.entity}, SchemaRegistry([case.entity.schema]))
    (source,) = case.entity.sources
    assert isinstance(source, DynamoDbSource)
    table = Table(source.table, ARN.format(source.table), case.entity.key, ITEMS, 0, None)
    items = [producer_bench._item(case.values(number, 0)) for number in range(ITEMS)]
    stream = InMemoryStream(producer_bench.SHARDS)
    store = InMemoryRunStore()
    ports = Ports(Publisher(stream, InMemorySchemaLog()), InMemoryLetters(), store)
    name = run_name(catalog, table.name, catalog)
    wanted = Wanted(name, "run", subject(table, catalog, "scan"), 1, "now", "benchmark")
    backfill = Backfill(table, catalog, InMemoryItems(items, 1, PAGE), claim(store, wanted), ports)
    start = time.process_time()
    for _ in backfill.advance():
        pass
    seconds = time.process_time() - start
    if ports.publisher.events != ITEMS + BUCKETS:
        raise AssertionError(f"{ports.publisher.events} events of {ITEMS} items and {BUCKETS} sweeps")
    return seconds


if __name__ == "__main__":
    for name, figure, share, unit in run():
        print(f"{name:<60} {figure:>12,.0f} {unit:<10} {share:>6.0%}")
