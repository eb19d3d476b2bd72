"""Schemas stored beside the log, looked up by fingerprint where this process does not know them (INV-6)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from schemas.errors import LogIntegrityError, PoisonEventError, TransientError
from schemas.event import ENVELOPE_FINGERPRINT
from schemas.payload.codec import Schema, SchemaRegistry, schema_from_document, schema_log_key


def logged_schema(key: str, document: bytes) -> Schema:
    """Return the schema that the log stores under `key`.

    Raises LogIntegrityError if the document is not a schema, or not the one that its key names.
    """
    try:
        schema = schema_from_document(document)
    except LogIntegrityError as error:
        raise LogIntegrityError(f"{key}: {error}") from error
    if schema_log_key(schema.fingerprint) != key:
        raise LogIntegrityError(f"{key}: holds the schema {schema.fingerprint.hex()}")
    return schema


class LogRegistry(SchemaRegistry):
    """A registry that looks up a schema in `known` first, then in the log.

    `read` returns the document under a key of the log, or None if there is none. It is called once for each
    key, since a producer writes a schema before the first event that uses it: a schema that is absent stays
    so.
    """

    def __init__(self, known: SchemaRegistry, read: Callable[[str], bytes | None]) -> None:
        super().__init__()
        self._known, self._read = known, read
        self._absent: set[bytes] = set()
        self._closed = False

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Forbid reads of the log within this context.

        `find` then raises TransientError for a schema that was not looked up before.
        """
        self._closed = True
        try:
            yield
        finally:
            self._closed = False

    def find(self, fingerprint: bytes) -> Schema:
        """Return the schema of a fingerprint, which may take a read of the log.

        Raises PoisonEventError with cause "schema" for one that the log does not have, LogIntegrityError, and
        whatever `read` raises.
        """
        if fingerprint not in self._schemas and fingerprint not in self._absent:
            self._look_up(fingerprint)
        return super().find(fingerprint)

    def _look_up(self, fingerprint: bytes) -> None:
        try:
            self.add(self._known.find(fingerprint))
        except PoisonEventError:
            key = schema_log_key(fingerprint)
            # A caller closes the registry while it holds a lock: others would wait for a read from S3.
            if self._closed:
                raise TransientError(f"{key} is not read yet, and there is no time for it now") from None
            # The schema of the envelope is in the same folder, but an event that names it as the schema of
            # its payload is poison.
            document = None if fingerprint == ENVELOPE_FINGERPRINT else self._read(key)
            if document is None:
                self._absent.add(fingerprint)
            else:
                self.add(logged_schema(key, document))
