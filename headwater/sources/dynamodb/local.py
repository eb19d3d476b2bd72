"""DynamoDB tables in the local runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from headwater.aws import Aws, repeat_while_busy
from headwater.deployed import Deployed
from headwater.gaps import keep_gap
from headwater.output import listed
from headwater.sources.dynamodb.backfill_poller import BackfillPoller, tables_to_fill
from headwater.sources.dynamodb.poller import DynamoDbPoller
from headwater.sources.dynamodb.provision import check_table, enable_stream, make_table
from headwater.sources.kind import Environment, LocalKind, Running
from producers.dynamodb.handler import build
from producers.dynamodb.redrive import build as build_redriver
from producers.wiring import wire
from schemas.catalog.entity import Catalog
from schemas.settings import Settings
from schemas.sources.dynamodb import KIND as SOURCE
from schemas.sources.dynamodb import DynamoDbSource, tables


def _make_tables(aws: Aws, _settings: Settings, catalog: Catalog) -> None:
    for table, key in tables(catalog).items():
        repeat_while_busy(make_table, aws, table, key)


def _enable_streams(aws: Aws, _settings: Settings, catalog: Catalog) -> None:
    for table in tables(catalog):
        repeat_while_busy(enable_stream, aws, table)


def _check(found: Deployed, aws: Aws, _settings: Settings, catalog: Catalog) -> None:
    for table in tables(catalog):
        check_table(found, aws, table)


@contextmanager
def _running(at: Environment) -> Iterator[Running]:
    producer = build(at.wiring)
    poller = DynamoDbPoller(
        at.aws.dynamodbstreams,
        list(tables(at.here.catalog)),
        lambda lambda_event, _context: producer.handle(lambda_event),
        at.places,
        lambda gap: keep_gap(at.aws, at.here.settings, gap),
    )
    waiting = tables_to_fill(at) if at.backfill else []
    if not waiting:
        yield Running([poller], lambda: "")
        return
    # A publisher is for one thread.
    wiring = wire(at.here.settings, at.aws.client, at.here.catalog)
    backfill = BackfillPoller(at, wiring, waiting, lambda: poller.is_reading)
    with closing(backfill):
        yield Running([poller, backfill], lambda: backfill.busy)


def _invitation(catalog: Catalog) -> str:
    return f"put items into the tables {listed(tables(catalog))}"


def _instead_of_drop(source: DynamoDbSource) -> str:
    return f"the DynamoDB table {source.table}, not from files: put items there"


KIND = LocalKind(
    name=SOURCE.name,
    make_stores=_make_tables,
    make_flow=_enable_streams,
    check=_check,
    running=_running,
    redriver=build_redriver,
    invitation=_invitation,
    instead_of_drop=_instead_of_drop,
)
