"""The proposal of a report file over some entities: their columns, joined by the key columns they share."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.catalog.entity import Catalog, Entity
from schemas.errors import ConfigurationError
from schemas.payload.fields import FieldType
from schemas.refusals import MAX_NAME

_ALIKE = {
    FieldType.LONG: FieldType.INT,
    FieldType.ENUM: FieldType.STRING,
    FieldType.DOUBLE: FieldType.FLOAT,
}
"""Kinds that can be compared with another kind without a conversion."""
_RESERVED = (
    " "
    "add all alter and any as asc authorization backup begin between break browse bulk by cascade case "
    "check checkpoint close clustered coalesce collate column commit compute constraint contains "
    "continue convert create cross current cursor database dbcc deallocate declare default delete deny "
    "desc disk distinct distributed double drop dump else end errlvl escape except exec execute exists "
    "exit external fetch file fillfactor for foreign freetext from full function goto grant group "
    "having holdlock identity if in index inner insert intersect into is join key kill left like lineno "
    "load merge national nocheck nonclustered not null nullif of off offsets on open option or order "
    "outer over percent pivot plan precision primary print proc procedure public raiserror read "
    "reconfigure references replication restore restrict return revert revoke right rollback rowcount "
    "rule save schema select set setuser shutdown some statistics table tablesample textsize then to "
    "top tran transaction trigger truncate tsequal union unique unpivot update updatetext use user "
    "values varying view waitfor when where while with writetext "
)
"""Reserved words of T-SQL, surrounded by blanks. A name that is one of them is written in brackets."""


@dataclass(slots=True)
class _Joined:
    """An entity of the query, with its alias."""

    entity: Entity
    alias: str
    on: Mapping[str, _Joined] = field(default_factory=dict)
    """Columns of the join, with an earlier entity that has the same column."""
    is_determined: bool = False
    """True if a row of the others joins at most one row of this entity, so that its key adds nothing."""


def propose(names: Sequence[str], catalog: Catalog) -> str:
    """Return the text of a report file over these entities.

    Raises ConfigurationError if nothing joins them, or if an entity has no key.
    """
    joined = _joined([catalog.entity(name) for name in names])
    columns, key = _columns(joined)
    select = ",\n    ".join(columns)
    joins = "".join(f"\n{_join(entity)}" for entity in joined[1:])
    first = joined[0]
    return (
        f"/* headwater\nkey = {json.dumps(key)}\n*/\n"
        "-- What is it for? Leave out columns, or group by some and count the others (COUNT, SUM, MAX).\n"
        f"SELECT\n    {select}\nFROM staging.{_quoted(first.entity.name)} AS {first.alias}{joins}\n"
    )


def _joined(entities: Sequence[Entity]) -> list[_Joined]:
    for entity in entities:
        if not entity.key:
            raise ConfigurationError(
                f"--from {entity.name}: it has no key, so that its rows can't be told apart: write a "
                "SELECT that groups them"
            )
    joined, left = [_Joined(entities[0], _alias(entities[0], []))], list(entities[1:])
    if len({entity.name for entity in entities}) < len(entities):
        raise ConfigurationError("--from: an entity is named twice: name each once")
    while left:  # not in the given order: an entity may join only one that is named after it
        join = next(((entity, on) for entity in left if (on := _shared(entity, joined))), None)
        if join is None:
            raise _not_joined(left[0], joined)
        entity, on = join
        left.remove(entity)
        joined.append(_Joined(entity, _alias(entity, joined), on))
    _mark_determined(joined)
    return joined


def _shared(entity: Entity, others: Sequence[_Joined]) -> dict[str, _Joined]:
    """Return the columns that the entity shares with others and that are in the key of either."""
    own = _kinds(entity)
    shared: dict[str, _Joined] = {}
    for other in others:
        theirs = _kinds(other.entity)
        for name in own:
            is_key = name in entity.key or name in other.entity.key
            if is_key and own[name] == theirs.get(name):
                shared.setdefault(name, other)
    return shared


def _kinds(entity: Entity) -> dict[str, FieldType]:
    kinds = {column.field.name: column.stored.kind for column in entity.columns}
    return {name: _ALIKE.get(kind, kind) for name, kind in kinds.items()}


def _not_joined(entity: Entity, others: Sequence[_Joined]) -> ConfigurationError:
    names = ", ".join(other.entity.name for other in others)
    return ConfigurationError(
        f"--from {entity.name}: nothing joins it to {names}: no column of a key ({', '.join(entity.key)}) "
        "is in both, with the same type"
    )


def _mark_determined(joined: Sequence[_Joined]) -> None:
    """Mark the entities whose whole key is in another entity that is not marked itself."""
    # From the last one, so that of two entities with the same key the first remains.
    for joined_entity in reversed(joined):
        if not _has_unique_key(joined_entity.entity):
            continue
        for other in joined:
            shared = _shared(joined_entity.entity, [other]) if other is not joined_entity else {}
            if not other.is_determined and set(joined_entity.entity.key) <= shared.keys():
                joined_entity.is_determined = True


def _has_unique_key(entity: Entity) -> bool:
    """Return True if the key alone identifies a row."""
    # Otherwise each of several sources may have a row with the same key.
    return len(entity.sources) < 2 or bool(entity.prefer)


def _columns(joined: Sequence[_Joined]) -> tuple[list[str], list[str]]:
    """Return the selected columns, and the names of the key. A column of a join is selected once."""
    selected: list[str] = []
    key: list[str] = []
    names: dict[tuple[str, str], str] = {}  # alias and column, with the name in the report
    for item in joined:
        entity, alias, on = item.entity, item.alias, item.on
        for name in (column.field.name for column in entity.columns):
            if other := on.get(name):
                names[alias, name] = names[other.alias, name]
            else:
                names[alias, name] = _free(name, entity.name, names.values())
                selected.append(_selected(f"{alias}.{_quoted(name)}", name, names[alias, name]))
        if not _has_unique_key(entity):
            names[alias, "_source"] = _free("source", entity.name, names.values())
            selected.append(_selected(f"{alias}._source", "", names[alias, "_source"]))
            key.append(names[alias, "_source"])
        if not item.is_determined:
            key += [names[alias, name] for name in entity.key]
    return selected, list(dict.fromkeys(key))


def _selected(column: str, name: str, alias: str) -> str:
    return column if alias == name else f"{column} AS {_quoted(alias)}"


def _free(name: str, entity: str, taken: Collection[str]) -> str:
    """Return a name that is not taken yet."""
    tries = (name, f"{entity}_{name}"[:MAX_NAME], *(f"{name[:90]}_{n}" for n in range(2, len(taken) + 3)))
    lower = {name.lower() for name in taken}  # names of columns are case-insensitive in SQL
    return next(free for free in tries if free.lower() not in lower)


def _join(joined: _Joined) -> str:
    on = " AND ".join(
        f"{joined.alias}.{_quoted(name)} = {other.alias}.{_quoted(name)}" for name, other in joined.on.items()
    )
    # A LEFT JOIN adds no rows if this entity is determined. Otherwise its key is part of the report's key,
    # and must not be NULL.
    kind = "LEFT" if joined.is_determined else "INNER"
    return f"{kind} JOIN staging.{_quoted(joined.entity.name)} AS {joined.alias} ON {on}"


def _alias(entity: Entity, others: Sequence[_Joined]) -> str:
    taken = {other.alias for other in others}
    name = entity.name
    tries = (name[:length] for length in range(1, len(name) + 1))
    return next(alias for alias in (*tries, f"{name}_1") if alias not in taken and not _is_reserved(alias))


def _quoted(name: str) -> str:
    return f"[{name}]" if _is_reserved(name) else name


def _is_reserved(name: str) -> bool:
    return f" {name.lower()} " in _RESERVED
