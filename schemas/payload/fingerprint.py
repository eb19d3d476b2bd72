"""A schema's fingerprint: which bytes and which values a payload can have, and where they come from."""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any

_PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
_NAMED = {"record", "enum", "fixed"}
_KEPT = {"logicalType", "precision", "scale", "default", "aliases", "from", "maxLength", "format"}


def fingerprint(avro: object) -> bytes:
    """CRC-64-AVRO of the canonical form: 8 bytes, the least first, as single-object encoding has them.

    Avro's own canonical form drops what decides a value: decimal(10,2) and decimal(10,4), milliseconds and
    microseconds would have one fingerprint. Ours keeps logicalType, precision, scale, default and Headwater's
    own properties. Documentation, the order of names and white space do not count.
    """
    return crc_64_avro(canonical_form(avro).encode())


_EMPTY = 0xC15D213AA4D7A795


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_EMPTY if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_table_entry, range(256)))


def crc_64_avro(text: bytes) -> bytes:
    """Avro specification, "Schema Fingerprints". fastavro's makes its table again for each schema."""
    crc, table = _EMPTY, _TABLE
    for byte in text:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc.to_bytes(8, "little")


def canonical_form(avro: object, namespace: str = "") -> str:
    """Avro's parsing canonical form (specification, "Parsing Canonical Form for Schemas").

    After Avro's own attributes come the properties that fingerprint() keeps on top, sorted by name.
    """
    match avro:
        case list():
            return f"[{','.join(canonical_form(branch, namespace) for branch in avro)}]"
        case Mapping():
            return _object(avro, namespace)
        case _:
            return _text(full_name(str(avro), namespace))


def full_name(name: str, namespace: str) -> str:
    """A type's name with its namespace, unless it has one or is primitive (Avro specification, "Names")."""
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
    parts += [f'"{part}":{_text(avro[part])}' for part in ("symbols",) if part in avro]
    parts += [
        f'"{part}":{canonical_form(avro[part], namespace)}' for part in ("items", "values") if part in avro
    ]
    parts += [f'"{part}":{_text(avro[part])}' for part in ("size",) if part in avro]
    parts += _kept(avro)
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
