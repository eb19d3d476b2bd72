"""docs/runbooks/: `headwater` commands are run in the story of their page, and `aws` commands are checked.

A comment such as `# exit code 3: ...` behind a command is what the command ends with in the story; without
one, it ends with 0.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from aws_commands import aws_commands, missing_options, options, scripts, unknown_options
from deployments import example
from headwater_up import Done, Up, clean_environment

from headwater.cli import main
from headwater.deployment.templates import load_templates, read_template
from headwater.local import sample
from schemas.catalog.loader import SAMPLE_ENTITIES

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(900)  # a story is many commands
FOLDER = ROOT / "docs" / "runbooks"
PAGES = {file.stem: file.read_text() for file in sorted(FOLDER.glob("*.md"))}
NAMES = {
    *("first-deployment", "new-account", "rotate", "restore-warehouse", "lost-region", "retention-lost"),
    *("shard-stands-still", "bad-deployment"),
}
SECTIONS = ("When", "See it", "Do", "It is over when", "Do not")
COMMANDS = [(name, command) for name, page in PAGES.items() for command in aws_commands(page)]
ACCOUNT = "123456789012"  # that of the embedded AWS
ENTITIES = ("school", "subscription", "teacher", "class_group", "platform_usage")
REBUILT = ("school", "subscription")
"""Tables that the pages build from the log."""
Before = Mapping[str, Callable[[], object]]


def lines(page: str) -> list[tuple[str, int]]:
    """The `headwater` and `export` lines of a page in order, with the exit codes that their comments name."""
    found = []
    for line in "\n".join(scripts(page)).splitlines():
        if (text := line.strip()).startswith(("headwater ", "export ")):
            code = re.search(r"# .*exit code (\d)", text)
            found.append((text, int(code[1]) if code else 0))
    return found


# Pages and `aws` commands


def test_alarms_find_their_pages() -> None:
    assert {*PAGES} == NAMES | {"README"}
    assert all(f"({name}.md)" in PAGES["README"] for name in NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_page_has_its_sections_in_order(name: str) -> None:
    headings = re.findall(r"^## (.*)$", PAGES[name], re.M)
    assert [heading for heading in headings if heading in SECTIONS] == [*SECTIONS]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_of_a_page_lead_to_files(name: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[name])
    assert not [target for target in targets if not (FOLDER / target).exists()]


@pytest.mark.parametrize(
    ("name", "command"), COMMANDS, ids=[f"{name}: {' '.join(command[1:4])}" for name, command in COMMANDS]
)
def test_an_aws_command_exists_with_its_options(name: str, command: list[str]) -> None:
    assert not unknown_options(command)
    assert not missing_options(command)
    given = options(command)
    if stack := given.get("stack-name"):
        assert stack.removeprefix("headwater-prod-") in {*load_templates(), "tables"}
    if command[1:3] == ["cloudformation", "deploy"]:
        template = read_template(ROOT / given["template-file"])
        roles = any(one["Type"].startswith("AWS::IAM::") for one in template.body["Resources"].values())
        assert ("capabilities" in given) is roles


def test_the_names_of_alarms_and_functions_are_those_of_the_templates() -> None:
    known = set()
    for template in load_templates().values():
        for resource in template.body["Resources"].values():
            for name in ("AlarmName", "FunctionName"):
                value = resource.get("Properties", {}).get(name)
                known |= {value["Fn::Sub"]} if isinstance(value, dict) and "Fn::Sub" in value else set()
    physical = {name.replace("${Application}-${Environment}", "headwater-prod") for name in known}
    for name, command in COMMANDS:
        given = options(command)
        for option in ("alarm-name", "alarm-names", "function-name"):
            assert given.get(option, "headwater-prod-consumer") in physical, (name, command)


# Stories


class Story:
    """A running pipe with rows, its deployment in an account, and what a reader's shell has."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up, self.folder, self.ran = up, folder, set[str]()
        config = folder / "aws.config"
        config.write_text("[profile reporting]\naws_access_key_id = test\naws_secret_access_key = test\n")
        # Without the variables a profile's keys count, as in a shell in which nothing else is set.
        self.environment = {**up.environment, "AWS_CONFIG_FILE": str(config)}
        self.original = self.environment["HEADWATER_WAREHOUSE"]

    def run(self, line: str, *, more: Mapping[str, str] = {}) -> Done:
        """Runs a command in the folder; its words are those of the page."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, clean_environment({**self.environment, **more}), clear=True),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(shlex.split(line, comments=True)[1:])
        return Done(code, out.getvalue(), err.getvalue())

    def play(self, name: str, before: Before | None = None, **variables: str) -> list[Done]:
        """Runs the commands of a page in order. `before` has what happens before a line, by its beginning.

        A variable that the page exports gets the value of `variables`, from that line on.
        """
        done, more = [], dict[str, str]()
        for line, code in lines(PAGES[name]):
            if line.startswith("export "):
                variable = line.removeprefix("export ").partition("=")[0]
                more[variable] = variables[variable]
                continue
            for beginning, event in (before or {}).items():
                if line.startswith(beginning):
                    event()
            done.append(self.run(line, more=more))
            assert done[-1].code == code, (name, line, done[-1])
        return done

    def rows(self, **more: str) -> dict[str, Any]:
        """The rows of all tables."""
        lines = {name: f"headwater tables {name} --limit 0 --json" for name in ENTITIES}
        return {name: json.loads(self.run(line, more=more).out) for name, line in lines.items()}

    def sql(self, statement: str, url: str | None = None) -> None:
        path = (url or self.original).removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    def live(self, entity: str) -> str:
        """The physical table of an entity."""
        (found,) = [one for one in self.up.json("status")["tables"] if one["entity"] == entity]
        return f"staging_{entity}__r{found['revision']}"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("runbooks")
    register = sample.schools(6)
    with Up() as up:
        (folder / "register.csv").write_bytes(sample.register_csv(register))
        up.run("drop", folder / "register.csv", "--entity", "school")
        usage = sample.usage(register[:2], date(2026, 1, 1))
        (folder / "usage.csv").write_bytes(sample.usage_csv([replace(usage[0]), *usage[1:]]))
        up.run("drop", folder / "usage.csv", "--entity", "platform_usage")
        for item in sample.subscriptions(register):
            up.put("subscriptions", item)
        for item in sample.accounts(register, 1):
            up.put("accounts", item)
        assert up.run("drain").code == 0
        _home(folder)
        yield Story(up, folder)


def _home(folder: Path) -> None:
    """The reader's folder: entities, deployment.toml of the example, and packages."""
    shutil.copytree(SAMPLE_ENTITIES, folder / "home" / "entities")
    # The embedded AWS has one account and one region that all services share.
    text = example().replace("111122223333", ACCOUNT).replace("eu-west-2", "eu-west-1")
    (folder / "home" / "deployment.toml").write_text(text)
    (folder / "dist" / "lambda").mkdir(parents=True)
    sides = ("producers", "consumers", "refresher")
    keys = {f"{side}-arm64.zip": {"key": f"{side}-arm64-{'0' * 12}.zip"} for side in sides}
    (folder / "dist" / "lambda" / "manifest.json").write_text(json.dumps(keys))


def deployed(story: Story, *templates: str) -> None:
    """Make stacks with the parameters of the templates alone, of which some differ from the file."""
    client = story.up.client("cloudformation")
    for name in templates:
        body = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
        with contextlib.suppress(client.exceptions.AlreadyExistsException):
            client.create_stack(StackName=f"headwater-prod-{name}", TemplateBody=json.dumps(body))


def test_first_deployment(story: Story) -> None:
    plan = story.play("first-deployment")[2]
    assert "headwater-prod-artifacts: new" in plan.out


def test_new_account(story: Story) -> None:
    deployed(story, "stream")
    plan = story.play("new-account")[2]
    assert "EventStreamPolicy" in plan.out


def test_bad_deployment(story: Story) -> None:
    """Wrong code wrote a name; the rebuild takes it back."""
    deployed(story, "consumers")
    before, table = story.rows(), story.live("school")
    story.sql(f"UPDATE {table} SET name = 'Wrong' WHERE urn = {before['school'][0]['urn']}")
    assert story.rows() != before
    story.play("bad-deployment")
    assert story.rows() == before


def test_rotate(story: Story) -> None:
    story.play("rotate")


def test_shard_stands_still(story: Story) -> None:
    """The tables of a warehouse that was made before an entity was known."""
    url = f"sqlite:///{story.folder / 'older.db'}"
    older = story.folder / "older"
    shutil.copytree(SAMPLE_ENTITIES / "school", older / "entities" / "school")
    made = story.run(
        "headwater warehouse init", more={"HEADWATER_WAREHOUSE": url, "HEADWATER_HOME": str(older)}
    )
    assert made.code == 0, made
    story.environment["HEADWATER_WAREHOUSE"] = url
    try:
        done = story.play(
            "shard-stands-still",
            {"headwater replay compare": lambda: story.run("headwater replay rebuild subscription")},
        )
        assert any("subscription" in one.out for one in done)
    finally:
        story.environment["HEADWATER_WAREHOUSE"] = story.original


def test_retention_lost(story: Story) -> None:
    """The consumer never saw a row; the log has it."""
    before = story.rows()
    story.sql(f"DELETE FROM {story.live('school')} WHERE urn = {before['school'][0]['urn']}")
    assert story.rows() != before
    story.play("retention-lost")
    assert story.rows() == before


def test_restore_warehouse(story: Story) -> None:
    """A new database has the same rows as the one that is lost."""
    before, url = story.rows(), f"sqlite:///{story.folder / 'restored.db'}"
    table = story.live("school")
    story.play(
        "restore-warehouse",
        {"headwater replay compare school          #": lambda: story.sql(f"DELETE FROM {table}")},
        HEADWATER_WAREHOUSE=url,
    )
    after = story.rows(HEADWATER_WAREHOUSE=url)
    assert [after[name] for name in REBUILT] == [before[name] for name in REBUILT]
    assert all(before[name] for name in REBUILT)
    done = story.run("headwater replay rebuild school --accept-differences")  # for the next story
    assert done.code == 0, done


def replicated() -> str:
    """The prefix that cfn/stream.yaml replicates."""
    bucket = load_templates()["stream"].body["Resources"]["LogBucket"]["Properties"]
    (rule,) = bucket["ReplicationConfiguration"]["Fn::If"][1]["Rules"]
    return str(rule["Filter"]["Prefix"])


def test_lost_region(story: Story) -> None:
    """What is replicated was copied to another bucket; stream and warehouse are new."""
    before, s3 = story.rows(), story.up.client("s3")
    s3.create_bucket(Bucket="copied-log", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="headwater-log", Prefix=replicated()):
        for one in page.get("Contents", ()):
            source = {"Bucket": "headwater-log", "Key": one["Key"]}
            s3.copy_object(Bucket="copied-log", Key=one["Key"], CopySource=source)
    kinesis = story.up.client("kinesis")
    kinesis.create_stream(StreamName="other-region", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="other-region")
    story.environment |= {
        "HEADWATER_WAREHOUSE": f"sqlite:///{story.folder / 'region.db'}",
        "HEADWATER_STREAM": "other-region",
    }
    file = story.folder / "home" / "deployment.toml"
    single = file.read_text()
    named = single.replace('# replica = { region = "eu-west-1" }', 'replica = { region = "eu-west-2" }')
    key = f'ReplicaKeyArn = "arn:aws:kms:eu-west-2:{ACCOUNT}:key/0"'
    edits: Before = {
        "headwater deploy check --home home replica": lambda: file.write_text(named),
        "headwater deploy check --home home stream": lambda: file.write_text(
            named.replace("\n[parameters]\n", f"\n[parameters]\n{key}\n")
        ),
        "headwater deploy check --home home artifacts": lambda: file.write_text(single),
    }
    try:
        story.play("lost-region", edits, HEADWATER_LOG_BUCKET="copied-log")
        after = story.rows(HEADWATER_LOG_BUCKET="copied-log")
    finally:
        story.environment["HEADWATER_WAREHOUSE"] = story.original
        del story.environment["HEADWATER_STREAM"]
    assert [after[name] for name in REBUILT] == [before[name] for name in REBUILT]


def test_the_index(story: Story) -> None:
    story.play("README")
