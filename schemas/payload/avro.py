"""Avro's binary encoding by fastavro, strict where it is not.

https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
Errors carry no cause: fastavro's and Python's own hold bytes and values (INV-7).
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, cast

from fastavro import schemaless_reader, schemaless_writer

from schemas.errors import PoisonEventError

# What fastavro raises for bytes that are not of the schema, and for values that it can't write.
_MALFORMED = (ValueError, IndexError, EOFError, OverflowError, TypeError, MemoryError)
_UNWRITABLE = (ValueError, OverflowError, TypeError, AttributeError)


def write_avro(schema: Any, record: Mapping[str, object]) -> bytes:
    """The record's bytes. Raises PoisonEventError; checks of values are the caller's: fastavro's are lax."""
    body = BytesIO()
    try:
        schemaless_writer(body, schema, record)
    except _UNWRITABLE as error:
        reason = f"not writable as Avro ({type(error).__name__})"
    else:
        return body.getvalue()
    raise PoisonEventError(reason)


def read_avro(schema: Any, encoded: bytes, start: int, end: int) -> dict[str, Any]:
    """The record in `encoded[start:end]`, its fields in the schema's order.

    Raises PoisonEventError for malformed bytes and for bytes left over, which fastavro ignores.
    """
    body = BytesIO(encoded)
    body.seek(start)
    try:
        record = schemaless_reader(body, schema, None)
    except _MALFORMED as error:
        reason = f"malformed Avro ({type(error).__name__})"
    else:
        if body.tell() == end:
            return cast("dict[str, Any]", record)  # quoted: else it is made each time
        reason = "the Avro record does not end where its bytes do"
    raise PoisonEventError(reason)
