"""Schemas out of the log itself: S3 alone is enough to read it (INV-6)."""

from replay.log import LogStore
from schemas.codec import Registry, Schema, schema_from_document, schema_log_key
from schemas.entity import Entity
from schemas.errors import ConfigurationError, LogIntegrityError, PoisonEventError
from schemas.event import ENVELOPE_FINGERPRINT

ENVELOPE_KEY = schema_log_key(ENVELOPE_FINGERPRINT)


def logged_schemas(log: LogStore) -> dict[bytes, Schema]:
    """Every payload schema beside the log, by fingerprint.

    Raises LogIntegrityError for a document that is no schema, or not the one that its name says.
    """
    schemas = {}
    for key, document in log.schemas():
        if key == ENVELOPE_KEY:
            continue
        try:
            schema = schema_from_document(document)
        except LogIntegrityError as error:
            raise LogIntegrityError(f"{key}: {error}") from error
        if schema_log_key(schema.fingerprint) != key:
            raise LogIntegrityError(f"{key}: holds the schema {schema.fingerprint.hex()}")
        schemas[schema.fingerprint] = schema
    return schemas


class LogRegistry(Registry):
    """The schemas that are known here, then those that the log has."""

    def __init__(self, log: LogStore, known: Registry) -> None:
        super().__init__()
        self._log, self._known = log, known
        self._nowhere: set[bytes] = set()

    def find(self, fingerprint: bytes) -> Schema:
        """Raises PoisonEventError with cause "schema" for one that the log has not either: a producer writes
        it there before the first event that uses it. Raises what reading the log raises."""
        if fingerprint not in self._schemas and fingerprint not in self._nowhere:
            self._look_up(fingerprint)
        return super().find(fingerprint)

    def _look_up(self, fingerprint: bytes) -> None:
        try:
            self.add(self._known.find(fingerprint))
        except PoisonEventError:
            for schema in logged_schemas(self._log).values():
                self.add(schema)
            self._nowhere.update({fingerprint} - self._schemas.keys())


def entity_of_log(log: LogStore, name: str) -> Entity:
    """An entity as its newest schema in the log says it, sources unknown. Raises ConfigurationError."""
    versions = [schema for schema in logged_schemas(log).values() if schema.entity == name]
    if not versions:
        raise ConfigurationError(f"entity {name}: the log has no schema of it")
    newest = max(versions, key=lambda schema: schema.version)
    return Entity(name, newest.key, (), newest)
