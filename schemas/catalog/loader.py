"""The loader of entities from their folders: entities/<entity>/entity.toml and v1.avsc, v2.avsc and so on.

Every error is a ConfigurationError that names the file, the property or field, what was found and what is
allowed, with the most similar name for a typo. Unknown properties are refused, never ignored.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.catalog.drift import Unknown
from schemas.catalog.entity import HISTORY_COLUMNS, Catalog, Entity
from schemas.catalog.files import TOO_LARGE, read_json, read_toml
from schemas.catalog.gate import refusals
from schemas.catalog.published import read_published
from schemas.errors import ConfigurationError
from schemas.evolution.evolution import Evolution, keys_of
from schemas.payload.avsc import RECORD_PROPERTIES, read_fields
from schemas.payload.codec import Schema, SchemaRegistry, schema_of_checked
from schemas.payload.fields import ANY_SOURCE, FieldType
from schemas.privacy import Privacy
from schemas.refusals import missing, only_known, refused, snake_case, unknown
from schemas.sources.kinds import KINDS, read_source
from schemas.sources.source import Source

SAMPLE_ENTITIES = Path(__file__).parents[1] / "entities"
NOT_IN_A_KEY = (FieldType.FLOAT, FieldType.DOUBLE, FieldType.JSON)


def load_catalog(home: Path | None = None) -> Catalog:
    """Return the entities of <home>/entities, or the sample entities if home is None.

    Raises ConfigurationError.
    """
    folder = entities_of(home)
    entities = {path.name: load_entity(path) for path in entity_folders(folder)}
    with _naming(folder):
        check_together(entities)
    return Catalog(
        entities, SchemaRegistry([schema for entity in entities.values() for schema in entity.versions])
    )


def entities_of(home: Path | None) -> Path:
    """Return the folder of the entities of a home, or that of the sample entities."""
    return SAMPLE_ENTITIES if home is None else home / "entities"


def entity_folder(home: Path | None, name: str) -> Path:
    """Return the folder of one entity. Raises ConfigurationError that suggests the most similar name."""
    folders = {path.name: path for path in entity_folders(entities_of(home))}
    if name not in folders:
        raise unknown("entity", name, folders)
    return folders[name]


def load_entity(folder: Path) -> Entity:
    """Return the entity of one folder, which has the name of the folder.

    Raises ConfigurationError, also for a published version that was changed, and for a change between two
    versions that the gate refuses.
    """
    entity, published = read_entity(folder), read_published(folder)
    with _naming(folder):
        for finding in refusals(entity, published):
            raise ConfigurationError(finding.sentence)
    return entity


def read_entity(folder: Path) -> Entity:
    """Return the entity of one folder without the checks of the gate. Raises ConfigurationError."""
    with _naming(folder):
        name = snake_case("entity's name", folder.name)
        files = _schema_files(folder)
    file = folder / "entity.toml"
    with _naming(file):
        settings = read_toml(file)
        key = _key(settings)
    records = [_read_record(path) for path in files]
    with _naming(folder):
        *older, schema = [
            schema_of_checked(name, version, version_key, record)
            for version, (version_key, record) in enumerate(
                zip(keys_of(records, key), records, strict=True), 1
            )
        ]
        # Checked here, so that the error about versions names the folder, not entity.toml.
        Evolution((*older, schema))
    with _naming(file):
        return _entity(settings, schema, tuple(older))


def _read_record(file: Path) -> dict[str, Any]:
    with _naming(file):
        record = read_json(file, "schema", "an Avro record")
        only_known("record", record, RECORD_PROPERTIES)
        try:
            read_fields(record)
        except RecursionError:
            raise ConfigurationError(TOO_LARGE) from None
    return record


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def entity_folders(folder: Path) -> list[Path]:
    """Return the folders of all entities, in order of their names.

    Raises ConfigurationError if there are none.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"{folder}: folder not found; allowed: a folder with one folder for each entity"
        )
    folders = sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and path.name[0] != "." and path.name != "__pycache__"
    )
    if not folders:
        raise ConfigurationError(f"{folder}: found no entity; allowed: one folder for each, at least one")
    return folders


def _schema_files(folder: Path) -> list[Path]:
    """Return the paths of v1.avsc, v2.avsc and so on, which must have no gap."""
    present = sorted(file.name for file in folder.glob("*.avsc"))
    names = [f"v{version}.avsc" for version in range(1, max(1, len(present)) + 1)]
    for name in names:
        if name not in present:
            raise ConfigurationError(
                f"schema: {name} is missing; found {', '.join(present) or 'none'}; allowed: v1.avsc, v2.avsc "
                "and so on without a gap, each an Avro record"
            )
    return [folder / name for name in names]


# entity.toml


def _key(settings: Mapping[str, Any]) -> list[str]:
    only_known("entity", settings, ("history", "key", "prefer", "source", "unknown"))
    key = settings.get("key", [])
    if not isinstance(key, list) or not all(isinstance(name, str) for name in key):
        raise refused("key", key, "a list of names of fields")
    if len({*key}) < len(key):
        raise refused("key", key, "each field once")
    return key


def _entity(settings: Mapping[str, Any], schema: Schema, older: tuple[Schema, ...]) -> Entity:
    for version in (*older, schema):
        _check_key(version)
    entries = settings.get("source")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise refused("source", entries, "one or more [[source]]")
    sources = tuple(read_source(number, entry, schema) for number, entry in enumerate(entries, 1))
    _check_sources(sources, schema)
    return Entity(
        name=schema.entity,
        key=schema.key,
        sources=sources,
        schema=schema,
        prefer=_prefer(settings, sources),
        older=older,
        unknown=_unknown(settings),
        history=_history(settings, (*older, schema)),
    )


def _check_key(schema: Schema) -> None:
    fields = {field.name: field for field in schema.fields}
    for name in schema.key:
        if name not in fields:
            raise unknown(f"key: not a field of v{schema.version}.avsc", name, fields)
        if fields[name].nullable:
            raise refused("key", name, "no field that may be null")
        if fields[name].kind in NOT_IN_A_KEY:
            raise refused("key", name, f"no field of float, double or json; this is {fields[name].kind}")
        if fields[name].private is Privacy.MASK:
            raise refused("key", name, "no masked field: two rows would have one key")


def _check_sources(sources: tuple[Source, ...], schema: Schema) -> None:
    names = [source.name for source in sources]
    for number, source in enumerate(sources, 1):
        if source.name in names[: number - 1]:
            raise refused(f"source {number}", source.name, "each source once")
        if not schema.key and not source.allows_no_key:
            keyless = " and ".join(kind.keyless for kind in KINDS.values() if kind.keyless)
            raise missing("entity", "key", f"a list of names of fields; only {keyless} goes without")
        _one_field_per_name(source.name, schema)
    for field in schema.fields:
        for source_name in field.from_names:
            if source_name not in (*names, ANY_SOURCE):
                where = f"v{schema.version}.avsc, field {field.name}, from: not a source of the entity"
                raise unknown(where, source_name, [*names, ANY_SOURCE])


def _one_field_per_name(source: str, schema: Schema) -> None:
    owners: dict[str, str] = {}
    for field in schema.fields:
        name = field.source_name(source)
        if name in owners:
            raise refused(
                f"v{schema.version}.avsc, field {field.name}, from",
                name,
                f"a name that {owners[name]} does not use",
            )
        owners[name] = field.name


def _prefer(settings: Mapping[str, Any], sources: tuple[Source, ...]) -> tuple[str, ...]:
    prefer = settings.get("prefer", [])
    names = [source.name for source in sources]
    if not isinstance(prefer, list) or len({*map(str, prefer)}) < len(prefer):
        raise refused("prefer", prefer, "a list of names of sources, each once")
    for name in prefer:
        if name not in names:
            raise unknown("prefer", name, names)
    return tuple(prefer)


def _unknown(settings: Mapping[str, Any]) -> Unknown:
    unknown_names = settings.get("unknown", Unknown.REPORT)
    if unknown_names not in list(Unknown):
        raise refused("unknown", unknown_names, ", ".join(Unknown))
    return Unknown(unknown_names)


def _history(settings: Mapping[str, Any], versions: tuple[Schema, ...]) -> bool:
    history = settings.get("history", False)
    if not isinstance(history, bool):
        raise refused("history", history, "true, false")
    for name in (field.name for schema in versions for field in schema.fields):
        if history and name in HISTORY_COLUMNS:
            raise refused("history", f"a field {name}", f"other names than {', '.join(HISTORY_COLUMNS)}")
    return history


# All entities together


def check_together(entities: Mapping[str, Entity]) -> None:
    """Check all entities against each other.

    Raises ConfigurationError if two entities read one feed, disagree about a table, or would have the same
    name in the history schema.
    """
    for kind in KINDS.values():
        kind.check_together(entities.values())
    _one_name_in_history(entities)


def _one_name_in_history(entities: Mapping[str, Entity]) -> None:
    """Refuse an entity whose history view has the name of another entity's function."""
    # history.<entity>_at is a function of the entity, and may be the history view of an entity <entity>_at.
    for name, entity in entities.items():
        namesake = entities.get(f"{name}_at")
        if namesake is not None and entity.history and namesake.history:
            raise ConfigurationError(
                f"history: found it in {name} and {namesake.name}; allowed: in one of them, "
                f"as history.{namesake.name} is the first one's function"
            )
