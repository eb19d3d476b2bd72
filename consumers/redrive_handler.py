"""The Lambda function that redrives the consumer's dead letters. A person invokes it.

    aws lambda invoke --function-name headwater-prod-consumer-redrive --payload '{"cause": "schema"}' ...

The request is a filter (schemas/letters/redrive_call.py); without members it means all waiting letters. The
environment: schemas/settings.py.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from consumers.consume import STAGE, Consumer
from consumers.log_documents import LogDocuments
from consumers.redrive import ConsumerRedriver
from consumers.wiring import Wiring, wire_from_environment
from schemas.deadline import seconds_left
from schemas.letters.outcomes import LetterLedger, Redriver
from schemas.letters.redrive_call import redrive_call
from schemas.letters.s3_letters import S3Letters
from schemas.telemetry.invocation import invocation

GROUP_LETTERS = 1_000
"""Letters that are redriven in one transaction: it has to end well within the reserve of the time limit."""


class Redrive(NamedTuple):
    """The letters and their redrivers by stage."""

    ledger: LetterLedger
    redrivers: dict[str, Redriver]


def handler(request: object, context: object) -> dict[str, Any]:
    """Redrive the waiting letters that the request selects, and return their numbers."""
    with invocation("consumer-redrive", context):
        return redrive_call(request, *_built(), seconds_left(context), GROUP_LETTERS)


def build(wiring: Wiring) -> Redrive:
    """Build the redrive of an installation from its parts."""
    s3, bucket = wiring.client("s3"), wiring.settings.log_bucket
    documents = LogDocuments(s3, bucket)
    redriver = ConsumerRedriver(
        lambda letters: Consumer(wiring.catalog, wiring.warehouse, letters, documents.read)
    )
    return Redrive(S3Letters(s3, bucket), {STAGE: redriver})


@cache
def _built() -> Redrive:
    wiring = wire_from_environment()
    wiring.warehouse.require()
    return build(wiring)
