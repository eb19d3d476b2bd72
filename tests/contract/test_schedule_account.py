"""What sleeps, in AWS: the calls of the adapter, on moto over HTTP."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from aws_endpoint import Aws
from schedule_world import london

from headwater.schedule.account import AwsAccount, Names
from headwater.schedule.calendar import Calendar, Change
from headwater.schedule.override import TAG
from headwater.schedule.parts import Kind, Part, Power
from headwater.schedule.reconciler import reconcile
from schemas.errors import ConfigurationError

ROLE = {"Version": "2012-10-17", "Statement": []}


@pytest.fixture
def names(aws: Aws) -> Names:
    """An RDS instance, a host, a mapping and two schedules, all on."""
    warehouse = aws.name("warehouse")
    aws.client("rds").create_db_instance(
        DBInstanceIdentifier=warehouse,
        Engine="sqlserver-web",
        DBInstanceClass="db.t3.small",
        MasterUsername="owner",
        MasterUserPassword="0123456789",
        AllocatedStorage=20,
    )
    ec2 = aws.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    host = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    schedules = (aws.name("refresher"), aws.name("metrics"))
    for name in schedules:
        aws.client("scheduler").create_schedule(**_schedule(name))
    return Names(warehouse, (host,), _mapping(aws), schedules)


def _schedule(name: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Description": "Refresh of reports",
        "ScheduleExpression": "rate(1 minute)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": "arn:aws:lambda:eu-west-1:123456789012:function:refresher",
            "RoleArn": "arn:aws:iam::123456789012:role/schedule",
            "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0},
        },
    }


def _mapping(aws: Aws) -> str:
    archive, name = io.BytesIO(), aws.name("consumer")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", "def handler(event, context): pass")
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ROLE))
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="handler.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    aws.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    stream = aws.client("kinesis").describe_stream(StreamName=name)["StreamDescription"]["StreamARN"]
    mapping = functions.create_event_source_mapping(
        FunctionName=name, EventSourceArn=stream, StartingPosition="TRIM_HORIZON", BatchSize=77
    )
    return str(mapping["UUID"])


def account(aws: Aws, names: Names) -> AwsAccount:
    session = boto3.session.Session("test", "test", region_name="eu-west-1")
    return AwsAccount(names, session.client, endpoint_url=aws.endpoint)


def powers(found: AwsAccount) -> dict[Kind, Power]:
    return {part.kind: part.power for part in found.state().parts}


def test_every_part_is_read_turned_off_and_on(aws: Aws, names: Names) -> None:
    found = account(aws, names)
    assert [part.kind for part in found.state().parts] == [
        *(Kind.WAREHOUSE, Kind.HOST, Kind.CONSUMER, Kind.SCHEDULE, Kind.SCHEDULE)
    ]
    assert {*powers(found).values()} == {Power.ON}
    for on, power in ((False, Power.OFF), (True, Power.ON)):
        for part in found.state().parts:
            found.turn(part, on=on)
        assert {*powers(found).values()} == {power}


def test_a_schedule_keeps_everything_but_its_state(aws: Aws, names: Names) -> None:
    scheduler, found = aws.client("scheduler"), account(aws, names)
    found.turn(Part(Kind.SCHEDULE, names.schedules[0], Power.ON, "ENABLED"), on=False)
    after = scheduler.get_schedule(Name=names.schedules[0])
    expected = _schedule(names.schedules[0]) | {"State": "DISABLED", "GroupName": "default"}
    assert {key: after.get(key) for key in expected} == expected


def test_a_mapping_keeps_everything_but_its_state(aws: Aws, names: Names) -> None:
    functions, found = aws.client("lambda"), account(aws, names)
    found.turn(Part(Kind.CONSUMER, names.consumer, Power.ON, "Enabled"), on=False)
    assert functions.get_event_source_mapping(UUID=names.consumer)["BatchSize"] == 77


def test_the_tag_is_read_from_the_warehouse_and_the_hosts(aws: Aws, names: Names) -> None:
    rds, found = aws.client("rds"), account(aws, names)
    assert found.state().keep_on == {}
    arn = rds.describe_db_instances(DBInstanceIdentifier=names.warehouse)["DBInstances"][0]["DBInstanceArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": TAG, "Value": "2026-06-01T23:00+01:00"}])
    aws.client("ec2").create_tags(Resources=[*names.hosts], Tags=[{"Key": TAG, "Value": "tonight"}])
    assert found.state().keep_on == {
        f"warehouse {names.warehouse}": "2026-06-01T23:00+01:00",
        f"host {names.hosts[0]}": "tonight",
    }


def test_a_host_that_is_gone_is_broken(aws: Aws, names: Names) -> None:
    gone = account(aws, replace(names, hosts=("i-0123456789abcdef0",))).state().hosts
    assert [(host.power, host.status) for host in gone] == [(Power.BROKEN, "missing")]


def test_without_hosts_none_is_asked_for(aws: Aws, names: Names) -> None:
    assert account(aws, replace(names, hosts=())).state().hosts == ()


def test_an_instance_that_is_not_there_is_refused(aws: Aws, names: Names) -> None:
    other = Names("missing", (), names.consumer, ())
    with pytest.raises(ConfigurationError, match="reading the state of the warehouse"):
        account(aws, other).state()


def test_an_evening_and_a_morning(aws: Aws, names: Names) -> None:
    found, calendar = account(aws, names), london()
    # Far enough ahead that no function is running any more.
    evening = next(change for change in _changes(calendar) if not change.awake)
    for _ in range(3):
        reconcile(found, calendar, evening.at)
    assert {*powers(found).values()} == {Power.OFF}
    morning = calendar.next_change(evening.at)
    assert morning is not None
    for _ in range(3):
        reconcile(found, calendar, morning.at)
    assert {*powers(found).values()} == {Power.ON}


def _changes(calendar: Calendar) -> Iterator[Change]:
    now = datetime.now(UTC) + timedelta(hours=1)
    while change := calendar.next_change(now):
        yield change
        now = change.at
