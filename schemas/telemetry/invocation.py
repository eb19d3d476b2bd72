"""What every Lambda function does around its work: logs, metrics, and errors without field values."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.aws_errors import aws_errors
from schemas.errors import HeadwaterError
from schemas.settings import read_settings
from schemas.telemetry.log_lines import describe_error, json_log, set_level
from schemas.telemetry.metrics import Measurements

_log = logging.getLogger(__name__)


@contextmanager
def invocation(function: str, context: object) -> Iterator[Measurements]:
    """Run one invocation: log as JSON lines, and write its metrics at the end, also after an error.

    `context` is Lambda's. Any exception is logged, and raised without its cause, since Lambda logs the text
    of what it gets: errors of this project as they are, and all others as a HeadwaterError that names the
    type alone (INV-7).
    """
    began = time.monotonic()
    request_id, name = getattr(context, "aws_request_id", None), getattr(context, "function_name", None)
    measured = Measurements(function)
    with json_log(request_id):
        try:
            with _clean_errors(function):
                set_level(read_settings(os.environ).log_level)
                yield measured
        finally:
            measured.add("Duration", round((time.monotonic() - began) * 1000))
            for line in measured.lines(time.time(), request_id, name):
                sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


@contextmanager
def _clean_errors(function: str) -> Iterator[None]:
    try:
        with aws_errors(f"running {function}"):
            yield
    except Exception as error:
        text = describe_error(error)
        _log.error("%s", text, exc_info=error)
        if isinstance(error, HeadwaterError):
            raise error from None
        raise HeadwaterError(text) from None
