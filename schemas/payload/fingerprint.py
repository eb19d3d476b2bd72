"""The fingerprint of a schema: it identifies the bytes and values of a payload, and where they come from."""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any

_PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
_NAMED = {"record", "enum", "fixed"}
_KEPT = {"logicalType", "precision", "scale", "default", "aliases", "from", "maxLength", "format"}


def fingerprint(avro: object) -> bytes:
    """Return the CRC-64-AVRO of the canonical form: 8 bytes, little-endian as in single-object encoding.

    The canonical form keeps logicalType, precision, scale, default and Headwater's own properties. It drops
    documentation, the order of properties and white space.
    """
    # Avro's own canonical form would give decimal(10,2) and decimal(10,4), or milliseconds and microseconds,
    # the same fingerprint although equal bytes mean different values.
    return crc_64_avro(canonical_form(avro).encode())


_EMPTY = 0xC15D213AA4D7A795


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_EMPTY if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_table_entry, range(256)))


def crc_64_avro(text: bytes) -> bytes:
    """Return the CRC-64-AVRO of the text (Avro specification, "Schema Fingerprints")."""
    # fastavro's function builds its table in every call, which costs more than the checksum.
    crc, table = _EMPTY, _TABLE
    for byte in text:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc.to_bytes(8, "little")


def canonical_form(avro: object, namespace: str = "") -> str:
    """Return Avro's parsing canonical form, with more properties.

    Those that `fingerprint` keeps come after Avro's own, sorted by name (Avro specification, "Parsing
    Canonical Form for Schemas").
    """
    match avro:
        case list():
            return f"[{','.join(canonical_form(branch, namespace) for branch in avro)}]"
        case Mapping():
            return _object(avro, namespace)
        case _:
            return _text(full_name(str(avro), namespace))


def full_name(name: str, namespace: str) -> str:
    """Return the name of a type with its namespace, unless it already has one or the type is primitive.

    See the Avro specification, "Names".
    """
    return name if "." in name or not namespace or name in _PRIMITIVES else f"{namespace}.{name}"


def _object(avro: Mapping[str, Any], namespace: str) -> str:
    kind = avro["type"]
    if kind in _NAMED:
        name = full_name(avro["name"], avro.get("namespace", namespace))
        namespace = name.rpartition(".")[0]
        parts = [f'"name":{_text(name)}', f'"type":{_text(kind)}']
    else:
        parts = [f'"type":{_text(kind)}']
    if "fields" in avro:
        parts.append(f'"fields":[{",".join(_field(field, namespace) for field in avro["fields"])}]')
    # The specification fixes this order: name, type, fields, symbols, items, values, size.
    parts += [f'"{part}":{_text(avro[part])}' for part in ("symbols",) if part in avro]
    parts += [
        f'"{part}":{canonical_form(avro[part], namespace)}' for part in ("items", "values") if part in avro
    ]
    parts += [f'"{part}":{_text(avro[part])}' for part in ("size",) if part in avro]
    parts += _kept(avro)
    # {"type": "int"} and "int" are the same type.
    return _text(kind) if parts == [f'"type":{_text(kind)}'] else f"{{{','.join(parts)}}}"


def _field(field: Mapping[str, Any], namespace: str) -> str:
    parts = [f'"name":{_text(field["name"])}', f'"type":{canonical_form(field["type"], namespace)}']
    return f"{{{','.join(parts + _kept(field))}}}"


def _kept(avro: Mapping[str, Any]) -> list[str]:
    names = sorted(name for name in avro if name in _KEPT or name.startswith("headwater."))
    return [f"{_text(name)}:{_text(avro[name])}" for name in names]


_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def _text(value: object) -> str:
    return encode_basestring(value) if isinstance(value, str) else _encode(value)
