"""Every store of the log keeps the contract of the port; S3's is tried on real HTTP."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Protocol

import boto3
import pytest
from botocore.config import Config
from consumers_world import ITEM, event, item

from replay.fold import EventFilter
from replay.load import Damages, chunks
from replay.log.acknowledged import AcknowledgingLog, acknowledge, damages_of
from replay.log.in_memory import InMemoryLog
from replay.log.reader import LogObject, S3Log
from replay.retry_policy import RetryPolicy
from schemas.errors import ConfigurationError, LogIntegrityError, TransientError
from schemas.event import encode_event
from schemas.payload.codec import schema_document, schema_log_key

AT_ONCE = RetryPolicy(attempts=4, sleep=lambda _seconds: None)
FRAMES = [encode_event(event(ITEM, item(f"k{n}", n), n)) for n in range(50)]
CONTENT = b"".join(FRAMES)


class Written(Protocol):
    store: AcknowledgingLog

    def put(self, key: str, content: bytes) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.store = InMemoryLog()

    def put(self, key: str, content: bytes) -> None:
        self.store.put(key, content)


class InS3:
    def __init__(self, aws: Any) -> None:
        self.s3, self.bucket = aws.client("s3"), aws.name("log")
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        self.store = S3Log(self.s3, self.bucket, AT_ONCE, part_bytes=100, page_keys=2)

    def put(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)


@pytest.fixture(params=["memory", "s3"])
def log(request: pytest.FixtureRequest) -> Written:
    return InMemory() if request.param == "memory" else InS3(request.getfixturevalue("aws"))


def fill(log: Written) -> list[str]:
    keys = [f"log/2026/03/01/{hour:02}/part" for hour in range(5)] + [
        "log-errors/failed/1",
        "log-errors/failed/2",
    ]
    for key in keys:
        log.put(key, CONTENT)
    log.put("dead-letters/consumer/1.jsonl", b"{}")
    log.put(schema_log_key(ITEM.schema.fingerprint), schema_document(ITEM.schema))
    return sorted(keys)


def test_all_objects_with_frames_are_listed_in_order_of_key_and_nothing_else(log: Written) -> None:
    keys = fill(log)
    listed = list(log.store.objects())
    assert [found.key for found in listed] == keys
    assert {found.size for found in listed} == {len(CONTENT)}


def test_listing_goes_on_after_any_key(log: Written) -> None:
    keys = fill(log)
    for number, key in enumerate(keys):
        assert [found.key for found in log.store.objects(key)] == keys[number + 1 :]
    assert [found.key for found in log.store.objects("log-errors/failed/11")] == keys[1:]


def test_an_object_comes_whole_in_parts(log: Written) -> None:
    fill(log)
    for found in log.store.objects():
        assert b"".join(log.store.parts(found)) == CONTENT


def test_the_schemas_come_with_their_keys(log: Written) -> None:
    fill(log)
    expected = (schema_log_key(ITEM.schema.fingerprint), schema_document(ITEM.schema))
    assert list(log.store.schemas()) == [expected]


def test_what_is_acknowledged_lies_beside_the_log_and_is_no_object_of_it(log: Written) -> None:
    foreign = "log/2026/03/01/05/foreign"
    log.put(foreign, b"hello" + CONTENT)
    (made,) = acknowledge(log.store, foreign, None, reason="a test", by="ann", at="2026-03-02T09:00:00Z")
    assert (made.damage.start, made.damage.end) == (0, 5)
    assert list(damages_of(log.store, log.store.objects())) == [made]
    assert [found.key for found in log.store.objects()] == [foreign]
    damages = Damages()
    assert [*chunks(log.store, EventFilter(ITEM).needle, damages)][-1].events == len(FRAMES)
    damages.check()


def test_an_empty_log_is_a_log(log: Written) -> None:
    assert list(log.store.objects()) == []
    assert list(log.store.schemas()) == []


def test_an_object_that_changed_or_went_since_it_was_listed_is_no_log_of_record(log: Written) -> None:
    fill(log)
    first, *_, last = log.store.objects()
    log.put(first.key, CONTENT.upper())
    for each in (first, last._replace(key="log/2026/03/01/04/gone")):
        with pytest.raises(LogIntegrityError, match=f"{each.key}: is no longer"):
            list(log.store.parts(each))


def test_what_is_cut_off_in_the_store_itself_is_damage(log: Written) -> None:
    log.put("log/2026/03/01/12/0", gzip.compress(CONTENT)[:-20])
    damages = Damages()
    read = list(chunks(log.store, EventFilter(ITEM).needle, damages))
    assert read[-1].done == ""
    with pytest.raises(LogIntegrityError, match=r"log/2026/03/01/12/0 bytes \d+-\d+ \(.*GZIP"):
        damages.check()


def test_a_bucket_that_is_not_there_is_a_matter_of_configuration(aws: Any) -> None:
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        list(S3Log(aws.client("s3"), aws.name("never-made"), AT_ONCE).objects())


# What a network does to a reading of S3, by a server that does it on purpose.


class Wire:
    """Answers GET of one object; `faults` says what to do to the next answers, one each."""

    def __init__(self, content: bytes) -> None:
        self.content, self.faults, self.asked = content, list[str](), list[str]()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        fault = self.faults.pop(0) if self.faults else ""
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        part = self.content[first : last + 1]
        if fault == "throttled":
            self._send(request, 503, b"<Error><Code>SlowDown</Code><Message>secret</Message></Error>")
        elif fault == "cut off":
            self._send(request, 206, part, part[: len(part) // 2])
        elif fault == "short":
            self._send(request, 206, part[:-1])
        else:
            self._send(request, 206, part)

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, sent: bytes | None = None
    ) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body if sent is None else sent)
        request.close_connection = True


@contextmanager
def served(wire: Wire) -> Iterator[S3Log]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wire.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )
    try:
        yield S3Log(client, "log", AT_ONCE, part_bytes=1_000)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        client.close()


def one_object(content: bytes) -> LogObject:
    return LogObject("log/2026/03/01/12/0", len(content), '"etag"')


def test_parts_that_are_throttled_or_cut_off_are_read_again_and_nothing_else_is() -> None:
    wire = Wire(CONTENT)
    wire.faults = ["", "throttled", "cut off", "short", "", "throttled"]
    with served(wire) as log:
        assert b"".join(log.parts(one_object(CONTENT))) == CONTENT
    parts = -(-len(CONTENT) // 1_000)
    assert len(wire.asked) == parts + 4
    assert len(set(wire.asked)) == parts


@pytest.mark.parametrize("fault", ["throttled", "cut off", "short"])
def test_what_breaks_off_in_transit_every_time_is_transient_and_no_damage(fault: str) -> None:
    wire = Wire(CONTENT)
    wire.faults = [fault] * 4
    with served(wire) as log, pytest.raises(TransientError) as given_up:
        list(log.parts(one_object(CONTENT)))
    assert len(wire.asked) == 4
    assert "secret" not in str(given_up.value)
