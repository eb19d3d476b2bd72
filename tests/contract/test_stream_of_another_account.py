"""The stream by ARN, and by a role of another account, on real HTTP.

The embedded AWS keeps accounts apart and has no resource policies, so that another account's stream can be
reached only by a role. Resource policies were not seen here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from dynamodb_world import ORDER, event

from consumers import aws_clients as consumers_clients
from consumers.kinesis import StreamReader
from headwater.aws import connect
from producers import aws_clients as producers_clients
from producers.kinesis import Entry, KinesisWriter
from producers.wiring import wire
from schemas.errors import ConfigurationError
from schemas.settings import Settings

REGION = "eu-west-1"
OWN, OTHER = "123456789012", "222222222222"  # the embedded AWS's own, and one that a role belongs to
ROLE = f"arn:aws:iam::{OTHER}:role/headwater-writer"
Clients = Callable[..., Callable[[str], Any]]


@pytest.fixture(params=[producers_clients, consumers_clients])
def aws_clients(request: pytest.FixtureRequest) -> Clients:
    """Both rooms have the function."""
    made: Clients = request.param.aws_clients
    return made


@pytest.fixture
def environment(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a Lambda function has it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # not the stream's


def owner() -> Any:
    """A client of the stream's owner."""
    role = boto3.session.Session().client("sts").assume_role(RoleArn=ROLE, RoleSessionName="owner")
    keys = role["Credentials"]
    session = boto3.session.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION
    )
    return session.client("kinesis")


@pytest.fixture
def arn(aws: Any, environment: None) -> str:
    """The ARN of a stream with three shards in the other account."""
    name = aws.name("events")
    owner().create_stream(StreamName=name, ShardCount=3)
    return f"arn:aws:kinesis:{REGION}:{OTHER}:stream/{name}"


def test_a_stream_of_the_same_account_is_written_and_read_by_its_arn(aws: Any, environment: None) -> None:
    name = aws.name("own")
    aws.client("kinesis").create_stream(StreamName=name, ShardCount=3)
    arn = f"arn:aws:kinesis:{REGION}:{OWN}:stream/{name}"
    clients = connect(settings=Settings(stream=arn))
    writer, reader = KinesisWriter(clients.kinesis, arn), StreamReader(clients.kinesis, arn)
    shard = writer.put([Entry(b"x", "k", "0")])[0]
    assert shard == writer.shards()[0].id
    assert [one.id for one in reader.shards()] == [one.id for one in writer.shards()]
    assert reader.identity().startswith(f"{arn}@")
    assert reader.retention() == timedelta(hours=24)
    for start in (None, datetime(2020, 1, 1, tzinfo=UTC)):
        (record,) = reader.open(str(shard), start).read().records
        assert record.payload == b"x"
    assert reader.open(str(shard), record.sequence).read().records == []


def test_a_stream_of_another_account_needs_the_role(arn: str, aws_clients: Clients) -> None:
    own = aws_clients(Settings(stream=arn))("kinesis")
    with pytest.raises(ConfigurationError, match=f"ListShards of the stream {arn}: ResourceNotFound"):
        KinesisWriter(own, arn).shards()
    assumed = aws_clients(Settings(stream=arn, stream_role=ROLE))("kinesis")
    assert len(KinesisWriter(assumed, arn).shards()) == 3
    assert StreamReader(assumed, arn).identity().startswith(f"{arn}@")


def test_only_kinesis_is_called_by_the_role(arn: str, aws_clients: Clients) -> None:
    client = aws_clients(Settings(stream=arn, stream_role=ROLE))
    assert client("sts").get_caller_identity()["Account"] == OWN
    assert client("s3").meta.region_name == "us-east-1"
    assert client("kinesis").meta.region_name == REGION


def test_a_producer_publishes_through_the_role(arn: str, aws: Any) -> None:
    bucket = aws.name("log")
    boto3.session.Session().client("s3").create_bucket(Bucket=bucket)
    wiring = wire(Settings(stream=arn, stream_role=ROLE, log_bucket=bucket, source_bucket=bucket))
    wiring.publisher.add(event(1), ORDER.schema)
    wiring.publisher.flush()
    reader = StreamReader(owner(), arn)
    assert len([record for shard in reader.shards() for record in reader.open(shard.id).read().records]) == 1


def test_the_role_is_assumed_once_and_again_before_its_credentials_expire(
    arn: str, aws_clients: Clients
) -> None:
    """By botocore's own machinery: a client never holds credentials that are about to expire."""
    kinesis = aws_clients(Settings(stream=arn, stream_role=ROLE))("kinesis")
    keys = _access_keys(kinesis)
    for _ in range(3):
        kinesis.list_shards(StreamARN=arn)
    assert len(set(keys)) == 1
    credentials = kinesis._get_credentials()
    assert credentials.method == "sts-assume-role"
    credentials._expiry_time = datetime.now(UTC) + timedelta(seconds=1)
    kinesis.list_shards(StreamARN=arn)
    assert len(set(keys)) == 2


def test_a_role_that_may_not_be_assumed_is_named(arn: str, aws_clients: Clients) -> None:
    options = {"endpoint_url": "http://127.0.0.1:9", "config": Config(retries={"total_max_attempts": 1})}
    kinesis = aws_clients(Settings(stream=arn, stream_role=ROLE), **options)("kinesis")
    with pytest.raises(Exception, match=f"AssumeRole of {ROLE}: EndpointConnectionError"):
        KinesisWriter(kinesis, arn).shards()


def _access_keys(kinesis: Any) -> list[str]:
    """Return a list that receives the access key of each request."""
    keys: list[str] = []

    def sent(request: Any, **_: object) -> None:
        keys.append(request.headers["Authorization"].split(b"Credential=")[1].split(b"/")[0].decode())

    kinesis.meta.events.register("before-send.kinesis", sent)
    return keys


# Host names and arguments, from requests that are answered here and never sent

ELSEWHERE = "arn:aws:kinesis:eu-west-2:222222222222:stream/events"
PAGES = [{"Shards": [], "NextToken": "more"}, {"Shards": []}]


def _requests(clients: Callable[[str], Any]) -> list[tuple[str, dict[str, Any]]]:
    """List the shards twice, as producer and as consumer; return the hosts and bodies of the requests."""
    kinesis, answers = clients("kinesis"), iter(PAGES * 2)
    sent: list[tuple[str, dict[str, Any]]] = []

    def answer(request: Any, **_: object) -> AWSResponse:
        sent.append((urlsplit(request.url).netloc, json.loads(request.body)))
        raw = io.BytesIO(json.dumps(next(answers)).encode())
        raw.stream = lambda: iter([raw.getvalue()])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 200, {"content-type": "application/x-amz-json-1.1"}, raw)

    kinesis.meta.events.register("before-send.kinesis", answer)
    KinesisWriter(kinesis, ELSEWHERE).shards()
    StreamReader(kinesis, ELSEWHERE).shards()
    return sent


def test_a_further_page_of_shards_names_no_stream(environment: None, aws_clients: Clients) -> None:
    """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html"""
    bodies = [body for _, body in _requests(aws_clients(Settings(stream=ELSEWHERE)))]
    assert bodies == [{"StreamARN": ELSEWHERE}, {"NextToken": "more"}] * 2


def test_an_endpoint_of_ones_own_gets_no_account_based_host(
    environment: None, aws: Any, aws_clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore puts the ARN's account before Amazon's host names only, wherever the endpoint comes from."""
    settings = Settings(stream=ELSEWHERE)
    own = {urlsplit(aws.endpoint).netloc}
    assert {host for host, _ in _requests(aws_clients(settings))} == own
    assert {host for host, _ in _requests(aws_clients(settings, endpoint_url=aws.endpoint))} == own
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert [host for host, _ in _requests(aws_clients(settings))] == [
        "222222222222.control-kinesis.eu-west-2.amazonaws.com",
        "kinesis.eu-west-2.amazonaws.com",
    ] * 2
