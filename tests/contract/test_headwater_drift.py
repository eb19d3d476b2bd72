"""Names that no schema has, read from S3: of the days and the entity that are asked for, those alone."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from headwater.views.sightings import read_drift
from producers.drift_reporter import S3Sightings
from schemas.catalog.drift import Drift, Sighting
from schemas.errors import ConfigurationError
from schemas.settings import Settings

SOURCE = "dynamodb:orders"
SECOND, THIRD = date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture
def bucket(aws: Any) -> Any:
    """Two days of orders and one of order lines."""
    made = SimpleNamespace(s3=aws.client("s3"), settings=Settings(source_bucket=aws.name("drift")))
    name = made.settings.source_bucket
    made.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for entity, day, told in (("order", SECOND, "a"), ("order", THIRD, "a"), ("order_line", SECOND, "b")):
        S3Sightings(made.s3, name).put(Sighting(entity, SOURCE, day, (told,)))
    return made


def test_what_was_there_since_a_day_has_that_day(bucket: Any) -> None:
    order = Drift("order", SOURCE, "a", 2, SECOND, THIRD)
    line = Drift("order_line", SOURCE, "b", 1, SECOND, SECOND)
    assert read_drift(bucket, bucket.settings) == [order, line]
    assert read_drift(bucket, bucket.settings, since=SECOND) == [order, line]
    assert read_drift(bucket, bucket.settings, since=THIRD) == [Drift("order", SOURCE, "a", 1, THIRD, THIRD)]


def test_of_one_entity_none_whose_name_begins_so(bucket: Any) -> None:
    assert [each.entity for each in read_drift(bucket, bucket.settings, "order")] == ["order"]


def test_the_names_of_many_days_are_listed_and_not_read(bucket: Any) -> None:
    """`status` asks once for a thousand of them: what a client without GetObject can do."""

    class Listing:
        def get_paginator(self, name: str) -> Any:
            assert name == "list_objects_v2"
            return bucket.s3.get_paginator(name)

    assert len(read_drift(SimpleNamespace(s3=Listing()), bucket.settings)) == 2  # type: ignore[arg-type]


def test_an_object_that_is_no_sighting_is_named_and_not_shown(bucket: Any) -> None:
    name = bucket.settings.source_bucket
    bucket.s3.put_object(Bucket=name, Key="drift/2026-03-02/order/x.json", Body=b'{"day": "a value"}')
    with pytest.raises(
        ConfigurationError, match=f"s3://{name}/drift/2026-03-02/order/x.json is no"
    ) as caught:
        read_drift(bucket, bucket.settings)
    assert "a value" not in str(caught.value)
