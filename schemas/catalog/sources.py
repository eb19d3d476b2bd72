"""One [[source]] of an entity.toml: a DynamoDB table or a feed of CSV files."""

import codecs
import re
from collections.abc import Mapping
from typing import Any, Literal

from schemas.catalog.entity import CsvSource, DynamoDbSource, Mode, Source
from schemas.payload.avsc import fits_strptime
from schemas.payload.codec import Schema
from schemas.payload.fields import NO_DEFAULT, FieldType
from schemas.privacy import Privacy
from schemas.refusals import missing, only_known, refused, unknown

DYNAMODB_PROPERTIES = ("dynamodb", "alias", "where", "table_key", "hashed_numbers")
CSV_PROPERTIES = (
    "csv",
    "mode",
    "encoding",
    "delimiter",
    "header",
    "effective",
    "trim",
    "min_rows",
    "reject_limit",
    "quoting",
    "skip_lines",
    "older_files",
    "max_deleted",
)
TABLE_KEY = "the table's hash attribute and, if it has one, its range attribute"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "or another text encoding of Python")


def read_source(number: int, given: Mapping[str, Any], schema: Schema) -> Source:
    """The source that an entry of entity.toml describes. Raises ConfigurationError."""
    where = f"source {number}"
    if ("csv" in given) == ("dynamodb" in given):
        raise refused(where, sorted(given), "either csv = <feed> or dynamodb = <table>")
    return _csv(where, given, schema) if "csv" in given else _dynamodb(where, given, schema)


def _dynamodb(where: str, given: Mapping[str, Any], schema: Schema) -> DynamoDbSource:
    only_known(where, given, DYNAMODB_PROPERTIES)
    table = _table_name(f"{where}, dynamodb", given["dynamodb"])
    name = f"dynamodb:{_table_name(f'{where}, alias', given.get('alias', table))}"
    key = _table_key(where, given, name, schema)
    numbers = _hashed_numbers(where, given, name, key, schema)
    return DynamoDbSource(name, table, _where(where, given, name, schema), key, numbers)


def _table_name(where: str, found: object) -> str:
    if not isinstance(found, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", found):
        raise refused(where, found, "the name of a table: 3 to 255 of A-Z, a-z, 0-9, _, - and .")
    return found


def _where(where: str, given: Mapping[str, Any], source: str, schema: Schema) -> Mapping[str, str]:
    patterns = given.get("where", {})
    if not isinstance(patterns, dict):
        raise refused(f"{where}, where", patterns, 'attributes with a text, as in { sk = "TEACHER#*" }')
    attributes = {field.name: field.source_name(source) for field in schema.fields}
    made: dict[str, str] = {}
    for name, pattern in patterns.items():
        attribute = str(attributes.get(name, name))
        if attribute in made:
            raise refused(f"{where}, where, {name}", pattern, f"one pattern for the attribute {attribute}")
        made[attribute] = _pattern(f"{where}, where, {name}", pattern)
    return made


def _pattern(where: str, found: object) -> str:
    if not isinstance(found, str) or found in ("", "*") or "*" in found[:-1]:
        raise refused(where, found, "an exact text, or a prefix with one * at its end")
    return found


def _table_key(where: str, given: Mapping[str, Any], source: str, schema: Schema) -> tuple[str, ...]:
    """The table's own key lies within the entity's key: else two items would fight for one row."""
    key = [_source_name(schema, name, source) for name in schema.key]
    if "table_key" not in given and len(key) > 2:
        raise missing(where, "table_key", TABLE_KEY)
    attributes = given.get("table_key", key)
    if not isinstance(attributes, list) or len(attributes) not in (1, 2):
        raise refused(f"{where}, table_key", attributes, TABLE_KEY)
    for attribute in attributes:
        if attribute not in key:
            raise unknown(f"{where}, table_key: not in the entity's key", attribute, key)
    if attributes[0] == attributes[-1] and len(attributes) == 2:
        raise refused(f"{where}, table_key", attributes, TABLE_KEY)
    _refuse_boolean_key(f"{where}, table_key", attributes, source, schema)
    return tuple(attributes)


def _hashed_numbers(
    where: str, given: Mapping[str, Any], source: str, key: tuple[str, ...], schema: Schema
) -> tuple[str, ...]:
    """No schema says what a hashed field is at its source: a table of that key has to be told it."""
    found = given.get("hashed_numbers", [])
    hashed = {each.source_name(source) for each in schema.fields if each.private is Privacy.HASH}
    allowed = [attribute for attribute in key if attribute in hashed]
    if not isinstance(found, list) or not all(each in allowed for each in found):
        raise refused(
            f"{where}, hashed_numbers",
            found,
            f"attributes of the table's key that are hashed here: {', '.join(allowed) or 'there is none'}",
        )
    return tuple(found)


def _refuse_boolean_key(where: str, attributes: list[str], source: str, schema: Schema) -> None:
    for field in schema.fields:
        if field.kind == FieldType.BOOLEAN and field.source_name(source) in attributes:
            raise refused(
                where, field.source_name(source), "a text, number or bytes: DynamoDB has no key of booleans"
            )


def _source_name(schema: Schema, name: str, source: str) -> str:
    return next(field.source_name(source) for field in schema.fields if field.name == name)


def _csv(where: str, given: Mapping[str, Any], schema: Schema) -> CsvSource:
    only_known(where, given, CSV_PROPERTIES)
    feed = given["csv"]
    if not isinstance(feed, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", feed):
        raise refused(f"{where}, csv", feed, "the name of a feed: up to 100 of A-Z, a-z, 0-9, _, - and .")
    name = f"csv:{feed}"
    return CsvSource(
        name=name,
        feed=feed,
        mode=_mode(where, given),
        encoding=text_encoding(f"{where}, encoding", given.get("encoding", "utf-8")),
        delimiter=_delimiter(where, given.get("delimiter", ",")),
        header=_header(where, given.get("header", True), name, schema),
        effective=_effective(where, given),
        trim=_boolean(f"{where}, trim", given.get("trim", False)),
        min_rows=_count(f"{where}, min_rows", given.get("min_rows", 1)),
        reject_limit=_reject_limit(where, given),
        quoting=_boolean(f"{where}, quoting", given.get("quoting", True)),
        skip_lines=_count(f"{where}, skip_lines", given.get("skip_lines", 0)),
        older_files=_older_files(where, given),
        max_deleted=_rows_or_share(f"{where}, max_deleted", given.get("max_deleted", 0.2)),
    )


def _mode(where: str, given: Mapping[str, Any]) -> Mode:
    if "mode" not in given:
        raise missing(where, "mode", ", ".join(Mode))
    if given["mode"] not in list(Mode):
        raise unknown(f"{where}, mode", given["mode"], Mode)
    return Mode(given["mode"])


def text_encoding(where: str, found: object) -> str:
    """Python's own name of an encoding. Raises ConfigurationError."""
    try:
        "".encode(str(found))
        return codecs.lookup(str(found)).name
    except (LookupError, ValueError):
        raise unknown(where, found, ENCODINGS) from None


def _delimiter(where: str, found: object) -> str:
    if not isinstance(found, str) or len(found) != 1 or found in '"\r\n\0':
        raise refused(f"{where}, delimiter", found, "one character, but no quote, line end or NUL")
    return found


def _header(where: str, found: object, source: str, schema: Schema) -> Literal[True] | tuple[str, ...]:
    where = f"{where}, header"
    if found is True:
        return True
    if found is False:
        return tuple(field.source_name(source) for field in schema.fields)
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise refused(where, found, "true, false (columns as in the schema), or a list of the columns")
    if len({*found}) < len(found):
        raise refused(where, found, "each column once")
    for field in schema.fields:
        if field.default is NO_DEFAULT and field.source_name(source) not in found:
            raise missing(
                where, field.source_name(source), f"every column without a default, as field {field.name}"
            )
    return tuple(found)


def _effective(where: str, given: Mapping[str, Any]) -> str | None:
    found = given.get("effective")
    if found is not None and ("/" in str(found) or not fits_strptime(found, "%Y%m%d")):
        raise refused(
            f"{where}, effective", found, 'a file name with a whole date in it, as "links_%Y%m%d.csv"'
        )
    return found


def _boolean(where: str, found: object) -> bool:
    if not isinstance(found, bool):
        raise refused(where, found, "true or false")
    return found


def _count(where: str, found: object) -> int:
    if type(found) is not int or found < 0:
        raise refused(where, found, "a whole number from 0")
    return found


def _older_files(where: str, given: Mapping[str, Any]) -> bool:
    """Only a header can tell which version's columns a file has."""
    found = _boolean(f"{where}, older_files", given.get("older_files", False))
    if found and given.get("header", True) is not True:
        raise refused(f"{where}, older_files", found, "false where header is not true")
    return found


def _reject_limit(where: str, given: Mapping[str, Any]) -> float | int | None:
    found = given.get("reject_limit")
    return None if found is None else _rows_or_share(f"{where}, reject_limit", found)


def _rows_or_share(where: str, found: object) -> float | int:
    if type(found) is int and found >= 0:
        return found
    if type(found) is float and 0 <= found <= 1:
        return found
    raise refused(where, found, "a number of rows (10) or a share of them (0.05)")
