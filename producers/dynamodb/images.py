"""Conversion of DynamoDB items, as stream records hold them, to the values of an entity's fields. Pure.

An attribute is `{type: value}`, in the form of a Lambda event, where binary is base64 text:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html

| kind of field | takes |
|---|---|
| string, enum, uuid | S; also N, as plain digits, where the field is masked or hashed |
| date, time, timestamp | S, ISO 8601 or the field's format; N where the format is an epoch |
| int, long, decimal | N, exactly |
| float, double | N, rounded to the nearest |
| boolean | BOOL |
| bytes | B |
| json | any type; a set is a sorted array |

NULL is null. No type is converted to another, except the kinds that a field declares as `casts`, because a
table holds items from before and after such a change. Attributes that no field names are never read (INV-7).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import compress
from json.encoder import encode_basestring
from operator import itemgetter, ne
from typing import Any, NamedTuple, TypeAlias

from producers.dynamodb.key_texts import only_text
from producers.texts import reader
from schemas.catalog.drift import Unknown, known_names, name_list
from schemas.catalog.entity import Entity
from schemas.errors import PoisonEventError
from schemas.keys import canonical_key
from schemas.payload.conversions import cast_conversion
from schemas.payload.fields import NO_DEFAULT, Field, FieldType, plain_digits
from schemas.privacy import HashKey, Protect, protection
from schemas.sources.dynamodb import DynamoDbSource

Attribute: TypeAlias = Mapping[str, Any]
Image: TypeAlias = Mapping[str, Attribute]
Read: TypeAlias = Callable[[Any], object]

REMEMBERED = 4096  # cached numbers of a decimal field: prices repeat, and are the slowest to convert

_NUMBER = re.compile(r"-?\d+(\.\d+)?([Ee][+-]?\d{1,3})?", re.ASCII)


# Not frozen: two are created for each record, and a frozen one takes four times as long.
@dataclass(slots=True)
class ItemState:
    """The state of one row in an image."""

    key: str | None = None
    payload: bytes | None = None
    error: PoisonEventError | None = None
    image: Image | None = None
    packed: Mapping[str, object] | None = None  # values of the image, as the fields' `pack` returned them


NO_STATE = ItemState()


class ItemReader:
    """Reads the items of one table that are rows of one entity. Prepared once, for speed."""

    def __init__(self, entity: Entity, source: DynamoDbSource, key: HashKey | None = None) -> None:
        """`key` hashes the hashed fields. Raises ConfigurationError if a field is hashed and `key` None."""
        self.entity = entity
        self.source = source
        self._where = tuple(source.where.items())
        fields, key_fields, name = entity.schema.fields, entity.key_fields, source.name
        forms = {field.name: _form(field, protection(field.private, key)) for field in fields}
        self._columns = [_column(field, forms[field.name], name) for field in fields]
        self._attributes = [column.attribute for column in self._columns]
        self._key_columns = [_column(field, forms[field.name], name) for field in key_fields]
        self._key_values = [_key_value(field, forms[field.name], source) for field in key_fields]
        self.key_attributes = {column.attribute for column in self._key_columns}
        self._key_of = itemgetter(*entity.key)
        self._write = entity.schema.write
        # The table's own key and the attributes of `where` are part of the design, no drift.
        known = known_names(entity.versions, source.name) | source.where.keys()
        self._known = known | self.key_attributes | {*source.table_key}
        self._rejects = entity.unknown is Unknown.REJECT

    def claims(self, image: Image) -> bool:
        """Return whether the item is a row of this entity."""
        for attribute, pattern in self._where:
            text = image.get(attribute, {}).get("S")
            if text is None or not _matches(text, pattern):
                return False
        return True

    def unknown(self, image: Image) -> Set[str]:
        """Return the attributes that no version of the schema names."""
        return image.keys() - self._known

    def new_state(self, image: Image) -> ItemState:
        """Return the new state of the row. With an `error` it has no payload, but may still have a key."""
        try:
            if self._rejects and (names := self.unknown(image)):
                raise PoisonEventError(f"no schema names {name_list(names)}, and unknown = reject", "schema")
            packed = _pack(image, self._columns)
            return ItemState(self._key(image), self._write(packed), None, image, packed)
        except PoisonEventError as error:
            return ItemState(self._key_alone(image).key, error=error)

    def old_state(self, image: Image, new: ItemState) -> ItemState:
        """Return the old state of the row, without a payload if that can't be encoded.

        `new` is the new state in the same record. With an `error` the state has no key.
        """
        try:
            # Attributes that are equal in both images, which is nearly all of them, are not converted again.
            if new.image is None or new.packed is None:
                payload = self._write(_pack(image, self._columns))
                return ItemState(self._key(image), payload)
            names = self._attributes
            changed = compress(self._columns, map(ne, map(image.get, names), map(new.image.get, names)))
            packed = {**new.packed, **_pack(image, changed)}
            same_key = self._key_of(packed) == self._key_of(new.packed)
            return ItemState(new.key if same_key else self._key(image), self._write(packed))
        except PoisonEventError:
            return self._key_alone(image)

    def _key_alone(self, image: Image) -> ItemState:
        try:
            _pack(image, self._key_columns)  # only to check them
            return ItemState(self._key(image))
        except PoisonEventError as error:
            return ItemState(error=error)

    def _key(self, image: Image) -> str:
        return canonical_key([value(image) for value in self._key_values])


def _matches(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


class _Column(NamedTuple):
    """The conversion of one field."""

    attribute: str
    type: str  # the usual type of the attribute
    name: str  # the field's name
    pack: Read  # packs the value of an attribute of the usual type
    other: Callable[[Attribute | None], object]  # packs an attribute of another type, or a missing one


class _Form(NamedTuple):
    """The accepted types of a field's attribute, with the conversion of their values before packing."""

    type: str  # the usual type
    convert: Read  # converts a value of the usual type
    others: Mapping[str, Read] = {}  # converters of further types


def _form(field: Field, protect: Protect | None) -> _Form:
    if protect is None:
        return _Form(*_types(field), dict(_cast(field, kind) for kind in field.casts))
    # A number is written as plain digits first, or 1 and 1.0 would have different hashes.
    return _Form("S", protect, {"N": lambda text: protect(plain_digits(_decimal(text)))})


def _column(field: Field, form: _Form, source: str) -> _Column:
    usual, convert, _ = form
    pack = replace(field, nullable=False).pack  # an attribute of the usual type is never null

    def converted(value: Any) -> object:
        return pack(convert(value))

    def other(attribute: Attribute | None) -> object:
        return field.pack(_other(field, form, attribute))

    if field.kind is FieldType.DECIMAL:
        read: Read = lru_cache(REMEMBERED)(converted)
    else:
        read = pack if convert is _same else converted
    return _Column(attribute=field.source_name(source), type=usual, name=field.name, pack=read, other=other)


def _value(field: Field, form: _Form, source: str) -> Callable[[Image], object]:
    """Return a function that reads the value of a field from an image, before it is packed."""
    name = field.source_name(source)
    usual, convert, _ = form

    def value(image: Image) -> object:
        attribute = image.get(name)
        if attribute is None or usual not in attribute:
            return _other(field, form, attribute)
        return convert(attribute[usual])

    return value


def _key_value(field: Field, form: _Form, source: DynamoDbSource) -> Callable[[Image], object]:
    """Return a function as `_value` does, which accepts only the canonical text in the table's own key."""
    value, attribute = _value(field, form, source.name), field.source_name(source.name)
    write = only_text(field) if attribute in source.table_key else None
    if write is None:
        return value

    def checked(image: Image) -> object:
        key_value = value(image)
        if image[attribute].get("S") != write(key_value):
            raise PoisonEventError(
                f"field {field.name}: the table's own key is text, and this is not the one text of its value "
                f"as {field.kind}: two items could be one row; make a new entity that has the field as "
                "string",
                "schema",
            )
        return key_value

    return checked


def _pack(image: Image, columns: Iterable[_Column]) -> dict[str, object]:
    """Pack the fields of an image, by name. Raises PoisonEventError naming field and rule."""
    packed: dict[str, object] = {}
    name = ""
    # One `try` around the loop: `name` is the field that failed. The loop runs for every attribute of every
    # record, so the usual type is handled without a further call.
    try:
        for attribute_name, usual, name, pack, other in columns:
            attribute = image.get(attribute_name)
            if attribute is not None and usual in attribute:
                packed[name] = pack(attribute[usual])
            else:
                packed[name] = other(attribute)
    except (ValueError, PoisonEventError) as error:
        reason = f"field {name}: {error}"
    except (TypeError, AttributeError):
        reason = f"field {name}: not an attribute as DynamoDB writes them"
    else:
        return packed
    # Raised outside the handlers: a chained error would carry the value into a traceback (INV-7).
    raise PoisonEventError(reason)


def _other(field: Field, form: _Form, attribute: Attribute | None) -> object:
    """Return the value of a field whose attribute is missing, or has another type than the usual one."""
    if attribute is None:
        if field.default is NO_DEFAULT:
            raise ValueError("the item has no such attribute, and the field no default")
        return field.default
    if "NULL" in attribute:
        return None
    if field.kind is FieldType.JSON:
        return _json(attribute)
    for kind, convert in form.others.items():
        if kind in attribute:
            return convert(attribute[kind])
    # Only names of types may be quoted in an error: a malformed attribute could have a value in their place.
    if not attribute.keys() <= _JSON.keys():
        raise TypeError("not a type of DynamoDB")
    accepted = " or ".join((form.type, *form.others))
    raise ValueError(f"takes an attribute of type {accepted}, got {', '.join(attribute)}")


def _cast(field: Field, kind: FieldType) -> tuple[str, Read]:
    """Return the attribute type of an earlier kind of the field, and the function that converts its value."""
    earlier_type, convert = _types(Field(field.name, kind))
    to_present = cast_conversion(field, kind)
    return earlier_type, lambda value: to_present(convert(value))


def _types(field: Field) -> tuple[str, Read]:
    """Return the usual attribute type of a field, and the function that converts its value."""
    match field.kind:
        case FieldType.STRING | FieldType.ENUM:
            return "S", _same
        case FieldType.BOOLEAN:
            return "BOOL", _same
        case FieldType.INT | FieldType.LONG:
            return "N", _whole
        case FieldType.DECIMAL:
            return "N", _decimal
        case FieldType.FLOAT | FieldType.DOUBLE:
            return "N", _nearest
        case FieldType.BYTES:
            return "B", reader(field)
        case FieldType.JSON:
            # Matches no attribute, so that every one of them goes through `_other`.
            return "every type, in _other", _same
    return "N" if (field.format or "").startswith("epoch-") else "S", reader(field)


def _same(value: Any) -> object:
    return value


def _decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("is not a number")
    return Decimal(text)


def _whole(text: str) -> int:
    # Nearly every number: int is much faster than Decimal.
    if len(text) < 20 and text.isdigit() and text.isascii():
        return int(text)
    number = _decimal(text)
    if number != number.to_integral_value():
        raise ValueError("takes whole numbers")
    return int(number)


def _nearest(text: str) -> float:
    return float(_decimal(text))


def _json(attribute: Attribute) -> str:
    """Return the canonical JSON (schemas.payload.fields) of an attribute of any type."""
    # Written directly: Python values in between would be slower, and json has no Decimal.
    ((kind, value),) = attribute.items()
    if kind not in _JSON:
        raise TypeError("not a type of DynamoDB")
    return _JSON[kind](value)


def _json_object(members: Image) -> str:
    pairs = [f"{encode_basestring(name)}:{_json(members[name])}" for name in sorted(members)]
    return "{" + ",".join(pairs) + "}"


def _json_array(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def _raw(text: str) -> bytes:
    return b64decode(text, validate=True)


def _json_bytes(raw: bytes) -> str:
    return f'"{b64encode(raw).decode()}"'


# DynamoDB returns the members of a set in no order: they are sorted, so that a retry has equal bytes (INV-5).
_JSON: dict[str, Callable[[Any], str]] = {
    "S": encode_basestring,
    "N": lambda text: plain_digits(_decimal(text)),
    "B": lambda text: _json_bytes(_raw(text)),
    "BOOL": lambda value: "true" if value else "false",
    "NULL": lambda _: "null",
    "M": _json_object,
    "L": lambda items: _json_array(map(_json, items)),
    "SS": lambda texts: _json_array(map(encode_basestring, sorted({*texts}))),
    "NS": lambda texts: _json_array(map(plain_digits, sorted({*map(_decimal, texts)}))),
    "BS": lambda texts: _json_array(map(_json_bytes, sorted({*map(_raw, texts)}))),
}
