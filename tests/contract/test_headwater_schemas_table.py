"""`headwater schemas new --from-table`: a DynamoDB table, asked over HTTP."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aws_endpoint import Aws
from boto3.dynamodb.types import TypeSerializer
from schema_homes import Ran, Schemas

from producers.dynamodb.images import ItemReader
from schemas.catalog.loader import load_entity
from schemas.sources.dynamodb import DynamoDbSource

ITEMS: list[dict[str, Any]] = [
    {"pk": "S1", "sk": "T1", "mail": "a@example.org", "n": 5, "price": Decimal("1.50"), "on": "2024-02-29"},
    {"pk": "S1", "sk": "T2", "n": 2**40, "price": 3, "on": "2024-03-01", "tags": {"a", "b"}, "odd": 1},
    {
        "pk": "S2",
        "sk": "T1",
        "n": 7,
        "price": 4,
        "on": "2024-03-02",
        "live": True,
        "odd": "x",
        "nothing": None,
    },
]


@pytest.fixture
def schemas(
    aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Schemas:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return Schemas(tmp_path, capsys)


def table(aws: Aws, items: list[dict[str, Any]]) -> str:
    dynamodb, name = aws.client("dynamodb"), aws.name("things")
    names = ("pk", "HASH"), ("sk", "RANGE")
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in names],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each, _ in names],
        BillingMode="PAY_PER_REQUEST",
    )
    for item in items:
        dynamodb.put_item(TableName=name, Item=TypeSerializer().serialize(item)["M"])
    return name


def new(schemas: Schemas, name: str, *words: str) -> Ran:
    return schemas.run("new", "thing", "--from-table", name, "--out", schemas.home, *words, home=False)


PROFILE = {"home": {"password": "x", "langs": ["en"]}}


@pytest.mark.parametrize(
    ("value", "private", "doc"),
    [
        (PROFILE, "drop", "likely a secret"),
        ({"a": [{"b": "x@example.org"}]}, "drop", "likely mail addresses"),
        ([{"ethnicity": "x"}], "drop", "likely sensitive data"),
        ({"notes": "call 020 7946 0958 at noon"}, None, "texts that hold mail addresses or phone numbers"),
        ({"salary": 5}, "drop", "likely sensitive data"),
        ({"home": {"postcode": "x"}}, None, "an address: private where it is a person's"),
        ({"locale": "en-GB", "features": {"x", "y"}}, None, None),
    ],
)
def test_what_nested_values_hold_is_looked_at(
    aws: Aws, schemas: Schemas, value: Any, private: str | None, doc: str | None
) -> None:
    assert new(schemas, table(aws, [{"pk": "1", "sk": "1", "more": value}])).code == 0
    read = json.loads((schemas.home / "entities" / "thing" / "v1.avsc").read_text())
    [field] = [each for each in read["fields"] if each["name"] == "more"]
    assert field.get("headwater.private") == private
    assert field.get("doc", "review: ").startswith(f"review: {doc or ''}")


def test_text_in_the_tables_own_key_stays_text(aws: Aws, schemas: Schemas) -> None:
    """Three items, one moment and one number: each is a row of its own."""
    moments = ("2023-05-11T10:00:00Z", "2023-05-11T10:00:00.000Z", "2023-05-11T11:00:00+01:00")
    items = [{"pk": "2023-05-11", "sk": moment, "seen": moment} for moment in moments]
    assert new(schemas, table(aws, items)).code == 0
    made = load_entity(schemas.home / "entities" / "thing")
    assert {each.name: str(each.kind) for each in made.schema.fields} == {
        "pk": "string",
        "sk": "string",
        "seen": "timestamp-micros",
    }
    [source] = made.sources
    assert isinstance(source, DynamoDbSource)
    reader = ItemReader(made, source)
    assert len({reader.new_state(TypeSerializer().serialize(item)["M"]).key for item in items}) == 3


def test_items_of_a_table_become_fields_and_can_be_read_with_them(aws: Aws, schemas: Schemas) -> None:
    name = table(aws, ITEMS)
    assert new(schemas, name).code == 0
    folder = schemas.home / "entities" / "thing"
    made = load_entity(folder)
    assert made.key == ("pk", "sk")
    assert {each.name: (str(each.kind), each.nullable) for each in made.schema.fields} == {
        "pk": ("string", False),
        "sk": ("string", False),
        "mail": ("string", True),
        "n": ("long", False),
        "price": ("decimal", False),
        "on": ("date", False),
        "tags": ("json", True),
        "odd": ("json", True),
        "live": ("boolean", True),
        "nothing": ("string", True),
    }
    fields = {each["name"]: each for each in json.loads((folder / "v1.avsc").read_text())["fields"]}
    assert fields["mail"]["headwater.private"] == "mask"
    assert fields["odd"]["doc"] == "review: values of several types: N, S"
    [source] = made.sources
    assert isinstance(source, DynamoDbSource)
    reader = ItemReader(made, source)
    assert [reader.new_state(TypeSerializer().serialize(item)["M"]).error for item in ITEMS] == [None] * 3


def test_only_so_many_items_are_read(aws: Aws, schemas: Schemas) -> None:
    done = new(schemas, table(aws, ITEMS), "--rows", "2")
    assert "looked at the first 2 items" in done.err


@pytest.mark.parametrize("empty", [True, False])
def test_a_table_that_has_nothing_or_is_not_there(aws: Aws, schemas: Schemas, empty: bool) -> None:
    name = table(aws, []) if empty else aws.name("nowhere")
    text = (
        "found 0 items; allowed: at least one to see what it holds"
        if empty
        else "there is no such table in this account and region"
    )
    done = new(schemas, name)
    assert (done.code, done.err) == (2, f"headwater: table {name}: {text}\n")
    assert not (schemas.home / "entities").exists()


def test_without_aws_that_is_said(schemas: Schemas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = new(schemas, "things")
    assert done.code == 5
    assert "Nothing answers at AWS_ENDPOINT_URL=http://127.0.0.1:9" in done.err
