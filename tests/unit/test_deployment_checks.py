"""What is wrong with a deployment is found before the first call, and all of it at once."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from pathlib import Path

import pytest
from deployments import (
    COMPLETE,
    KEY,
    REPORTING,
    SECOND,
    SECRET,
    SOURCE,
    changed,
    example,
    planned,
    stream_arn,
)
from entity_homes import DYNAMODB, URN, record, write

from headwater.deployment.limits import LONGEST, too_long
from headwater.deployment.stacks import Stack, Value
from headwater.deployment.templates import template_of
from schemas.catalog.loader import load_catalog


def wrong(path: str, value: object) -> list[str]:
    return planned(changed(path, value))[2]


def test_nothing_is_wrong_with_a_complete_deployment() -> None:
    assert planned(COMPLETE)[2] == []


def test_public_ranges_of_the_firm_are_taken() -> None:
    assert wrong("parameters.FirmCidrs", ["198.51.100.0/24", "203.0.113.7/32"]) == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("region", "eu-west-9", 'region: found "eu-west-9"; did you mean'),
        ("region", "London", 'region: found "London"; allowed: a region'),
        ("region", None, '"region" is missing'),
        ("parameters.FirmCidrs", ["0.0.0.0/0"], "allowed: public IPv4 ranges of /8 to /32"),
        ("parameters.FirmCidrs", ["198.51.100.7/24"], 'FirmCidrs: found "198.51.100.7/24"'),
        (
            "parameters.FirmCidrs",
            ["198.51.100.0/24", "10.1.0.0/16"],
            'found "10.1.0.0/16"; allowed: public ranges',
        ),
        (
            "parameters.FirmCidrs",
            "8.0.0.0/8,192.168.7.0/24",
            'found "192.168.7.0/24"; allowed: public ranges',
        ),
        ("parameters.FirmCidrs", "the office", 'FirmCidrs: found "the office"'),
        (
            "reporting.stream.FirmCidrs",
            "2001:db8::/32",
            'reporting, stream, FirmCidrs: found "2001:db8::/32"',
        ),
        ("typo", 1, 'unknown property: found "typo"'),
        ("tags.owner", None, '"owner" is missing'),
        ("tags.data-class", "", 'tags, data-class: found ""'),
        ("tags.aws:x", "y", 'found "aws:x"'),
        ("tags.application", "Head_water", 'tags, application: found "Head_water"'),
        ("tags.application", "headwater-long", 'tags, application: found "headwater-long"'),
        ("tags.environment", "prod-1", 'tags, environment: found "prod-1"'),
        ("tags.environment", None, '"environment" is missing'),
        ("parameters.LogLevle", "INFO", 'did you mean "LogLevel"?'),
        ("parameters.Application", "other", "parameters, Application: it is the tag application"),
        ("parameters.LogLevel", "LOUD", 'parameters, LogLevel: found "LOUD"'),
        ("parameters.StreamKeyArn", "arn:x", 'parameters, StreamKeyArn: found "arn:x"'),
        ("parameters.StreamKeyArn", KEY.replace("eu-west-2", "eu-west-1"), "an ARN in eu-west-2"),
        ("parameters.LogKeyArn", KEY.replace(REPORTING, SOURCE), f"an ARN in account {REPORTING}"),
        ("parameters.StreamKeyArn", None, "source 1, producers, StreamKeyArn: missing"),
        ("parameters.ProducersKey", None, "source 1, producers, ProducersKey: missing"),
        ("reporting", None, '"reporting" is missing'),
        ("reporting.account", 111122223333, "reporting, account: found 111122223333; allowed: the number"),
        ("reporting.account", "1111", 'reporting, account: found "1111"'),
        ("reporting.streem", {}, 'did you mean "stream"?'),
        ("reporting.stream", [], "reporting, stream: found []; allowed: a table"),
        ("reporting.stream.RetentionHours", 24, 'reporting, stream, RetentionHours: found "24"'),
        ("reporting.stream.RetentionHours", 1.5, "found float; allowed: text, a whole number"),
        ("reporting.stream.Retention", 168, 'unknown parameter: found "Retention"'),
        ("reporting.consumers.WarehouseSecretArn", None, "reporting, consumers, WarehouseSecretArn: missing"),
        ("reporting.consumers.SubnetIds", ["subnet-12345678"], "SubnetIds without SecurityGroupIds"),
        ("reporting.consumers.SecurityGroupIds", "sg-12345678", "SecurityGroupIds without SubnetIds"),
        ("reporting.consumers.SubnetIds", ["12345678"], "reporting, consumers, SubnetIds: found"),
        ("source", [], "source: found []; allowed: one or more"),
        ("source.0.account", None, '"account" is missing'),
        ("source.0.tables", "accounts", 'source 1, tables: found "accounts"; allowed: a list'),
        ("source.0.tables", ["accounts", "accounts"], "each once"),
        ("source.0.tables", ["acounts"], 'did you mean "accounts"?'),
        ("source.0.tables", ["accounts"], "the table subscriptions of the entities is in no account"),
        ("source.0.create-tables", "yes", 'create-tables: found "yes"; allowed: true or false'),
        (
            "source.0.create-tables",
            False,
            "source 1, streams, accounts: missing; allowed: the ARN of a stream",
        ),
        ("source.0.streams", {"accounts": stream_arn("accounts")}, "the stack creates the table"),
        ("source.0.table-keys", [KEY], "the stack creates the tables, with its own key"),
        ("source.0.source.ArchiveDays", 0, 'source 1, source, ArchiveDays: found "0"'),
        (
            "source.0.feeds",
            {"scool": 26},
            'source 1, feeds: in no entity: found "scool"; did you mean "school"',
        ),
        ("source.0.feeds", {"school": 0}, "source 1, feeds, school: found 0; allowed: 1 to 168 hours"),
        ("source.0.feeds", {"school": 169}, "source 1, feeds, school: found 169; allowed: 1 to 168 hours"),
        ("source.0.feeds", {"school": 1.5}, "source 1, feeds, school: found 1.5"),
        ("source.0.feeds", {"school": True}, "source 1, feeds, school: found true"),
        ("source.0.feeds", 26, "source 1, feeds: found 26; allowed: a table"),
        ("source.0.alarms.LateSeconds", 60, 'source 1, alarms, LateSeconds: found "60"'),
        ("reporting.monitoring.CatchUpSeconds", 86_400, "reporting, monitoring, CatchUpSeconds: found"),
        ("reporting.monitoring.RunbookUrl", "http://example.com", "monitoring, RunbookUrl: found"),
        ("source.0.artifacts", 7, "source 1, artifacts: found 7; allowed: a table"),
    ],
)
def test_each_mistake_is_named_with_its_place(path: str, value: object, expected: str) -> None:
    found = wrong(path, value)
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize("path", ["region", "tags.application", "reporting.account", "source.0.account"])
def test_one_mistake_is_one_problem(path: str) -> None:
    """Names that follow from a refused part are not reported, too."""
    assert len(wrong(path, "?")) == 1


def test_all_mistakes_are_named_at_once() -> None:
    values = changed("region", "eu-west-9")
    values["tags"] = {}
    values["reporting"]["stream"] = {"RetentionHours": 1}
    values["source"][0]["tables"] = ["x"]
    text = "\n".join(planned(values)[2])
    for word in ("region", "application", "schedule", "RetentionHours", "tables"):
        assert word in text


def test_a_stack_is_named_to_others_only_if_the_file_has_it() -> None:
    """An alarm waits for a scheduler where ScheduleStack names one."""
    values = changed("reporting.monitoring", {"RunbookUrl": "https://example.com/docs"})
    _, stacks, found = planned(values)
    (monitoring,) = (stack for stack in stacks if stack.template.name == "monitoring")
    assert found == []
    assert monitoring.values["ScheduleStack"].text == ""
    assert monitoring.values["ConsumersStack"].text == "headwater-prod-consumers"


# Accounts and tables


def second(first_tables: list[str] | None, second_tables: list[str] | None) -> list[str]:
    values = deepcopy(COMPLETE)
    values["source"].append({"account": SECOND, "create-tables": True})
    for source, tables in zip(values["source"], (first_tables, second_tables), strict=True):
        if tables is not None:
            source["tables"] = tables
    return planned(values)[2]


def test_two_source_accounts_divide_the_tables() -> None:
    assert second(["accounts"], ["subscriptions"]) == []
    assert second(None, []) == []  # an account of files alone
    both = f"the table accounts is in {SOURCE} and {SECOND}"
    assert any(both in problem for problem in second(None, ["accounts"]))


def test_an_account_is_declared_once() -> None:
    values = changed("source", [COMPLETE["source"][0], COMPLETE["source"][0]])
    assert any("each account once" in problem for problem in planned(values)[2])


def test_one_account_may_be_source_and_reporting() -> None:
    _, stacks, found = planned(changed("source.0.account", REPORTING))
    assert found == []
    assert [stack.template.name for stack in stacks].count("artifacts") == 1
    own = changed("source.0.account", REPORTING)
    own["source"][0]["artifacts"] = {"NoncurrentDays": 30}
    assert any("allowed: in [reporting]" in problem for problem in planned(own)[2])


@pytest.mark.parametrize(
    ("table", "arn", "expected"),
    [
        ("accounts", stream_arn("accounts", SECOND), "a stream of that table in this account"),
        ("accounts", stream_arn("accounts", region="eu-west-1"), "a stream of that table in this account"),
        ("accounts", stream_arn("subscriptions"), "a stream of that table in this account"),
        ("accounts", "arn:aws:dynamodb:eu-west-2", "the ARN of a DynamoDB stream"),
        ("acounts", stream_arn("accounts"), 'did you mean "accounts"?'),
    ],
)
def test_the_stream_of_an_existing_table_is_of_that_table(table: str, arn: str, expected: str) -> None:
    values = changed("source.0.create-tables", False)
    good = {name: stream_arn(name) for name in ("accounts", "subscriptions")}
    values["source"][0]["streams"] = good
    assert planned(values)[2] == []
    values["source"][0]["streams"] = {**good, table: arn}
    assert any(expected in problem for problem in planned(values)[2])


def test_a_key_of_tables_is_in_the_region() -> None:
    values = changed("source.0.create-tables", False)
    values["source"][0]["streams"] = {name: stream_arn(name) for name in ("accounts", "subscriptions")}
    values["source"][0]["table-keys"] = [KEY.replace("eu-west-2", "eu-west-1")]
    assert any("a key in eu-west-2" in problem for problem in planned(values)[2])


def test_tables_beyond_the_quotas_are_refused(tmp_path: Path) -> None:
    for number in range(210):
        table = DYNAMODB.replace("links-table", f"links-table-{number}")
        write(tmp_path, f"link_{number}", table)
    values = changed("source.0.create-tables", False)
    values["source"][0]["streams"] = {f"links-table-{n}": stream_arn(f"links-table-{n}") for n in range(210)}
    (problem,) = planned(values, load_catalog(tmp_path))[2]
    assert problem.startswith("source 1, tables: 215 parameters; allowed: at most 200")


# Private fields


def test_hashed_fields_need_a_key_in_every_account_of_producers(tmp_path: Path) -> None:
    hashed = {"name": "name", "type": ["null", "string"], "default": None, "headwater.private": "hash"}
    write(tmp_path, avsc=record(URN, hashed))
    catalog = load_catalog(tmp_path)
    expected = "source 1, producers, HashSecretArn: missing, and fields are hashed in link"
    assert any(expected in problem for problem in planned(COMPLETE, catalog)[2])
    assert planned(changed("parameters.HashSecretArn", SECRET), catalog)[2] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("reporting.consumers.WarehouseSecretArn", "hunter2"),
        ("reporting.consumers.WarehouseHost", "sa:hunter2@host"),
        ("reporting.consumers.SecurityGroupIds", "https://user:hunter2@host"),
        ("reporting.consumers.WarehouseDatabase", "mssql+pymssql://sa:hunter2@host/database"),
        ("parameters.HashSecretArn", "hunter2"),
        ("parameters.ProducersKey", "https://user:hunter2@host/p.zip"),
    ],
)
def test_a_password_in_a_wrong_place_is_not_shown(path: str, value: str) -> None:
    found = wrong(path, value)
    assert any("found a value that is not shown" in problem for problem in found)
    assert "hunter2" not in "".join(found)


def test_the_content_of_a_secret_in_place_of_its_arn_is_not_shown() -> None:
    found = wrong("reporting.consumers.WarehouseSecretArn", {"password": "hunter2"})
    assert any("found dict; allowed: text" in problem for problem in found)
    assert "hunter2" not in "".join(found)


# Names and networks


@pytest.mark.parametrize(("kind", "longest"), LONGEST.items())
def test_a_name_beyond_the_limit_of_its_service_is_refused(kind: tuple[str, str], longest: int) -> None:
    type_, property_ = kind
    name = "a" * (longest - 2)
    body = {
        "Resources": {"A": {"Type": type_, "Properties": {property_: {"Fn::Sub": f"{name}${{Environment}}"}}}}
    }
    stack = Stack(SOURCE, "source 1", template_of("some", body), {}, {"Environment": Value("xx", "")}, {})
    assert [*too_long(stack, "stack")] == []
    longer = Stack(SOURCE, "source 1", template_of("some", body), {}, {"Environment": Value("xxx", "")}, {})
    (problem,) = too_long(longer, "stack")
    assert f"{longest + 1} characters; allowed: at most {longest}" in problem


def test_names_of_resources_and_of_stacks_are_measured() -> None:
    name = {"Fn::Sub": ["${A}", {"A": "b"}]}, {"Ref": "Other"}, {"Fn::Sub": "${Other.Arn}"}, 5
    body = {
        "Resources": {
            str(n): {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": v}} for n, v in enumerate(name)
        }
    }
    stack = Stack(SOURCE, "source 1", template_of("some", body), {}, {}, {})
    assert [*too_long(stack, "stack")] == []  # what depends on a resource is not known here
    assert "the stack" in next(too_long(stack, "a" * 129))


def test_the_longest_names_that_the_tags_allow_fit() -> None:
    """The patterns of the templates leave room for every name and region."""
    values = changed("tags.application", "a" * 10)
    values["tags"]["environment"] = "b" * 10
    values["region"] = "ap-southeast-2"  # a long one
    assert not [problem for problem in planned(values)[2] if "characters" in problem]


def test_the_example_is_complete() -> None:
    values = tomllib.loads(example())
    values["parameters"] |= {
        key: COMPLETE["parameters"][key] for key in ("ProducersKey", "ConsumersKey", "RefresherKey")
    }
    assert planned(values)[2] == []
