"""Dead letters: the same letters are the same object, and nothing of a letter is lost."""

from dataclasses import replace
from hashlib import sha256

import pytest

from schemas.errors import ConfigurationError
from schemas.letters.letter import (
    DeadLetter,
    InMemoryLetters,
    decode_letters,
    encode_letters,
    letter_id,
    letters_key,
)

FIRST = DeadLetter(
    id="00ff",
    stage="csv",
    entity="school",
    source="csv:school",
    position="20240301T102030Z-00-000000000007",
    reason="field opened: not a date",
    cause="data",
    payload=b'1,"\xe9\n\x00"',
    occurred_at=1_709_288_430_000_000,
)
SECOND = DeadLetter(letter_id(b"?"), "csv", None, None, None, "lone surrogate \ud800", "schema", b"", None)


def test_what_is_written_is_read_back() -> None:
    assert set(decode_letters(encode_letters([FIRST, SECOND]))) == {FIRST, SECOND}


def test_each_letter_is_one_line() -> None:
    assert encode_letters([FIRST, SECOND]).count(b"\n") == 2


def test_inv5_neither_order_nor_repeats_change_the_bytes_or_the_name() -> None:
    one, other = [FIRST, SECOND], [SECOND, FIRST, SECOND]
    assert encode_letters(one) == encode_letters(other)
    assert letters_key(one) == letters_key(other)


def test_the_bytes_and_the_name_are_pinned() -> None:
    body = (
        b'{"cause":"data","entity":"school","id":"00ff","occurred_at":1709288430000000,"payload":"MSwi6QoAIg==",'
        b'"position":"20240301T102030Z-00-000000000007","reason":"field opened: not a date",'
        b'"source":"csv:school","stage":"csv"}\n'
    )
    assert encode_letters([FIRST]) == body
    assert letters_key([FIRST]) == f"dead-letters/csv/{sha256(body).hexdigest()[:32]}.jsonl"


def test_other_letters_have_another_name() -> None:
    assert letters_key([FIRST]) != letters_key([replace(FIRST, payload=b"other")])


def test_letters_of_two_stages_have_no_name() -> None:
    with pytest.raises(ValueError):
        letters_key([FIRST, replace(FIRST, stage="consumer")])


@pytest.mark.parametrize("body", [b"?\n", b"[]\n", b"{}\n", encode_letters([FIRST]) + b'{"payload":"!"}\n'])
def test_an_object_that_holds_no_letters_is_refused_by_line(body: bytes) -> None:
    with pytest.raises(ConfigurationError, match=f"line {body.count(bytes([10]))} is not a dead letter"):
        decode_letters(body)


def test_the_id_of_what_is_no_event_comes_from_its_bytes() -> None:
    assert letter_id(b"abc") == "ba7816bf8f01cfea414140de5dae2223"


def test_letters_in_memory_are_there_once() -> None:
    letters = InMemoryLetters()
    letters.put([FIRST])
    letters.put([FIRST, SECOND])
    assert letters.letters == [FIRST, SECOND]
