"""The links of England's schools register, three real files (../shared/data/README.md), dropped through S3.

After each the table is exactly that file; as of a moment between two drops it is the earlier one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aws_endpoint import Aws
from gias_links import FILES, rows_of, seen, write_links

from consumers import handler as consumers
from consumers.kinesis import StreamReader
from consumers.warehouse.port import Row, Warehouse
from consumers.warehouse.sqlite.warehouse import open_warehouse
from headwater.aws import connect
from headwater.installation import Installation
from headwater.installation import load as load_installation
from headwater.local.provision import make_flow, make_stores
from headwater.polling.runtime import Poller
from headwater.polling.stream_poller import consumer_poller, pump_poller
from headwater.sources.csv.poller import QueuePoller
from headwater.sources.csv.provision import find_queue
from producers.csv import handler as csv_producer
from producers.wiring import wire
from replay.as_of import plan_as_of
from replay.log.reader import S3Log
from replay.ports import Ports
from replay.rebuild import plan_rebuild
from replay.run import run
from schemas.payload.codec import SchemaRegistry


@dataclass(frozen=True)
class Flow:
    """The runtime's pollers around the Lambda handlers, one after the other in this thread."""

    here: Installation
    s3: Any
    pollers: Sequence[Poller]
    warehouse: Warehouse
    ports: Ports

    def drop(self, file: Path) -> None:
        """Uploads a file and lets everything come through."""
        with file.open("rb") as body:
            key = f"drop/school_links/{file.name}"
            self.s3.put_object(Bucket=self.here.settings.source_bucket, Key=key, Body=body)
        for poller in self.pollers:
            while not poller.poll(time.time()).level:
                pass

    def live(self) -> list[Row]:
        (status,) = self.warehouse.status()
        return list(self.warehouse.rows("school_link", status.revision))


@pytest.fixture
def flow(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    write_links(tmp_path)
    environment = {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "HEADWATER_HOME": str(tmp_path),
        "HEADWATER_STREAM": aws.name("events"),
        "HEADWATER_LOG_BUCKET": aws.name("log"),
        "HEADWATER_SOURCE_BUCKET": aws.name("source"),
        "HEADWATER_WAREHOUSE": f"sqlite:///{tmp_path / 'warehouse.db'}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    here, clients = load_installation(), connect()
    settings = here.settings
    make_stores(clients, settings, here.catalog)
    make_flow(clients, settings, here.catalog, pumped=True)
    url, arn = find_queue(clients, settings)
    warehouse = open_warehouse(environment["HEADWATER_WAREHOUSE"], here.catalog.entities.values())
    warehouse.ensure()
    producer, consumer = csv_producer.build(wire(settings)), consumers.build(settings)
    stream = StreamReader(clients.kinesis, settings.stream)

    def consume(lambda_event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
        consumer.take(lambda_event)
        return {"batchItemFailures": []}

    pollers: list[Poller] = [
        QueuePoller(clients.sqs, url, arn, lambda lambda_event, _: producer.handle(lambda_event)),
        consumer_poller(stream, warehouse, consume),
        pump_poller(stream, clients.firehose, settings.delivery_stream),
    ]
    log = S3Log(clients.s3, settings.log_bucket)
    yield Flow(here, clients.s3, pollers, warehouse, Ports(warehouse, log, stream, SchemaRegistry()))
    warehouse.close()


@pytest.mark.timeout(900)  # half a minute of work, on a machine that may be busy
def test_after_each_file_the_table_is_that_file_and_as_of_between_them_the_earlier_one(
    shared_data: Path, flow: Flow
) -> None:
    files = [shared_data / "gias_links" / name for name in FILES]
    for file in files:
        flow.drop(file)
        assert seen(flow.live()) == rows_of(file)
    last = rows_of(files[-1])
    assert rows_of(files[0]).keys() - last.keys(), "no link vanished: nothing was proved"
    assert any(not str(row[2]).isascii() for row in last.values()), "all names are plain: nothing was proved"

    entity = flow.here.catalog.entity("school_link")
    moments = datetime(2023, 4, 21, tzinfo=UTC), datetime(2025, 4, 21, 23, 59, tzinfo=UTC)
    for file, moment in zip(files, moments, strict=False):
        outcome = run(plan_as_of(flow.ports, entity, moment), flow.ports)
        assert seen(list(flow.warehouse.rows("school_link", outcome.revision))) == rows_of(file)

    before = flow.live()
    outcome = run(plan_rebuild(flow.ports, entity), flow.ports)
    assert (outcome.swapped, outcome.differences) == (True, ())
    assert flow.live() == before
