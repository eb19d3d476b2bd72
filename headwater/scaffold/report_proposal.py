"""A report file proposed for some entities: their columns, joined by key columns that they share."""

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
"""Kinds that are compared with each other as they are."""
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
"""Of T-SQL, each between blanks: such a name stands in brackets."""


@dataclass(slots=True)
class _Joined:
    entity: Entity
    alias: str
    on: Mapping[str, _Joined] = field(default_factory=dict)
    """Shared column to an entity before that has it."""
    is_determined: bool = False
    """Whether a row of the others has one row of this at most: its key adds nothing."""


def propose(names: Sequence[str], catalog: Catalog) -> str:
    """The text of a report file over these entities. Raises ConfigurationError where nothing joins them, or
    rows of one can't be told apart."""
    joined = _joined([catalog.entity(name) for name in names])
    columns, key = _columns(joined)
    said = ",\n    ".join(columns)
    froms = "".join(f"\n{_join(each)}" for each in joined[1:])
    first = joined[0]
    return (
        f"/* headwater\nkey = {json.dumps(key)}\n*/\n"
        "-- What is it for? Leave out columns, or group by some and count the others (COUNT, SUM, MAX).\n"
        f"SELECT\n    {said}\nFROM staging.{_quoted(first.entity.name)} AS {first.alias}{froms}\n"
    )


def _joined(entities: Sequence[Entity]) -> list[_Joined]:
    for each in entities:
        if not each.key:
            raise ConfigurationError(
                f"--from {each.name}: it has no key, so that its rows can't be told apart: write a "
                "SELECT that groups them"
            )
    made, left = [_Joined(entities[0], _alias(entities[0], []))], list(entities[1:])
    if len({each.name for each in entities}) < len(entities):
        raise ConfigurationError("--from: an entity is named twice: name each once")
    while left:
        found = next(((each, on) for each in left if (on := _shared(each, made))), None)
        if found is None:
            raise _apart(left[0], made)
        entity, on = found
        left.remove(entity)
        made.append(_Joined(entity, _alias(entity, made), on))
    _determine(made)
    return made


def _shared(entity: Entity, others: Sequence[_Joined]) -> dict[str, _Joined]:
    """Its columns that others have too, where they are of a key of either."""
    own = _kinds(entity)
    found: dict[str, _Joined] = {}
    for other in others:
        theirs = _kinds(other.entity)
        for name in own:
            is_key = name in entity.key or name in other.entity.key
            if is_key and own[name] == theirs.get(name):
                found.setdefault(name, other)
    return found


def _kinds(entity: Entity) -> dict[str, FieldType]:
    kinds = {column.field.name: column.stored.kind for column in entity.columns}
    return {name: _ALIKE.get(kind, kind) for name, kind in kinds.items()}


def _apart(entity: Entity, others: Sequence[_Joined]) -> ConfigurationError:
    there = ", ".join(each.entity.name for each in others)
    return ConfigurationError(
        f"--from {entity.name}: nothing joins it to {there}: no column of a key ({', '.join(entity.key)}) "
        "is in both, with the same type"
    )


def _determine(joined: Sequence[_Joined]) -> None:
    """An entity whose whole key stands in another one, which is not determined by it in turn."""
    for each in reversed(joined):
        if not _is_told(each.entity):
            continue
        for other in joined:
            shared = _shared(each.entity, [other]) if other is not each else {}
            if not other.is_determined and set(each.entity.key) <= shared.keys():
                each.is_determined = True


def _is_told(entity: Entity) -> bool:
    """Whether its key alone tells its rows: of several sources each may have one."""
    return len(entity.sources) < 2 or bool(entity.prefer)


def _columns(joined: Sequence[_Joined]) -> tuple[list[str], list[str]]:
    """What is selected, and the names of the key. A column by which two are joined stands there once."""
    said: list[str] = []
    key: list[str] = []
    called: dict[tuple[str, str], str] = {}
    for each in joined:
        for name in (column.field.name for column in each.entity.columns):
            if other := each.on.get(name):
                called[each.alias, name] = called[other.alias, name]
            else:
                called[each.alias, name] = _free(name, each.entity.name, called.values())
                said.append(_selected(f"{each.alias}.{_quoted(name)}", name, called[each.alias, name]))
        if not _is_told(each.entity):
            called[each.alias, "_source"] = _free("source", each.entity.name, called.values())
            said.append(_selected(f"{each.alias}._source", "", called[each.alias, "_source"]))
            key.append(called[each.alias, "_source"])
        if not each.is_determined:
            key += [called[each.alias, name] for name in each.entity.key]
    return said, list(dict.fromkeys(key))


def _selected(column: str, name: str, called: str) -> str:
    return column if called == name else f"{column} AS {_quoted(called)}"


def _free(name: str, entity: str, taken: Collection[str]) -> str:
    """A name that no column has yet."""
    tries = (name, f"{entity}_{name}"[:MAX_NAME], *(f"{name[:90]}_{n}" for n in range(2, len(taken) + 3)))
    there = {each.lower() for each in taken}
    return next(each for each in tries if each.lower() not in there)


def _join(each: _Joined) -> str:
    on = " AND ".join(
        f"{each.alias}.{_quoted(name)} = {other.alias}.{_quoted(name)}" for name, other in each.on.items()
    )
    kind = "LEFT" if each.is_determined else "INNER"
    return f"{kind} JOIN staging.{_quoted(each.entity.name)} AS {each.alias} ON {on}"


def _alias(entity: Entity, others: Sequence[_Joined]) -> str:
    taken = {each.alias for each in others}
    name = entity.name
    tries = (name[:length] for length in range(1, len(name) + 1))
    return next(each for each in (*tries, f"{name}_1") if each not in taken and not _is_reserved(each))


def _quoted(name: str) -> str:
    return f"[{name}]" if _is_reserved(name) else name


def _is_reserved(name: str) -> bool:
    return f" {name.lower()} " in _RESERVED
