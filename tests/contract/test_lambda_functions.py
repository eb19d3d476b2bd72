"""The Lambda functions as the service calls them, built from their environment: embedded AWS and SQLite."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lambda_calls import Call, Context, call

from consumers import handler as consumer
from consumers import metrics_handler as metrics
from consumers import redrive_handler as consumer_redrive
from consumers.reporting import handler as refresher
from producers import redrive_handler as producer_redrive
from producers.csv.file import object_letter
from schemas.errors import ConfigurationError
from schemas.letters.redriving import list_letters
from schemas.letters.s3_letters import S3Letters
from schemas.telemetry.metrics import METRICS

ENTITY = """
key = ["urn"]
[[source]]
csv = "school"
mode = "upsert"
"""
SCHEMA = {
    "type": "record",
    "name": "School",
    "fields": [{"name": "urn", "type": "int"}, {"name": "name", "type": "string", "maxLength": 40}],
}
FUNCTIONS = {
    consumer: "consumer",
    consumer_redrive: "consumer-redrive",
    producer_redrive: "producer-redrive",
    refresher: "refresher",
    metrics: "metrics",
}


class Installation:
    """Buckets, a stream and a warehouse of the test's own, with one entity."""

    def __init__(self, aws: Any, home: Path) -> None:
        self.s3, self.kinesis, self.home = aws.client("s3"), aws.client("kinesis"), home
        self.log, self.source, self.stream = aws.name("log"), aws.name("source"), aws.name("events")
        for bucket in (self.log, self.source):
            place = {"LocationConstraint": "eu-west-1"}
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        versions = {"Status": "Enabled"}
        self.s3.put_bucket_versioning(Bucket=self.source, VersioningConfiguration=versions)
        self.kinesis.create_stream(StreamName=self.stream, ShardCount=1)
        folder = home / "entities" / "school"
        folder.mkdir(parents=True)
        (folder / "entity.toml").write_text(ENTITY)
        (folder / "v1.avsc").write_text(json.dumps(SCHEMA))
        self.environment = {
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "HEADWATER_HOME": str(home),
            "HEADWATER_STREAM": self.stream,
            "HEADWATER_LOG_BUCKET": self.log,
            "HEADWATER_SOURCE_BUCKET": self.source,
            "HEADWATER_WAREHOUSE": f"sqlite:///{home / 'warehouse.db'}",
        }

    def records(self) -> list[Mapping[str, Any]]:
        """All records of the stream's one shard."""
        start = self.kinesis.get_shard_iterator(
            StreamName=self.stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )
        found: list[Mapping[str, Any]] = self.kinesis.get_records(ShardIterator=start["ShardIterator"])[
            "Records"
        ]
        return found

    def batch(self, *payloads: bytes) -> dict[str, Any]:
        """Lambda's event for these payloads."""
        arn = self.kinesis.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]
        records = [
            {
                "eventSourceARN": arn["StreamARN"],
                "eventID": f"shardId-000000000000:{number}",
                "kinesis": {
                    "data": b64encode(payload).decode(),
                    "sequenceNumber": str(number),
                    "approximateArrivalTimestamp": 1_772_366_400.0,
                },
            }
            for number, payload in enumerate(payloads)
        ]
        return {"Records": records}

    def states(self, bucket: str) -> list[str]:
        return sorted(listed.status.state for listed in list_letters([S3Letters(self.s3, bucket)]))

    def rows(self) -> list[Any]:
        return consumer_redrive.wire_from_environment().warehouse.select("school")[1]  # type: ignore[attr-defined]


@pytest.fixture
def here(aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    installation = Installation(aws, tmp_path)
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    consumer_redrive.wire_from_environment().warehouse.ensure()
    _forget()
    yield installation
    _forget()


def _forget() -> None:
    """As in a new container."""
    for module in FUNCTIONS:
        module._built.cache_clear()


Invoke = Callable[..., Call]


@pytest.fixture
def invoke(here: Installation, capsys: pytest.CaptureFixture[str]) -> Invoke:
    def invoke(module: Any, request: Any, context: Context | None = None) -> Call:
        done = call(module.handler, request, capsys, context)
        assert done.error is None, done.out
        (function,) = {line["Function"] for line in done.metrics}
        assert (function, set(done.values())) == (FUNCTIONS[module], METRICS[function])
        return done

    return invoke


def test_letters_of_a_file_and_of_the_consumer_are_redriven(here: Installation, invoke: Invoke) -> None:
    """A file that was never read is published by one function; its events, refused once, by the other."""
    body = b"urn,name\n1,First\n2,Second\n"
    key = "drop/school/a.csv"
    version = here.s3.put_object(Bucket=here.source, Key=key, Body=body)["VersionId"]
    store = S3Letters(here.s3, here.source)
    store.put([object_letter(here.source, key, version, "no entity takes the feed school", cause="schema")])
    store.put([object_letter(here.source, "drop/school/b.csv", "v", "bad", moved_to="rejects/b")])

    assert invoke(producer_redrive, {"entity": "other"}).answer == _answer()
    done = invoke(producer_redrive, {"cause": "schema"})
    assert done.answer == _answer(redriven=1)
    assert invoke(producer_redrive, {}).answer == _answer(not_redrivable=1)
    assert here.states(here.source) == ["open", "redriven"]

    payloads = [record["Data"] for record in here.records()]
    (here.home / "entities" / "school").rename(here.home / "entities" / "pupil")  # the entity is not known
    consumer_redrive.wire_from_environment().warehouse.ensure()
    done = invoke(consumer, here.batch(*payloads))
    assert done.values()["DeadLetters"] == 2
    (here.home / "entities" / "pupil").rename(here.home / "entities" / "school")
    _forget()
    done = invoke(consumer_redrive, {"since": "2001-01-01T00:00:00Z"})
    assert done.answer == _answer(redriven=2)
    assert [row[:2] for row in here.rows()] == [(1, "First"), (2, "Second")]
    assert set(here.states(here.log)) == {"redriven"}
    assert invoke(consumer_redrive, None).answer == _answer()


def test_a_letter_that_fails_again_waits_on(here: Installation, invoke: Invoke) -> None:
    invoke(consumer, here.batch(b"no event"))
    for _ in range(2):
        assert invoke(consumer_redrive, {}).answer == _answer(failed_again=1)
    assert here.states(here.log) == ["failed-again"]


REPORT = """/* headwater
key = ["letter"]
*/
SELECT SUBSTRING(s.name, 1, 1) AS letter, COUNT(*) AS schools
FROM staging.school AS s GROUP BY SUBSTRING(s.name, 1, 1)
"""


def frames(here: Installation, invoke: Invoke, *names: str) -> list[bytes]:
    """Records of the stream with one school for each name."""
    key, before = f"drop/school/{len(names)}.csv", len(here.records())
    body = "urn,name\n" + "".join(f"{number},{name}\n" for number, name in enumerate(names))
    version = here.s3.put_object(Bucket=here.source, Key=key, Body=body.encode())["VersionId"]
    S3Letters(here.s3, here.source).put([object_letter(here.source, key, version, "not read")])
    invoke(producer_redrive, {})
    return [record["Data"] for record in here.records()[before:]]


def test_reports_are_refreshed_and_a_wrong_one_is_named(here: Installation, invoke: Invoke) -> None:
    folder = here.home / "reports"
    folder.mkdir()
    (folder / "by_letter.sql").write_text(REPORT)
    (folder / "wrong.sql").write_text(REPORT.replace("s.name", "s.nowhere"))
    invoke(consumer, here.batch(*frames(here, invoke, "Alder", "Ash", "Birch")))
    done = invoke(refresher, {})
    assert done.answer is not None
    problems = done.answer["problems"]
    assert done.answer == {"refreshed": 1, "rows": 2, "problems": problems, "left": []}
    assert list(problems) == ["wrong"]
    assert [line["level"] for line in done.logs] == ["WARNING"]
    assert done.values()["Rows"] == 2
    again = invoke(refresher, {})
    assert (again.answer or {})["rows"] == 0
    late = invoke(refresher, {}, Late(milliseconds=[60_000, 1_000]))
    assert (late.answer or {})["left"] == ["by_letter"]


def test_lag_backlog_and_waiting_letters_are_measured(here: Installation, invoke: Invoke) -> None:
    (here.home / "reports").mkdir()
    (here.home / "reports" / "by_letter.sql").write_text(REPORT)
    assert measured(invoke) == {"Lag": 0, "Backlog": 0, "DeadLetters": 0}
    payloads = frames(here, invoke, "Alder", "Ash")
    arrived = here.records()[0]["ApproximateArrivalTimestamp"].timestamp()
    invoke(refresher, {})
    assert 0 < measured(invoke)["Lag"] <= time.time() - arrived + 1  # the consumer is away
    lambda_event = here.batch(*payloads, b"no event")
    for number, record in enumerate([*here.records(), here.records()[-1]]):
        lambda_event["Records"][number]["kinesis"]["sequenceNumber"] = record["SequenceNumber"]
    invoke(consumer, lambda_event)
    assert measured(invoke) == {"Lag": 0, "Backlog": 2, "DeadLetters": 1, "Backlog of by_letter": 2}
    invoke(refresher, {})
    invoke(consumer_redrive, {})
    assert measured(invoke) == {"Lag": 0, "Backlog": 0, "DeadLetters": 1, "Backlog of by_letter": 0}


def measured(invoke: Invoke) -> dict[str, float]:
    done = invoke(metrics, {})
    of_reports = {
        f"Backlog of {line['Report']}": line["Backlog"] for line in done.metrics if "Report" in line
    }
    return {name: value for name, value in done.values().items() if name != "Duration"} | of_reports


def test_a_metric_that_cannot_be_measured_stops_no_other(
    here: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    here.s3.put_object(Bucket=here.log, Key="dead-letters/consumer/a.jsonl", Body=b"junk")
    here.kinesis.delete_stream(StreamName=here.stream)
    done = call(metrics.handler, {}, capsys)
    assert isinstance(done.error, ConfigurationError)
    assert here.stream in str(done.error)
    assert done.values().keys() == {"Backlog", "Duration"}
    assert [line["level"] for line in done.logs] == ["ERROR"]


class Late(Context):
    """A context whose time goes by at each look."""

    milliseconds: Any

    def get_remaining_time_in_millis(self) -> int:
        left: int = self.milliseconds.pop(0)
        return left


def _answer(**counts: int) -> dict[str, Any]:
    numbers = {"redriven": 0, "failed_again": 0, "not_redrivable": 0}
    return {**numbers, **counts, "more": False, "problem": None}
