"""What is published of a masked or hashed field, from an item and from a cell; and its maxLength."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from csv_world import HASH_KEY, World
from csv_world import entity as feed
from dynamodb_world import catalog, entity, nullable, record

from producers.dynamodb.images import ItemReader, ItemState
from producers.dynamodb.records import RecordReader
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.event import Event
from schemas.keys import canonical_key
from schemas.payload.codec import make_schema
from schemas.privacy import HASHED, HashKey, Privacy, hasher
from schemas.sources.dynamodb import DynamoDbSource

SECRET = "SECRET-3141"
HASH = hasher(HASH_KEY.id, HASH_KEY.secret)
ID = {"name": "id", "type": "string"}
WORDS = {Privacy.MASK: "mask", Privacy.HASH: "hash"}


def hidden(name: str, level: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "string", "headwater.private": level, **more}


def person(*fields: Mapping[str, Any], key: str = "id") -> Entity:
    return entity("person", [ID, *fields], [key], table="people")


def items(one: Entity, key: HashKey | None = HASH_KEY) -> ItemReader:
    (source,) = one.sources
    assert isinstance(source, DynamoDbSource)
    return ItemReader(one, source, key)


def state(one: Entity, x: Mapping[str, Any] | None) -> ItemState:
    item = {"id": {"S": "1"}, "unnamed": {"S": SECRET}}
    return items(one).new_state(item if x is None else {**item, "x": x})


def taken(one: Entity, x: Mapping[str, Any] | None) -> object:
    made = state(one, x)
    assert made.payload is not None, made.error
    return one.schema.decode(made.payload)["x"]


# Items of DynamoDB


@pytest.mark.parametrize(
    ("level", "attribute", "published"),
    [
        ("mask", {"S": "Ada"}, "***"),
        ("mask", {"S": "Ada Lovelace"}, "*****"),
        ("mask", {"S": "A" * 33}, "*******"),
        ("mask", {"S": "ada@example.org"}, "***@example.org"),
        ("mask", {"N": "447700900123"}, "*****"),
        ("hash", {"S": "Ada"}, HASH("Ada")),
        ("hash", {"N": "447700900123"}, HASH("447700900123")),
        ("hash", {"N": "4.477009E+5"}, HASH("447700.9")),
        ("hash", {"N": "7.0"}, HASH("7")),
        ("mask", {"S": ""}, ""),
        ("hash", {"S": ""}, ""),
        ("mask", {"NULL": True}, None),
        ("hash", {"NULL": True}, None),
        ("mask", None, None),
        ("hash", None, None),
    ],
)
def test_what_is_published_of_a_private_attribute(
    level: str, attribute: Mapping[str, Any] | None, published: object
) -> None:
    assert taken(person(nullable("x", "string", **{"headwater.private": level})), attribute) == published


@pytest.mark.parametrize("level", ["mask", "hash"])
@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ({"L": [{"S": SECRET}]}, "field x: takes an attribute of type S or N, got L"),
        ({"BOOL": True}, "field x: takes an attribute of type S or N, got BOOL"),
        ({"N": SECRET}, "field x: is not a number"),
        ({"S": [SECRET]}, "field x: not an attribute as DynamoDB writes them"),
        (None, "field x: the item has no such attribute, and the field no default"),
    ],
)
def test_inv7_a_private_attribute_that_is_refused_is_not_told(
    level: str, attribute: Mapping[str, Any] | None, words: str
) -> None:
    made = state(person(hidden("x", level)), attribute)
    assert made.payload is None
    assert made.error is not None
    assert made.error.reason.startswith(words)
    assert SECRET not in repr(made)
    assert made.error.__cause__ is None


def test_inv7_text_that_can_not_be_hashed_is_not_told() -> None:
    made = state(person(hidden("x", "hash")), {"S": f"{SECRET}\ud800"})
    assert made.error is not None
    assert made.error.reason == "field x: holds a lone surrogate, which UTF-8 does not have"


def changes(one: Entity, old: Mapping[str, Any], new: Mapping[str, Any] | None = None) -> list[Event]:
    """What a record of the stream with these images says."""
    reading = RecordReader(catalog(one), HASH_KEY).read(record(1, old, new))
    return [event for event, _ in reading.events]


def test_inv7_the_image_of_before_is_hidden_like_the_one_after() -> None:
    one = entity("order", [ID, hidden("x", "hash"), hidden("y", "mask")], ["id"])
    before = {"id": {"S": "1"}, "x": {"S": SECRET}, "y": {"S": SECRET}}
    [changed] = changes(one, before, {**before, "x": {"S": "new"}})
    assert changed.before is not None
    assert changed.after is not None
    hidden_name = "*****"
    assert one.schema.decode(changed.before) == {"id": "1", "x": HASH(SECRET), "y": hidden_name}
    assert one.schema.decode(changed.after) == {"id": "1", "x": HASH("new"), "y": hidden_name}
    assert SECRET not in repr(changed)


@pytest.mark.parametrize("attribute", [{"S": "447700900123"}, {"N": "447700900123"}])
def test_inv7_a_hashed_key_field_is_known_by_its_hash_when_it_comes_and_when_it_goes(
    attribute: Mapping[str, Any],
) -> None:
    one = entity("order", [hidden("id", "hash")], ["id"])
    [gone] = changes(one, {"id": attribute})
    assert gone.operation == "delete"
    assert gone.key == canonical_key([HASH("447700900123")])
    assert items(one).new_state({"id": attribute}).key == gone.key
    assert "447700900123" not in repr(gone)


@pytest.mark.parametrize("level", [Privacy.MASK, Privacy.HASH])
def test_a_hash_has_a_key_before_the_first_item_and_a_mask_needs_none(level: Privacy) -> None:
    one = person(hidden("x", WORDS[level]))
    if level is Privacy.MASK:
        items(one, None)
        return
    with pytest.raises(ConfigurationError, match="a field is hashed, but no hash key is configured"):
        items(one, None)


# Rows of CSV


CELLS = (
    {"name": "urn", "type": "int"},
    nullable("mail", "string", **{"headwater.private": "hash"}),
    hidden("name", "mask"),
)


def rows(text: str, **source: Any) -> World:
    world = World(feed(CELLS, key=("urn",), **source))
    world.drop(f"urn,mail,name\n{text}")
    return world


def test_what_is_published_of_a_private_cell() -> None:
    world = rows(f"1,{SECRET},{SECRET}\n2,,\n3,ada@example.org,ada@example.org\n")
    assert world.values() == [
        {"urn": 1, "mail": HASH(SECRET), "name": "*****"},
        {"urn": 2, "mail": None, "name": ""},
        {"urn": 3, "mail": HASH("ada@example.org"), "name": "***@example.org"},
    ]


def test_a_cell_is_trimmed_before_it_is_hashed() -> None:
    padded, exact = rows("1,  Ada ,Ada\n", trim=True), rows("1,  Ada ,Ada\n", trim=False)
    assert padded.values()[0]["mail"] == HASH("Ada")
    assert exact.values()[0]["mail"] == HASH("  Ada ")


def test_inv7_a_row_that_is_refused_is_told_by_column_and_rule_alone() -> None:
    world = rows(f"{SECRET},{SECRET},{SECRET}\n2,{SECRET}\0,{SECRET}\0\n")
    assert world.facts() == []
    told = " ".join(letter.reason for letter in world.letters.letters)
    assert SECRET not in told
    [rejects] = [place for place in world.objects() if place.startswith("rejects/")]
    assert SECRET.encode() in world.bucket.body(rejects)  # the source account's own, to be corrected


def test_inv7_a_hashed_key_cell_is_known_by_its_hash() -> None:
    world = World(feed((hidden("mail", "hash"),), key=("mail",)))
    world.drop(f"mail\n{SECRET}\n")
    [fact] = world.facts()
    assert fact.key == canonical_key([HASH(SECRET)])
    assert SECRET not in repr(fact)


def test_equal_values_are_equal_hashes_from_either_kind_of_source() -> None:
    cell = rows("1,447700900123,Ada\n").values()[0]["mail"]
    for attribute in ({"S": "447700900123"}, {"N": "447700900123"}):
        assert taken(person(hidden("x", "hash")), attribute) == cell


# maxLength


def length(level: str | None, given: int | None) -> int | None:
    more = {"maxLength": given} if given else {}
    spec = hidden("x", level, **more) if level else {"name": "x", "type": "string", **more}
    schema = make_schema("person", 1, ["id"], {"type": "record", "name": "P", "fields": [ID, spec]})
    [field] = [each for each in schema.fields if each.name == "x"]
    return field.max_length


@pytest.mark.parametrize(
    ("level", "given", "used"),
    [
        (None, None, None),
        ("mask", None, None),
        ("mask", 7, 7),
        ("hash", None, HASHED),
        ("hash", HASHED, HASHED),
        ("hash", 200, 200),
    ],
)
def test_max_length_is_of_what_is_published(level: str | None, given: int | None, used: int | None) -> None:
    assert length(level, given) == used


@pytest.mark.parametrize(("level", "given", "least"), [("mask", 6, 7), ("hash", HASHED - 1, HASHED)])
def test_a_max_length_that_holds_no_mask_or_hash_is_refused(level: str, given: int, least: int) -> None:
    words = f"maxLength: found {given}; allowed: {least} or more: a {level} has up to {least} characters"
    with pytest.raises(ConfigurationError, match=words):
        length(level, given)


def test_the_longest_hash_fits_what_a_hash_is_given() -> None:
    longest = replace(HASH_KEY, id="x" * 32)
    assert len(hasher(longest.id, longest.secret)("Ada")) == HASHED


def test_a_mail_address_masked_beyond_its_max_length_is_refused_and_not_told() -> None:
    domain = "swordfish." + "a" * 20
    made = state(person(hidden("x", "mask", maxLength=7)), {"S": f"ada@{domain}"})
    assert made.error is not None
    assert domain not in made.error.reason
