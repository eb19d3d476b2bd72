"""The Lambda events of DynamoDB streams as AWS documents them, with values of our own.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
"""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dynamodb_world import World, entity, logical, nullable

from schemas.event import Event

EVENTS = Path(__file__).parent / "lambda_events"
JSON = {"headwater.json": True}
COPY = entity(
    "copy",
    [
        {"name": "isbn", "type": "string"},
        {"name": "number", "type": "int", "from": "copy"},
        {"name": "title", "type": "string"},
        nullable("shelf", "string"),
        {"name": "on_loan", "type": "boolean"},
        nullable("price", logical("decimal", "bytes", precision=38, scale=2)),
        nullable("weight", "double"),
        nullable("cover", "bytes"),
        nullable("acquired", logical("date", "int")),
        nullable("due", logical("timestamp-micros", "long")),
        *(nullable(name, "string", **JSON) for name in ("subjects", "ratings", "scans", "history", "marc")),
    ],
    ["isbn", "number"],
    table="library-items",
)
KEY = '["978-0-14-044913-6","3"]'
GENERATION = "2025-09-14T08:15:27.426000"


def played(name: str) -> tuple[World, list[Event]]:
    world = World(COPY)
    lambda_event: dict[str, Any] = json.loads((EVENTS / name).read_text())
    assert world.producer.publish(lambda_event["Records"]).answer() == {"batchItemFailures": []}
    assert world.letters.letters == []
    return world, world.events()


def test_the_documented_insert_modify_remove_and_time_to_live() -> None:
    world, events = played("dynamodb.json")
    assert [(one.operation, one.key, one.metadata) for one in events] == [
        ("insert", KEY, {}),
        ("update", KEY, {}),
        ("delete", KEY, {}),
        ("delete", '["978-0-14-044914-3","1"]', {"deleted_by": "ttl"}),
    ]
    assert [one.position for one in events] == [
        f"{GENERATION}-{4421584500000000017450439091 + number:040}" for number in range(4)
    ]
    assert [one.occurred_at for one in events] == [
        1757838000_000000,
        1757838600_000000,
        1757839200_000000,
        1757839260_000000,
    ]
    before, after = world.values(events[1])
    assert before is not None
    assert after is not None
    assert (before["on_loan"], after["on_loan"]) == (False, True)
    assert before | {"on_loan": True} == after
    assert not any("card-55021" in str(one) for one in events)


def test_every_type_of_attribute() -> None:
    world, (one,) = played("dynamodb_all_types.json")
    assert world.values(one) == (
        None,
        {
            "isbn": "978-0-14-044913-6",
            "number": 3,
            "title": "Émile, ou De l’éducation",
            "shelf": None,
            "on_loan": True,
            "price": Decimal("12345678901234567890123456.78"),
            "weight": 0.358,
            "cover": b"\xff\xd8\xff\xe0\x00\x10",
            "acquired": date(2019, 2, 28),
            "due": datetime(2025, 10, 5, 16, 30, tzinfo=UTC),
            "subjects": '["education","fiction"]',
            "ratings": "[3,4.5,10]",
            "scans": '["AQ==","AgM="]',
            "history": '[{"card":"card-1","days":14},null,false]',
            "marc": '{"245":{"a":"Émile","n":100},"raw":"AP8="}',
        },
    )


IDS = {
    "dynamodb.json": [
        "949d39e14a4c519481132398f4ce3337",
        "4f9447aafa2e5e1a89418b661395924d",
        "5f97e713706d57909550c73060a394b6",
        "564f04818cd85e609cd6a69976169a24",
    ],
    "dynamodb_all_types.json": ["97caa1c6c2c550bf95a4ca9ab869a867"],
}
"""By uuid.uuid5 of the canonical array of entity, source, key and position."""


@pytest.mark.parametrize("name", IDS)
def test_the_documented_events_have_the_ids_that_they_always_had(name: str) -> None:
    _, events = played(name)
    assert [one.event_id.hex() for one in events] == IDS[name]
