"""The embedded AWS: its own process, one request at a time, gone with its parent."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from headwater.embedded.aws import EmbeddedAws
from headwater.embedded.server import OneAtATime
from schemas.errors import ConfigurationError, TransientError

ROOT = Path(__file__).resolve().parents[2]


def kinesis(aws: EmbeddedAws) -> Any:
    where = aws.environment()
    return boto3.client(
        "kinesis",
        endpoint_url=where["AWS_ENDPOINT_URL"],
        region_name=where["AWS_DEFAULT_REGION"],
        aws_access_key_id=where["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=where["AWS_SECRET_ACCESS_KEY"],
    )


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def port_of(endpoint: str) -> int:
    return int(endpoint.rsplit(":", 1)[1])


def most_at_once(target: str) -> int:
    """How many of ten requests at the same time are inside the application together."""
    inside, most = 0, 0
    count = threading.Lock()

    def application(environ: dict[str, Any], start_response: object) -> list[bytes]:
        nonlocal inside, most
        with count:
            inside += 1
            most = max(most, inside)
        time.sleep(0.01)
        with count:
            inside -= 1
        return []

    one_at_a_time = OneAtATime(application)
    environ = {"HTTP_X_AMZ_TARGET": target, "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": ""}
    senders = [threading.Thread(target=one_at_a_time, args=(dict(environ), None)) for _ in range(10)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return most


def test_requests_are_answered_one_at_a_time_so_that_no_sequence_number_is_given_twice() -> None:
    assert most_at_once("Kinesis_20131202.PutRecords") == 1


def test_a_long_poll_of_sqs_holds_nobody_up() -> None:
    assert most_at_once("AmazonSQS.ReceiveMessage") > 1


def test_a_taken_port_is_refused_before_anything_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} cannot be used .*--port"):
            EmbeddedAws(port)


def test_leaving_the_context_ends_the_server() -> None:
    with EmbeddedAws() as aws:
        port = port_of(aws.endpoint)
        assert is_listening(port)
    assert not is_listening(port)


def test_a_server_that_is_gone_is_said_to_be_gone() -> None:
    with EmbeddedAws() as aws:
        aws.check()
        aws._process.kill()
        aws._process.wait()
        with pytest.raises(TransientError, match="has ended"):
            aws.check()


def test_the_server_ends_when_its_parent_is_killed_and_the_port_can_be_used_again() -> None:
    code = (
        "import time; from headwater.embedded.aws import EmbeddedAws\n"
        "aws = EmbeddedAws(); print(aws.endpoint, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    port = port_of(parent.stdout.readline().strip())
    assert is_listening(port)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    with EmbeddedAws(port) as again:  # it waits for the old one to let go
        assert port_of(again.endpoint) == port


def test_a_slow_sender_holds_nobody_up() -> None:
    with EmbeddedAws() as aws, socket.create_connection(("127.0.0.1", port_of(aws.endpoint))) as slow:
        slow.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: s3\r\nContent-Length: 1000\r\n\r\nhalf")
        started = time.monotonic()
        kinesis(aws).list_streams()
        assert time.monotonic() - started < 10


def records(client: Any, shard: str) -> list[bytes]:
    iterator = client.get_shard_iterator(StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    return [
        record["Data"] for record in client.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    ]


def test_a_closed_shard_keeps_its_records_and_takes_no_more() -> None:
    """moto alone goes on putting into the closed one, where no reader looks any more."""
    with EmbeddedAws() as aws:
        client = kinesis(aws)
        client.create_stream(StreamName="s", ShardCount=1)
        first = client.put_record(StreamName="s", Data=b"1", PartitionKey="k", ExplicitHashKey="0")["ShardId"]
        client.split_shard(StreamName="s", ShardToSplit=first, NewStartingHashKey=str(2**127))
        low = client.put_record(StreamName="s", Data=b"2", PartitionKey="k", ExplicitHashKey="0")["ShardId"]
        high = client.put_record(
            StreamName="s", Data=b"3", PartitionKey="k", ExplicitHashKey=str(2**128 - 1)
        )["ShardId"]
        assert [records(client, shard) for shard in (first, low, high)] == [[b"1"], [b"2"], [b"3"]]
        client.merge_shards(StreamName="s", ShardToMerge=low, AdjacentShardToMerge=high)
        merged = client.put_record(StreamName="s", Data=b"4", PartitionKey="k")["ShardId"]
        found = [records(client, shard) for shard in (first, low, high, merged)]
        assert found == [[b"1"], [b"2"], [b"3"], [b"4"]]
