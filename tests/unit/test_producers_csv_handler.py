"""What the Lambda function makes of its events: which objects it takes, and what it answers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from csv_world import HEADER, World, links, notification

from producers.csv.notices import Notice, read_notices
from producers.kinesis import Fault, InMemoryStream
from schemas.errors import TransientError

ROW = f"{HEADER}\n1,a,,Y\n"


def sqs(**bodies: str) -> dict[str, Any]:
    """A batch of SQS records by their identifiers."""
    return {
        "Records": [
            {"messageId": identifier, "eventSource": "aws:sqs", "body": body}
            for identifier, body in bodies.items()
        ]
    }


def failing() -> Iterator[Fault]:
    while True:
        yield Fault(before=True)


@pytest.mark.parametrize("sent", ["a+b%2F%C3%A9.csv", "a%20b/%C3%A9.csv"])
def test_keys_are_decoded(sent: str) -> None:
    described = {
        "bucket": {"name": "b"},
        "object": {"key": f"drop/links/{sent}", "versionId": "v", "eTag": "e"},
    }
    text = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": described}]})
    assert read_notices(text) == [Notice("b", "drop/links/a b/é.csv", "v", "e")]


@pytest.mark.parametrize(
    "key",
    ["archive/links/a.csv/x", "rejects/links/a.csv/x", "a.csv", "drop/", "drop/links/", "drop/links/x/"],
)
def test_objects_that_are_no_files_of_a_feed_are_ignored(key: str) -> None:
    world = World(links())
    world.drop(ROW, key)
    assert world.objects() == [key]
    assert world.letters.letters == []


def test_notifications_of_anything_but_a_new_object_are_ignored() -> None:
    world = World(links())
    upload = world.upload(ROW)
    removed = notification(upload).replace("ObjectCreated:Put", "ObjectRemoved:Delete")
    assert world.producer().handle(json.loads(removed)) == {"batchItemFailures": []}
    assert world.objects() == [upload.key]


def test_the_test_event_of_s3_is_ignored() -> None:
    world = World(links())
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}
    assert world.producer().handle(test) == {"batchItemFailures": []}
    assert world.producer().handle(sqs(a=json.dumps(test))) == {"batchItemFailures": []}
    assert world.letters.letters == []


def test_a_body_that_is_no_notification_is_a_dead_letter_and_its_neighbours_are_taken() -> None:
    world = World(links())
    upload = world.upload(ROW)
    answer = world.producer().handle(sqs(a="{}", b="not JSON", c=notification(upload)))
    assert answer == {"batchItemFailures": []}
    assert sorted(letter.payload for letter in world.letters.letters) == [b"not JSON", b"{}"]
    assert len(world.facts()) == 1


def test_inv1_an_sqs_record_that_is_not_done_is_named_and_the_others_are_done() -> None:
    world = World(links())
    uploads = [world.upload(ROW, f"drop/links/{name}.csv") for name in "ab"]
    world.stream = InMemoryStream(1, faults=[Fault(before=True)] * 8)  # one file's attempts
    records = sqs(a=notification(uploads[0]), b=notification(uploads[1]))
    assert world.producer().handle(records) == {"batchItemFailures": [{"itemIdentifier": "a"}]}
    assert [fact.metadata["file"] for fact in world.facts()] == ["b.csv"]
    assert uploads[0].key in world.objects()
    assert world.producer().handle(records) == {"batchItemFailures": []}  # b again: done
    assert [fact.metadata["file"] for fact in world.facts()] == ["a.csv", "b.csv"]


def test_inv1_a_direct_notification_that_is_not_done_raises() -> None:
    world = World(links(), stream=InMemoryStream(1, faults=failing()))
    upload = world.upload(ROW)
    with pytest.raises(TransientError):
        world.producer().handle(json.loads(notification(upload)))
    assert world.objects() == [upload.key]


def test_a_bug_of_ours_is_raised_and_never_a_dead_letter() -> None:
    world = World(links())
    upload = world.upload(ROW)

    class Broken(InMemoryStream):
        def put(self, entries: object) -> list[str | None]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.producer(Broken()).handle(sqs(a=notification(upload)))
    assert world.letters.letters == []
    assert world.objects() == [upload.key]
