"""A redrive of dead letters that a person starts by invoking a Lambda function."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from schemas.deadline import Deadline, SecondsLeft
from schemas.errors import Cause, ConfigurationError, TransientError
from schemas.letters.outcomes import LetterLedger, Redriver
from schemas.letters.redriving import LetterFilter, RedriveCounts, redrive

_log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEMBERS = ("entity", "cause", "since")


def redrive_call(
    request: object,
    ledger: LetterLedger,
    redrivers: Mapping[str, Redriver],
    left: SecondsLeft,
    group: int,
) -> dict[str, Any]:
    """Redrive the waiting letters that a request selects, until the time is nearly up.

    Returns the numbers of letters, in `more` whether some were not tried, for which the request may be
    repeated, and in `problem` what ended it early. Letters of other stages in the same bucket count as not
    redrivable. Raises ConfigurationError, also for a malformed request.
    """
    deadline, condition = Deadline(left), filter_of(request)
    counts, problem = RedriveCounts(), None
    try:
        redrive([ledger], redrivers, condition, group=group, ends=lambda: deadline.near, counts=counts)
    except TransientError as error:
        _log.warning("the redrive ended early: %s", error)
        counts.more, problem = True, str(error)
    return {
        "redriven": counts.redriven,
        "failed_again": counts.failed_again,
        "not_redrivable": counts.not_redrivable,
        "more": counts.more,
        "problem": problem,
    }


def filter_of(request: object) -> LetterFilter:
    """Return the filter of a request such as `{"entity": "school", "since": "2026-01-31T00:00:00Z"}`.

    An empty or missing one selects all waiting letters. Raises ConfigurationError.
    """
    members = {} if request is None else request
    if not isinstance(members, Mapping) or (unknown := sorted(map(str, members.keys() - set(_MEMBERS)))):
        what = "no object" if not isinstance(members, Mapping) else f"with {', '.join(unknown)}"
        raise ConfigurationError(
            f"the request is {what}: it may have the members {', '.join(_MEMBERS)}, or none for all letters"
        )
    cause = _text(members, "cause")
    if cause not in (None, *get_args(Cause)):
        raise ConfigurationError(f"the request's cause is none of {', '.join(get_args(Cause))}")
    return LetterFilter(entity=_text(members, "entity"), cause=cause, since=_moment(_text(members, "since")))


def _text(members: Mapping[str, object], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"the request's {name} is no text")
    return value


def _moment(text: str | None) -> int | None:
    """Return a moment in microseconds since 1970."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError(
            "the request's since is not a moment with its time zone, such as 2026-01-31T12:00:00Z"
        )
    return (moment - _EPOCH) // timedelta(microseconds=1)
