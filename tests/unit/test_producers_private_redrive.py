"""A dead letter of an item with a hashed field is redriven with the key, and what became of it is known."""

from __future__ import annotations

from csv_world import HASH_KEY
from dynamodb_world import catalog, entity, record

from producers.dynamodb.handler import Producer
from producers.dynamodb.records import STAGE
from producers.dynamodb.redrive import DynamoDbRedriver
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.catalog.entity import Entity
from schemas.letters.letter import InMemoryLetters, LetterStore


def order(age: str) -> Entity:
    mail = {"name": "mail", "type": "string", "headwater.private": "hash"}
    fields = [{"name": "id", "type": "string"}, mail, {"name": "age", "type": age}]
    return entity("order", fields, ["id"])


def producer(one: Entity, letters: LetterStore, stream: InMemoryStream) -> Producer:
    publisher = Publisher(stream, InMemorySchemaLog(), sleep=lambda _: None)
    return Producer(catalog(one), publisher, letters, HASH_KEY)


def test_the_letter_of_an_item_with_a_hashed_field_is_redriven() -> None:
    letters, stream = InMemoryLetters(), InMemoryStream(1)
    bad = record(1, None, {"id": {"S": "1"}, "mail": {"S": "ada@example.org"}, "age": {"S": "old"}})
    producer(order("int"), letters, stream).publish([bad])
    [letter] = letters.letters
    mended = order("string")
    redriver = DynamoDbRedriver(catalog(mended), lambda store: producer(mended, store, stream), HASH_KEY)
    [outcome] = redriver.redrive([letter])
    assert (outcome.stage, outcome.id, outcome.state) == (STAGE, letter.id, "redriven")
