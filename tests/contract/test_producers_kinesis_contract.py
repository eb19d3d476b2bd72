"""The adapters of the producers on real HTTP: Kinesis, the schema log and the dead letters in S3."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config
from dynamodb_world import ORDER, event, frames

from producers.kinesis import BROKEN, Entry, InMemoryStream, KinesisWriter, StreamWriter
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog, S3SchemaLog, documents
from schemas.errors import ConfigurationError, TransientError
from schemas.event import encode_event
from schemas.letters.letter import DeadLetter, decode_letters, letters_key
from schemas.letters.s3_letters import S3Letters

SHARDS = 3


@pytest.fixture
def stream(aws: Any) -> str:
    name: str = aws.name("events")
    aws.client("kinesis").create_stream(StreamName=name, ShardCount=SHARDS)
    return name


@pytest.fixture(params=["in memory", "kinesis"])
def writer(request: pytest.FixtureRequest) -> Iterator[StreamWriter]:
    """Every promise of the port holds for both."""
    if request.param == "in memory":
        yield InMemoryStream(SHARDS)
    else:
        aws, name = request.getfixturevalue("aws"), request.getfixturevalue("stream")
        yield KinesisWriter(aws.client("kinesis"), name)


def test_the_open_shards_cover_all_hash_keys_in_order(writer: StreamWriter) -> None:
    shards = writer.shards()
    assert len(shards) == SHARDS
    assert [shard.start for shard in shards] == [0, *(shard.end + 1 for shard in shards[:-1])]
    assert shards[-1].end == 2**128 - 1


def test_each_entry_is_answered_with_the_shard_of_its_hash_key(writer: StreamWriter) -> None:
    shards = writer.shards()
    entries = [Entry(b"x", "k", str(shard.start)) for shard in reversed(shards)]
    assert writer.put(entries) == [shard.id for shard in reversed(shards)]


def test_a_call_beyond_the_limits_is_a_wrong_configuration(writer: StreamWriter) -> None:
    with pytest.raises(ConfigurationError):
        writer.put([Entry(b"x", "k", "0")] * 501)


def test_a_closed_shard_is_not_among_the_open_ones(aws: Any, stream: str) -> None:
    kinesis = aws.client("kinesis")
    writer = KinesisWriter(kinesis, stream)
    first = writer.shards()[0]
    middle = str((first.start + first.end) // 2)
    kinesis.split_shard(StreamName=stream, ShardToSplit=first.id, NewStartingHashKey=middle)
    after = writer.shards()
    assert len(after) == SHARDS + 1
    assert first.id not in {shard.id for shard in after}


def test_the_list_of_shards_is_read_to_its_end(aws: Any) -> None:
    """ListShards answers in pages."""
    name = aws.name("wide")
    aws.client("kinesis").create_stream(StreamName=name, ShardCount=130)
    writer = KinesisWriter(aws.client("kinesis"), name)
    assert writer.shards()[-1].end == 2**128 - 1
    assert len(writer.shards()) == 130


def test_inv1_what_is_flushed_can_be_read_from_every_shard(aws: Any, stream: str) -> None:
    kinesis = aws.client("kinesis")
    events = [event(number, filler=40_000) for number in range(120)]
    into = Publisher(KinesisWriter(kinesis, stream), InMemorySchemaLog())
    for one in events:
        into.add(one, ORDER.schema)
    into.flush()
    found = []
    for shard in KinesisWriter(kinesis, stream).shards():
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard.id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = kinesis.get_records(ShardIterator=iterator, Limit=10_000)["Records"]
        found += frames([Entry(record["Data"], record["PartitionKey"], "0") for record in records])
        assert records
    assert sorted(found) == sorted(map(encode_event, events))


def test_a_stream_that_is_not_there_is_a_wrong_configuration(aws: Any) -> None:
    writer = KinesisWriter(aws.client("kinesis"), aws.name("nowhere"))
    with pytest.raises(ConfigurationError, match="ListShards of the stream nowhere-"):
        writer.shards()
    with pytest.raises(ConfigurationError, match="PutRecords to the stream nowhere-"):
        writer.put([Entry(b"x", "k", "0")])


def away(service: str) -> Any:
    """A client of an endpoint that nobody listens at."""
    return client(service, "http://127.0.0.1:9")


def client(service: str, endpoint: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_an_endpoint_that_is_away_is_transient() -> None:
    writer = KinesisWriter(away("kinesis"), "events")
    with pytest.raises(TransientError):
        writer.put([Entry(b"x", "k", "0")])
    with pytest.raises(TransientError):
        writer.shards()
    with pytest.raises(TransientError):
        S3SchemaLog(away("s3"), "bucket").ensure(ORDER.schema)
    with pytest.raises(TransientError):
        S3Letters(away("s3"), "bucket").put([LETTER])


# S3


@pytest.fixture
def bucket(aws: Any) -> str:
    name: str = aws.name("log")
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def objects(aws: Any, bucket: str) -> dict[str, bytes]:
    s3 = aws.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed}


def test_inv6_the_schema_log_holds_schema_and_envelope_and_writes_them_once(aws: Any, bucket: str) -> None:
    s3 = aws.client("s3")
    S3SchemaLog(s3, bucket).ensure(ORDER.schema)
    assert objects(aws, bucket) == documents(ORDER.schema)
    times = [one["LastModified"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    calls: list[str] = []
    s3.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
    S3SchemaLog(s3, bucket).ensure(ORDER.schema)
    assert set(calls) == {"PutObject"}  # a producer of another account may read nothing of the log
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [one["LastModified"] for one in versions] == times


def test_a_schema_log_without_its_bucket_is_a_wrong_configuration(aws: Any) -> None:
    with pytest.raises(ConfigurationError, match="PutObject of a schema to the bucket nowhere-"):
        S3SchemaLog(aws.client("s3"), aws.name("nowhere")).ensure(ORDER.schema)


LETTER = DeadLetter("00" * 16, "dynamodb", "order", "dynamodb:orders", "p", "why", "data", b"payload", 7)


def test_inv5_letters_put_twice_are_one_object(aws: Any, bucket: str) -> None:
    letters = S3Letters(aws.client("s3"), bucket)
    letters.put([])
    assert objects(aws, bucket) == {}
    for _ in range(2):
        letters.put([LETTER])
    (found,) = objects(aws, bucket).items()
    assert found[0] == letters_key([LETTER])
    assert decode_letters(found[1]) == [LETTER]


def test_letters_without_their_bucket_are_a_wrong_configuration(aws: Any) -> None:
    with pytest.raises(ConfigurationError, match="PutObject of dead letters to the bucket nowhere-"):
        S3Letters(aws.client("s3"), aws.name("nowhere")).put([LETTER])


# What the embedded AWS never does, from a server that does nothing else


class Scripted(BaseHTTPRequestHandler):
    """Answers as the server's `answers` say, by method: status, content type, body."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, kind, body = self.server.answers[self.command]  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    protocol_version = "HTTP/1.1"  # else an S3 client waits in vain for "100 Continue"
    do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - http.server finds them by name

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def scripted(**answers: tuple[int, str, bytes]) -> Iterator[Any]:
    """A function that makes clients of such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.answers = answers  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield lambda service: client(service, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_entry_that_was_refused_is_told_from_one_that_was_taken() -> None:
    """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html"""
    body = {
        "FailedRecordCount": 2,
        "Records": [
            {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"},
            {"SequenceNumber": "4955398669", "ShardId": "shardId-000000000001"},
            {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."},
        ],
    }
    with scripted(POST=(200, "application/x-amz-json-1.1", json.dumps(body).encode())) as connect:
        writer = KinesisWriter(connect("kinesis"), "events")
        assert writer.put([Entry(b"x", "k", "0")] * 3) == [None, "shardId-000000000001", BROKEN]


def test_a_call_that_is_throttled_as_a_whole_took_nothing() -> None:
    body = json.dumps({"__type": "ProvisionedThroughputExceededException", "message": "Rate exceeded"})
    with scripted(POST=(400, "application/x-amz-json-1.1", body.encode())) as connect:
        assert KinesisWriter(connect("kinesis"), "events").put([Entry(b"x", "k", "0")] * 2) == [None, None]


def test_inv6_a_schema_that_somebody_else_is_writing_is_not_there_yet() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""
    answers = [(409, "ConditionalRequestConflict", TransientError), (412, "PreconditionFailed", None)]
    for status, code, expected in answers:
        body = f"<Error><Code>{code}</Code></Error>".encode()
        with scripted(PUT=(status, "application/xml", body)) as connect:
            log = S3SchemaLog(connect("s3"), "bucket")
            with pytest.raises(expected) if expected else nullcontext():
                log.ensure(ORDER.schema)
