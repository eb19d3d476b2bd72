"""Schemas beside the log: looked up by their fingerprint where they are not known here (INV-6)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from schemas.errors import LogIntegrityError, PoisonEventError, TransientError
from schemas.event import ENVELOPE_FINGERPRINT
from schemas.payload.codec import Schema, SchemaRegistry, schema_from_document, schema_log_key


def logged_schema(key: str, document: bytes) -> Schema:
    """The schema that the log has under this key. Raises LogIntegrityError for a document that is no schema,
    or not the one that its name says."""
    try:
        schema = schema_from_document(document)
    except LogIntegrityError as error:
        raise LogIntegrityError(f"{key}: {error}") from error
    if schema_log_key(schema.fingerprint) != key:
        raise LogIntegrityError(f"{key}: holds the schema {schema.fingerprint.hex()}")
    return schema


class LogRegistry(SchemaRegistry):
    """The schemas that are known here, then those that the log has.

    `read` gives a document of the log by its key, None where there is none; it is asked once for each key: a
    producer writes a schema there before the first event that uses it.
    """

    def __init__(self, known: SchemaRegistry, read: Callable[[str], bytes | None]) -> None:
        super().__init__()
        self._known, self._read = known, read
        self._nowhere: set[bytes] = set()
        self._closed = False

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Ask the log for nothing meanwhile: `find` raises TransientError for a schema that was not looked up
        before."""
        self._closed = True
        try:
            yield
        finally:
            self._closed = False

    def find(self, fingerprint: bytes) -> Schema:
        """Raises PoisonEventError with cause "schema" for one that the log has not either, LogIntegrityError,
        and what `read` raises."""
        if fingerprint not in self._schemas and fingerprint not in self._nowhere:
            self._look_up(fingerprint)
        return super().find(fingerprint)

    def _look_up(self, fingerprint: bytes) -> None:
        try:
            self.add(self._known.find(fingerprint))
        except PoisonEventError:
            key = schema_log_key(fingerprint)
            if self._closed:
                raise TransientError(f"{key} is not read yet, and there is no time for it now") from None
            # The envelope's own schema lies there too: an event that calls it its payload's is poison.
            document = None if fingerprint == ENVELOPE_FINGERPRINT else self._read(key)
            if document is None:
                self._nowhere.add(fingerprint)
            else:
                self.add(logged_schema(key, document))
