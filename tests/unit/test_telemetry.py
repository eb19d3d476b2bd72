"""Metrics and log lines of the Lambda functions: the closed list, and no field value at any level."""

from __future__ import annotations

import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from consumers_world import CATALOG, ITEM, event, item
from csv_world import HEADER, links, notification
from csv_world import World as CsvWorld
from dynamodb_world import World as DynamoDbWorld
from dynamodb_world import order, record
from lambda_calls import REQUEST, Call, Context, call
from sqlite_warehouse import warehouse as warehouse

from consumers import handler as consumer
from consumers.consume import Consumer
from consumers.handler import KinesisBatches
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse
from producers.csv import handler as csv_producer
from producers.dynamodb import handler as dynamodb_producer
from schemas.errors import ConfigurationError, HeadwaterError
from schemas.event import encode_event
from schemas.letters.letter import InMemoryLetters
from schemas.telemetry.invocation import invocation
from schemas.telemetry.log_lines import OURS
from schemas.telemetry.metrics import DETAILS, METRICS, NAMESPACE, UNITS, Measurements

SECRET = "Zaphod-Beeblebrox-4711"
POISON = encode_event(event(ITEM, item("poison"), 9, after=SECRET.encode()))
NOW = 1_772_366_400.0

Drive = Callable[[], Call]


def kinesis_event(*payloads: bytes) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventSourceARN": "arn:aws:kinesis:eu-west-2:111122223333:stream/events",
                "eventID": f"shardId-000000000000:{number}",
                "kinesis": {
                    "data": b64encode(payload).decode(),
                    "sequenceNumber": str(number),
                    "approximateArrivalTimestamp": NOW + number,
                },
            }
            for number, payload in enumerate(payloads)
        ]
    }


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_LOG_LEVEL", "DEBUG")
    monkeypatch.setattr("time.time", lambda: NOW + 60)


@pytest.fixture
def drive_consumer(
    warehouse: SqliteWarehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Drive:
    """Two events of one key, the older one last, and a poison event."""
    built = KinesisBatches(Consumer(CATALOG, warehouse, InMemoryLetters()), lambda arn: arn)
    monkeypatch.setattr(consumer, "_built", lambda: built)
    frames = [encode_event(event(ITEM, item(SECRET, label=SECRET), number)) for number in (2, 1)]
    return lambda: call(consumer.handler, kinesis_event(*frames, POISON), capsys)


@pytest.fixture
def drive_dynamodb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Drive:
    """Two good records, and one with a wrong total."""
    world = DynamoDbWorld()
    monkeypatch.setattr(dynamodb_producer, "_producer", lambda: world.producer)
    records = [record(n, new=order(n, total)) for n, total in enumerate(("1.50", SECRET, "2.50"), 1)]
    return lambda: call(dynamodb_producer.handler, {"Records": records}, capsys)


@pytest.fixture
def drive_csv(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Drive:
    """A file of three rows, of which one is rejected, and a file that is bad as a whole."""
    world = CsvWorld(links())
    producer = world.producer()
    monkeypatch.setattr(csv_producer, "_producer", lambda: producer)
    good = world.upload(f"{HEADER}\n1,{SECRET[:20]},,Y\n2,b,,{SECRET}\n3,c,,N\n")
    bad = world.upload(f'{HEADER}\n1,"{SECRET}', "drop/links/b.csv")
    records = [json.loads(notification(upload))["Records"][0] for upload in (good, bad)]
    return lambda: call(csv_producer.handler, {"Records": records}, capsys)


@pytest.fixture
def drives(drive_consumer: Drive, drive_dynamodb: Drive, drive_csv: Drive) -> dict[str, Drive]:
    return {
        "consumer": drive_consumer,
        "dynamodb-producer": drive_dynamodb,
        "csv-producer": drive_csv,
    }


def test_the_functions_emit_the_metrics_of_the_list_and_no_others(drives: dict[str, Drive]) -> None:
    for function, drive in drives.items():
        done = drive()
        assert (done.error, set(done.values())) == (None, METRICS[function]), function
        for line in done.metrics:
            (directive,) = line["_aws"]["CloudWatchMetrics"]
            dimensions = ["Function", *(name for name in ("Report", "Feed") if name in line)]
            assert (directive["Namespace"], directive["Dimensions"]) == (NAMESPACE, [dimensions])
            units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
            assert units.items() <= UNITS.items()
            assert line["Function"] == function
            assert line["requestId"] == REQUEST
            assert line["_aws"]["Timestamp"] == (NOW + 60) * 1000


def test_the_consumer_measures_events_rows_dead_letters_and_lag(drive_consumer: Drive) -> None:
    values = drive_consumer().values()
    assert values.pop("Duration") >= 0
    assert values == {"Events": 3, "Rows": 1, "DeadLetters": 1, "Lag": 58}  # the newest arrived at NOW + 2


def test_the_dynamodb_producer_measures_events_and_dead_letters(drive_dynamodb: Drive) -> None:
    values = drive_dynamodb().values()
    assert (values["Events"], values["DeadLetters"]) == (2, 1)


def test_the_csv_producer_measures_each_invocation_by_itself(drive_csv: Drive) -> None:
    values = drive_csv().values()
    assert values == {"Events": 2, "Rows": 3, "Rejects": 1, "DeadLetters": 1, "Files": 2} | {
        "Duration": values["Duration"]
    }
    again = drive_csv().values()  # both files are done
    assert again == dict.fromkeys(again, 0) | {"Duration": again["Duration"]}


@pytest.mark.parametrize("name", ["consumer", "dynamodb-producer", "csv-producer"])
def test_inv7_no_field_value_is_in_any_line(name: str, drives: dict[str, Drive]) -> None:
    done = drives[name]()
    assert done.logs
    assert SECRET.partition("-")[0] not in done.out
    assert {line["requestId"] for line in done.lines} == {REQUEST}


@pytest.mark.parametrize(
    "error", [ValueError(f"invalid literal: {SECRET}"), KeyError(SECRET), HeadwaterError("field x: wrong")]
)
def test_inv7_an_error_is_logged_and_raised_without_values(
    error: Exception, drive_consumer: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda logs the text of what is raised, so that another library's text must not reach it."""

    def fail(*_: object) -> None:
        raise error from RuntimeError(SECRET)

    monkeypatch.setattr("consumers.consume.project", lambda *_, **__: fail())
    done = drive_consumer()
    assert isinstance(done.error, HeadwaterError)
    assert SECRET not in done.out + "".join(traceback.format_exception(done.error))
    (line,) = [line for line in done.logs if line["level"] == "ERROR"]
    assert line["errorType"] == type(error).__name__
    assert line["message"] == str(done.error)
    assert any("consumers/consume.py" in frame for frame in line["location"])
    assert done.values().keys() == {"Duration"}


@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("csv-producer", "producers.csv.rows.RowReader.event"),
        ("dynamodb-producer", "producers.publisher.Publisher.add"),
    ],
)
def test_inv7_a_bug_in_a_producer_is_raised_without_values(
    name: str, fails: str, drives: dict[str, Drive], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr(fails, fail)
    done = drives[name]()
    assert str(done.error) == "a bug in Headwater (ValueError)"
    assert SECRET not in done.out + "".join(traceback.format_exception(done.error))
    assert done.logs[-1]["errorType"] == "ValueError"
    assert "Duration" in done.values()


def test_inv7_texts_of_other_loggers_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def handler(_event: object, context: object) -> dict[str, Any]:
        with invocation("metrics", context):
            logging.getLogger("botocore.endpoint").debug("body: %s", SECRET)
            logging.getLogger("urllib3").warning("body: %s", SECRET)
            logging.getLogger("producers.x").debug("%d rows", 3)
        return {}

    done = call(handler, {}, capsys)
    assert SECRET not in done.out
    assert [(line["logger"], line["level"]) for line in done.logs] == [
        ("urllib3", "WARNING"),
        ("producers.x", "DEBUG"),
    ]
    assert done.logs[1] | {"timestamp": ""} == {
        "timestamp": "",
        "level": "DEBUG",
        "logger": "producers.x",
        "message": "3 rows",
        "requestId": REQUEST,
    }


@pytest.mark.parametrize(
    ("level", "shown"), [("ERROR", 0), ("WARNING", 1), ("INFO", 2), ("", 2), ("DEBUG", 3)]
)
def test_the_environment_sets_the_level(
    level: str, shown: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWATER_LOG_LEVEL", level)

    def handler(_event: object, context: object) -> dict[str, Any]:
        with invocation("metrics", context):
            for number in (logging.DEBUG, logging.INFO, logging.WARNING):
                logging.getLogger("consumers").log(number, "text")
        return {}

    assert len(call(handler, {}, capsys).logs) == shown


def test_an_unknown_level_is_refused(monkeypatch: pytest.MonkeyPatch, drive_consumer: Drive) -> None:
    monkeypatch.setenv("HEADWATER_LOG_LEVEL", "loud")
    done = drive_consumer()
    assert isinstance(done.error, ConfigurationError)
    (line,) = done.logs
    assert "HEADWATER_LOG_LEVEL is 'loud': set it to one of DEBUG, INFO, WARNING, ERROR" in line["message"]


@pytest.mark.parametrize("module", [consumer, dynamodb_producer, csv_producer])
def test_an_error_while_a_function_is_built_is_one_line(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    done = call(module.handler, {"Records": []}, capsys)
    assert isinstance(done.error, ConfigurationError)
    (line,) = done.logs
    assert (line["level"], line["errorType"]) == ("ERROR", "ConfigurationError")
    assert line["message"] == str(done.error)


def test_logging_is_as_before_after_a_call(drive_consumer: Drive) -> None:
    root = logging.getLogger()

    def state() -> list[object]:
        return [root.handlers[:], root.level, *(logging.getLogger(name).level for name in OURS)]

    before = state()
    drive_consumer()
    assert state() == before


def test_the_parts_that_the_local_runtime_calls_write_no_metrics(
    warehouse: SqliteWarehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    KinesisBatches(Consumer(CATALOG, warehouse, InMemoryLetters()), str).handle(kinesis_event(POISON))
    DynamoDbWorld().producer.handle({"Records": [record(1, new=order(1, "1.50"))]})
    world = CsvWorld(links())
    world.producer().handle(json.loads(notification(world.upload(f"{HEADER}\n1,a,,Y\n"))))
    assert capsys.readouterr().out == ""


def test_a_metric_that_is_not_in_the_list_is_refused() -> None:
    for function, metrics in METRICS.items():
        for metric in UNITS.keys() - metrics:
            with pytest.raises(ValueError, match="is no metric of"):
                Measurements(function).add(metric, 1)
    for metric in METRICS["metrics"] - DETAILS.keys():
        with pytest.raises(ValueError, match="is no metric of"):
            Measurements("metrics").add(metric, 1, of="renewals_due")
    assert set().union(*METRICS.values()) == set(UNITS)


def test_a_metric_of_a_report_is_a_line_of_its_own() -> None:
    measured = Measurements("metrics")
    measured.add("Backlog", 5)
    for _ in range(2):
        measured.add("Backlog", 2, of="renewals_due")
    lines = list(map(json.loads, measured.lines(NOW, None)))
    assert [(line.get("Report"), line["Backlog"]) for line in lines] == [(None, 5), ("renewals_due", 4)]


def test_the_files_of_each_feed_are_a_line_of_its_own(drive_csv: Drive) -> None:
    lines = [line for line in drive_csv().metrics if "Feed" in line]
    assert [(line["Feed"], line["Files"]) for line in lines] == [("links", 2)]
    assert [line for line in drive_csv().metrics if "Feed" in line] == []  # both are done


def test_a_correction_is_not_counted_as_a_file_of_its_feed() -> None:
    world = CsvWorld(links())
    producer = world.producer()
    producer.take(notification(world.upload(f"{HEADER}\n1,a,,Y\n", "corrections/links/a.csv")))
    assert producer.totals().Files == 0
    producer.take(notification(world.upload(f"{HEADER}\n1,a,,Y\n")))
    assert producer.totals().Files == 1


def test_the_dimension_is_the_full_name_of_a_deployed_function(capsys: pytest.CaptureFixture[str]) -> None:
    def handler(_event: object, context: object) -> dict[str, Any]:
        with invocation("metrics", context):
            return {}

    done = call(handler, {}, capsys, Context(function_name="headwater-prod-metrics"))
    assert [line["Function"] for line in done.metrics] == ["headwater-prod-metrics"]


def test_the_document_lists_the_metrics_of_every_function() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    tables = text.partition("## Log lines")[0].splitlines()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in tables if line.startswith("| ")]
    functions = {row[0]: set(row[1].split(", ")) for row in rows if len(row) == 2}
    units = {row[0]: row[1] for row in rows if len(row) == 3}
    assert functions == {"function": {"metrics"}} | METRICS
    assert units == {"metric": "unit"} | UNITS
