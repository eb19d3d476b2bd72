"""Items as large as DynamoDB takes: which fit in one event, by the kind of their values."""

from typing import Any

import pytest
from dynamodb_world import World, entity, record

from schemas.errors import PoisonEventError
from schemas.event import WITHOUT_BEFORE, decode_event, fitting_frame

LARGEST_ITEM = 400 * 1024
ID = {"name": "id", "type": "string"}
TEXT = entity("order", [ID, {"name": "v", "type": "string"}], ["id"])
BYTES = entity("order", [ID, {"name": "v", "type": "bytes"}], ["id"])
JSON = entity("order", [ID, {"name": "v", "type": "string", "headwater.json": True}], ["id"])


def size(value: dict[str, Any]) -> int:
    """Return the bytes of an attribute's value, as DynamoDB counts them.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    ((kind, content),) = value.items()
    if kind == "L":
        return 3 + sum(1 + size(each) for each in content)
    if kind == "N":
        digits = content.partition("E")[0].replace(".", "").strip("0")
        return 1 + (len(digits) + 1) // 2
    if kind == "B":
        return len(content) // 4 * 3
    return 1 if kind in ("BOOL", "NULL") else len(content.encode())


def items(*members: dict[str, Any]) -> dict[str, Any]:
    """Return a list of as many such members as an item takes."""
    room = LARGEST_ITEM - len("id1v") - 3
    return {"L": list(members) * (room // sum(1 + size(member) for member in members))}


TEXT_BYTES = LARGEST_ITEM - len("id1v")
FITS = {
    "text": (TEXT, {"S": "x" * TEXT_BYTES}),
    "control characters": (TEXT, {"S": "\x01" * TEXT_BYTES}),
    "bytes": (BYTES, {"B": "AAAA" * (TEXT_BYTES // 3)}),
    "text in json": (JSON, {"S": "é" * (TEXT_BYTES // 2)}),
    "json in json": (JSON, {"S": '"' * TEXT_BYTES}),
    "backslashes in json": (JSON, {"S": "\\" * TEXT_BYTES}),
    "lines in json": (JSON, {"S": "\n" * TEXT_BYTES}),
    "bytes in json": (JSON, {"B": "AAAA" * (TEXT_BYTES // 3)}),
    "long numbers in json": (JSON, items({"N": "1." + "7" * 37})),
    "digits in json": (JSON, items({"N": "7"})),
    "short texts in json": (JSON, items({"S": "x"})),
}
TOO_LARGE = {
    "control characters in json": (JSON, {"S": "\x01" * TEXT_BYTES}),
    "exponents in json": (JSON, items({"N": "1E125"})),
    "small fractions in json": (JSON, items({"N": "1E-130"})),
    "empty texts in json": (JSON, items({"S": ""})),
    "booleans in json": (JSON, items({"BOOL": False})),
    "nulls in json": (JSON, items({"NULL": True})),
}


def both_images(value: dict[str, Any]) -> dict[str, Any]:
    image = {"id": {"S": "1"}, "v": value}
    assert LARGEST_ITEM - 100 < len("id1v") + size(value) <= LARGEST_ITEM
    return record(7, {**image, "other": {"S": "x"}}, image)


@pytest.mark.parametrize("kind", FITS)
def test_the_new_state_of_the_largest_item_fits_without_its_old_one(kind: str) -> None:
    of, value = FITS[kind]
    (event,) = World(of).read(both_images(value))
    sent = decode_event(fitting_frame(event))
    assert sent.after == event.after
    assert sent.metadata == ({} if sent.before else WITHOUT_BEFORE)


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_only_what_more_than_doubles_in_json_does_not_fit(kind: str) -> None:
    of, value = TOO_LARGE[kind]
    (event,) = World(of).read(both_images(value))
    with pytest.raises(PoisonEventError, match="at most 1,000,000 are allowed"):
        fitting_frame(event)


def test_an_item_that_does_not_fit_is_one_letter_that_says_what_to_do() -> None:
    of, value = TOO_LARGE["control characters in json"]
    world = World(of)
    world.producer.handle({"Records": [both_images(value)]})
    (letter,) = world.letters.letters
    assert letter.entity == "order"
    assert "at most 1,000,000 are allowed" in letter.reason
    assert "the table keeps the older state of this key until a smaller item is written" in letter.reason
