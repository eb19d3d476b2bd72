"""The catalog: who takes which table and which feed, and what provisioning needs to make them."""

import pytest

from schemas.catalog.entity import Catalog, Entity
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError, PoisonEventError
from schemas.payload.codec import make_schema
from schemas.payload.fields import FieldType
from schemas.sources.csv import CsvSource, Mode, entity_of_feed, feeds
from schemas.sources.dynamodb import DynamoDbSource, KeyAttribute, entities_of_table, key_attributes, tables

GOLDEN_FINGERPRINTS = {
    "class_group": "417da468c36f5203",
    "platform_usage": "95b6c444d71095ea",
    "school": "0eeb5403806d820f",
    "subscription": "5c10131dcc124883",
    "teacher": "68a75a4362cdf51d",
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_the_sample_schemas_keep_their_fingerprints(catalog: Catalog) -> None:
    found = {name: entity.schema.fingerprint.hex() for name, entity in catalog.entities.items()}
    assert found == GOLDEN_FINGERPRINTS, "logs hold these: a changed schema must be a new version of it"


def test_the_registry_knows_every_schema_of_the_catalog(catalog: Catalog) -> None:
    for entity in catalog.entities.values():
        assert catalog.registry.find(entity.schema.fingerprint) is entity.schema
    with pytest.raises(PoisonEventError):
        catalog.registry.find(bytes(8))


def test_entities_are_in_the_order_of_their_names(catalog: Catalog) -> None:
    assert list(catalog.entities) == sorted(catalog.entities)


def test_an_unknown_entity_is_told_the_nearest_name(catalog: Catalog) -> None:
    assert catalog.entity("school").name == "school"
    text = 'entity: found "shcool"; did you mean "school"? allowed: class_group, platform_usage, school'
    with pytest.raises(ConfigurationError, match=f"^{text.replace('?', '[?]')}"):
        catalog.entity("shcool")


def test_one_table_may_hold_several_entities(catalog: Catalog) -> None:
    found = entities_of_table(catalog, "accounts")
    assert [(entity.name, source.where) for entity, source in found] == [
        ("class_group", {"sk": "CLASS#*"}),
        ("teacher", {"sk": "TEACHER#*"}),
    ]
    assert entities_of_table(catalog, "orders") == ()


def test_a_feed_is_one_entity(catalog: Catalog) -> None:
    found = entity_of_feed(catalog, "school")
    assert found is not None
    entity, source = found
    assert (entity.name, source.name, source.mode, source.encoding) == (
        "school",
        "csv:school",
        Mode.SNAPSHOT,
        "cp1252",
    )
    assert entity_of_feed(catalog, "orders") is None
    assert feeds(catalog) == ("platform_usage", "school")


def test_the_key_fields_come_in_the_order_of_the_key(catalog: Catalog) -> None:
    usage = catalog.entity("platform_usage")
    assert [field.name for field in usage.key_fields] == ["urn", "platform", "month"]
    assert [field.kind for field in usage.key_fields] == [FieldType.INT, FieldType.STRING, FieldType.DATE]


def test_provisioning_learns_each_table_once_with_its_own_key(catalog: Catalog) -> None:
    assert tables(catalog) == {
        "accounts": (KeyAttribute("pk", "S"), KeyAttribute("sk", "S")),
        "subscriptions": (KeyAttribute("subscription_id", "S"),),
    }


@pytest.mark.parametrize(
    ("avro_type", "more", "expected"),
    [
        ("string", {}, "S"),
        ("int", {}, "N"),
        ("long", {}, "N"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 5}, {}, "N"),
        ("bytes", {}, "B"),
        ({"type": "string", "logicalType": "uuid"}, {}, "S"),
        ({"type": "int", "logicalType": "date"}, {}, "S"),
        ({"type": "long", "logicalType": "timestamp-millis"}, {}, "S"),
        ({"type": "long", "logicalType": "timestamp-millis"}, {"format": "epoch-millis"}, "N"),
        ({"type": "enum", "name": "Plan", "symbols": ["a"]}, {}, "S"),
    ],
)
def test_a_key_attribute_has_the_dynamodb_type_of_its_field(
    avro_type: object, more: dict[str, str], expected: str
) -> None:
    field = {"name": "id", "type": avro_type, "from": "Id", **more}
    schema = make_schema("sale", 1, ["id"], {"type": "record", "name": "Sale", "fields": [field]})
    source = DynamoDbSource("dynamodb:sales", "sales", table_key=("Id",))
    entity = Entity("sale", ("id",), (source,), schema)
    assert [(key.name, key.type) for key in key_attributes(entity, source)] == [("Id", expected)]


def test_values_of_the_catalog_can_be_kept_in_sets(catalog: Catalog) -> None:
    sources: set[DynamoDbSource | CsvSource] = set()
    for entity in catalog.entities.values():
        sources |= set(entity.sources)
    assert len(sources) == 5
    assert len(set(catalog.entities.values())) == 5
