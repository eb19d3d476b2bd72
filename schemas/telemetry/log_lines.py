"""Log lines of the Lambda functions: one JSON object each, without field values at any level (INV-7)."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from schemas.errors import ConfigurationError, HeadwaterError

OURS: Final = ("headwater", "schemas", "producers", "consumers", "replay")
"""The loggers of this project."""
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


class JsonLines(logging.Formatter):
    """A formatter with the member names of Lambda's own JSON format, so that one query reads both.

    Texts of other libraries are left out, both their records and their exceptions: they may contain rows, SQL
    parameters or secrets. What remains is the logger or the type of the exception, and where in the code.
    """

    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html

    def __init__(self, request_id: str | None) -> None:
        super().__init__()
        self._request_id = request_id

    def format(self, record: logging.LogRecord) -> str:
        members: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _text(record),
            "requestId": self._request_id,
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            members |= {"errorType": type(error).__name__, "location": _location(error)}
        return json.dumps(members)


def _text(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] in OURS:
        return record.getMessage()
    return f"line {record.lineno} of {record.module} logged a text, which is left out"


def _location(error: BaseException) -> list[str]:
    """Return the calls that led to an error, without their source lines."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def describe_error(error: Exception) -> str:
    """Return the text of an error of this project, and only the type of any other."""
    if isinstance(error, HeadwaterError):
        return str(error)
    return f"a bug in Headwater ({type(error).__name__})"


@contextmanager
def json_log(request_id: str | None) -> Iterator[None]:
    """Log to stdout as JSON lines within the block, our loggers at INFO and all others at WARNING.

    Replaces the root logger's handlers: Lambda's own would log each record a second time, with its text.
    """
    root = logging.getLogger()
    before, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("", *OURS)}
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(request_id))
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    set_level("INFO")
    try:
        yield
    finally:
        root.handlers[:] = before
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def set_level(level: str) -> None:
    """Set the level of our loggers. Others stay as they are: botocore logs whole requests at DEBUG.

    Raises ConfigurationError for an unknown level.
    """
    if level not in LEVELS:
        raise ConfigurationError(f"HEADWATER_LOG_LEVEL is {level!r}: set it to one of {', '.join(LEVELS)}")
    for name in OURS:
        logging.getLogger(name).setLevel(level)
