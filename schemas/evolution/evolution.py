"""All versions of an entity's schema as one table: its columns, and conversions of rows to them.

A column is one field through all versions, matched by name or alias. It keeps the first name of the field, so
that a rename only changes the view. Columns are never dropped: that of a retired field stays. Values are
converted from version to version, so that the row of an event does not depend on which versions it passed on
its way (INV-3).
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
    """One field through all versions. An entry is None for versions that do not have the field."""

    fields: tuple[Field | None, ...]

    @cached_property
    def field(self) -> Field:
        """The field as readers see it: its newest definition, nullable if it is retired."""
        newest = next(field for field in reversed(self.fields) if field is not None)
        return replace(newest, nullable=True) if self.is_retired else newest

    @cached_property
    def stored(self) -> Field:
        """The same field under the name of the SQL column."""
        return replace(self.field, name=self.name)

    @cached_property
    def name(self) -> str:
        """The name of the SQL column: the first name of the field."""
        return next(field.name for field in self.fields if field is not None)

    @property
    def is_retired(self) -> bool:
        return self.fields[-1] is None

    def stored_until(self, index: int) -> Field | None:
        """Return the field of the SQL column when the version at this index was the newest.

        None if the column did not exist then.
        """
        newest = next((field for field in reversed(self.fields[: index + 1]) if field is not None), None)
        return newest and replace(newest, name=self.name)

    def names(self) -> set[str]:
        """Return all names that the field has had."""
        return {field.name for field in self.fields if field is not None}


class FieldChange(NamedTuple):
    """A rule that applies to the difference of one field between two versions.

    `older` and `newer` are version numbers. `field` is its name in the newer version, or its last name.
    """

    older: int
    newer: int
    field: str
    rule: Rule


class Evolution:
    """All versions of an entity's schema, the oldest first, identified by fingerprint.

    Raises ConfigurationError for an alias that names another field of the same version, and for aliases of
    one field that name several fields of the version before.
    """

    def __init__(self, versions: Sequence[Schema]) -> None:
        self.versions = tuple(versions)
        self._indexes = {schema.fingerprint: index for index, schema in enumerate(versions)}
        self._all_columns = _columns(self.versions)

    @property
    def newest(self) -> Schema:
        return self.versions[-1]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table: the fields of the newest version in its order, then retired ones."""
        order = {field.name: index for index, field in enumerate(self.newest.fields)}
        # A field that any version dropped for privacy has no column, even if older versions published it.
        dropped = {name for schema in self.versions for name in schema.dropped}
        visible = [column for column in self._all_columns if not column.names() & dropped]
        return tuple(sorted(visible, key=lambda column: order.get(column.field.name, len(order))))

    def has(self, fingerprint: bytes) -> bool:
        """Return whether this is the fingerprint of one of the versions."""
        return fingerprint in self._indexes

    def until(self, fingerprint: bytes) -> "Evolution":
        """Return the evolution as it was when this version was the newest."""
        return Evolution(self.versions[: self._indexes[fingerprint] + 1])

    def projection(self, fingerprint: bytes) -> Project:
        """Return the conversion of values of one version, by field name, to a row of the columns.

        Raises PoisonEventError with cause "schema" for the fingerprint of an unknown version.
        """
        if fingerprint not in self._projections:
            reason = f"written with schema {fingerprint.hex()}, which is none of the table's versions"
            raise PoisonEventError(f"{self.newest.entity}: {reason}", "schema")
        return self._projections[fingerprint]

    @cached_property
    def _projections(self) -> Mapping[bytes, Project]:
        return {fingerprint: _projection(self.columns, index) for fingerprint, index in self._indexes.items()}

    def onto(self, newer: "Evolution") -> Project:
        """Return the conversion of a row of these columns, by column name, to a row of a longer evolution.

        The columns of `newer` include these: it has the same versions and more.
        """
        last = len(self.versions) - 1
        # A row has been converted to the last version already, so earlier versions are left out, and fields
        # have the names of their SQL columns.
        columns = [
            Column((*[None] * last, column.stored_until(last), *column.fields[last + 1 :]))
            for column in newer.columns
        ]
        return _projection(columns, last)

    def changes(self, older: int, newer: int) -> list[FieldChange]:
        """Return the rules that apply to each field between two versions, in the order of the columns.

        Versions are numbered from 1. A rule that applies in any step between them is included, once.
        """
        changes: dict[tuple[str, str], FieldChange] = {}
        for number in range(older, newer):
            # The first step is that into version 2.
            for column, field, rule in self._steps[number - 1]:
                changes[column, rule] = FieldChange(older, newer, field, RULES[rule])
        # The choice of key fields is not a property of any field.
        if self._keys[older - 1] != self._keys[newer - 1]:
            key = ", ".join(self.versions[newer - 1].key)
            changes["", ""] = FieldChange(older, newer, key, RULES["key changed"])
        return list(changes.values())

    @cached_property
    def _steps(self) -> list[list[tuple[str, str, str]]]:
        """For each version but the first: SQL column, name of the field, name of the rule that applies."""
        return [list(self._step(index)) for index in range(1, len(self.versions))]

    def _step(self, index: int) -> Iterator[tuple[str, str, str]]:
        used = self._used_names(index)
        for column in self._all_columns:
            field = column.fields[index] or column.fields[index - 1]
            for rule in _rules(column, index, self.versions, used):
                yield column.name, field.name if field else "", rule

    def sides(self, change: FieldChange) -> tuple[Field | None, Field | None]:
        """Return the field of a change in its older and in its newer version."""
        for column in self._all_columns:
            older, newer = column.fields[change.older - 1], column.fields[change.newer - 1]
            if change.field in {side.name for side in (older, newer) if side}:
                return older, newer
        return None, None

    def _used_names(self, count: int) -> set[str]:
        """Return the names of all fields, also dropped ones, of the first `count` versions."""
        versions = self.versions[:count]
        return {name for schema in versions for name in (*(f.name for f in schema.fields), *schema.dropped)}

    @cached_property
    def _keys(self) -> list[list[str]]:
        """The columns of the key in each version. A rename of a key field does not change them."""
        return [self._key(index) for index in range(len(self.versions))]

    def _key(self, index: int) -> list[str]:
        columns = {field.name: column.name for column in self._all_columns if (field := column.fields[index])}
        return [columns.get(name, name) for name in self.versions[index].key]

    def cost(self, older: int, newer: int) -> Category | None:
        """Return the cost of all changes from one version to the other, or None if there are none."""
        return max((change.rule.category for change in self.changes(older, newer)), default=None)


# Columns


def _columns(versions: tuple[Schema, ...]) -> tuple[Column, ...]:
    columns: list[list[Field | None]] = []
    for number, schema in enumerate(versions):
        matched: dict[int, Field] = {}
        added: list[list[Field | None]] = []
        # Only fields of the version before can be continued: a retired field's name is not revived.
        before = {fields[-1].name: index for index, fields in enumerate(columns) if fields[-1]}
        for field in schema.fields:
            index = _matching_column(before, field, schema)
            if index is None:
                added.append([*[None] * number, field])
            else:
                matched[index] = field
        for index, fields in enumerate(columns):
            fields.append(matched.get(index))
        columns += added
    return tuple(Column(tuple(fields)) for fields in columns)


def _matching_column(before: Mapping[str, int], field: Field, schema: Schema) -> int | None:
    """Return the index of the column that a field continues, or None for a new field.

    `before` maps the names of fields in the version before to the indexes of their columns.
    """
    if not field.aliases:  # the fast path
        return before.get(field.name)
    where = f"v{schema.version}.avsc, field {field.name}, aliases"
    for alias in field.aliases:
        if alias in (known.name for known in schema.fields):
            raise refused(where, alias, "a name that is not a field of this version")
    indexes = [before[name] for name in (field.name, *field.aliases) if name in before]
    if len(indexes) > 1:
        raise refused(
            where, list(field.aliases), "names of one field: the version before has several of them"
        )
    return indexes[0] if indexes else None


def keys_of(records: Sequence[Mapping[str, Any]], key: Sequence[str]) -> list[list[str]]:
    """Return the names of the key fields in each version, given those in the newest one.

    `records` are checked Avro records, the oldest first. A field that an older version does not have keeps
    its name.
    """
    keys = [list(key)]
    for newer, older in zip(records[::-1], records[-2::-1], strict=False):
        aliases = {spec["name"]: spec.get("aliases", []) for spec in newer["fields"]}
        existing = {spec["name"] for spec in older["fields"]}
        keys.append([_older_name(name, aliases.get(name, []), existing) for name in keys[-1]])
    return keys[::-1]


def _older_name(name: str, aliases: Sequence[str], existing: Collection[str]) -> str:
    return next((candidate for candidate in (name, *aliases) if candidate in existing), name)


# Values


def _projection(columns: Iterable[Column], index: int) -> Project:
    absent: dict[str, object] = {}
    names: list[str] = []
    converted: list[tuple[int, Convert]] = []
    for number, column in enumerate(columns):
        field = column.fields[index]
        names.append(column.name if field is None else field.name)
        if field is None:
            absent[column.name] = _absent(column, index)
        elif (convert := _onward(column, index)) is not identity:
            converted.append((number, convert))
    return _row_builder(names, absent, converted)


def _row_builder(names: Sequence[str], absent: Values, converted: Sequence[tuple[int, Convert]]) -> Project:
    """Return a function that picks the values of `names`, and converts those at some indexes."""
    # It runs for every row of a replay. itemgetter picks all values in one call, and only fields whose kind
    # changed are converted.
    pick = itemgetter(*names) if len(names) > 1 else lambda values: (values[names[0]],)

    def project(values: Values) -> tuple[object, ...]:
        picked: tuple[object, ...] = pick({**absent, **values} if absent else values)
        if not converted:
            return picked
        row = list(picked)
        for index, convert in converted:
            if row[index] is not None:
                row[index] = convert(row[index])
        return tuple(row)

    return project


def _onward(column: Column, index: int) -> Convert:
    """Return the conversion of a column from the version at this index to the last one that has it."""
    steps = []
    for old, new in zip(column.fields[index:], column.fields[index + 1 :], strict=False):
        if old is not None and new is not None:
            steps.append(_convert(old, new))
    return _composed([step for step in steps if step is not identity])


def _convert(old: Field, new: Field) -> Convert:
    convert = conversion(old, new).convert
    if convert is None:
        raise ConfigurationError(f"field {new.name}: there is no conversion from {old.kind} to {new.kind}")
    return convert


def _composed(steps: Sequence[Convert]) -> Convert:
    if len(steps) < 2:
        return steps[0] if steps else identity  # identity is recognised, and not called at all

    def composed(value: object) -> object:
        for step in steps:
            if value is not None:  # a step may return NULL, for example where a field was made private
                value = step(value)
        return value

    return composed


def _absent(column: Column, index: int) -> object:
    """Return the value of a column in rows of a version that does not have the field.

    It is the default of the next version that has the field, converted to the newest; of a retired field the
    last default.
    """
    later = next((n for n, field in enumerate(column.fields) if field is not None and n > index), None)
    if later is None:
        return column.field.default_or_none
    first = column.fields[later]
    value = first and first.default_or_none
    return None if value is None else _onward(column, later)(value)


# Rules


_KEEP_THE_KEY = {
    "field renamed",
    "mapping changed",
    "default added",
    "symbol added",
    "int to long",
    "longer",
    "more digits",
    "enum to string",
}
"""Rules of changes that leave the text of every key unchanged."""


def _rules(column: Column, index: int, versions: Sequence[Schema], used: set[str]) -> list[str]:
    """Return the rules that apply to a column in the version at this index.

    `used` are the names of all fields in older versions.
    """
    old, new, schema = column.fields[index - 1], column.fields[index], versions[index]
    # Most columns end here: equal fields of two versions are one object (schemas.payload.avsc).
    if old is new:
        return []
    if old is None and new is not None:
        reused = ["name reused"] if new.name in used else []
        return [*reused, "added without a default" if new.default is NO_DEFAULT else "field added"]
    if old is not None and new is None:
        return ["made private" if old.name in schema.dropped else "field retired"]
    assert old is not None and new is not None  # noqa: PT018 - for mypy
    rules = [*conversion(old, new).rules, *_default_rule(old, new)]
    return _key_rules(old, new, rules) if old.name in versions[index - 1].key else rules


def _key_rules(old: Field, new: Field, rules: list[str]) -> list[str]:
    """Return the rules of a field of the key.

    Other settings that affect the text of keys, such as `trim`, are not part of a schema version.
    """
    if not _KEEP_THE_KEY.issuperset(rules):
        return [*rules, "key changed"]
    if (old.from_names, old.format) == (new.from_names, new.format):
        return rules
    key_rule = "key text reinterpreted" if reads_differently(old, new) else "key mapping changed"
    return [key_rule if rule == "mapping changed" else rule for rule in rules]


def _default_rule(old: Field, new: Field) -> list[str]:
    if old.default is NO_DEFAULT:
        return [] if new.default is NO_DEFAULT else ["default added"]
    convert = conversion(old, new).convert
    if convert is None:  # the change is refused by another rule
        return []
    # The same default, as a value of the new kind, is not a change.
    expected = None if old.default is None else convert(old.default)
    return [] if new.default is not NO_DEFAULT and new.default == expected else ["default changed"]
