"""The versions of one entity's schema as one table: its columns, and the rows that each version makes.

A column is one field through all versions: found again by its name, or by an alias. It keeps the first name
that the field had, so that a rename is the view's affair alone. Nothing is ever dropped: a retired field's
column stays. Rows are made by going through the versions one by one, so that what an event makes does not
depend on which versions it met on its way (INV-3).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

from schemas.errors import ConfigurationError, PoisonEventError
from schemas.evolution.formats import reads_differently
from schemas.evolution.rules import RULES, Category, Rule
from schemas.payload.codec import Schema
from schemas.payload.conversions import Convert, conversion
from schemas.payload.fields import NO_DEFAULT, Field
from schemas.payload.values import identity
from schemas.refusals import refused

Values = Mapping[str, object]
Project = Callable[[Values], tuple[object, ...]]


@dataclass(frozen=True)
class Column:
    """One field through all versions, None where a version has not got it."""

    fields: tuple[Field | None, ...]

    @cached_property
    def field(self) -> Field:
        """As readers see it: the newest that there is; one that is retired may be null."""
        newest = next(each for each in reversed(self.fields) if each is not None)
        return replace(newest, nullable=True) if self.is_retired else newest

    @cached_property
    def stored(self) -> Field:
        """The same under the name of the SQL column."""
        return replace(self.field, name=self.name)

    @cached_property
    def name(self) -> str:
        """Of the SQL column: the first name that the field had."""
        return next(each.name for each in self.fields if each is not None)

    @property
    def is_retired(self) -> bool:
        return self.fields[-1] is None

    def stored_until(self, place: int) -> Field | None:
        """The SQL column's field when the version at this place was the newest; None before it came."""
        newest = next((each for each in reversed(self.fields[: place + 1]) if each is not None), None)
        return newest and replace(newest, name=self.name)

    def names(self) -> set[str]:
        """Every name that the field has had."""
        return {each.name for each in self.fields if each is not None}


class FieldChange(NamedTuple):
    """What one field's difference between two versions costs. `field` is its newer name, or its last."""

    older: int
    newer: int
    field: str
    rule: Rule


class Evolution:
    """All versions of an entity's schema, the oldest first; a version is known by its fingerprint.

    Raises ConfigurationError for an alias that is a field of its own, there or in the version before.
    """

    def __init__(self, versions: Sequence[Schema]) -> None:
        self.versions = tuple(versions)
        self._places = {schema.fingerprint: place for place, schema in enumerate(versions)}
        self._every = _columns(self.versions)

    @property
    def newest(self) -> Schema:
        return self.versions[-1]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The table's: the newest version's fields in its order, then the retired ones. What was dropped for
        privacy's sake is none, for ever."""
        order = {field.name: place for place, field in enumerate(self.newest.fields)}
        dropped = {name for schema in self.versions for name in schema.dropped}
        kept = [column for column in self._every if not column.names() & dropped]
        return tuple(sorted(kept, key=lambda column: order.get(column.field.name, len(order))))

    def has(self, fingerprint: bytes) -> bool:
        """Whether it is one of these versions."""
        return fingerprint in self._places

    def until(self, fingerprint: bytes) -> "Evolution":
        """As it was when this version was the newest."""
        return Evolution(self.versions[: self._places[fingerprint] + 1])

    def projection(self, fingerprint: bytes) -> Project:
        """From the values of one version, by name, to those of the columns. Raises PoisonEventError, cause
        "schema", for a version that is none of these."""
        if fingerprint not in self._projections:
            reason = f"written with schema {fingerprint.hex()}, which is none of the table's versions"
            raise PoisonEventError(f"{self.newest.entity}: {reason}", "schema")
        return self._projections[fingerprint]

    @cached_property
    def _projections(self) -> Mapping[bytes, Project]:
        return {each: _projection(self.columns, place) for each, place in self._places.items()}

    def onto(self, newer: "Evolution") -> Project:
        """From a row of these columns, by the columns' names, to one of the columns of more versions."""
        last = len(self.versions) - 1
        rows = [
            Column((*[None] * last, column.stored_until(last), *column.fields[last + 1 :]))
            for column in newer.columns
        ]
        return _projection(rows, last)

    def changes(self, older: int, newer: int) -> list[FieldChange]:
        """Each rule that a field meets between two versions (numbered from 1, of all steps between them), in
        the order of the columns."""
        found: dict[tuple[str, str], FieldChange] = {}
        for place in range(older, newer):
            for column, field, rule in self._steps[place - 1]:
                found[column, rule] = FieldChange(older, newer, field, RULES[rule])
        if self._keys[older - 1] != self._keys[newer - 1]:
            key = ", ".join(self.versions[newer - 1].key)
            found["", ""] = FieldChange(older, newer, key, RULES["key changed"])
        return list(found.values())

    @cached_property
    def _steps(self) -> list[list[tuple[str, str, str]]]:
        """Of each version but the first: SQL column, name of the field, name of the rule that it meets."""
        return [list(self._step(place)) for place in range(1, len(self.versions))]

    def _step(self, place: int) -> Iterator[tuple[str, str, str]]:
        names = self._names(place)
        for column in self._every:
            field = column.fields[place] or column.fields[place - 1]
            for rule in _rules(column, place, self.versions, names):
                yield column.name, field.name if field else "", rule

    def sides(self, change: FieldChange) -> tuple[Field | None, Field | None]:
        """The field of a change in the older version and in the newer one."""
        for column in self._every:
            older, newer = column.fields[change.older - 1], column.fields[change.newer - 1]
            if change.field in {each.name for each in (older, newer) if each}:
                return older, newer
        return None, None

    def _names(self, count: int) -> set[str]:
        """All that the first versions have used."""
        versions = self.versions[:count]
        return {name for each in versions for name in (*(f.name for f in each.fields), *each.dropped)}

    @cached_property
    def _keys(self) -> list[list[str]]:
        """The columns of each version's key: a renamed field is the same."""
        return [self._key(place) for place in range(len(self.versions))]

    def _key(self, place: int) -> list[str]:
        columns = {each.name: column.name for column in self._every if (each := column.fields[place])}
        return [columns.get(name, name) for name in self.versions[place].key]

    def cost(self, older: int, newer: int) -> Category | None:
        """Of the whole way from one version to the other; None where nothing changes."""
        return max((change.rule.category for change in self.changes(older, newer)), default=None)


# Columns


def _columns(versions: tuple[Schema, ...]) -> tuple[Column, ...]:
    lines: list[list[Field | None]] = []
    for number, schema in enumerate(versions):
        owned: dict[int, Field] = {}
        added: list[list[Field | None]] = []
        before = {line[-1].name: place for place, line in enumerate(lines) if line[-1]}
        for field in schema.fields:
            place = _owner(before, field, schema)
            if place is None:
                added.append([*[None] * number, field])
            else:
                owned[place] = field
        for place, line in enumerate(lines):
            line.append(owned.get(place))
        lines += added
    return tuple(Column(tuple(line)) for line in lines)


def _owner(before: Mapping[str, int], field: Field, schema: Schema) -> int | None:
    """Which field of the version before this one is; `before`: the places of those, by name."""
    if not field.aliases:  # nearly always
        return before.get(field.name)
    where = f"v{schema.version}.avsc, field {field.name}, aliases"
    for alias in field.aliases:
        if alias in (each.name for each in schema.fields):
            raise refused(where, alias, "a name that is no field of this version")
    found = [before[name] for name in (field.name, *field.aliases) if name in before]
    if len(found) > 1:
        raise refused(
            where, list(field.aliases), "names of one field: the version before has several of them"
        )
    return found[0] if found else None


def keys_of(records: Sequence[Mapping[str, Any]], key: Sequence[str]) -> list[list[str]]:
    """The key of each version, by the names that its fields have there, from that of the newest. `records`:
    Avro records that were checked. A field that is not found keeps its name."""
    keys = [list(key)]
    for newer, older in zip(records[::-1], records[-2::-1], strict=False):
        aliases = {each["name"]: each.get("aliases", []) for each in newer["fields"]}
        there = {each["name"] for each in older["fields"]}
        keys.append([_older_name(name, aliases.get(name, []), there) for name in keys[-1]])
    return keys[::-1]


def _older_name(name: str, aliases: Sequence[str], there: Collection[str]) -> str:
    return next((each for each in (name, *aliases) if each in there), name)


# Values


def _projection(columns: Iterable[Column], place: int) -> Project:
    absent: dict[str, object] = {}
    names: list[str] = []
    converted: list[tuple[int, Convert]] = []
    for number, column in enumerate(columns):
        field = column.fields[place]
        names.append(column.name if field is None else field.name)
        if field is None:
            absent[column.name] = _absent(column, place)
        elif (convert := _onward(column, place)) is not identity:
            converted.append((number, convert))
    return _made(names, absent, converted)


def _made(names: Sequence[str], absent: Values, converted: Sequence[tuple[int, Convert]]) -> Project:
    """Few Python operations for each row: most versions differ in a few fields, or in none."""
    pick = itemgetter(*names) if len(names) > 1 else lambda values: (values[names[0]],)

    def project(values: Values) -> tuple[object, ...]:
        row: tuple[object, ...] = pick({**absent, **values} if absent else values)
        if not converted:
            return row
        made = list(row)
        for place, convert in converted:
            if made[place] is not None:
                made[place] = convert(made[place])
        return tuple(made)

    return project


def _onward(column: Column, place: int) -> Convert:
    """From a version that has the field to the last one that has it."""
    steps = []
    for old, new in zip(column.fields[place:], column.fields[place + 1 :], strict=False):
        if old is not None and new is not None:
            steps.append(_convert(old, new))
    return _composed([step for step in steps if step is not identity])


def _convert(old: Field, new: Field) -> Convert:
    convert = conversion(old, new).convert
    if convert is None:
        raise ConfigurationError(f"field {new.name}: no value of {old.kind} is one of {new.kind}")
    return convert


def _composed(steps: Sequence[Convert]) -> Convert:
    if len(steps) < 2:
        return steps[0] if steps else identity

    def composed(value: object) -> object:
        for step in steps:
            if value is not None:
                value = step(value)
        return value

    return composed


def _absent(column: Column, place: int) -> object:
    """Of a row whose version has not got the field: the default of the version that brought it, as the newest
    has it; of a retired field the last default."""
    later = next((n for n, each in enumerate(column.fields) if each is not None and n > place), None)
    if later is None:
        return column.field.default_or_none
    first = column.fields[later]
    value = first and first.default_or_none
    return None if value is None else _onward(column, later)(value)


# Rules


_KEEP_THE_KEY = {
    "field renamed",
    "read otherwise",
    "default given",
    "symbol added",
    "int to long",
    "longer",
    "more digits",
    "enum to string",
}
"""What leaves the text of every key as it is."""


def _rules(column: Column, place: int, versions: Sequence[Schema], names: set[str]) -> list[str]:
    """What a column's step into the version at this place meets; `names`: all that older versions used."""
    old, new, schema = column.fields[place - 1], column.fields[place], versions[place]
    if old is new:  # in most columns: fields that are read alike are one (schemas.payload.avsc)
        return []
    if old is None and new is not None:
        used = ["name used again"] if new.name in names else []
        return [*used, "added without a default" if new.default is NO_DEFAULT else "field added"]
    if old is not None and new is None:
        return ["made private" if old.name in schema.dropped else "field retired"]
    assert old is not None and new is not None  # noqa: PT018 - told the type checker
    rules = [*conversion(old, new).rules, *_default_rule(old, new)]
    return _key_rules(old, new, rules) if old.name in versions[place - 1].key else rules


def _key_rules(old: Field, new: Field, rules: list[str]) -> list[str]:
    """Those of a field of the key. What else decides its text, such as `trim`, no version says."""
    if not _KEEP_THE_KEY.issuperset(rules):
        return [*rules, "key changed"]
    if (old.from_names, old.format) == (new.from_names, new.format):
        return rules
    told = "key texts turned round" if reads_differently(old, new) else "key read otherwise"
    return [told if rule == "read otherwise" else rule for rule in rules]


def _default_rule(old: Field, new: Field) -> list[str]:
    if old.default is NO_DEFAULT:
        return [] if new.default is NO_DEFAULT else ["default given"]
    convert = conversion(old, new).convert
    if convert is None:
        return []
    expected = None if old.default is None else convert(old.default)
    return [] if new.default is not NO_DEFAULT and new.default == expected else ["default changed"]
