"""A fact to the row that it makes. Pure: a row is a function of its winning event alone (INV-3)."""

import re
from collections.abc import Mapping
from functools import cache

from consumers.facts import SWEEP, Fact
from consumers.warehouse.port import MAX_POSITION, MAX_SOURCE, Row
from schemas.catalog.entity import Catalog, Entity
from schemas.errors import PoisonEventError
from schemas.event import MAX_OCCURRED_AT, MIN_OCCURRED_AT
from schemas.keys import parse_key
from schemas.payload.codec import Schema
from schemas.payload.fields import NO_DEFAULT, Field

# A blank separates the position from the rest of a rank, and a sweep compares with the position alone: both
# orders agree only where every character of a position sorts after the blank.
_POSITION = re.compile(rf"[!-~]{{1,{MAX_POSITION}}}")
_SOURCE = re.compile(rf"[!-~]{{1,{MAX_SOURCE}}}")


def checked(fact: Fact, catalog: Catalog) -> Fact:
    """The fact, checked for everything that could stop a batch later; decoded, unless it is a sweep.

    The one check before a fold, for rows and sweeps, live and replayed. Raises PoisonEventError, and
    ConfigurationError for a schema version newer than this process knows.
    """
    entity = catalog.entity_of(fact.schema)
    if fact.event.operation == SWEEP:
        check_envelope(fact, entity)
        return fact
    return fact._replace(row=to_row(fact, entity))


def check_envelope(fact: Fact, entity: Entity) -> None:
    """Raise PoisonEventError for an event that the entity's table has no place for, whatever its payload:
    cause "schema" for a schema that is no version of the table's, else "data"."""
    event = fact.event
    entity.evolution.projection(fact.schema.fingerprint)
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


def to_row(fact: Fact, entity: Entity) -> Row:
    """The row of an insert, update, upsert or delete, every column set, whichever version wrote the event.

    Raises PoisonEventError: as `check_envelope` does, and with cause "data" for a malformed payload or key.
    """
    check_envelope(fact, entity)
    event, schema = fact.event, fact.schema
    project = entity.evolution.projection(schema.fingerprint)
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
