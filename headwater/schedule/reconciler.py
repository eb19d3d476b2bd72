"""One round: read the state, take the steps that are possible now, and report the rest."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from headwater.schedule.calendar import Calendar
from headwater.schedule.override import override
from headwater.schedule.parts import Account
from headwater.schedule.plan import Step, broken, pending, steps
from schemas.errors import ConflictError, HeadwaterError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round found and did."""

    awake: bool
    """True if calendar or tags demand that all parts are on."""
    pending: int
    """Parts that were not as they should be when it began."""
    problems: tuple[str, ...]
    """What a person has to correct."""


def reconcile(account: Account, calendar: Calendar, now: datetime) -> Round:
    """Take one round.

    A step that fails is a problem of this round, and holds up no other one: the next round decides again.
    Raises what reading the state raises.
    """
    state = account.state()
    kept = override(state.keep_on, now)
    awake = calendar.is_awake(now) or kept.on
    problems = [*kept.problems, *broken(state)]
    for step in steps(state, now, awake=awake):
        problems += _take(account, step)
    return Round(awake, len(pending(state, awake=awake)), tuple(problems))


def _take(account: Account, step: Step) -> list[str]:
    word = "on" if step.on else "off"
    try:
        account.turn(step.part, on=step.on)
    except ConflictError as error:  # someone, or AWS itself, was faster
        _log.warning("%s not turned %s: %s", step.part, word, error)
    except HeadwaterError as error:
        return [f"{step.part} not turned {word}: {error}"]
    else:
        _log.info("%s turned %s; it was %s", step.part, word, step.part.status)
    return []
