"""Avro's binary encoding by fastavro, with the checks that fastavro leaves out.

https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, cast

from fastavro import schemaless_reader, schemaless_writer

from schemas.errors import PoisonEventError

# Errors of fastavro for bytes that do not match the schema, and for values that it cannot write.
_MALFORMED = (ValueError, IndexError, EOFError, OverflowError, TypeError, MemoryError)
_UNWRITABLE = (ValueError, OverflowError, TypeError, AttributeError)


def write_avro(schema: Any, record: Mapping[str, object]) -> bytes:
    """Return the Avro bytes of the record.

    The caller checks the values, since fastavro's own checks are lax. Raises PoisonEventError.
    """
    body = BytesIO()
    try:
        schemaless_writer(body, schema, record)
    except _UNWRITABLE as error:
        reason = f"not writable as Avro ({type(error).__name__})"
    else:
        return body.getvalue()
    # Raised outside the handler, without a cause: errors of fastavro and Python contain values (INV-7).
    raise PoisonEventError(reason)


def read_avro(schema: Any, encoded: bytes, start: int, end: int) -> dict[str, Any]:
    """Return the record in `encoded[start:end]`, with its fields in the order of the schema.

    Raises PoisonEventError for malformed bytes and for trailing bytes, which fastavro ignores.
    """
    body = BytesIO(encoded)
    body.seek(start)
    try:
        record = schemaless_reader(body, schema, None)
    except _MALFORMED as error:
        reason = f"malformed Avro ({type(error).__name__})"
    else:
        if body.tell() == end:
            # Quoted: an unquoted type would be built again in every call.
            return cast("dict[str, Any]", record)
        reason = "the Avro record does not end where its bytes do"
    raise PoisonEventError(reason)
