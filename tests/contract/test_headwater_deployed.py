"""`up --no-create`: what a deployment owns is checked and never created, on real HTTP."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from headwater_up import ROOT, Up, headwater

from headwater.aws import Aws, connect
from headwater.commands.up import is_amazon
from headwater.local.provision import check_deployed, make_flow, make_stores
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.settings import Settings, environment
from schemas.sources.dynamodb import tables

pytest_plugins = ("pollers_world",)


@pytest.fixture
def aws(embedded_aws: Aws) -> Aws:
    return embedded_aws


@pytest.fixture
def deployed(aws: Aws, settings: Settings, catalog: Catalog) -> Settings:
    """Everything that a deployment owns."""
    make_stores(aws, settings, catalog)
    make_flow(aws, settings, catalog, pumped=False)
    aws.s3.put_bucket_versioning(Bucket=settings.log_bucket, VersioningConfiguration={"Status": "Enabled"})
    return settings


def problems(aws: Aws, settings: Settings, catalog: Catalog) -> list[str]:
    """The lines of the error, without its first and last one."""
    with pytest.raises(ConfigurationError) as error:
        check_deployed(aws, settings, catalog)
    return [line.strip() for line in str(error.value).splitlines()[1:-1]]


READS = re.compile("(Get|Head|Describe|List)[A-Z]")


def operations(aws: Aws) -> list[str]:
    """A list that receives the name of each operation that these clients call."""
    called: list[str] = []
    for service in ("dynamodb", "firehose", "kinesis", "s3", "sqs"):
        client = getattr(aws, service)
        client.meta.events.register("before-call", lambda model, **_: called.append(model.name))
    return called


def test_all_that_is_missing_is_named_with_its_template_and_nothing_is_created(
    aws: Aws, settings: Settings, catalog: Catalog
) -> None:
    (table,) = tables(catalog)
    fresh = connect()
    called = operations(fresh)
    for _ in range(2):
        assert problems(fresh, settings, catalog) == [
            f"the bucket {settings.log_bucket} does not exist (cfn/stream.yaml)",
            f"the bucket {settings.source_bucket} does not exist (cfn/source.yaml)",
            f"the stream {settings.stream} does not exist (cfn/stream.yaml)",
            f"the table {table} does not exist (tables.yaml of `headwater cfn render`, or whatever created "
            "the table)",
            f"the queue {settings.queue} does not exist (cfn/source.yaml)",
        ]
    assert called
    assert [name for name in called if not READS.match(name)] == []


def test_what_is_deployed_is_used_as_it_is(aws: Aws, deployed: Settings, catalog: Catalog) -> None:
    fresh = connect()
    called = operations(fresh)
    check_deployed(fresh, deployed, catalog)
    assert called
    assert [name for name in called if not READS.match(name)] == []


def test_the_delivery_of_another_accounts_stream_is_not_looked_for(
    aws: Aws, deployed: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It belongs to that account. The embedded AWS reaches the other account by a role."""
    other = f"arn:aws:kinesis:{aws.region}:222222222222:stream/{deployed.stream}"
    settings = replace(deployed, stream=other, stream_role="arn:aws:iam::222222222222:role/writer")
    clients = connect(settings=settings)
    clients.kinesis.create_stream(StreamName=deployed.stream, ShardCount=1)
    called = operations(clients)
    check_deployed(clients, settings, catalog)
    assert "DescribeDeliveryStream" not in called


def no_delivery(aws: Aws, settings: Settings, _table: str) -> None:
    aws.firehose.delete_delivery_stream(DeliveryStreamName=settings.delivery_stream)


def pumped_delivery(aws: Aws, settings: Settings, table: str) -> None:
    no_delivery(aws, settings, table)
    destination: Any = {
        "RoleARN": settings.firehose_role,
        "BucketARN": "arn:aws:s3:::other",
        "Prefix": "log/",
    }
    aws.firehose.create_delivery_stream(
        DeliveryStreamName=settings.delivery_stream, ExtendedS3DestinationConfiguration=destination
    )


def delivery_to_another_prefix(aws: Aws, settings: Settings, table: str) -> None:
    found = aws.firehose.describe_delivery_stream(DeliveryStreamName=settings.delivery_stream)
    description = found["DeliveryStreamDescription"]
    aws.firehose.update_destination(
        DeliveryStreamName=settings.delivery_stream,
        CurrentDeliveryStreamVersionId=description["VersionId"],
        DestinationId=description["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate={"Prefix": "events/"},
    )


def unversioned(aws: Aws, settings: Settings, _table: str) -> None:
    aws.s3.put_bucket_versioning(
        Bucket=settings.source_bucket, VersioningConfiguration={"Status": "Suspended"}
    )


def notified_of_half(aws: Aws, settings: Settings, _table: str) -> None:
    found = aws.s3.get_bucket_notification_configuration(Bucket=settings.source_bucket)
    aws.s3.put_bucket_notification_configuration(
        Bucket=settings.source_bucket,
        NotificationConfiguration={"QueueConfigurations": found["QueueConfigurations"][:1]},  # type: ignore[typeddict-item]
    )


def keys_only(aws: Aws, _settings: Settings, table: str) -> None:
    fresh_table(aws, table, {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})


def no_stream(aws: Aws, _settings: Settings, table: str) -> None:
    fresh_table(aws, table, {"StreamEnabled": False})


def fresh_table(aws: Aws, table: str, stream: Any) -> None:
    """The same table with this stream: the embedded AWS can't disable one."""
    aws.dynamodb.delete_table(TableName=table)
    aws.dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "n", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "n", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=stream,
    )


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (no_delivery, "the delivery stream .* does not exist .cfn/stream.yaml."),
        (pumped_delivery, "the delivery stream .* does not read the stream .* .cfn/stream.yaml."),
        (delivery_to_another_prefix, "the delivery stream .* does not write to .*/log/ .cfn/stream.yaml."),
        (unversioned, "the bucket source-.* has no versioning .cfn/source.yaml."),
        (
            notified_of_half,
            "the bucket source-.* does not notify the queue .* corrections/ .cfn/source.yaml.",
        ),
        (keys_only, "the stream of the table .* is KEYS_ONLY.* .tables.yaml.*"),
        (no_stream, "the table .* has no stream: enable it with NEW_AND_OLD_IMAGES .tables.yaml.*"),
    ],
)
def test_what_is_wrong_is_one_problem(
    aws: Aws,
    deployed: Settings,
    catalog: Catalog,
    spoil: Callable[[Aws, Settings, str], None],
    problem: str,
) -> None:
    (table,) = tables(catalog)
    spoil(aws, deployed, table)
    (found,) = problems(aws, deployed, catalog)
    assert re.fullmatch(problem, found)


# The command


@pytest.mark.parametrize(
    ("endpoint", "amazon"),
    [
        (None, False),
        ("http://127.0.0.1:4566", False),
        ("http://localhost.localstack.cloud:4566", False),
        ("https://amazonaws.com.example.org", False),
        ("https://notamazonaws.com", False),
        ("https://kinesis.eu-west-2.amazonaws.com", True),
        ("https://vpce-1-x.kinesis.eu-west-2.vpce.amazonaws.com:443/", True),
        ("https://kinesis.cn-north-1.amazonaws.com.cn", True),
        ("https://kinesis.eu-west-2.api.aws", True),
    ],
)
def test_amazons_endpoints_are_known(endpoint: str | None, amazon: bool) -> None:
    assert is_amazon(endpoint) is amazon


@pytest.fixture
def shell(aws_endpoint: str, deployed: Settings, tmp_path: Path) -> dict[str, str]:
    """The environment of a user, with the tables in a file and the entities of `catalog`."""
    return {
        **environment(replace(deployed, home=tmp_path, warehouse=f"sqlite:///{tmp_path / 'w.db'}")),
        **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
    }


def test_up_uses_what_is_deployed(aws: Aws, shell: dict[str, str], catalog: Catalog, tmp_path: Path) -> None:
    (table,) = tables(catalog)
    with Up("--no-create", environment=shell) as up:
        up.put(table, {"n": 1, "sk": "a"})
        file = tmp_path / "reading.csv"
        file.write_text("n,sk\n2,b\n")
        assert up.run("drop", file, "--entity", "reading").code == 0
        rows: list[Any] = []
        while len(rows) < 2:
            rows = up.json("tables", "reading")
        assert up.stop() == 0
        assert "making what is missing" not in up.said()


def test_up_refuses_what_is_not_deployed(shell: dict[str, str]) -> None:
    done = headwater("up", "--no-create", environment={**shell, "HEADWATER_LOG_BUCKET": "not-deployed"})
    assert (done.code, done.out) == (2, "")
    assert "the bucket not-deployed does not exist (cfn/stream.yaml)" in done.err
    done = headwater("up", "--no-create", "--port", "0", environment=shell)
    assert (done.code, "--port is for the embedded AWS" in done.err) == (2, True)


def test_up_does_not_take_a_deployed_stream_for_the_embedded_aws() -> None:
    """As in a shell with the environment of a deployment."""
    arn = "arn:aws:kinesis:eu-west-2:222222222222:stream/headwater-prod-events"
    done = headwater("up", environment={"HEADWATER_STREAM": arn})
    assert (done.code, done.out) == (2, "")
    assert "HEADWATER_STREAM is an ARN" in done.err
    assert "--no-create" in done.err


# No other command creates what a deployment owns

CREATING = {
    *("create_bucket", "create_stream", "create_queue", "create_delivery_stream"),
    *("put_bucket_versioning", "put_bucket_notification_configuration", "set_queue_attributes"),
    *("update_table", "update_destination", "delete_bucket", "delete_stream", "delete_table", "delete_queue"),
    *("create_stack", "update_stack", "delete_stack"),
}
ROOMS = ("schemas", "producers", "consumers", "replay", "headwater")


def test_only_provisioning_creates_and_only_up_provisions() -> None:
    creating, provisioning = set(), set()
    for file in (file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            # SQL has tables, too.
            if isinstance(node, ast.Attribute) and (
                node.attr in CREATING
                or (node.attr == "create_table" and "dynamodb" in ast.unparse(node.value))
            ):
                creating.add(str(file.relative_to(ROOT)))
            if isinstance(node, ast.ImportFrom) and node.module == "headwater.local.provision":
                provisioning.add(str(file.relative_to(ROOT)))
    assert creating == {
        "headwater/local/provision.py",
        "headwater/sources/csv/provision.py",
        "headwater/sources/dynamodb/provision.py",
    }
    assert provisioning == {"headwater/local/assembly.py"}  # `up`, and the embedded AWS of the demo
