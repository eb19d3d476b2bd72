"""The Lambda function of DynamoDB streams, built from its environment, on real HTTP."""

import json
from pathlib import Path
from typing import Any

import pytest
from dynamodb_world import arn, frames, record

from producers.dynamodb.handler import build
from producers.kinesis import Entry
from producers.wiring import wire
from schemas.catalog.drift import DRIFT_PREFIX, sighting_of
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError
from schemas.event import decode_event
from schemas.letters.letter import decode_letters
from schemas.settings import read_settings


@pytest.fixture
def environment(aws: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A home with one entity, a stream, two buckets: the variables that name them."""
    folder = tmp_path / "entities" / "reading"
    folder.mkdir(parents=True)
    (folder / "entity.toml").write_text(
        f'key = ["meter", "at"]\n[[source]]\ndynamodb = "{aws.name("readings")}"\n'
    )
    fields = [
        {"name": "meter", "type": "string"},
        {"name": "at", "type": "long"},
        {"name": "value", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 4}},
        {"name": "raw", "type": ["null", "bytes"], "default": None},
    ]
    avro = {"type": "record", "name": "Reading", "fields": fields}
    (folder / "v1.avsc").write_text(json.dumps(avro))
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    named = {
        "HEADWATER_HOME": str(tmp_path),
        "HEADWATER_STREAM": aws.name("events"),
        "HEADWATER_LOG_BUCKET": aws.name("log"),
        "HEADWATER_SOURCE_BUCKET": aws.name("source"),
    }
    aws.client("kinesis").create_stream(StreamName=named["HEADWATER_STREAM"], ShardCount=1)
    for bucket in (named["HEADWATER_LOG_BUCKET"], named["HEADWATER_SOURCE_BUCKET"]):
        aws.client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    return named


def stream_records(aws: Any, table: str) -> list[dict[str, Any]]:
    """What the table's stream tells, in the form of a Lambda event; none of its values is binary."""
    streams = aws.client("dynamodbstreams")
    stream = streams.list_streams(TableName=table)["Streams"][0]["StreamArn"]
    (shard,) = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    told = streams.get_records(ShardIterator=iterator)["Records"]
    for one in told:
        at = one["dynamodb"]["ApproximateCreationDateTime"]
        one["dynamodb"]["ApproximateCreationDateTime"] = at.timestamp()
        one["eventSourceARN"] = stream
    return list(told)


def published(aws: Any, stream: str) -> list[Any]:
    kinesis = aws.client("kinesis")
    (shard,) = kinesis.list_shards(StreamName=stream)["Shards"]
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = kinesis.get_records(ShardIterator=iterator)["Records"]
    return [decode_event(f) for f in frames([Entry(r["Data"], r["PartitionKey"], "0") for r in records])]


def test_real_changes_of_a_real_table_become_events_letters_and_schemas(
    aws: Any, environment: dict[str, str]
) -> None:
    table, dynamodb = aws.name("readings"), aws.client("dynamodb")
    dynamodb.create_table(
        TableName=table,
        KeySchema=[
            {"AttributeName": "meter", "KeyType": "HASH"},
            {"AttributeName": "at", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "meter", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    key = {"meter": {"S": "m1"}, "at": {"N": "1"}}
    value = "1234567890123456789012345678901234.5678"
    dynamodb.put_item(TableName=table, Item={**key, "value": {"N": value}, "owner": {"S": "stays"}})
    dynamodb.put_item(TableName=table, Item={**key, "value": {"N": "2"}})
    dynamodb.put_item(
        TableName=table, Item={"meter": {"S": "m2"}, "at": {"N": "1"}, "value": {"S": "broken"}}
    )
    dynamodb.delete_item(TableName=table, Key=key)

    outcome = build(wire(read_settings(environment))).publish(stream_records(aws, table))
    assert (outcome.published, outcome.dead, outcome.failed) == (3, 1, None)

    events = published(aws, environment["HEADWATER_STREAM"])
    assert [(one.operation, one.key) for one in events] == [
        ("insert", '["m1","1"]'),
        ("update", '["m1","1"]'),
        ("delete", '["m1","1"]'),
    ]
    assert [one.position for one in events] == sorted(one.position for one in events)
    schema = load_catalog(Path(environment["HEADWATER_HOME"])).entity("reading").schema
    assert str(schema.decode(events[0].after)["value"]) == value
    assert events[2].before == events[1].after

    s3 = aws.client("s3")
    logged = s3.list_objects_v2(Bucket=environment["HEADWATER_LOG_BUCKET"])["Contents"]
    assert f"log/_schemas/{schema.fingerprint.hex()}.avsc" in {one["Key"] for one in logged}
    source_bucket = environment["HEADWATER_SOURCE_BUCKET"]
    kept = s3.list_objects_v2(Bucket=source_bucket)["Contents"]
    bodies = {one["Key"]: s3.get_object(Bucket=source_bucket, Key=one["Key"])["Body"].read() for one in kept}
    letters, drift = sorted(bodies, key=lambda key: key.startswith(DRIFT_PREFIX))
    assert letters.startswith("dead-letters/")
    assert sighting_of(drift).names == ("owner",)
    assert bodies[drift] == b""
    (letter,) = decode_letters(bodies[letters])
    assert letter.reason == "field value: takes an attribute of type N, got S"


def test_a_stream_of_keys_alone_is_refused(aws: Any, environment: dict[str, str]) -> None:
    table, dynamodb = aws.name("readings"), aws.client("dynamodb")
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "meter", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "meter", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    dynamodb.put_item(TableName=table, Item={"meter": {"S": "m1"}})
    with pytest.raises(ConfigurationError, match="KEYS_ONLY, not NEW_AND_OLD_IMAGES"):
        build(wire(read_settings(environment))).publish(stream_records(aws, table))


def test_a_kinesis_stream_that_is_not_there_fails_the_batch_loudly(
    aws: Any, environment: dict[str, str]
) -> None:
    table = aws.name("readings")
    new = {"meter": {"S": "m"}, "at": {"N": "1"}, "value": {"N": "1"}}
    told = {**record(1, new=new, key=("meter", "at")), "eventSourceARN": arn(table)}
    producer = build(wire(read_settings({**environment, "HEADWATER_STREAM": aws.name("nowhere")})))
    with pytest.raises(ConfigurationError, match="nowhere-"):
        producer.publish([told])
