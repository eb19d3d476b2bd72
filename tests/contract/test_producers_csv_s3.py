"""The source bucket, as S3 (moto's server) and in memory; the whole CSV source on S3, SQS and Kinesis."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_endpoint import Aws
from csv_world import HEADER, LINK_FIELDS, entity, links, notification

from producers.csv import archive
from producers.csv.archive import Bucket, InMemoryBucket, ObjectGoneError, S3Bucket
from producers.csv.handler import Producer, build
from producers.csv.uploads import Upload
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from producers.wiring import wire_from_environment
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.event import decode_event
from schemas.letters.letter import InMemoryLetters, decode_letters
from schemas.log.kpl import parse_aggregate
from schemas.payload.codec import SchemaRegistry


def make_bucket(aws: Aws, *, versioned: bool = True) -> Any:
    s3 = aws.client("s3")
    region = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket=aws.name("files"), CreateBucketConfiguration=region)
    if versioned:
        status = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=aws.name("files"), VersioningConfiguration=status)
    return s3


class Pair:
    """A bucket, and how its users upload to it."""

    def __init__(self, bucket: Bucket, upload: Callable[[str, bytes], str]) -> None:
        self.bucket = bucket
        self.upload = upload  # gives the version


@pytest.fixture(params=["S3", "memory"])
def pair(request: pytest.FixtureRequest) -> Pair:
    if request.param == "memory":
        memory = InMemoryBucket("files", lambda: datetime.now(UTC))
        return Pair(memory, lambda key, body: memory.upload(key, body).version)
    aws: Aws = request.getfixturevalue("aws")
    s3 = make_bucket(aws)

    def upload(key: str, body: bytes) -> str:
        return str(s3.put_object(Bucket=aws.name("files"), Key=key, Body=body)["VersionId"])

    return Pair(S3Bucket(s3, aws.name("files")), upload)


def read(bucket: Bucket, upload: Upload) -> bytes:
    return b"".join(bucket.read(upload))


def test_a_pinned_version_is_read_whatever_is_uploaded_meanwhile(pair: Pair) -> None:
    version = pair.upload("drop/a", b"old")
    pinned = pair.bucket.pin("drop/a", version)
    newest = pair.upload("drop/a", b"new")
    assert read(pair.bucket, pinned) == b"old"
    assert pinned.version == version
    assert pair.bucket.pin("drop/a", None).version == newest
    assert '"' not in pinned.etag
    assert pinned.last_modified.utcoffset() is not None
    assert pinned.last_modified.microsecond == 0


def test_pinned_twice_is_the_same_upload(pair: Pair) -> None:
    version = pair.upload("drop/a", b"old")
    pair.upload("drop/a", b"new")
    assert pair.bucket.pin("drop/a", version) == pair.bucket.pin("drop/a", version)


def test_deleting_a_version_leaves_the_others(pair: Pair) -> None:
    old, new = (pair.bucket.pin("drop/a", pair.upload("drop/a", body)) for body in (b"old", b"new"))
    pair.bucket.delete(new)
    pair.bucket.delete(new)
    assert pair.bucket.pin("drop/a", None).version == old.version
    pair.bucket.delete(old)
    assert list(pair.bucket.keys("drop/")) == []


def test_the_oldest_version_with_an_etag_is_found(pair: Pair) -> None:
    versions = [pair.upload("drop/a", body) for body in (b"one", b"two", b"one")]
    pair.upload("drop/a.longer", b"two")
    one, two = (pair.bucket.pin("drop/a", version).etag for version in versions[:2])
    assert [pair.bucket.version("drop/a", etag) for etag in (one, f'"{two}"', "no")] == [*versions[:2], None]


def test_a_version_that_is_gone_says_so_everywhere(pair: Pair) -> None:
    pinned = pair.bucket.pin("drop/a", pair.upload("drop/a", b"x"))
    pair.bucket.delete(pinned)
    pair.upload("drop/a", b"another")
    with pytest.raises(ObjectGoneError):
        pair.bucket.pin("drop/a", pinned.version)
    with pytest.raises(ObjectGoneError):
        read(pair.bucket, pinned)
    with pytest.raises(ObjectGoneError):
        pair.bucket.copy(pinned, "archive/a")
    with pytest.raises(ObjectGoneError):
        pair.bucket.pin("drop/nothing", None)


def test_a_copy_is_of_the_pinned_version(pair: Pair) -> None:
    pinned = pair.bucket.pin("drop/a b+c/é", pair.upload("drop/a b+c/é", b"old"))
    pair.upload("drop/a b+c/é", b"new")
    pair.bucket.copy(pinned, "archive/a b+c/é/place")
    copied = pair.bucket.pin("archive/a b+c/é/place", None)
    assert read(pair.bucket, copied) == b"old"


def test_keys_are_found_by_prefix_across_pages(pair: Pair) -> None:
    for number in range(3):
        pair.bucket.put(f"rejects/{number}", io.BytesIO(b"x"))
    pair.bucket.put("archive/0", io.BytesIO(b"x"))
    assert list(pair.bucket.keys("rejects/")) == ["rejects/0", "rejects/1", "rejects/2"]


def test_a_large_object_comes_in_chunks_and_goes_in_parts(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "PART", 5 * 1024 * 1024)
    body = bytes(12_000_000)
    pinned = pair.bucket.pin("drop/a", pair.upload("drop/a", body))
    chunks = list(pair.bucket.read(pinned))
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= archive.CHUNK
    pair.bucket.copy(pinned, "archive/a")
    assert read(pair.bucket, pair.bucket.pin("archive/a", None)) == body
    pair.bucket.put("rejects/a", io.BytesIO(body))
    assert read(pair.bucket, pair.bucket.pin("rejects/a", None)) == body


def test_a_bucket_without_versions_is_refused_with_the_remedy(aws: Aws) -> None:
    s3 = make_bucket(aws, versioned=False)
    s3.put_object(Bucket=aws.name("files"), Key="drop/a", Body=b"x")
    with pytest.raises(ConfigurationError, match="enable versioning"):
        S3Bucket(s3, aws.name("files")).pin("drop/a", None)


def test_a_bucket_that_is_not_there_is_no_object_that_is_gone(aws: Aws) -> None:
    upload = Upload("drop/a", "v", "e", datetime.now(UTC))
    bucket = S3Bucket(aws.client("s3"), aws.name("nowhere"))
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        read(bucket, upload)
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        list(bucket.keys("archive/"))


# The whole source


def receive(aws: Aws, queue: str) -> dict[str, Any]:
    """What SQS holds, in the form in which Lambda hands it to a handler."""
    answer = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    return {
        "Records": [
            {"messageId": one["MessageId"], "eventSource": "aws:sqs", "body": one["Body"]}
            for one in answer.get("Messages", [])
        ]
    }


def notify(aws: Aws, s3: Any) -> str:
    """Notifications of the bucket to a queue of its own. Returns the queue."""
    sqs = aws.client("sqs")
    queue: str = sqs.create_queue(QueueName=aws.name("files"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=aws.name("files"), NotificationConfiguration={"QueueConfigurations": [told]}
    )
    return queue


def test_real_notifications_bring_every_version_in_once(aws: Aws) -> None:
    s3 = make_bucket(aws)
    queue = notify(aws, s3)
    one = links()
    stream, letters = InMemoryStream(), InMemoryLetters()
    producer = Producer(
        Catalog({one.name: one}, SchemaRegistry([one.schema])),
        Publisher(stream, InMemorySchemaLog()),
        letters,
        lambda name: S3Bucket(s3, name),
    )
    key = "drop/links/a b+c é.csv"
    for urn in ("1", "2"):
        s3.put_object(Bucket=aws.name("files"), Key=key, Body=f"{HEADER}\n{urn},x,,Y\n".encode())
    while (batch := receive(aws, queue))["Records"]:  # the test event, two uploads, then the archive's own
        assert producer.handle(batch) == {"batchItemFailures": []}
    events = [
        decode_event(frame)
        for entries in stream.taken.values()
        for entry in entries
        for frame in parse_aggregate(entry.payload)
    ]
    assert sorted(event.key for event in events) == ['["1"]', '["2"]']
    assert {event.metadata["file"] for event in events} == {"a b+c é.csv"}
    assert letters.letters == []
    found = [one["Key"] for one in s3.list_objects_v2(Bucket=aws.name("files"))["Contents"]]
    assert len(found) == 2
    assert all(name.startswith("archive/links/a b+c é.csv/") for name in found)


def test_of_real_uploads_within_one_second_the_last_wins(aws: Aws) -> None:
    s3 = make_bucket(aws)
    queue = notify(aws, s3)
    one = links()
    stream = InMemoryStream()
    producer = Producer(
        Catalog({one.name: one}, SchemaRegistry([one.schema])),
        Publisher(stream, InMemorySchemaLog()),
        InMemoryLetters(),
        lambda name: S3Bucket(s3, name),
    )
    for number in range(20):
        for key in ("a", "b") if number % 2 else ("b", "a"):
            body = f"{HEADER}\n1,{number} {key},,Y\n".encode()
            s3.put_object(Bucket=aws.name("files"), Key=f"drop/links/{key}.csv", Body=body)
    while (batch := receive(aws, queue))["Records"]:
        assert producer.handle(batch) == {"batchItemFailures": []}
    entries = [entry for taken in stream.taken.values() for entry in taken]
    events = [decode_event(frame) for entry in entries for frame in parse_aggregate(entry.payload)]
    names = [
        one.schema.decode(event.after or b"")["name"] for event in sorted(events, key=lambda e: e.position)
    ]
    assert names == [f"{n} {key}" for n in range(20) for key in (("a", "b") if n % 2 else ("b", "a"))]


def test_the_same_file_uploaded_in_parts_has_the_keys_of_the_simple_upload(aws: Aws) -> None:
    s3 = make_bucket(aws)
    body = f"{HEADER}\n1,a,,Y\n".encode()
    where = {"Bucket": aws.name("files"), "Key": "drop/links/a.csv"}
    one = entity(LINK_FIELDS)
    stream = InMemoryStream()
    producer = Producer(
        Catalog({one.name: one}, SchemaRegistry([one.schema])),
        Publisher(stream, InMemorySchemaLog()),
        InMemoryLetters(),
        lambda name: S3Bucket(s3, name),
    )

    def take(version: str, etag: str) -> None:
        upload = Upload(where["Key"], version, etag.strip('"'), datetime.now(UTC))
        producer.take(notification(upload).replace("school-files", aws.name("files")))

    simple = s3.put_object(**where, Body=body)
    take(simple["VersionId"], simple["ETag"])
    upload = s3.create_multipart_upload(**where)["UploadId"]
    part = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=body)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    whole = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    assert whole["ETag"] != simple["ETag"]
    take(whole["VersionId"], whole["ETag"])
    entries = [entry for taken in stream.taken.values() for entry in taken]
    first, second = [decode_event(frame) for entry in entries for frame in parse_aggregate(entry.payload)]
    assert first.key == second.key
    assert first.position != second.position


def test_the_lambda_function_is_built_from_its_environment(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    s3 = make_bucket(aws)
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName=aws.name("events"), ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=aws.name("events"), WaiterConfig={"Delay": 1})
    for name, value in {
        "HEADWATER_STREAM": aws.name("events"),
        "HEADWATER_LOG_BUCKET": aws.name("files"),
        "HEADWATER_SOURCE_BUCKET": aws.name("files"),
    }.items():
        monkeypatch.setenv(name, value)
    producer = build(wire_from_environment())
    for feed in ("platform_usage", "nobody"):
        body = "urn,platform,month,active_users,minutes,score\n100006,Hwb,2025-04-01,12,340,0.125\n"
        put = s3.put_object(Bucket=aws.name("files"), Key=f"drop/{feed}/a.csv", Body=body.encode())
        upload = Upload(f"drop/{feed}/a.csv", put["VersionId"], put["ETag"].strip('"'), datetime.now(UTC))
        told = notification(upload).replace("school-files", aws.name("files"))
        assert producer.handle(json.loads(told)) == {"batchItemFailures": []}
    found = [one["Key"] for one in s3.list_objects_v2(Bucket=aws.name("files"))["Contents"]]
    assert [key.partition("/")[0] for key in found] == ["archive", "dead-letters", "drop", "log", "log"]
    letters = s3.get_object(Bucket=aws.name("files"), Key=found[1])["Body"].read()
    assert [letter.reason for letter in decode_letters(letters)] == ["no entity takes the feed nobody"]
    shard = kinesis.list_shards(StreamName=aws.name("events"))["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(
        StreamName=aws.name("events"), ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    (record,) = kinesis.get_records(ShardIterator=iterator)["Records"]
    (frame,) = parse_aggregate(record["Data"])
    assert decode_event(frame).key == '["100006","Hwb","2025-04-01"]'
