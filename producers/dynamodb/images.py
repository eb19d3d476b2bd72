"""Items of a DynamoDB table, as they stand in stream records, to the values of one entity's fields. Pure.

An attribute is `{type: value}`, in the form of a Lambda event, where binary is base64 text:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html

| kind of field | takes |
|---|---|
| string, enum, uuid | S; N too, as plain digits, where the field is masked or hashed |
| date, time, timestamp | S, ISO 8601 or the field's format; N where the format is an epoch |
| int, long, decimal | N, exactly |
| float, double | N, the nearest |
| boolean | BOOL |
| bytes | B |
| json | any type; a set is a sorted array |

NULL is null. No type is coerced into another, but for the kinds that a field declares casts from: items of
before the change and after it are there together. What no field names is never looked at (INV-7).
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
from schemas.catalog.drift import Unknown, known_names, told
from schemas.catalog.entity import DynamoDbSource, Entity
from schemas.errors import PoisonEventError
from schemas.keys import canonical_key
from schemas.payload.conversions import cast
from schemas.payload.fields import NO_DEFAULT, Field, FieldType, plain_digits
from schemas.privacy import HashKey, Protect, protection

Attribute: TypeAlias = Mapping[str, Any]
Image: TypeAlias = Mapping[str, Attribute]
Read: TypeAlias = Callable[[Any], object]

REMEMBERED = 4096  # numbers of a decimal field: prices come again and again, and cost the most

_NUMBER = re.compile(r"-?\d+(\.\d+)?([Ee][+-]?\d{1,3})?", re.ASCII)


@dataclass(slots=True)  # not frozen: two are made for each record, and frozen ones take four times as long
class State:
    """What an image says of one row."""

    key: str | None = None
    payload: bytes | None = None
    error: PoisonEventError | None = None
    image: Image | None = None
    packed: Mapping[str, object] | None = None  # of the image, as the fields' `pack` gave it


NO_STATE = State()


class ItemReader:
    """Reads the items of one table that are rows of one entity. Compiled once."""

    def __init__(self, entity: Entity, source: DynamoDbSource, key: HashKey | None = None) -> None:
        """`key` hashes the hashed fields. Raises ConfigurationError where there are some and no key."""
        self.entity = entity
        self.source = source
        self._where = tuple(source.where.items())
        forms = {made.name: _form(made, protection(made.private, key)) for made in entity.schema.fields}
        self._columns = [_column(made, forms[made.name], source.name) for made in entity.schema.fields]
        self._attributes = [column.attribute for column in self._columns]
        self._key_columns = [_column(made, forms[made.name], source.name) for made in entity.key_fields]
        self._key_values = [_key_value(made, forms[made.name], source) for made in entity.key_fields]
        self.key_attributes = {column.attribute for column in self._key_columns}
        self._key_of = itemgetter(*entity.key)
        self._write = entity.schema.write
        known = known_names(entity.versions, source.name) | source.where.keys()
        self._known = known | self.key_attributes | {*source.table_key}
        self._rejects = entity.unknown is Unknown.REJECT

    def claims(self, image: Image) -> bool:
        """Whether the item is a row of this entity."""
        for attribute, pattern in self._where:
            text = image.get(attribute, {}).get("S")
            if text is None or not _matches(text, pattern):
                return False
        return True

    def unknown(self, image: Image) -> Set[str]:
        """The attributes that no version of the schema names."""
        return image.keys() - self._known

    def new_state(self, image: Image) -> State:
        """The whole row. `error` says why there is no payload; the key may be known even then."""
        try:
            if self._rejects and (names := self.unknown(image)):
                raise PoisonEventError(f"no schema names {told(names)}, and unknown = reject", "schema")
            packed = _pack(image, self._columns)
            return State(self._key(image), self._write(packed), None, image, packed)
        except PoisonEventError as error:
            return State(self._key_alone(image).key, error=error)

    def old_state(self, image: Image, new: State) -> State:
        """The row as it was; no payload where it can't be encoded. `error` says why there is no key.

        What is as in the new image is not read again: that is nearly everything.
        """
        try:
            if new.image is None or new.packed is None:
                payload = self._write(_pack(image, self._columns))
                return State(self._key(image), payload)
            names = self._attributes
            changed = compress(self._columns, map(ne, map(image.get, names), map(new.image.get, names)))
            packed = {**new.packed, **_pack(image, changed)}
            same_key = self._key_of(packed) == self._key_of(new.packed)
            return State(new.key if same_key else self._key(image), self._write(packed))
        except PoisonEventError:
            return self._key_alone(image)

    def _key_alone(self, image: Image) -> State:
        try:
            _pack(image, self._key_columns)  # checks them
            return State(self._key(image))
        except PoisonEventError as error:
            return State(error=error)

    def _key(self, image: Image) -> str:
        return canonical_key([value(image) for value in self._key_values])


def _matches(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


class _Column(NamedTuple):
    """How one field stands in an item."""

    attribute: str
    type: str  # that the attribute must have
    name: str  # of the field
    pack: Read  # of the value in an attribute of that type
    other: Callable[[Attribute | None], object]  # of any other attribute, or none


class _Form(NamedTuple):
    """What stands in the attribute of one field, before it is packed."""

    type: str  # that the attribute must have
    convert: Read  # of the value in it
    others: Mapping[str, Read] = {}  # of further types that it may have


def _form(made: Field, protect: Protect | None) -> _Form:
    if protect is None:
        return _Form(*_types(made), dict(_cast(made, kind) for kind in made.casts))
    return _Form("S", protect, {"N": lambda text: protect(plain_digits(_decimal(text)))})


def _column(made: Field, form: _Form, source: str) -> _Column:
    wanted, convert, _ = form
    pack = replace(made, nullable=False).pack  # an attribute of the wanted type is never null

    def converted(value: Any) -> object:
        return pack(convert(value))

    def other(typed: Attribute | None) -> object:
        return made.pack(_other(made, form, typed))

    if made.kind is FieldType.DECIMAL:
        read: Read = lru_cache(REMEMBERED)(converted)
    else:
        read = pack if convert is _same else converted
    return _Column(made.source_name(source), wanted, made.name, read, other)


def _value(made: Field, form: _Form, source: str) -> Callable[[Image], object]:
    """Reads the value of one field, as it is before it is packed."""
    attribute = made.source_name(source)
    wanted, convert, _ = form

    def value(image: Image) -> object:
        typed = image.get(attribute)
        return _other(made, form, typed) if typed is None or wanted not in typed else convert(typed[wanted])

    return value


def _key_value(made: Field, form: _Form, source: DynamoDbSource) -> Callable[[Image], object]:
    """As `_value`. Of the table's own key one text of each value is taken: another could be another item, and
    a row is keyed by the value."""
    value, attribute = _value(made, form, source.name), made.source_name(source.name)
    write = only_text(made) if attribute in source.table_key else None
    if write is None:
        return value

    def checked(image: Image) -> object:
        found = value(image)
        if image[attribute].get("S") != write(found):
            raise PoisonEventError(
                f"field {made.name}: the table's own key is text, and this is not the one text of its value "
                f"as {made.kind}: two items could be one row; make a new entity that has the field as string",
                "schema",
            )
        return found

    return checked


def _pack(image: Image, columns: Iterable[_Column]) -> dict[str, object]:
    """Field to what its `pack` gives. Raises PoisonEventError naming field and rule."""
    packed: dict[str, object] = {}
    name = ""
    try:
        for attribute, wanted, name, pack, other in columns:
            typed = image.get(attribute)
            if typed is not None and wanted in typed:
                packed[name] = pack(typed[wanted])
            else:
                packed[name] = other(typed)
    except (ValueError, PoisonEventError) as error:
        reason = f"field {name}: {error}"
    except (TypeError, AttributeError):
        reason = f"field {name}: not an attribute as DynamoDB writes them"
    else:
        return packed
    raise PoisonEventError(reason)


def _other(made: Field, form: _Form, typed: Attribute | None) -> object:
    """The value of a field whose attribute does not have the wanted type, or is not there."""
    if typed is None:
        if made.default is NO_DEFAULT:
            raise ValueError("the item has no such attribute, and the field no default")
        return made.default
    if "NULL" in typed:
        return None
    if made.kind is FieldType.JSON:
        return _json(typed)
    for kind, convert in form.others.items():
        if kind in typed:
            return convert(typed[kind])
    if not typed.keys() <= _JSON.keys():
        raise TypeError("a value may stand in the place of a type (INV-7)")
    wanted = " or ".join((form.type, *form.others))
    raise ValueError(f"takes an attribute of type {wanted}, got {', '.join(typed)}")


def _cast(made: Field, kind: FieldType) -> tuple[str, Read]:
    """The attribute type of a kind that the field had, and how the value in it is read."""
    wanted, convert = _types(Field(made.name, kind))
    onto = cast(made, kind)
    return wanted, lambda value: onto(convert(value))


def _types(made: Field) -> tuple[str, Read]:
    """The attribute type that a field takes, and how the value in it is read."""
    match made.kind:
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
            return "B", reader(made)
        case FieldType.JSON:
            return "every type, in _other", _same
    return "N" if (made.format or "").startswith("epoch-") else "S", reader(made)


def _same(value: Any) -> object:
    return value


def _decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("is not a number")
    return Decimal(text)


def _whole(text: str) -> int:
    if len(text) < 20 and text.isdigit() and text.isascii():
        return int(text)
    number = _decimal(text)
    if number != number.to_integral_value():
        raise ValueError("takes whole numbers")
    return int(number)


def _nearest(text: str) -> float:
    return float(_decimal(text))


def _json(typed: Attribute) -> str:
    """Canonical JSON (schemas.payload.fields) of an attribute of any type, without a value in between."""
    ((kind, value),) = typed.items()
    if kind not in _JSON:
        raise TypeError("a value may stand in the place of a type (INV-7)")
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
