"""The readers of a table's stream: a backfill needs one."""

from __future__ import annotations

from headwater.aws import Aws
from headwater.polling.runtime_report import read_report
from producers.dynamodb.scan import Table
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError, TransientError
from schemas.settings import Settings


def require_reader(aws: Aws, settings: Settings, table: Table) -> str:
    """Return who reads the stream: `headwater up` or Lambda functions.

    Raises ConfigurationError if there is none, TransientError.
    """
    if settings.state and _is_up(settings):
        return "headwater up"
    functions = _functions(aws, table)
    if not functions:
        raise ConfigurationError(
            f"nothing reads the stream of the table {table.name}: changes during the backfill would be lost. "
            "Enable the event source mapping of its producer, or start `headwater up`, and repeat the command"
        )
    return ", ".join(functions)


def _is_up(settings: Settings) -> bool:
    try:
        read_report(settings.require_state())
    except TransientError:
        return False
    return True


def _functions(aws: Aws, table: Table) -> list[str]:
    """Return the functions with an enabled event source mapping of the stream."""
    with aws_errors(
        f"looking for readers of the stream of {table.name} (needs lambda:ListEventSourceMappings)"
    ):
        pages = aws.client("lambda").get_paginator("list_event_source_mappings")
        found = [
            one
            for page in pages.paginate(EventSourceArn=table.stream_arn)
            for one in page["EventSourceMappings"]
        ]
    return [one["FunctionArn"].partition(":function:")[2] for one in found if one["State"] == "Enabled"]
