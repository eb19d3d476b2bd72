"""An entity's versions as rows for display: fields, changes, and what is published. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.catalog.entity import Entity
from schemas.evolution.evolution import Column
from schemas.payload.fields import ANY_SOURCE, NO_DEFAULT, Field, FieldType
from schemas.privacy import DROP, Privacy


class FieldLine(NamedTuple):
    """One field of a version.

    `column` is its SQL column, empty for a dropped field. `source` is its name in the source. `state` is "",
    "retired" or "dropped".
    """

    field: str
    type: str
    null: bool
    default: str
    column: str
    private: str
    source: str
    state: str


def field_lines(entity: Entity) -> list[FieldLine]:
    """Return the fields of the newest version, then its dropped fields, then columns of retired fields."""
    lines = [_line(column) for column in entity.columns]
    kept = [line for line in lines if not line.state]
    dropped = [
        FieldLine(
            field=name,
            type="",
            null=False,
            default="",
            column="",
            private=DROP,
            source=_source(_names(from_names)),
            state="dropped",
        )
        for name, from_names in entity.schema.dropped.items()
    ]
    return [*kept, *dropped, *(line for line in lines if line.state)]


def _line(column: Column) -> FieldLine:
    field = column.field
    private = "" if field.private is Privacy.PUBLIC else field.private.name.lower()
    state = "retired" if column.is_retired else ""
    return FieldLine(
        field=field.name,
        type=type_text(field),
        null=field.nullable,
        default=_default(field),
        column=column.name,
        private=private,
        source=_source(field.from_names),
        state=state,
    )


def type_text(field: Field) -> str:
    """Return the type of a field as text, such as decimal(10,2), string(200) or date."""
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


def _names(from_names: Any) -> Mapping[str, str]:
    # A dropped field has its `from` as in the file: a name, or names by source.
    return from_names if isinstance(from_names, Mapping) else {ANY_SOURCE: from_names}


def _source(names: Mapping[str, str]) -> str:
    return ", ".join(name if source == ANY_SOURCE else f"{source} {name}" for source, name in names.items())


class VersionLine(NamedTuple):
    """One version.

    `state` is "published", "draft", or "changed" for a published version whose file was changed. `changes`
    are those since the version before: category, rule and fields.
    """

    version: int
    fingerprint: str
    state: str
    changes: tuple[tuple[str, str, tuple[str, ...]], ...]


def version_lines(entity: Entity, published: Mapping[str, str]) -> Iterator[VersionLine]:
    """Yield every version, the oldest first."""
    for schema in entity.versions:
        recorded = published.get(f"v{schema.version}.avsc")
        fingerprint = schema.fingerprint.hex()
        state = "draft" if recorded is None else "published" if recorded == fingerprint else "changed"
        yield VersionLine(schema.version, fingerprint, state, _changes(entity, schema.version))


def _changes(entity: Entity, version: int) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    # Fields that meet the same rule share one entry.
    fields: dict[tuple[str, str], list[str]] = {}
    for change in entity.evolution.changes(version - 1, version) if version > 1 else ():
        fields.setdefault((change.rule.category.word, change.rule.name), []).append(change.field)
    return tuple((category, rule, tuple(names)) for (category, rule), names in fields.items())
