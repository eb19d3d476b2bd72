"""The schemas beside the log: with them S3 alone is enough to read it, with no catalog at all (INV-6)."""

from contextlib import suppress

from replay.log.reader import LogStore
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError, LogIntegrityError
from schemas.event import ENVELOPE_FINGERPRINT
from schemas.log.registry import logged_schema
from schemas.payload.codec import Schema, schema_log_key

ENVELOPE_KEY = schema_log_key(ENVELOPE_FINGERPRINT)


def logged_schemas(log: LogStore) -> list[Schema]:
    """Every payload schema beside the log. Raises LogIntegrityError for a document that is none."""
    return [logged_schema(key, document) for key, document in log.schemas() if key != ENVELOPE_KEY]


def refuse_newer_versions(log: LogStore, entity: Entity) -> None:
    """Raise ConfigurationError where the log has a newer schema version of the entity than is known here.

    A producer writes a schema before the first event that uses it, so that this is known before anything is
    built. A document that is no schema is of no concern until an event asks for it.
    """
    known = {schema_log_key(schema.fingerprint) for schema in entity.versions}
    for key, document in log.schemas():
        if key in known or key == ENVELOPE_KEY:
            continue
        with suppress(LogIntegrityError):
            schema = logged_schema(key, document)
            if schema.entity == entity.name:
                entity.refuse_newer(schema)


def entity_of_log(log: LogStore, name: str) -> Entity:
    """An entity as its schemas in the log say it, sources unknown. Raises ConfigurationError."""
    versions = [schema for schema in logged_schemas(log) if schema.entity == name]
    if not versions:
        raise ConfigurationError(f"entity {name}: the log has no schema of it")
    *older, newest = sorted(versions, key=lambda schema: schema.version)
    return Entity(name, newest.key, (), newest, older=tuple(older))
