"""Creation and checks of DynamoDB tables and their streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from headwater.aws import Aws
from headwater.deployed import TABLES, Deployed
from producers.dynamodb.records import VIEW
from producers.dynamodb.scan import require_both_images
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.sources.dynamodb import KeyAttribute


def make_table(aws: Aws, table: str, key: Sequence[KeyAttribute]) -> None:
    kinds: tuple[Literal["HASH", "RANGE"], ...] = ("HASH", "RANGE")
    with aws_errors(f"making the table {table}"):
        with suppress(aws.dynamodb.exceptions.ResourceInUseException):
            aws.dynamodb.create_table(
                TableName=table,
                KeySchema=[
                    {"AttributeName": attribute.name, "KeyType": kind}
                    for attribute, kind in zip(key, kinds, strict=False)
                ],
                AttributeDefinitions=[
                    {"AttributeName": attribute.name, "AttributeType": attribute.type} for attribute in key
                ],
                BillingMode="PAY_PER_REQUEST",
            )
        aws.dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})


def enable_stream(aws: Aws, table: str) -> None:
    found = _stream_of(aws, table)
    if not found.get("StreamEnabled"):
        try:
            with aws_errors(f"enabling the stream of the table {table}"):
                aws.dynamodb.update_table(
                    TableName=table,
                    StreamSpecification={"StreamEnabled": True, "StreamViewType": VIEW},
                )
        except ConfigurationError:  # an enabled stream is refused too, as after a lost answer
            if not _stream_of(aws, table).get("StreamEnabled"):
                raise
    else:
        require_both_images(table, found)


def check_table(found: Deployed, aws: Aws, table: str) -> None:
    """Check that the table exists and has a stream with both images."""
    with found.check(f"table {table}", TABLES):
        stream = _stream_of(aws, table)
        if not stream.get("StreamEnabled"):
            raise ConfigurationError(f"the table {table} has no stream: enable it with {VIEW}")
        require_both_images(table, stream)


def _stream_of(aws: Aws, table: str) -> Mapping[str, Any]:
    with aws_errors(f"looking at the stream of the table {table}"):
        return aws.dynamodb.describe_table(TableName=table)["Table"].get("StreamSpecification", {})
