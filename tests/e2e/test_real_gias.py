"""The links of England's schools register, three real files (../shared/data/README.md), dropped through S3.

After each the table is exactly that file; as of a moment between two drops it is the earlier one.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Aws
from pipe import write_entity

from consumers import handler as consumers
from consumers.kinesis import StreamReader
from consumers.warehouse.port import Row, Warehouse
from headwater.aws import connect
from headwater.installation import Installation
from headwater.installation import load as load_installation
from headwater.provision import find_queue, make_flow, make_stores
from headwater.queue_poller import QueuePoller
from headwater.runtime import Poller
from headwater.stream_poller import consumer_poller, pump_poller
from producers.csv import handler as csv_producer
from replay.as_of import plan_as_of
from replay.log import S3Log
from replay.ports import Ports
from replay.rebuild import plan_rebuild
from replay.run import run
from schemas.codec import Registry

LINK_TOML = """
key = ["urn", "link_urn", "link_type"]
[[source]]
csv = "school_links"
mode = "snapshot"
encoding = "cp1252"
effective = "links_%Y%m%d.csv"
"""
LINK_FIELDS: Sequence[Mapping[str, Any]] = (
    {"name": "urn", "type": "int", "from": "URN"},
    {"name": "link_urn", "type": "int", "from": "LinkURN"},
    {"name": "link_name", "type": "string", "from": "LinkName"},
    {"name": "link_type", "type": "string", "from": "LinkType"},
    {
        "name": "established_on",
        "type": ["null", {"type": "int", "logicalType": "date"}],
        "default": None,
        "from": "LinkEstablishedDate",
        "format": "%d-%m-%Y",
    },
)
FILES = ("links_20230421.csv", "links_20240129.csv", "links_20250422.csv")


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
def flow(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flow:
    write_entity(tmp_path, "school_link", LINK_TOML, *LINK_FIELDS)
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
    producer, consumer = csv_producer.build(environment), consumers.build(environment)
    stream, warehouse = StreamReader(clients.kinesis, settings.stream), here.warehouse()

    def consume(lambda_event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
        consumer.take(lambda_event)
        return {"batchItemFailures": []}

    pollers: list[Poller] = [
        QueuePoller(clients.sqs, url, arn, lambda lambda_event, _: producer.handle(lambda_event)),
        consumer_poller(stream, warehouse, consume),
        pump_poller(stream, clients.firehose, settings.delivery_stream),
    ]
    log = S3Log(clients.s3, settings.log_bucket)
    return Flow(here, clients.s3, pollers, warehouse, Ports(warehouse, log, stream, Registry()))


def rows_of(file: Path) -> dict[tuple[int, int, str], tuple[object, ...]]:
    """What the file says, by key."""
    text = io.StringIO(file.read_bytes().decode("cp1252"), newline="")
    rows = {}
    for row in csv.DictReader(text):
        day = row["LinkEstablishedDate"]
        key = int(row["URN"]), int(row["LinkURN"]), row["LinkType"]
        established = datetime.strptime(day, "%d-%m-%Y").date() if day else None  # noqa: DTZ007 - a date
        assert key not in rows
        rows[key] = (*key[:2], row["LinkName"], key[2], established)
    return rows


def seen(rows: Sequence[Row]) -> dict[tuple[object, ...], tuple[object, ...]]:
    """The live rows, by key."""
    return {(*row.values[:2], row.values[3]): row.values for row in rows if not row.deleted}


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
