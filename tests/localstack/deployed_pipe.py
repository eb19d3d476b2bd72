"""The deployed pipe as tests use it: what comes in at its sources, and what is seen at its ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import outages
import read_back
from deployment import PREFIX, REPORTING, SOURCE, Deployed, Deployment
from iam.templates import Resource

from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import Row
from replay.log.reader import S3Log, frames_of
from schemas.catalog.loader import load_catalog
from schemas.event import decode_event

TABLE = "outages"
BATCH = 25  # items of one BatchWriteItem
WAIT_SECONDS = 300


def write(deployment: Deployment, fold: outages.Fold, changes: Iterable[outages.Change]) -> None:
    """Real puts and deletes. Those of one key stay in order: a batch has no key twice."""
    batch: dict[str, Mapping[str, Any]] = {}
    for change in changes:
        fold.add(change)
        if change.key in batch or len(batch) == BATCH:
            _write(deployment, batch)
            batch = {}
        batch[change.key] = _request(change)
    _write(deployment, batch)


def _request(change: outages.Change) -> Mapping[str, Any]:
    if change.new is None:
        return {"DeleteRequest": {"Key": {"outage_key": {"S": change.key}}}}
    return {"PutRequest": {"Item": outages.item(change)}}


def _write(deployment: Deployment, batch: Mapping[str, Mapping[str, Any]]) -> None:
    if batch:
        requests = {TABLE: [*batch.values()]}
        answer = deployment.client(SOURCE, "dynamodb").batch_write_item(RequestItems=requests)
        assert not answer["UnprocessedItems"]


def drop(deployment: Deployment, file: Path) -> None:
    """Upload a file of links."""
    key = f"drop/school_links/{file.name}"
    deployment.client(SOURCE, "s3").upload_file(str(file), source_bucket(deployment), key)


def source_bucket(deployment: Deployment) -> str:
    return str(deployment.stacks[SOURCE, "source"].outputs["SourceBucketName"])


def invoke(deployment: Deployment, account: str, function: str) -> Any:
    """Invoke a function with an empty filter; returns its error and its answer."""
    awslambda = deployment.client(account, "lambda")
    answer = awslambda.invoke(FunctionName=f"{PREFIX}-{function}", Payload=b"{}")
    return {"error": answer.get("FunctionError"), "answer": json.loads(answer["Payload"].read() or b"null")}


def processes(deployment: Deployment, function: str) -> list[int]:
    """The processes of a function's runtime."""
    marks = [f"AWS_LAMBDA_FUNCTION_NAME={PREFIX}-{function}\0", f"AWS_ENDPOINT_URL={deployment.endpoint}\0"]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours
            environment = (folder / "environ").read_bytes().decode(errors="replace")
            arguments = (folder / "cmdline").read_bytes().partition(b"\0")[2]
            if arguments.startswith(b"-m\0awslambdaric\0") and all(mark in environment for mark in marks):
                found.append(int(folder.name))
    return found


def kill(deployment: Deployment, function: str) -> None:
    """kill -9."""
    for process in processes(deployment, function):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def log_lines(deployment: Deployment, account: str, function: str) -> list[str]:
    """What a function and the emulator around it have logged."""
    pages = deployment.client(account, "logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=f"/aws/lambda/{PREFIX}-{function}")
    return [line for page in found for event in page["events"] for line in event["message"].splitlines()]


def log_event_ids(deployment: Deployment) -> set[str]:
    """The ids of all events in the log of record."""
    bucket = deployment.stacks[REPORTING, "stream"].outputs["LogBucketName"]
    store = S3Log(deployment.client(REPORTING, "s3"), bucket)
    frames = {frame for item in store.objects() for frame in frames_of(store, item)}
    assert all(isinstance(frame, bytes) for frame in frames), "the log is damaged"
    return {decode_event(frame).event_id for frame in frames if isinstance(frame, bytes)}


def objects(deployment: Deployment, account: str, bucket: str, prefix: str) -> list[str]:
    """The keys of a bucket's objects."""
    pages = deployment.client(account, "s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in found for item in page.get("Contents", [])]


def rows(deployment: Deployment, entity: str) -> list[Row]:
    """All rows of the live revision."""
    catalog = load_catalog(deployment.home)
    warehouse = open_warehouse(f"sqlite:///{deployment.database}", catalog.entities.values())
    try:
        (live,) = [status.revision for status in warehouse.status() if status.entity == entity]
        return list(warehouse.rows(entity, live))
    finally:
        warehouse.close()


def report_rows(deployment: Deployment, report: str) -> list[tuple[Any, ...]]:
    """The rows that readers of a report see; none where there is no report."""
    with contextlib.closing(sqlite3.connect(deployment.database)) as connection:
        try:
            return connection.execute(f"SELECT * FROM reporting_{report}").fetchall()
        except sqlite3.OperationalError:
            return []


def resources(
    deployment: Deployment, account: str, stack: Deployed, types: Container[str] = read_back.READERS
) -> Iterator[tuple[Resource, Mapping[str, Any], read_back.Properties | None]]:
    """Each resource of a stack of these types, its body in the template, and what its API reports."""

    def client(service: str) -> Any:
        return deployment.client(account, service)

    for logical, resource in stack.resources.items():
        if resource.type not in types:
            continue
        found = read_back.read(resource.type, resource.id, resource.properties, client)
        yield resource, stack.template["Resources"][logical], found


def wait_until(happened: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < give_up, f"in vain waited until {what}"
        time.sleep(0.3)
