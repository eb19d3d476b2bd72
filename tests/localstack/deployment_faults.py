"""What goes wrong while the deployed pipe works. After each fault the pipe is whole again."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from deployed_pipe import kill, processes, rows, wait_until
from deployment import PREFIX, REPORTING, SOURCE, Deployment
from iam.proxy import read_calls

LOCK_SECONDS = 15
Work = Callable[[], None]
"""Writes some changes at the source."""


def name_the_stream_wrongly(deployment: Deployment, work: Work) -> list[str]:
    """Give the producer the stream's plain name, as within one account; return the errors of its calls."""
    awslambda, name = deployment.client(SOURCE, "lambda"), f"{PREFIX}-dynamodb-producer"
    right = awslambda.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    configure(awslambda, name, {**right, "HEADWATER_STREAM": right["HEADWATER_STREAM"].rpartition("/")[2]})
    work()

    def outcomes() -> list[str]:
        calls = [call for call in read_calls(deployment.calls) if call["service"] == "kinesis"]
        return [call["error"] or call["operation"] for call in calls]

    wait_until(lambda: len(outcomes()) > 1, "the producer has failed twice")
    found = outcomes()
    configure(awslambda, name, right)
    return found


def configure(awslambda: Any, name: str, variables: Mapping[str, str]) -> None:
    awslambda.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    awslambda.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def kill_producer(deployment: Deployment, work: Work) -> None:
    """Kill the DynamoDB producer while Kinesis takes its events: it never learns that they are stored."""
    with deployment.proxy.holding(f"{PREFIX}-dynamodb-producer", "PutRecords") as held:
        work()
        assert held.wait(120), "the producer has put nothing"
        kill(deployment, "dynamodb-producer")


def disable_consumer(deployment: Deployment, work: Work) -> tuple[int, int]:
    """Disable the consumer's mapping during the work; return the rows before and after it."""
    mapping = deployment.stacks[REPORTING, "consumers"].physical["ConsumerMapping"]
    wait_until(lambda: rows(deployment, "outage"), "rows are there")
    _set_mapping(deployment, mapping, "Disabled")
    before, stored = _settled(deployment), _stored(deployment)
    work()
    wait_until(lambda: _stored(deployment) > stored, "events wait in the stream")
    after = len(rows(deployment, "outage"))
    _set_mapping(deployment, mapping, "Enabled")
    return before, after


def _settled(deployment: Deployment) -> int:
    """How many rows there are once a batch that had begun is over."""
    found = -1
    while found != (found := len(rows(deployment, "outage"))):
        time.sleep(5)
    return found


def _set_mapping(deployment: Deployment, mapping: str, state: str) -> None:
    awslambda = deployment.client(REPORTING, "lambda")
    awslambda.update_event_source_mapping(UUID=mapping, Enabled=state == "Enabled")
    wait_until(lambda: awslambda.get_event_source_mapping(UUID=mapping)["State"] == state, f"it is {state}")


def _stored(deployment: Deployment) -> int:
    """How many PutRecords of the DynamoDB producer have succeeded."""
    calls = read_calls(deployment.calls)
    return sum(
        (call["operation"], call["status"]) == ("PutRecords", 200) and "dynamodb" in call["caller"]
        for call in calls
    )


def lock_database(deployment: Deployment, work: Work) -> tuple[int, int]:
    """Lock the database from another process, and kill the consumer that waits for it in its batch.

    Returns the rows before the work and when the lock is released.
    """
    with contextlib.closing(sqlite3.connect(deployment.database, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before, stored = len(rows(deployment, "outage")), _stored(deployment)
        work()
        wait_until(lambda: _stored(deployment) > stored, "events wait in the stream")
        wait_until(lambda: processes(deployment, "consumer"), "a consumer runs")
        time.sleep(LOCK_SECONDS / 3)
        kill(deployment, "consumer")
        time.sleep(LOCK_SECONDS)
        after = len(rows(deployment, "outage"))
        other.execute("ROLLBACK")
    return before, after
