"""The source that takes a file of an entity."""

import pytest

from headwater.sources.dropping import feed_of
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.payload.codec import make_schema
from schemas.sources.csv import CsvSource, Mode
from schemas.sources.dynamodb import DynamoDbSource
from schemas.sources.source import Source

SCHEMA = make_schema(
    "book", 1, ["id"], {"type": "record", "name": "Book", "fields": [{"name": "id", "type": "string"}]}
)
NEW, OLD = (CsvSource(f"csv:{feed}", feed, Mode.UPSERT) for feed in ("new", "old"))
TABLE = DynamoDbSource("dynamodb:books", "books")


def book(*sources: Source) -> Entity:
    return Entity("book", SCHEMA.key, sources, SCHEMA)


def test_the_only_feed_needs_no_name() -> None:
    assert feed_of(book(TABLE, NEW), None) == NEW


@pytest.mark.parametrize("feed", ["old", "csv:old"])
def test_a_feed_is_named_with_or_without_its_kind(feed: str) -> None:
    assert feed_of(book(NEW, OLD), feed) == OLD


@pytest.mark.parametrize("feed", [None, "other"])
def test_several_feeds_are_named_in_the_error(feed: str | None) -> None:
    with pytest.raises(ConfigurationError, match="book has the feeds new, old: say which with --feed"):
        feed_of(book(NEW, OLD), feed)


def test_a_table_takes_no_files() -> None:
    with pytest.raises(
        ConfigurationError, match="book comes from the DynamoDB table books, not from files: put items there"
    ):
        feed_of(book(TABLE), None)
