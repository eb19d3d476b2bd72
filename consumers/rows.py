"""A fact to the row that it makes. Pure: a row is a function of its winning event alone (INV-3)."""

from collections.abc import Mapping
from functools import cache

from consumers.facts import Fact
from consumers.warehouse.port import Row
from schemas.codec import Schema
from schemas.entity import Entity
from schemas.errors import PoisonEventError
from schemas.event import MAX_OCCURRED_AT, MIN_OCCURRED_AT
from schemas.fields import NO_DEFAULT, Field
from schemas.keys import parse_key


def to_row(fact: Fact, entity: Entity) -> Row:
    """The row of an insert, update, upsert or delete, every column set, whichever version wrote the event.

    Raises PoisonEventError: cause "schema" for an event of a schema that is no version of the table's, "data"
    for a malformed payload or key.
    """
    event, schema = fact.event, fact.schema
    project = entity.evolution.projection(schema.fingerprint)
    if not MIN_OCCURRED_AT <= event.occurred_at <= MAX_OCCURRED_AT:
        raise PoisonEventError(f"{event.entity}: occurred_at is not in the years 1 to 9999")
    values = _key_alone(event.key, schema) if event.after is None else schema.decode(event.after)
    return Row(
        fact.key_hash,
        fact.rank,
        event.event_id,
        event.after is None,
        event.source,
        event.occurred_at,
        schema.version,
        project(values),
    )


def _key_alone(key: str, schema: Schema) -> Mapping[str, object]:
    """A delete is known by its key: every other column has its default, or NULL."""
    key_fields, blank = _blank(schema)
    if not key_fields:
        return blank
    return {**blank, **dict(zip(schema.key, parse_key(key, key_fields), strict=True))}


@cache
def _blank(schema: Schema) -> tuple[tuple[Field, ...], Mapping[str, object]]:
    """The key fields, in the key's order, and a row of defaults, in the columns' order."""
    fields = {field.name: field for field in schema.fields}
    blank = {name: None if field.default is NO_DEFAULT else field.default for name, field in fields.items()}
    return tuple(fields[name] for name in schema.key), blank
