"""Every alarm fires: its condition is made to happen, and the metric that it reads crosses its threshold.

The functions are the real ones on the embedded AWS, under the names of a deployment. Metrics that AWS writes
itself are compared with the pages that document them (aws_metrics.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import pytest
from aws_metrics import AWS_METRICS, DOCS
from cfn_templates import load_world, normal
from dynamodb_world import order, record
from evaluated import Alarm, Line, alarms_of, filtered, matches, metrics_in
from iam import story
from iam.deployment import Deployment
from iam.installation import PREFIX, REPORTING, SOURCE, Secrets, installation
from iam.proxy import serving
from iam.story import Stage
from schedule_world import at, london

from headwater.embedded.aws import EmbeddedAws
from headwater.schedule.handler import run
from headwater.schedule.parts import Power
from headwater.schedule.simulated import SimulatedAccount
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError
from schemas.telemetry.metrics import Measurements

pytestmark = pytest.mark.timeout(600)

WATCHED = {
    "monitoring": {
        "ScheduleStack": f"{PREFIX}-schedule",
        "WarehouseInstanceId": "warehouse",
        "BacklogRows": "1000",
        "AlarmEmail": "duty@example.com",
    },
    "alarms": {},
    "feeds": {"links": 26},
}
DEPLOYMENT = installation(load_catalog(), Secrets(), watched=WATCHED)
ALARMS = alarms_of(DEPLOYMENT, PREFIX)
HOUR = 3600.0


class Played(NamedTuple):
    """What the functions wrote in a quiet hour, and after each condition, by the alarm that it is for."""

    quiet: list[str]
    conditions: dict[str, list[str]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("alarms")
    homes = story.Homes(folder / "producers", folder / "consumers")
    homes.write()
    write_report(homes.consumers)
    warehouse = f"sqlite:///{folder / 'warehouse.db'}"
    with EmbeddedAws() as aws:
        secrets = story.make_secrets(aws.endpoint, warehouse)
        deployment = installation(load_catalog(homes.producers), secrets)
        proxy = story.MotoProxy(aws.endpoint.removeprefix("http://"), folder / "calls", deployment)
        with serving(proxy) as front:
            stage = Stage(aws.endpoint, front, proxy, deployment, homes, warehouse)
            try:
                yield play(stage)
            finally:
                story.forget_all(deployment)


def write_report(home: Any) -> None:
    (home / "reports").mkdir(parents=True)
    (home / "reports" / "by_urn.sql").write_text(
        '/* headwater\nkey = ["urn"]\n*/\n'
        "SELECT l.urn AS urn, COUNT(*) AS links FROM staging.link AS l GROUP BY l.urn\n"
    )


def play(stage: Stage) -> Played:
    story.make_resources(stage)
    story.make_warehouse(stage)
    quiet = written(stage, play_quiet_hour)
    return Played(quiet, {name: written(stage, make) for name, make in CONDITIONS.items()})


def written(stage: Stage, make: Callable[[Stage], None]) -> list[str]:
    """Make something happen, and return what the functions wrote."""
    before = len(stage.lines)
    make(stage)
    return stage.lines[before:]


def play_quiet_hour(stage: Stage) -> None:
    """A good file and a good change, as far as the tables and reports."""
    take(stage, story.drop(stage, "drop/links/quiet.csv", story.rows(1, 3)))
    changes = {"Records": [record(1, new=order(1, "10"))]}
    assert stage.invoke("dynamodb-producer", changes) == {"batchItemFailures": []}
    consume(stage)
    stage.invoke("refresher", {})
    stage.invoke("metrics", {})
    scheduled(stage, "2026-06-01T12:00Z", Power.ON)


def take(stage: Stage, event: dict[str, Any]) -> None:
    assert stage.invoke("csv-producer", event) == {"batchItemFailures": []}


def consume(stage: Stage) -> None:
    assert stage.invoke("consumer", story._batch(stage)) == {"batchItemFailures": []}


def scheduled(stage: Stage, moment: str, power: Power) -> None:
    """What a round of the scheduler measures, with all parts on or off."""
    account, measured = SimulatedAccount(at(moment)), Measurements("scheduler")
    for machine in account.machines.values():
        machine.power = power
    run(account, london(), account.now, measured)
    stage.lines.extend(measured.lines(time.time(), "1", f"{PREFIX}-scheduler"))


# Conditions, by the alarm that each is for. The order is that of the play: later ones break more.


def bad_file(stage: Stage) -> None:
    take(stage, story.drop(stage, "drop/links/bad.csv", b"urn,mail\n\xff\xfe\n"))


def rejected_row(stage: Stage) -> None:
    take(stage, story.drop(stage, "drop/links/rejects.csv", story.rows(1, 9) + "x,y\n"))


def poison_change(stage: Stage) -> None:
    changes = {"Records": [record(2, new=order(2, "no number"))]}
    assert stage.invoke("dynamodb-producer", changes) == {"batchItemFailures": []}


def poison_event(stage: Stage) -> None:
    kinesis = stage.client("kinesis", REPORTING)
    kinesis.put_record(StreamName=stage.stream.partition("/")[2], Data=story.POISON, PartitionKey="1")
    consume(stage)


def waiting_letters(stage: Stage) -> None:
    stage.invoke("metrics", {})


def late_reports(stage: Stage) -> None:
    """The refresher is away while many rows change."""
    take(stage, story.drop(stage, "drop/links/many.csv", story.rows(1, 1500)))
    consume(stage)
    stage.invoke("metrics", {})


def late_consumer(stage: Stage) -> None:
    """The consumer is away for an hour."""
    take(stage, story.drop(stage, "drop/links/unread.csv", story.rows(1, 5)))
    now = time.time
    with mock.patch("time.time", side_effect=lambda: now() + HOUR):
        stage.invoke("metrics", {})


def no_files(_stage: Stage) -> None:
    """Nothing is dropped, so that nothing is invoked."""


def nothing_measured(_stage: Stage) -> None:
    """The scheduler does not run."""


def file_that_fails(stage: Stage) -> None:
    """The CSV producer may not write to the stream, or it is gone."""
    name = {"HEADWATER_STREAM": f"arn:aws:kinesis:eu-west-2:{REPORTING}:stream/gone"}
    event = story.drop(stage, "drop/links/fails.csv", story.rows(1, 5))
    assert stage.invoke("csv-producer", event, cold=True, **name)["batchItemFailures"]


CONDITIONS: dict[str, Callable[[Stage], None]] = {
    "csv-producer-dead-letters": bad_file,
    "rejects": rejected_row,
    "dynamodb-producer-dead-letters": poison_change,
    "consumer-dead-letters": poison_event,
    "dead-letters-wait": waiting_letters,
    "reports-backlog": late_reports,
    "consumer-lag": late_consumer,
    "no-file-links": no_files,
    "csv-producer-error-lines": file_that_fails,
    "scheduler-silent": nothing_measured,
    "asleep": lambda stage: scheduled(stage, "2026-06-01T23:00Z", Power.OFF),
    "scheduler-pending": lambda stage: scheduled(stage, "2026-06-01T23:00Z", Power.ON),
}
OF_AWS = {name: alarm for name, alarm in ALARMS.items() if alarm.namespace.startswith("AWS/")}
OURS = {name: alarm for name, alarm in ALARMS.items() if name not in OF_AWS}


def test_every_alarm_of_our_metrics_has_a_condition_that_makes_it_fire() -> None:
    assert sorted(OURS) == sorted(CONDITIONS)
    assert len(ALARMS) >= 40


def test_the_deployment_of_this_test_has_every_alarm_of_every_template() -> None:
    names = {
        normal(properties["AlarmName"]).removeprefix("${Application}-${Environment}-")
        for template in load_world().values()
        for _, properties in template.of_type("AWS::CloudWatch::Alarm")
    }
    assert {name for name in names if not name.startswith("no-file-")} <= ALARMS.keys()


@pytest.mark.parametrize("name", OURS)
def test_it_fires(name: str, played: Played) -> None:
    alarm = OURS[name]
    assert alarm.fires(read_by(alarm, played.conditions[name]))


@pytest.mark.parametrize("name", OURS)
def test_it_is_quiet_in_a_quiet_hour(name: str, played: Played) -> None:
    """Its metric is there, under its dimensions, or its absence is no breach."""
    alarm = OURS[name]
    assert not alarm.fires(read_by(alarm, played.quiet))


@pytest.mark.parametrize("name", [name for name, alarm in OURS.items() if alarm.namespace == "Headwater"])
def test_the_metrics_of_another_installation_are_not_read(name: str, played: Played) -> None:
    lines = [line.replace(PREFIX, "headwater-other") for line in played.conditions[name]]
    alarm = OURS[name]
    assert alarm.fires(read_by(alarm, lines)) == alarm.breaches(None)


def read_by(alarm: Alarm, lines: list[str]) -> list[Line]:
    """Return the metrics that CloudWatch finds in lines: embedded ones, or those of a filter."""
    if alarm.namespace == "Headwater":
        return metrics_in(lines)
    (rule,) = [each for each in DEPLOYMENT.resources if each.type == "AWS::Logs::MetricFilter"]
    (made,) = rule.properties["MetricTransformations"]
    assert (made["MetricNamespace"], made["MetricName"]) == (alarm.namespace, alarm.metric)
    assert made["MetricValue"] == "1"
    return filtered(rule.properties["FilterPattern"], alarm.namespace, alarm.metric, lines)


def test_the_filter_reads_the_log_group_of_the_function() -> None:
    (rule,) = [each for each in DEPLOYMENT.resources if each.type == "AWS::Logs::MetricFilter"]
    DEPLOYMENT.one("AWS::Logs::LogGroup", rule.properties["LogGroupName"])


# Metrics of AWS


@pytest.mark.parametrize("name", OF_AWS)
def test_the_metric_is_one_that_aws_documents(name: str) -> None:
    alarm = OF_AWS[name]
    known = AWS_METRICS[alarm.namespace, alarm.metric]
    assert tuple(dimension for dimension, _ in alarm.dimensions) == known.dimensions
    assert known.page.startswith(DOCS)
    assert len(known.fires.split()) >= 4


@pytest.mark.parametrize(
    ("name", "breaching", "fine"),
    [
        ("consumer-slow", 241_000, 239_000),  # milliseconds of 300 s
        ("dynamodb-producer-slow", 241_000, 239_000),
        ("dynamodb-producer-late", 901_000, 899_000),  # milliseconds
        ("warehouse-storage", 19 * 2**30, 21 * 2**30),  # bytes
        ("warehouse-memory", 255 * 2**20, 257 * 2**20),
        ("delivery-failures", 0.9, 1),
        ("consumer-behind-80", 483_840_001, 483_840_000),
        ("dynamodb-producer-behind-50", 43_200_001, 43_200_000),
    ],
)
def test_the_unit_of_the_threshold_is_that_of_the_metric(name: str, breaching: float, fine: float) -> None:
    alarm = OF_AWS[name]
    assert (alarm.breaches(breaching), alarm.breaches(fine)) == (True, False)


NAMED = {
    "FunctionName": "AWS::Lambda::Function",
    "StreamName": "AWS::Kinesis::Stream",
    "DeliveryStreamName": "AWS::KinesisFirehose::DeliveryStream",
    "LogGroupName": "AWS::Logs::LogGroup",
    "RuleName": "AWS::Events::Rule",
}


@pytest.mark.parametrize("name", OF_AWS)
def test_the_dimension_names_a_resource_of_the_deployment(name: str) -> None:
    for dimension, value in OF_AWS[name].dimensions:
        if dimension in NAMED:
            DEPLOYMENT.one(NAMED[dimension], value)


@pytest.mark.parametrize(
    "function", ["csv-producer", "dynamodb-producer", "consumer", "refresher", "metrics"]
)
def test_an_error_of_a_function_is_raised_so_that_lambda_counts_it(function: str) -> None:
    """A function that answers where it should fail would hide its errors from AWS/Lambda."""
    stage = Stage("", "127.0.0.1:1", None, DEPLOYMENT, story.Homes(*2 * [story.Path(".")]), "")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="HEADWATER_LOG_LEVEL"):
        stage.invoke(function, {"Records": []}, HEADWATER_LOG_LEVEL="loud")
    assert metrics_in(stage.lines)[-1]["Function"] == f"{PREFIX}-{function}"


# Rebuilds


def stopped(**detail: Any) -> dict[str, Any]:
    """An event of ECS, with the members that its page shows:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html"""
    cluster = f"arn:aws:ecs:eu-west-2:{REPORTING}:cluster/{PREFIX}-replay"
    values = {
        "clusterArn": cluster,
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "containers": [{"name": "replay", "exitCode": 0}],
    }
    return {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": values | detail}


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (stopped(), False),
        (stopped(containers=[{"exitCode": 3}]), True),
        (stopped(containers=[{"exitCode": 137}]), True),  # out of memory
        (stopped(containers=[{}], stopCode="TaskFailedToStart"), True),
        (stopped(lastStatus="RUNNING", containers=[{}]), False),
        (stopped(containers=[{"exitCode": 1}], clusterArn="arn:aws:ecs:eu-west-2:1:cluster/other"), False),
        (stopped(containers=[{"exitCode": 1}]) | {"source": "aws.batch"}, False),
    ],
)
def test_a_rebuild_that_fails_triggers_the_rule(event: dict[str, Any], *, counted: bool) -> None:
    (rule,) = [each for each in DEPLOYMENT.resources if each.type == "AWS::Events::Rule"]
    assert matches(rule.properties["EventPattern"], event) is counted
    assert dict(OF_AWS["replay-failed"].dimensions) == {"RuleName": rule.properties["Name"]}


# Planned nights


def test_late_tables_are_notified_but_not_in_a_planned_night(played: Played) -> None:
    (composite,) = [
        each.properties for each in DEPLOYMENT.resources if each.type == "AWS::CloudWatch::CompositeAlarm"
    ]
    children = f'ALARM("{PREFIX}-consumer-lag") OR ALARM("{PREFIX}-reports-backlog")'
    assert composite["AlarmRule"] == children
    assert composite["ActionsSuppressor"].endswith(f":alarm:{PREFIX}-asleep")
    night: list[Line] = []  # consumer, metrics and refresher are off
    assert OURS["consumer-lag"].fires(night), "nobody measures: the child fires, also at night"
    assert not OURS["asleep"].fires(night), "a scheduler that died silences nothing"
    assert OURS["scheduler-silent"].fires(night)


def test_without_a_schedule_nothing_silences_late_tables() -> None:
    monitoring = {**WATCHED["monitoring"], "ScheduleStack": ""}
    deployment: Deployment = installation(load_catalog(), Secrets(), watched={"monitoring": monitoring})
    (composite,) = [
        each.properties for each in deployment.resources if each.type == "AWS::CloudWatch::CompositeAlarm"
    ]
    assert "ActionsSuppressor" not in composite
    assert not {"asleep", "scheduler-silent"} & alarms_of(deployment, PREFIX).keys()


def test_a_source_account_has_its_own_alarms() -> None:
    topics = {
        resource.account: set(resource.properties["AlarmActions"])
        for resource in DEPLOYMENT.resources
        if resource.type == "AWS::CloudWatch::Alarm" and resource.properties.get("AlarmActions")
    }
    assert {account: len(found) for account, found in topics.items()} == {REPORTING: 1, SOURCE: 1}
