"""The Lambda events of S3 and SQS as AWS documents them, and as the emulators send them.

https://docs.aws.amazon.com/lambda/latest/dg/with-s3.html, with-sqs.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
from pathlib import Path

import pytest
from csv_world import HEADER, World, links

from producers.csv.notices import Notice, read_notices

EVENTS = Path(__file__).parent / "lambda_events"
KEY = "drop/links/links april+may.csv"
VERSION = "096fKKXTRTtl3on89fVO.nfljtsv6qko"
ETAG = "d41d8cd98f00b204e9800998ecf8427e"


def test_the_documented_notification_names_bucket_key_version_and_etag() -> None:
    notices = read_notices((EVENTS / "s3.json").read_text())
    told = "2025-04-22T09:31:00.123Z", "0A1B2C3D4E5F678901"
    assert notices == [Notice("school-files", KEY, VERSION, ETAG, *told)]


@pytest.mark.parametrize("name", ["s3.json", "sqs_s3.json", "sqs_s3_without_version.json"])
def test_the_documented_events_bring_the_file_in(name: str) -> None:
    world = World(links())
    upload = world.upload(f"{HEADER}\n1,a,,Y\n", KEY)
    lambda_event = json.loads((EVENTS / name).read_text().replace(VERSION, upload.version))
    assert world.producer().handle(lambda_event) == {"batchItemFailures": []}
    assert [fact.metadata["file"] for fact in world.facts()] == ["links april+may.csv"]
    assert world.reasons() == []


def test_the_documented_test_event_brings_nothing() -> None:
    world = World(links())
    lambda_event = json.loads((EVENTS / "s3_test_event.json").read_text())
    assert world.producer().handle(lambda_event) == {"batchItemFailures": []}
    assert world.objects() == []
    assert world.reasons() == []
