"""A redrive as a person asks a Lambda function for it: the filter, the time limit and the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from letters_world import ledger_of, states

from schemas.errors import ConfigurationError, TransientError
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import LetterOutcome, Redriver
from schemas.letters.redrive_call import filter_of, redrive_call
from schemas.letters.redriving import LetterFilter

HOUR = 3_600.0


@pytest.mark.parametrize("request_", [None, {}])
def test_a_request_without_members_means_all_waiting_letters(request_: object) -> None:
    assert filter_of(request_) == LetterFilter()


def test_every_member_of_a_request_is_a_condition() -> None:
    request = {"entity": "school", "cause": "schema", "since": "2024-01-01T01:00:00+01:00"}
    assert filter_of(request) == LetterFilter(entity="school", cause="schema", since=1_704_067_200_000_000)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"entitty": "school", "b": 1}, "with b, entitty: it may have the members entity, cause, since"),
        ([], "no object"),
        ({"entity": 7}, "entity is no text"),
        ({"cause": "bad luck"}, "cause is none of data, schema"),
        ({"since": "yesterday"}, "since is not a moment with its time zone"),
        ({"since": "2024-01-01"}, "since is not a moment with its time zone"),
    ],
)
def test_a_malformed_request_is_refused_before_anything_is_read(request_: object, says: str) -> None:
    ledger = ledger_of()
    ledger.objects["dead-letters/consumer/unreadable.jsonl"] = b"junk"
    with pytest.raises(ConfigurationError, match=says):
        redrive_call(request_, ledger, {}, lambda: HOUR, 1)


class Scripted(Redriver):
    """Redrives what a test lets it."""

    def __init__(self, step: Callable[[], None] = lambda: None) -> None:
        self._step = step

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        self._step()
        return [LetterOutcome(letter.stage, letter.id, "redriven") for letter in letters]


def test_it_ends_before_the_time_is_up_and_the_next_call_goes_on() -> None:
    seconds = [900.0]

    def take_five_minutes() -> None:
        seconds[0] -= 300

    ledger = ledger_of(*[[b"%d" % number] for number in range(5)])
    redrivers = {"consumer": Scripted(take_five_minutes)}
    answer = redrive_call({}, ledger, redrivers, lambda: seconds[0], 1)
    assert answer == {"redriven": 3, "failed_again": 0, "not_redrivable": 0, "more": True, "problem": None}
    seconds[0] = 900
    answer = redrive_call({}, ledger, redrivers, lambda: seconds[0], 1)
    assert answer == {"redriven": 2, "failed_again": 0, "not_redrivable": 0, "more": False, "problem": None}
    assert set(states(ledger).values()) == {"redriven"}


def test_a_passing_fault_ends_it_with_the_counts_so_far() -> None:
    calls: list[None] = []

    def fail_second() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise TransientError("the database is away")

    ledger = ledger_of([b"1"], [b"2"], [b"3"])
    answer = redrive_call({}, ledger, {"consumer": Scripted(fail_second)}, lambda: HOUR, 1)
    assert (answer["redriven"], answer["more"], answer["problem"]) == (1, True, "the database is away")


def test_letters_of_other_stages_are_counted_and_left() -> None:
    ledger = ledger_of([b"1"])
    answer = redrive_call(None, ledger, {"csv": Scripted()}, lambda: HOUR, 1)
    assert (answer["not_redrivable"], answer["more"]) == (1, False)
    assert set(states(ledger).values()) == {"open"}
