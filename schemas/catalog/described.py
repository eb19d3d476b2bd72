"""An entity's versions in words: fields, what changed, what is published. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.catalog.entity import Entity
from schemas.evolution.evolution import Column
from schemas.payload.fields import ANY_SOURCE, NO_DEFAULT, Field, FieldType
from schemas.privacy import DROP, Privacy


class FieldLine(NamedTuple):
    """One field of a version. `column` is its SQL column, empty for a field that is dropped; `source` what
    the source calls it; `state` is "", "retired" or "dropped"."""

    field: str
    type: str
    null: bool
    default: str
    column: str
    private: str
    source: str
    state: str


def field_lines(entity: Entity) -> list[FieldLine]:
    """The fields of the newest version, what it drops, then the columns of retired fields."""
    lines = [_line(column) for column in entity.columns]
    kept = [line for line in lines if not line.state]
    dropped = [
        FieldLine(name, "", False, "", "", DROP, _source(_names(given)), "dropped")
        for name, given in entity.schema.dropped.items()
    ]
    return [*kept, *dropped, *(line for line in lines if line.state)]


def _line(column: Column) -> FieldLine:
    field = column.field
    private = "" if field.private is Privacy.PUBLIC else field.private.name.lower()
    state = "retired" if column.is_retired else ""
    return FieldLine(
        field.name,
        type_of(field),
        field.nullable,
        _default(field),
        column.name,
        private,
        _source(field.from_names),
        state,
    )


def type_of(field: Field) -> str:
    """Such as decimal(10,2), string(200), date."""
    match field.kind:
        case FieldType.DECIMAL:
            return f"decimal({field.precision},{field.scale})"
        case FieldType.ENUM:
            return f"enum({', '.join(field.symbols)})"
    length = "" if field.max_length is None else f"({field.max_length})"
    return f"{field.kind}{length}"


def _default(field: Field) -> str:
    if field.default is NO_DEFAULT:
        return ""
    return "null" if field.default is None else str(field.default)


def _names(given: Any) -> Mapping[str, str]:
    return given if isinstance(given, Mapping) else {ANY_SOURCE: given}


def _source(names: Mapping[str, str]) -> str:
    return ", ".join(name if source == ANY_SOURCE else f"{source} {name}" for source, name in names.items())


class VersionLine(NamedTuple):
    """One version. `state` is "published", "draft", or "changed" where a published one is not as it was;
    `changes` are those since the version before: category, rule and fields."""

    version: int
    fingerprint: str
    state: str
    changes: tuple[tuple[str, str, tuple[str, ...]], ...]


def version_lines(entity: Entity, published: Mapping[str, str]) -> Iterator[VersionLine]:
    """Every version, the oldest first."""
    for schema in entity.versions:
        told = published.get(f"v{schema.version}.avsc")
        now = schema.fingerprint.hex()
        state = "draft" if told is None else "published" if told == now else "changed"
        yield VersionLine(schema.version, now, state, _changes(entity, schema.version))


def _changes(entity: Entity, version: int) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    fields: dict[tuple[str, str], list[str]] = {}
    for change in entity.evolution.changes(version - 1, version) if version > 1 else ():
        fields.setdefault((change.rule.category.word, change.rule.name), []).append(change.field)
    return tuple((category, rule, tuple(names)) for (category, rule), names in fields.items())
