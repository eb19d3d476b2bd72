"""The sample rows: the same in every run, and each one fits the sample entities."""

from datetime import date

import pytest
from boto3.dynamodb.types import TypeSerializer

from headwater.local import sample
from producers.dynamodb.images import ItemReader
from producers.dynamodb.item_records import attribute_as_json
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog
from schemas.sources.dynamodb import entities_of_table


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def unreadable(catalog: Catalog, table: str, items: list[sample.Item]) -> list[object]:
    """What the reader of the one entity that claims an item says against it; `unclaimed` of the others."""
    readers = [ItemReader(entity, source) for entity, source in entities_of_table(catalog, table)]
    errors: list[object] = []
    for item in items:
        image = {name: attribute_as_json(TypeSerializer().serialize(value)) for name, value in item.items()}
        claims = [reader for reader in readers if reader.claims(image)]
        errors += [claims[0].new_state(image).error] if len(claims) == 1 else ["unclaimed"]
    return [error for error in errors if error is not None]


def test_every_item_is_a_row_of_one_entity(catalog: Catalog) -> None:
    register = sample.schools(40)
    assert unreadable(catalog, "subscriptions", sample.subscriptions(register)) == []
    assert unreadable(catalog, "accounts", sample.accounts(register, 3)) == []


def test_the_same_rows_come_in_every_run() -> None:
    assert sample.schools(5) == sample.schools(5)
    assert sample.accounts(sample.schools(5), 2) == sample.accounts(sample.schools(5), 2)
    assert sample.subscriptions(sample.schools(5)) == sample.subscriptions(sample.schools(5))
    month = date(2026, 1, 1)
    assert sample.usage(sample.schools(5), month) == sample.usage(sample.schools(5), month)


def test_a_longer_register_begins_with_the_shorter_one() -> None:
    assert sample.schools(9)[:4] == sample.schools(4)


def test_the_next_register_lacks_grows_and_adds_as_many_as_it_says() -> None:
    before = {school.urn: school for school in sample.schools(20)}
    after = {school.urn: school for school in sample.next_register(sample.schools(20), gone=2, grown=3)}
    assert sorted(before.keys() - after.keys()) == sorted(before)[-2:]
    assert len(after.keys() - before.keys()) == 1
    assert len([urn for urn in before.keys() & after.keys() if before[urn] != after[urn]]) == 3


def test_the_register_needs_cp1252() -> None:
    text = sample.register_csv(sample.schools(30))
    with pytest.raises(UnicodeDecodeError):
        text.decode("utf-8")
    assert "’s School" in text.decode("cp1252")
