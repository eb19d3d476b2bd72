"""The Lambda function that redrives the producers' dead letters. A person invokes it.

    aws lambda invoke --function-name headwater-prod-producer-redrive --payload '{"entity": "school"}' ...

The request is a filter (schemas/letters/redrive_call.py); without members it means all waiting letters. The
environment: schemas/settings.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from producers.csv import redrive as csv
from producers.csv.file import STAGE as CSV
from producers.dynamodb import redrive as dynamodb
from producers.dynamodb.records import STAGE as DYNAMODB
from producers.wiring import Wiring, wire_from_environment
from schemas.deadline import SecondsLeft, seconds_left
from schemas.letters.outcomes import Redriver
from schemas.letters.redrive_call import redrive_call
from schemas.letters.s3_letters import S3Letters
from schemas.settings import read_settings
from schemas.telemetry.invocation import invocation

GROUP_LETTERS = 25
"""Letters whose outcomes are recorded together: each may be a whole file, and the time is limited."""

_REDRIVERS: Mapping[str, Callable[[Wiring, SecondsLeft], Redriver]] = {
    CSV: csv.build,
    DYNAMODB: dynamodb.build,
}


def handler(request: object, context: object) -> dict[str, Any]:
    """Redrive the waiting letters that the request selects, and return their numbers."""
    with invocation("producer-redrive", context):
        wiring, ledger = _built()
        left = seconds_left(context)
        redrivers = {stage: build(wiring, left) for stage, build in _REDRIVERS.items()}
        return redrive_call(request, ledger, redrivers, left, GROUP_LETTERS)


@cache
def _built() -> tuple[Wiring, S3Letters]:
    wiring = wire_from_environment()
    return wiring, S3Letters(wiring.s3, read_settings(os.environ).source_bucket)
