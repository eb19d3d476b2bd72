"""The present state of dead letters is a function of the letters and outcomes, whoever wrote them when."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from schemas.letters.letter import DeadLetter, letters_key
from schemas.letters.outcomes import (
    STATES,
    InMemoryLedger,
    LetterOutcome,
    LetterStatus,
    decode_outcomes,
    encode_outcomes,
    fold_letters,
    letters_key_of,
    merge_statuses,
    outcomes_key,
)

IDS = ["00", "01", "02"]
STAGES = ["consumer", "dynamodb"]
LETTERS = st.lists(
    st.builds(
        DeadLetter,
        id=st.sampled_from(IDS),
        stage=st.sampled_from(STAGES),
        entity=st.sampled_from([None, "item"]),
        source=st.none(),
        position=st.none(),
        reason=st.sampled_from(["field a: not a date", "unknown schema"]),
        cause=st.sampled_from(["data", "schema"]),
        payload=st.sampled_from([b"", b"\xff\n"]),
        occurred_at=st.sampled_from([None, 7]),
    ),
    max_size=8,
)
OUTCOMES = st.lists(
    st.builds(
        LetterOutcome,
        stage=st.sampled_from(STAGES),
        id=st.sampled_from([*IDS, "ff"]),
        state=st.sampled_from(STATES[1:]),
        reason=st.sampled_from(["", "a", "b\n"]),
    ),
    max_size=12,
)
RANDOM = st.integers(0, 2**32 - 1).map(Random)


@given(LETTERS, OUTCOMES, RANDOM)
def test_inv2_the_fold_is_one_whatever_the_order_and_however_often_told(
    letters: list[DeadLetter], outcomes: list[LetterOutcome], random: Random
) -> None:
    folded = fold_letters(letters, outcomes)
    again = [letters * 2, outcomes * 2]
    for some in again:
        random.shuffle(some)  # type: ignore[arg-type]
    assert fold_letters(*again) == folded  # type: ignore[arg-type]
    assert [standing.letter.name for standing in folded] == sorted({letter.name for letter in letters})


@given(LETTERS, OUTCOMES)
def test_what_went_through_outweighs_a_decision_and_a_decision_an_attempt(
    letters: list[DeadLetter], outcomes: list[LetterOutcome]
) -> None:
    for standing in fold_letters(letters, outcomes):
        said = {outcome.state for outcome in outcomes if outcome.name == standing.letter.name}
        if "redriven" in said:
            assert standing.state == "redriven"
        elif "discarded" in said:
            assert standing.state == "discarded"
        else:
            assert standing.state == ("failed-again" if said else "open")
        why = {o.reason for o in outcomes if o.name == standing.letter.name and o.state == standing.state}
        assert standing.reasons == tuple(sorted(why - {""}))


@given(LETTERS, OUTCOMES, OUTCOMES)
def test_inv2_two_people_at_once_come_to_the_state_that_each_after_the_other_would(
    letters: list[DeadLetter], one: list[LetterOutcome], other: list[LetterOutcome]
) -> None:
    """Whoever read before the other wrote writes what it would have, and no object is ever changed."""
    ledgers = []
    for first, second in ((one, other), (other, one), (one + other, [])):
        ledger = InMemoryLedger()
        for stage in sorted({letter.stage for letter in letters}):
            mine = [letter for letter in letters if letter.stage == stage]
            ledger.put(mine)
            for outcomes in (first, second, first):
                ledger.record(letters_key(mine), [each for each in outcomes if each.stage == stage])
        ledgers.append([standing for batch in ledger.batches() for standing in batch.statuses()])
    assert ledgers[0] == ledgers[1] == ledgers[2] == fold_letters(letters, one + other)


@given(LETTERS, OUTCOMES, OUTCOMES)
def test_a_letter_in_two_objects_has_one_state_in_whatever_order_they_are_read(
    letters: list[DeadLetter], one: list[LetterOutcome], other: list[LetterOutcome]
) -> None:
    for here, there in zip(fold_letters(letters, one), fold_letters(letters, other), strict=True):
        assert merge_statuses(here, there) == merge_statuses(there, here)
    by_parts = [
        merge_statuses(*pair)
        for pair in zip(fold_letters(letters, one), fold_letters(letters, other), strict=True)
    ]
    assert by_parts == fold_letters(letters, one + other)


@given(OUTCOMES, RANDOM)
def test_inv5_the_same_outcomes_are_the_same_bytes_under_the_same_name(
    outcomes: list[LetterOutcome], random: Random
) -> None:
    body = encode_outcomes(outcomes)
    again = outcomes * 2
    random.shuffle(again)
    assert encode_outcomes(again) == body
    assert set(decode_outcomes(body)) == set(outcomes)
    key = "dead-letters/consumer/0123.jsonl"
    beside = outcomes_key(key, body)
    assert beside > key  # S3 lists it behind its letters
    assert beside < "dead-letters/consumer/0124.jsonl"
    assert letters_key_of(beside) == key
    assert letters_key_of(key) is None


def test_the_bytes_of_an_outcome_are_pinned() -> None:
    body = b'{"id":"00ff","reason":"a test row","stage":"csv","state":"discarded"}\n'
    assert encode_outcomes([LetterOutcome("csv", "00ff", "discarded", "a test row")]) == body


@pytest.mark.parametrize(
    "line", [b"?", b"[]", b"{}", b'{"id":"0","reason":"","stage":"csv","state":"open"}', b'{"state":"x"}']
)
def test_an_object_that_holds_no_outcomes_is_refused_by_line(line: bytes) -> None:
    good = encode_outcomes([LetterOutcome("csv", "00", "redriven")])
    with pytest.raises(ConfigurationError, match="line 2 is not the outcome of a dead letter"):
        decode_outcomes(good + line + b"\n")


def test_an_open_letter_has_no_reason_but_its_own() -> None:
    letter = DeadLetter("00", "csv", None, None, None, "why", "data", b"", None)
    assert fold_letters([letter], []) == [LetterStatus(letter, "open", ())]
