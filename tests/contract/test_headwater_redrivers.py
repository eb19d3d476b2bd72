"""A redrive is put together as the producers are: what no schema names is told by it, too."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from csv_world import links
from dynamodb_world import ORDER, order, record

from headwater.redrivers import redrivers
from headwater.views.sightings import read_drift
from producers.csv.file import object_letter
from producers.dynamodb.records import RecordReader
from schemas.catalog.entity import Catalog
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import Redriver
from schemas.payload.codec import SchemaRegistry
from schemas.settings import Settings

Wired = tuple[Mapping[str, Redriver], Any, Settings]


@pytest.fixture
def wired(aws: Any) -> Wired:
    settings = Settings(stream=aws.name("events"), log_bucket=aws.name("log"), source_bucket=aws.name("own"))
    clients = SimpleNamespace(s3=aws.client("s3"), kinesis=aws.client("kinesis"), client=aws.client)
    clients.kinesis.create_stream(StreamName=settings.stream, ShardCount=1)
    for bucket in (settings.log_bucket, settings.source_bucket):
        place = {"LocationConstraint": "eu-west-1"}
        clients.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    clients.s3.put_bucket_versioning(
        Bucket=settings.source_bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    catalog = Catalog({"links": links(), "order": ORDER}, SchemaRegistry([links().schema, ORDER.schema]))
    here = SimpleNamespace(catalog=catalog, settings=settings)
    return redrivers(here, clients, None), clients, settings  # type: ignore[arg-type]


def drift(wired: Wired) -> list[tuple[str, str]]:
    _, clients, settings = wired
    return [(each.entity, each.name) for each in read_drift(clients, settings)]


def redriven(wired: Wired, letter: DeadLetter) -> bool:
    [outcome] = wired[0][letter.stage].redrive([letter])
    return outcome.state == "redriven"


def test_a_file_that_is_redriven_tells_its_columns_that_no_schema_names(wired: Wired) -> None:
    _, clients, settings = wired
    bucket, key = settings.source_bucket, "drop/links/a.csv"
    body = b"URN,Name,Since,Open,Extra\n1,Alpha,01-02-2020,Y,a value\n"
    version = clients.s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
    assert redriven(wired, object_letter(bucket, key, version, "no entity takes the feed links"))
    assert drift(wired) == [("links", "Extra")]


def test_an_item_that_is_redriven_tells_its_attributes_that_no_schema_names(wired: Wired) -> None:
    catalog = Catalog({"order": ORDER}, SchemaRegistry([ORDER.schema]))
    [refused] = RecordReader(catalog).read(record(1, new=order(1, "x"))).letters
    assert not redriven(wired, refused)
    assert drift(wired) == [("order", "secret")]
