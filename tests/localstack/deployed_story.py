"""What happens in the test of the deployment, and what is seen meanwhile and afterwards.

GIAS files and 2,000 real changes of outages go through the deployed functions, while the stream is named
wrongly, functions are killed, a mapping is disabled and the database is locked.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import deployment_faults as faults
import gias_links
import outages
import read_back
from deployed_pipe import (
    TABLE,
    WAIT_SECONDS,
    drop,
    invoke,
    log_event_ids,
    log_lines,
    objects,
    report_rows,
    resources,
    rows,
    source_bucket,
    wait_until,
    write,
)
from deployment import REPORTING, SOURCE, Deployment
from headwater_up import headwater

from consumers.warehouse.port import Row
from headwater.exit_codes import DONE

CHANGES = 2_000
PART = 400  # changes during one fault
FILES = (gias_links.FILES[0], gias_links.FILES[-1])
ROWS = 3_000  # of each file
BUCKETS = 256  # a file makes one sweep of each
POISON = "EST_CUSTOMERS"  # of one item a text in place of a number
BAD_FILE = "links_20260101.csv"
REPORT = """/* headwater
key = ["city"]
*/
SELECT o.city, COUNT(*) AS outages, SUM(o.est_customers) AS customers
FROM staging.outage AS o
GROUP BY o.city
"""
FUNCTIONS = (
    (SOURCE, "csv-producer"),
    (SOURCE, "dynamodb-producer"),
    (SOURCE, "producer-redrive"),
    (REPORTING, "consumer"),
    (REPORTING, "refresher"),
    (REPORTING, "consumer-redrive"),
    (REPORTING, "metrics"),
)
INVOKED = tuple(each for each in FUNCTIONS if not each[1].endswith(("producer", "consumer")))


@dataclass
class Story:
    """What was seen."""

    fold: outages.Fold = field(default_factory=outages.Fold)
    missing: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """What templates want and the emulator does not have, as `type: property`."""

    by_wrong_name: list[str] = field(default_factory=list)
    while_disabled: tuple[int, int] = (0, 0)
    while_locked: tuple[int, int] = (0, 0)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    letters: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    report: list[tuple[Any, ...]] = field(default_factory=list)
    links: list[Mapping[tuple[object, ...], tuple[object, ...]]] = field(default_factory=list)
    """What each file says, by key."""

    events: int = 0
    """Events in the log of record."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    """What each function has logged."""

    left: list[str] = field(default_factory=list)
    """Resources that exist once the stacks are deleted."""

    retained: list[str] = field(default_factory=list)
    """Resources that templates retain."""

    @property
    def published(self) -> int:
        """How many events all changes and files make."""
        return CHANGES + sum(len(file) + BUCKETS for file in self.links)


def write_home(home: Path) -> None:
    """Entities and a report, as a user would declare them."""
    outages.write_outage(home, TABLE)
    gias_links.write_links(home)
    (home / "reports").mkdir()
    (home / "reports" / "outages_by_city.sql").write_text(REPORT)


def deploy(deployment: Deployment) -> None:
    """Deploy every stack, in the order of docs/deploy.md."""
    url = f"sqlite:///{deployment.database}"
    secrets = deployment.client(REPORTING, "secretsmanager")
    known = {"WarehouseSecretArn": secrets.create_secret(Name="headwater-e2e", SecretString=url)["ARN"]}
    deployment.render(**known)
    deployment.deploy_all((REPORTING, "artifacts"), (SOURCE, "artifacts"))
    for account in (REPORTING, SOURCE):
        deployment.upload(account)
    deployment.deploy_all((REPORTING, "stream"), (SOURCE, "source"))
    stream = deployment.stacks[REPORTING, "stream"].outputs
    deployment.render(**known, **{name: stream[name] for name in ("StreamKeyArn", "LogKeyArn")})
    done = headwater(
        "warehouse", "init", environment=deployment.environment(REPORTING, HEADWATER_WAREHOUSE=url)
    )
    assert done.code == DONE, done
    deployment.deploy_all((SOURCE, "producers"), (REPORTING, "consumers"))
    deployment.deploy(SOURCE, "tables")


def play(deployment: Deployment, data: Path, folder: Path) -> Story:
    """The whole story of deployed stacks."""
    story = Story()
    read_resources(deployment, story)
    files = [first_lines(data / "gias_links" / name, folder) for name in FILES]
    changes = islice(outages.changes(data), CHANGES)

    def work() -> None:
        write(deployment, story.fold, islice(changes, PART))

    story.by_wrong_name = faults.name_the_stream_wrongly(deployment, work)
    drop(deployment, files[0])
    faults.kill_producer(deployment, work)
    story.while_disabled = faults.disable_consumer(deployment, work)
    story.while_locked = faults.lock_database(deployment, work)
    drop(deployment, bad_file(folder))
    wait_until(lambda: not objects(deployment, SOURCE, source_bucket(deployment), "drop/"), "both are done")
    drop(deployment, files[1])
    work()
    write_poison(deployment, next(outages.changes(data)))
    story.links = [gias_links.rows_of(file) for file in files]
    await_tables(deployment, story)
    await_log(deployment, story)
    look(deployment, story)
    return story


def write_poison(deployment: Deployment, change: outages.Change) -> None:
    item = {**outages.item(change), "outage_key": {"S": "poison"}, POISON: {"S": "many"}}
    deployment.client(SOURCE, "dynamodb").put_item(TableName=TABLE, Item=item)


def first_lines(file: Path, folder: Path) -> Path:
    """A file with the first rows of a real one: LocalStack's Kinesis takes minutes for all of them."""
    short = folder / file.name
    with file.open("rb") as lines:
        short.write_bytes(b"".join(islice(lines, 1 + ROWS)))
    return short


def bad_file(folder: Path) -> Path:
    """Without a column that the entity needs."""
    file = folder / BAD_FILE
    file.write_text("URN,LinkURN,LinkName,LinkEstablishedDate\n1,2,A School,01-01-2026\n")
    return file


def read_resources(deployment: Deployment, story: Story) -> None:
    """Compare every resource with the template that wants it."""
    lacking = set[str]()
    for (account, _), stack in deployment.stacks.items():
        for resource, _, found in resources(deployment, account, stack):
            if found is None:
                story.missing.append(resource.name)
            else:
                paths = read_back.differences(resource.properties, found)
                lacking |= {f"{resource.type}: {path}" for path in paths}
    story.dropped = sorted(lacking)


def await_tables(deployment: Deployment, story: Story) -> None:
    """Wait until the tables are what the sources say, or for so long that a test may show what differs."""
    give_up, expected = time.monotonic() + WAIT_SECONDS, outages.rows_of(story.fold.on)
    while time.monotonic() < give_up:
        story.tables = {entity: rows(deployment, entity) for entity in ("school_link", "outage")}
        is_exact = gias_links.seen(story.tables["school_link"]) == story.links[-1]
        if is_exact and outages.live(story.tables["outage"]) == expected:
            break
        time.sleep(1)


def await_log(deployment: Deployment, story: Story) -> None:
    """Wait until Firehose has delivered all events, or for so long that a test may show how many lack."""
    give_up = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < give_up and story.events < story.published:
        story.events = len(log_event_ids(deployment))
        time.sleep(1)


def look(deployment: Deployment, story: Story) -> None:
    """Invoke the functions that have no events, and see what all have left."""
    bucket = source_bucket(deployment)
    story.letters = objects(deployment, SOURCE, bucket, "dead-letters/")
    story.rejected = objects(deployment, SOURCE, bucket, "rejects/")
    for account, function in INVOKED:
        story.answers[function] = invoke(deployment, account, function)
    story.report = report_rows(deployment, "outages_by_city")
    for account, function in FUNCTIONS:
        story.lines[function] = log_lines(deployment, account, function)


def take_down(deployment: Deployment, story: Story) -> None:
    """Delete every stack, the last first, and see what is left."""
    for account, template in reversed(deployment.stacks):
        deployment.delete(account, template)
    for (account, _), stack in deployment.stacks.items():
        for resource, body, found in resources(deployment, account, stack):
            if found is not None:
                story.left.append(resource.name)
            if body.get("DeletionPolicy") == "Retain":
                story.retained.append(resource.name)
