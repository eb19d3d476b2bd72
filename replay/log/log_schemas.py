"""The schemas stored beside the log, with which S3 alone is enough to read it, without a catalog (INV-6)."""

from contextlib import suppress

from replay.log.reader import LogStore
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError, LogIntegrityError
from schemas.event import ENVELOPE_FINGERPRINT
from schemas.log.registry import logged_schema
from schemas.payload.codec import Schema, schema_log_key

ENVELOPE_KEY = schema_log_key(ENVELOPE_FINGERPRINT)


def logged_schemas(log: LogStore) -> list[Schema]:
    """Return every payload schema beside the log. Raises LogIntegrityError for a malformed document."""
    # The schema of the envelope is stored there too, for readers without this code. It is no payload.
    return [logged_schema(key, document) for key, document in log.schemas() if key != ENVELOPE_KEY]


def refuse_newer_versions(log: LogStore, entity: Entity) -> None:
    """Raise ConfigurationError where the log has a newer schema version than this process knows.

    A producer stores a schema before the first event that uses it, so this check finds a newer version before
    anything is built.
    """
    known = {schema_log_key(schema.fingerprint) for schema in entity.versions}
    for key, document in log.schemas():
        if key in known or key == ENVELOPE_KEY:
            continue
        # A malformed document matters only if an event refers to it, and its reader reports it then.
        with suppress(LogIntegrityError):
            schema = logged_schema(key, document)
            if schema.entity == entity.name:
                entity.refuse_newer(schema)


def entity_of_log(log: LogStore, name: str) -> Entity:
    """Return an entity built from its schemas in the log, without sources.

    Raises ConfigurationError for an entity without a schema there.
    """
    versions = [schema for schema in logged_schemas(log) if schema.entity == name]
    if not versions:
        raise ConfigurationError(f"entity {name}: the log has no schema of this name")
    *older, newest = sorted(versions, key=lambda schema: schema.version)
    return Entity(name, newest.key, (), newest, older=tuple(older))
