"""The SQL Server type of each kind of field.

The SQL Server warehouse declares its columns with these types, and a report, which is T-SQL on every engine,
sees the columns of staging with them. The module belongs to no engine, so that both may import it.
"""

from schemas.payload.fields import Field

MAX_NVARCHAR = 4_000
"""UTF-16 code units. A character outside the BMP takes two: hence twice `maxLength`."""
MAX_VARBINARY = 8_000

_TYPES = {
    "json": "NVARCHAR(MAX)",
    "enum": "NVARCHAR(255)",
    "uuid": "UNIQUEIDENTIFIER",
    "int": "INT",
    "long": "BIGINT",
    "boolean": "BIT",
    "float": "REAL",
    "double": "FLOAT(53)",
    "date": "DATE",
    "time-millis": "TIME(3)",
    "time-micros": "TIME(6)",
    "timestamp-millis": "DATETIME2(3)",
    "timestamp-micros": "DATETIME2(6)",
    "local-timestamp-millis": "DATETIME2(3)",
    "local-timestamp-micros": "DATETIME2(6)",
}


def tsql_type_of(field: Field) -> str:
    """Return the type of this field's column as T-SQL writes it."""
    match field.kind:
        case "string":
            return f"NVARCHAR({_size(field.max_length, 2, MAX_NVARCHAR)})"
        case "bytes":
            return f"VARBINARY({_size(field.max_length, 1, MAX_VARBINARY)})"
        case "decimal":
            return f"DECIMAL({field.precision},{field.scale})"
    return _TYPES[field.kind]


def _size(max_length: int | None, units: int, limit: int) -> str:
    if not max_length or max_length * units > limit:
        return "MAX"
    return str(max_length * units)
