"""Every function of a deployment, run once in each way that calls AWS, on the embedded AWS of this machine.

The functions are those of the Lambda handlers, built from the environment that the templates give them. Only
what AWS calls on its own is missing: event source mappings, Firehose, notifications.
"""

from __future__ import annotations

import io
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse
from importlib import import_module
from itertools import chain, product, repeat
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, TypeAlias
from unittest import mock

import boto3
import pytest
from dynamodb_world import order, record
from pipe import write_entity

import producers.csv.archive
import producers.csv.stages
from consumers.kinesis import KinesisRecord, StreamReader
from headwater.cli import main
from headwater.polling.lambda_events import kinesis_event
from headwater.schedule.account import AwsAccount
from headwater.schedule.handler import names_from
from headwater.schedule.parts import Kind, Part, Power
from iam.deployment import Deployment
from iam.installation import PREFIX, REGION, REPORTING, SOURCE, Secrets
from iam.proxy import Proxy, Request
from schemas.errors import ConfigurationError, HeadwaterError

LINKS = """
key = ["urn"]
[[source]]
csv = "links"
mode = "snapshot"
max_deleted = 1.0
reject_limit = 0.9
"""
ORDERS = """
key = ["id"]
[[source]]
dynamodb = "orders"
"""
LINK_FIELDS = (
    {"name": "urn", "type": "int"},
    {"name": "mail", "type": ["null", "string"], "default": None, "headwater.private": "hash"},
)
ORDER_FIELDS = (
    {"name": "id", "type": "string", "headwater.private": "hash"},
    {"name": "total", "type": "int"},
)
POISON = b"poison"
BIG = 5 * 1024 * 1024  # bytes: the least size of a part


class Homes(NamedTuple):
    """The entities in the packages of each account: a producer may know a newer schema than the consumer."""

    producers: Path
    consumers: Path

    def write(self) -> None:
        """Write entities of both kinds of source, with hashed fields."""
        for home in self:
            write_entity(home, "link", LINKS, *LINK_FIELDS)
            write_entity(home, "order", ORDERS, *ORDER_FIELDS)


class MotoProxy(Proxy):
    """The proxy of the embedded AWS, whose accounts are chosen by a header.

    The access key of a function is its name, which Lambda's environment has in any case.
    """

    def __init__(self, upstream: str, calls: Path, deployment: Deployment) -> None:
        super().__init__(upstream, calls)
        self._deployment = deployment
        self.caller = self._of_function
        self.lose_upload = False
        """While it is True, every part goes to an upload that does not exist."""

    def forward(self, request: Request) -> tuple[HTTPResponse, bytes]:
        if self.lose_upload and "partNumber" in request.target:
            request.target = re.sub("uploadId=[^&]+", "uploadId=lost", request.target)
        return super().forward(request)

    def _of_function(self, access_key: str | None) -> str | None:
        assert access_key is not None
        role = self._deployment.role_of_key(access_key)
        return f"arn:aws:sts::{role.account}:assumed-role/{role.arn.rpartition('/')[2]}/{access_key}"

    def headers(self, request: Request, caller: str | None, routed: str | None) -> dict[str, str]:
        assert caller is not None
        return {**super().headers(request, caller, None), "x-moto-account-id": routed or caller.split(":")[4]}


def forget(handlers: ModuleType) -> None:
    """Drop what a module of handlers keeps between two calls, as the end of a container does."""
    for kept in vars(handlers).values():
        if hasattr(kept, "cache_clear"):
            kept.cache_clear()


def forget_all(deployment: Deployment) -> None:
    """End the containers of all functions, since tests of the same process call these handlers too."""
    for resource in deployment.resources:
        if resource.type == "AWS::Lambda::Function":
            forget(import_module(resource.properties["Handler"].rpartition(".")[0]))


@dataclass(frozen=True)
class Stage:
    """The embedded AWS with the resources of a deployment. Functions call it by `endpoint`, which records."""

    aws: str
    endpoint: str
    proxy: MotoProxy
    deployment: Deployment
    homes: Homes
    warehouse_url: str
    lines: list[str] = field(default_factory=list)
    """What the functions have written to stdout."""

    def client(self, service: str, account: str) -> Any:
        """Return a client of an account, whose calls are not recorded."""
        return plain_client(self.aws, service, account)

    def invoke(
        self,
        name: str,
        event: object,
        left: Callable[[], float] = lambda: 900.0,
        *,
        cold: bool = False,
        **more: str,
    ) -> Any:
        """Call the handler of a function as Lambda does, with seconds `left`.

        `cold`: in a new container. `more`: other variables than those of the template.
        """
        declared = self.deployment.one("AWS::Lambda::Function", f"{PREFIX}-{name}").properties
        module, _, handler = declared["Handler"].rpartition(".")
        imported = import_module(module)
        if cold:
            forget(imported)
        context = SimpleNamespace(
            aws_request_id="1",
            function_name=declared["FunctionName"],
            get_remaining_time_in_millis=lambda: int(1000 * left()),
        )
        out = io.StringIO()
        try:
            variables = declared["Environment"]["Variables"] | more
            with self.environment(context.function_name, variables), redirect_stdout(out):
                return getattr(imported, handler)(event, context)
        finally:
            self.lines.extend(out.getvalue().splitlines())

    @contextmanager
    def environment(self, access_key: str, variables: Mapping[str, str]) -> Iterator[None]:
        """Run as the role of an access key, with the variables of its template."""
        given = {
            **variables,
            "HEADWATER_HOME": str(self._home(access_key)),
            "AWS_ENDPOINT_URL": f"http://{self.endpoint}",
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "HEADWATER_"))}
        with mock.patch.dict(os.environ, kept | given, clear=True):
            yield

    def _home(self, access_key: str) -> Path:
        account = self.deployment.role_of_key(access_key).account
        return self.homes.producers if account == SOURCE else self.homes.consumers

    @property
    def stream(self) -> str:
        return self.deployment.environment(f"{PREFIX}-consumer")["HEADWATER_STREAM"]

    @property
    def log_bucket(self) -> str:
        return self.deployment.environment(f"{PREFIX}-consumer")["HEADWATER_LOG_BUCKET"]

    @property
    def source_bucket(self) -> str:
        return self.deployment.environment(f"{PREFIX}-csv-producer")["HEADWATER_SOURCE_BUCKET"]


def plain_client(endpoint: str, service: str, account: str) -> Any:
    """Return a client of an account of the embedded AWS."""
    made = boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def to_account(request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = account

    made.meta.events.register("before-send", to_account)
    return made


def make_secrets(endpoint: str, warehouse_url: str) -> Secrets:
    """Create the secrets of a deployment, since the templates are not deployed here."""
    hashing = json.dumps({"id": "2026-01", "key": "0123456789abcdef" * 4})
    return Secrets(
        _secret(endpoint, SOURCE, "headwater/hash", hashing),
        _secret(endpoint, REPORTING, "headwater/warehouse", warehouse_url),
        _secret(endpoint, REPORTING, "headwater/refresher", warehouse_url),
    )


def _secret(endpoint: str, account: str, name: str, text: str) -> str:
    client = plain_client(endpoint, "secretsmanager", account)
    return str(client.create_secret(Name=name, SecretString=text)["ARN"])


def make_resources(stage: Stage) -> None:
    """Create the streams, buckets and secrets that the deployment names."""
    for resource in stage.deployment.resources:
        if resource.type == "AWS::Kinesis::Stream":
            stage.client("kinesis", resource.account).create_stream(StreamName=resource.id, ShardCount=1)
        elif resource.type == "AWS::S3::Bucket":
            s3 = stage.client("s3", resource.account)
            s3.create_bucket(Bucket=resource.id, CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket=resource.id, VersioningConfiguration={"Status": "Enabled"})


# Producers


def drop(stage: Stage, key: str, body: str | bytes, tags: str = "", **without: None) -> dict[str, Any]:
    """Upload a file as a person does, and return the notification as SQS carries it.

    `without`: members that the notification lacks, as those of emulators do.
    """
    bucket = stage.source_bucket
    data = body.encode() if isinstance(body, str) else body
    stored = stage.client("s3", SOURCE).put_object(Bucket=bucket, Key=key, Body=data, Tagging=tags)
    described = {"key": key, "versionId": stored["VersionId"], "eTag": stored["ETag"].strip('"'), **without}
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": described}}
    body = json.dumps({"Records": [record]})
    return {"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": body}]}


def rows(first: int, number: int) -> str:
    return "urn,mail\n" + "".join(f"{urn},a{urn}@example.org\n" for urn in range(first, first + number))


Take: TypeAlias = Callable[[dict[str, Any]], None]


def play_files(stage: Stage) -> None:
    """Files in every way that the CSV producer handles: good, bad, late, large, gone, corrected."""

    def take(event: dict[str, Any]) -> None:
        assert stage.invoke("csv-producer", event) == {"batchItemFailures": []}

    play_feed(stage, "links", take)
    stage.invoke("csv-producer", {"Records": []}, cold=True)  # another container finds the schemas written
    again = drop(stage, "drop/links/again.csv", rows(1, 25), tags="from=school")
    take(again)
    take(again)  # SQS delivers it twice: the object is gone
    play_correction(stage, take)
    with mock.patch.object(producers.csv.archive, "PART", BIG):
        take(drop(stage, "drop/links/large.csv", large()))
    play_failures(stage)


def play_feed(stage: Stage, feed: str, take: Take) -> None:
    """Drop files into a feed. `take` processes each."""
    take(drop(stage, f"drop/{feed}/1.csv", rows(1, 30)))
    take(drop(stage, f"drop/{feed}/2.csv", rows(1, 20).replace("\n", ",x\n")))
    take(drop(stage, f"drop/{feed}/bad.csv", b"urn,mail\n\xff\xfe\n"))
    take(drop(stage, f"drop/{feed}/rejects.csv", rows(1, 9) + "x,y\n"))
    take(drop(stage, f"drop/{feed}/4.csv", rows(1, 9), versionId=None))
    take(drop(stage, f"drop/{feed}/5.csv", rows(1, 9), versionId=None, eTag=None))
    take(drop(stage, f"corrections/{feed}/rejects.csv", rows(1, 1)))


def large() -> str:
    """Return a file that is large enough to be copied, and its rejects to be written, in parts."""
    padding = "x" * 1000
    return rows(1, 3000) + "".join(f"x{number},{padding}\n" for number in range(6000))


def play_correction(stage: Stage, take: Take) -> None:
    """Correct the row that was rejected."""
    bucket, s3 = stage.source_bucket, stage.client("s3", SOURCE)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="rejects/links/rejects.csv/")["Contents"]
    (key,) = (each["Key"] for each in listed if each["Key"].endswith(".csv"))
    text = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    take(drop(stage, "corrections/links/rejects.csv", text.replace("x,y", "10,y@example.org")))


def play_failures(stage: Stage) -> None:
    """Files whose first attempt fails: one runs out of time, the copy of another breaks off."""
    late = drop(stage, "drop/links/late.csv", rows(1, 3000))
    left = chain([100.0] * 4, repeat(1.0))
    with mock.patch.object(producers.csv.stages, "LOOK_ROWS", 500):
        assert stage.invoke("csv-producer", late, lambda: next(left))["batchItemFailures"]
    stage.invoke("csv-producer", late)
    stage.proxy.lose_upload = True
    with mock.patch.object(producers.csv.archive, "PART", BIG):
        assert stage.invoke("csv-producer", drop(stage, "drop/links/cut.csv", large()))["batchItemFailures"]
    stage.proxy.lose_upload = False


def play_changes(stage: Stage) -> None:
    """Changes of a table: good, poison, and with an attribute that no schema names."""
    items = (order(1, "10"), order(2, "20", extra={"S": "x"}), order(3, "not a number"))
    records = [record(number, new=item) for number, item in enumerate(items, 1)]
    assert stage.invoke("dynamodb-producer", {"Records": records}) == {"batchItemFailures": []}


def play_producers_letters(stage: Stage) -> None:
    """Files of a feed that no entity takes, which an entity takes later, and the item that was poison."""

    def letter(event: dict[str, Any]) -> None:
        assert stage.invoke("csv-producer", event) == {"batchItemFailures": []}

    play_feed(stage, "late", letter)
    write_entity(stage.homes.producers, "late", LINKS.replace('"links"', '"late"'), *LINK_FIELDS)
    assert stage.invoke("producer-redrive", {})["redriven"]


# The reporting account


def make_warehouse(stage: Stage) -> None:
    """Create the warehouse's tables, as an administrator does before the consumers are deployed."""
    variables = {"HEADWATER_WAREHOUSE": stage.warehouse_url}
    with stage.environment(f"{PREFIX}-consumer", variables):
        assert main(["warehouse", "init"]) == 0


def play_events(stage: Stage) -> None:
    """What is in the stream, and a record that is no event; then its dead letter again."""
    kinesis = stage.client("kinesis", REPORTING)
    kinesis.put_record(StreamName=stage.stream.partition("/")[2], Data=POISON, PartitionKey="1")
    assert stage.invoke("consumer", _batch(stage)) == {"batchItemFailures": []}
    assert stage.invoke("consumer-redrive", {})["failed_again"]


def play_newer_schema(stage: Stage) -> None:
    """An event of a schema that the consumer does not know, and for a while not even the log."""
    note = {"name": "note", "type": ["null", "string"], "default": None}
    write_entity(stage.homes.producers, "order", ORDERS, *ORDER_FIELDS, note, version=2)
    change = {"Records": [record(9, new=order(9, "90"))]}
    assert stage.invoke("dynamodb-producer", change, cold=True) == {"batchItemFailures": []}
    s3, bucket, prefix = stage.client("s3", REPORTING), stage.log_bucket, "log/_schemas/"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    newest = max(listed, key=lambda each: each["LastModified"])["Key"]
    body = s3.get_object(Bucket=bucket, Key=newest)["Body"].read()
    s3.delete_object(Bucket=bucket, Key=newest)
    assert stage.invoke("consumer", _batch(stage)) == {"batchItemFailures": []}  # now a dead letter
    s3.put_object(Bucket=bucket, Key=newest, Body=body)
    with pytest.raises(ConfigurationError):  # the consumer has to be deployed first
        stage.invoke("consumer-redrive", {})
    with pytest.raises(ConfigurationError):
        stage.invoke("consumer", _batch(stage), cold=True)


def play_schedules(stage: Stage) -> None:
    """What a schedule calls once a minute."""
    stage.invoke("refresher", {})
    stage.invoke("metrics", {})


def play_sleep(stage: Stage) -> None:
    """Every step of the scheduler. The embedded AWS lacks the host and the mapping, and refuses theirs."""
    rds, scheduler = (stage.client(service, REPORTING) for service in ("rds", "scheduler"))
    rds.create_db_instance(
        DBInstanceIdentifier=f"{PREFIX}-warehouse",
        Engine="sqlserver-web",
        DBInstanceClass="db.t3.small",
        MasterUsername="owner",
        MasterUserPassword="0123456789",
        AllocatedStorage=20,
        LicenseModel="license-included",
    )
    for name in ("refresher", "metrics"):
        declared = stage.deployment.one("AWS::Scheduler::Schedule", f"{PREFIX}-{name}").properties
        scheduler.create_schedule(**{key: value for key, value in declared.items() if key != "Description"})
    function = stage.deployment.one("AWS::Lambda::Function", f"{PREFIX}-scheduler").properties
    with stage.environment(function["FunctionName"], function["Environment"]["Variables"]):
        account = AwsAccount(names_from(os.environ))
        with pytest.raises(ConfigurationError, match="state of the consumer"):
            account.state()
        names = names_from(os.environ)
        ids = {Kind.WAREHOUSE: [names.warehouse], Kind.HOST: names.hosts, Kind.CONSUMER: [names.consumer]}
        for kind, several in (ids | {Kind.SCHEDULE: names.schedules}).items():
            for one, on in product(several, (False, True)):
                with suppress(HeadwaterError):
                    account.turn(Part(kind, one, Power.BUSY, "unknown"), on=on)


def play_replay(stage: Stage) -> None:
    """A rebuild from the log, which Firehose has written."""
    s3, bucket = stage.client("s3", REPORTING), stage.log_bucket
    records = [each for each in _records(stage) if each.payload != POISON]
    for number, item in enumerate(records):
        s3.put_object(Bucket=bucket, Key=f"log/2026/01/01/00/{number:09}", Body=item.payload)
    failed = json.dumps({"rawData": b64encode(item.payload).decode()})
    s3.put_object(Bucket=bucket, Key="log-errors/2026/01/01/00/1", Body=failed.encode())
    (task,) = (each for each in stage.deployment.resources if each.type == "AWS::ECS::TaskDefinition")
    (container,) = task.properties["ContainerDefinitions"]
    variables = {each["Name"]: each["Value"] for each in container["Environment"]}
    with stage.environment(task.properties["Family"], variables), redirect_stdout(io.StringIO()):
        assert main(["replay", "rebuild", "order", "--accept-differences"]) == 0


def _records(stage: Stage) -> list[KinesisRecord]:
    reader = StreamReader(stage.client("kinesis", REPORTING), stage.stream)
    return [record for shard in reader.shards() for record in reader.open(shard.id).read().records]


def _batch(stage: Stage) -> dict[str, Any]:
    return kinesis_event(_records(stage), stage.stream)


STEPS = (
    make_resources,
    make_warehouse,
    play_files,
    play_changes,
    play_producers_letters,
    play_events,
    play_replay,
    play_newer_schema,
    play_schedules,
    play_sleep,
)
