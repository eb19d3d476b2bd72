"""Conversion of a fact to its table row. Pure: a row is a function of its winning event alone (INV-3)."""

import re
from collections.abc import Mapping
from functools import cache

from consumers.facts import SWEEP, Fact
from consumers.warehouse.port import MAX_POSITION, MAX_SOURCE, Row
from schemas.catalog.entity import Catalog, Entity
from schemas.errors import PoisonEventError
from schemas.event import MAX_OCCURRED_AT, MIN_OCCURRED_AT
from schemas.evolution.evolution import Project
from schemas.keys import parse_key
from schemas.payload.codec import Schema
from schemas.payload.fields import NO_DEFAULT, Field

# In a rank a blank follows the position, while a sweep compares with the position alone. Both orders agree
# only if every character of a position sorts after the blank.
_POSITION = re.compile(rf"[!-~]{{1,{MAX_POSITION}}}")
_SOURCE = re.compile(rf"[!-~]{{1,{MAX_SOURCE}}}")


def checked(fact: Fact, catalog: Catalog) -> Fact:
    """Check a fact for everything that could fail later in the batch, and decode it unless it is a sweep.

    The only check before a fold, for rows and sweeps, live and replayed. Raises PoisonEventError;
    ConfigurationError for a schema version newer than this process knows.
    """
    entity = catalog.entity_of(fact.schema)
    if fact.event.operation == SWEEP:
        check_envelope(fact, entity)
        return fact
    # Not `_replace`: it takes four times as long, and this runs for every event.
    return Fact(fact.rank, fact.key_hash, fact.event, fact.schema, fact.frame, to_row(fact, entity))


def check_envelope(fact: Fact, entity: Entity) -> Project:
    """Check that the entity's table can store an event with this envelope; return the way to its columns.

    Raises PoisonEventError, with cause "schema" if the schema is not among the table's versions, else "data".
    """
    event = fact.event
    project = entity.evolution.projection(fact.schema.fingerprint)  # raises for an unknown version
    if not MIN_OCCURRED_AT <= event.occurred_at <= MAX_OCCURRED_AT:
        raise PoisonEventError(f"{entity.name}: occurred_at is not in the years 1 to 9999")
    if not _POSITION.fullmatch(event.position):
        raise PoisonEventError(
            f"{entity.name}: position: takes 1 to {MAX_POSITION} printable ASCII characters without blanks"
        )
    if not _SOURCE.fullmatch(event.source):
        raise PoisonEventError(
            f"{entity.name}: source: takes 1 to {MAX_SOURCE} printable ASCII characters without blanks"
        )
    return project


def to_row(fact: Fact, entity: Entity) -> Row:
    """Return the row of an insert, update, upsert or delete, with every column set.

    The columns are those of the entity's newest version, whichever version wrote the event. Raises
    PoisonEventError as `check_envelope` does, and with cause "data" for a malformed payload or key.
    """
    project = check_envelope(fact, entity)
    event, schema = fact.event, fact.schema
    values = _key_alone(event.key, schema) if event.after is None else schema.decode(event.after)
    # Positional, unlike elsewhere: keywords double the time of this call, which runs for every event.
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
    """Return the values of a deleted row: its key, and the default or None for every other field."""
    key_fields, blank = _blank(schema)
    if not key_fields:
        return blank
    return {**blank, **dict(zip(schema.key, parse_key(key, key_fields), strict=True))}


@cache
def _blank(schema: Schema) -> tuple[tuple[Field, ...], Mapping[str, object]]:
    """Return the key fields in the order of the key, and the default values in the order of the columns."""
    fields = {field.name: field for field in schema.fields}
    blank = {name: None if field.default is NO_DEFAULT else field.default for name, field in fields.items()}
    return tuple(fields[name] for name in schema.key), blank
