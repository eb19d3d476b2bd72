"""The rules of the gate: changes between two versions of a schema, and what each one costs. Pure.

docs/evolution.md contains this table, as printed by `headwater schemas rules`.
"""

from enum import IntEnum
from typing import NamedTuple


class Category(IntEnum):
    """The cost of a change, in increasing order. Of several changes the most expensive decides."""

    ADDITIVE = 1
    """Applied live: a new column, or nothing at all."""
    WIDENING = 2
    """Applied live by ALTER COLUMN: existing values stay the same."""
    REBUILD = 3
    """Correct only after a replay into a new revision."""
    REFUSED = 4
    """Never allowed: the log or the tables would become inconsistent."""

    @property
    def word(self) -> str:
        return self.name.lower()


class Rule(NamedTuple):
    """One kind of change.

    `what` describes it. `remedy` is what its author must do, where `{entity}` is replaced by the name of the
    entity.
    """

    name: str
    category: Category
    what: str
    remedy: str


_REBUILT = "run `headwater replay rebuild {entity}` with the new version before its consumers and producers"
_NOTHING = "nothing to do"


def _rules(*rules: Rule) -> dict[str, Rule]:
    return {rule.name: rule for rule in rules}


RULES = _rules(
    Rule(
        "field added",
        Category.ADDITIVE,
        "a new field with a default",
        "nothing to do: existing rows get the default, tombstones too",
    ),
    Rule(
        "field retired",
        Category.ADDITIVE,
        "a removed field",
        "nothing to do: its column stays, and new rows get its default or NULL",
    ),
    Rule(
        "field renamed",
        Category.ADDITIVE,
        'a field with a new name, and the old one in "aliases"',
        "inform the report developers: the view has only the new name",
    ),
    Rule("null allowed", Category.ADDITIVE, "a field that may now be null", _NOTHING),
    Rule("default added", Category.ADDITIVE, "a default for a field without one", _NOTHING),
    Rule("symbol added", Category.ADDITIVE, "more symbols of an enum", _NOTHING),
    Rule("mapping changed", Category.ADDITIVE, "a different `from`, `format` or list of casts", _NOTHING),
    Rule(
        "key mapping changed",
        Category.ADDITIVE,
        "a different `from` of a key field, or a `format` that gives no text a different value",
        "check that every row keeps its key: a row with a new key becomes a second row",
    ),
    Rule(
        "key text reinterpreted",
        Category.ADDITIVE,
        "a `format` of a key field that gives a text a different value, such as 01/02/2024 or Y",
        "correct only if the source now writes its values this way, otherwise every row is duplicated; "
        "do not drop older files again",
    ),
    Rule("int to long", Category.WIDENING, "int becomes long", _NOTHING),
    Rule("float to double", Category.WIDENING, "float becomes double", _NOTHING),
    Rule("longer", Category.WIDENING, "a greater `maxLength`, or none", _NOTHING),
    Rule("more digits", Category.WIDENING, "a decimal with greater precision and the same scale", _NOTHING),
    Rule("enum to string", Category.WIDENING, "an enum becomes a string that is long enough", _NOTHING),
    Rule(
        "exact number",
        Category.REBUILD,
        "int or long becomes a decimal with enough digits for all values; int becomes double",
        _REBUILT,
    ),
    Rule(
        "finer scale",
        Category.REBUILD,
        "a decimal with greater scale, and at least as many digits before the point",
        _REBUILT,
    ),
    Rule("finer time", Category.REBUILD, "milliseconds become microseconds", _REBUILT),
    Rule("declared cast", Category.REBUILD, 'the old kind is in "headwater.casts" of the field', _REBUILT),
    Rule(
        "made private",
        Category.REBUILD,
        "a field that is now masked, hashed or dropped, or hidden more than before",
        _REBUILT + ": until then readers see the old values. They stay in the log",
    ),
    Rule(
        "made less private",
        Category.REBUILD,
        "a field that is no longer hashed or masked, or is hidden less than before",
        _REBUILT + ", after the person responsible for privacy has agreed: existing values become NULL",
    ),
    Rule(
        "added without a default",
        Category.REFUSED,
        "a new field without a default",
        'add a default, for example null with type ["null", ...]',
    ),
    Rule(
        "default changed",
        Category.REFUSED,
        "a different default, or none where there was one",
        "keep the old default, which existing rows have; a new field may have another",
    ),
    Rule(
        "null forbidden",
        Category.REFUSED,
        "a field that may no longer be null",
        "keep null: the log may contain null values",
    ),
    Rule(
        "shorter",
        Category.REFUSED,
        "a smaller `maxLength`, or a new one",
        "keep the old length: the log may contain longer values",
    ),
    Rule(
        "fewer digits",
        Category.REFUSED,
        "a decimal with fewer digits before or after the point",
        "keep the digits: the log may contain values that need them",
    ),
    Rule(
        "symbol removed",
        Category.REFUSED,
        "an enum without one of its symbols",
        "keep the symbol: the log may contain it",
    ),
    Rule(
        "coarser time",
        Category.REFUSED,
        "microseconds become milliseconds",
        "keep microseconds: the log may contain them",
    ),
    Rule(
        "kind changed",
        Category.REFUSED,
        "a kind that cannot represent every old value",
        'add the old kind to "headwater.casts" if a cast exists, otherwise add a new field',
    ),
    Rule(
        "key changed",
        Category.REFUSED,
        "different key fields, or a key field with a different kind or privacy; a different `from` or "
        "`format` is allowed",
        "a changed key is a new entity",
    ),
    Rule(
        "name reused",
        Category.REFUSED,
        "a field with the name of a retired or dropped field",
        "use a new name",
    ),
)

FILE_RULES = _rules(
    Rule(
        "malformed",
        Category.REFUSED,
        "an invalid file, a gap between versions, a conflicting alias, a key field that may be null",
        "the message names file, field and what is allowed",
    ),
    Rule(
        "published version changed",
        Category.REFUSED,
        "a published version, or the key of the entity, was changed",
        "restore it, and add a new version",
    ),
    Rule(
        "equal versions",
        Category.REFUSED,
        "a version that equals the one before it",
        "remove it",
    ),
    Rule(
        "unknown alias",
        Category.REFUSED,
        "an alias that is not the name of a field in an older version",
        "use the name of the field in an older version",
    ),
    Rule(
        "table of another version",
        Category.REFUSED,
        "the table in the warehouse was created by a version that is not in the folder",
        "use the folder that contains it",
    ),
)
"""Faults of the files themselves, whatever they change."""

_AS_PUBLISHED = "restore what is published"

SETTING_RULES = _rules(
    Rule(
        "mode changed",
        Category.ADDITIVE,
        "a different `mode` of a published feed",
        "with snapshot, the next file deletes rows that it does not contain; in other modes none does",
    ),
    Rule(
        "parsing changed",
        Category.ADDITIVE,
        "a different `encoding`, `delimiter`, `quoting` or `header` of a published feed, or a `trim` that "
        "leaves no row with an old key",
        "check that every row keeps its key, and do not drop older files again",
    ),
    Rule(
        "date pattern changed",
        Category.ADDITIVE,
        "a different `effective` of a published feed that reads the same date from file names",
        "do not rename files that were dropped already",
    ),
    Rule(
        "selection changed",
        Category.ADDITIVE,
        "a different `where` of a published table",
        "items that are no longer selected keep their rows; newly selected items arrive with their next "
        "change",
    ),
    Rule(
        "table changed",
        Category.ADDITIVE,
        "a different table with the same `alias`",
        "its stream must be newer than that of the old table, or its changes lose: if it is not, disable the "
        "stream and enable it again",
    ),
    Rule(
        "source removed",
        Category.ADDITIVE,
        "a published source that is no longer in entity.toml",
        "nothing to do if it was retired: its rows stay",
    ),
    Rule(
        "source renamed",
        Category.REFUSED,
        "a published source is removed while one of the same kind is added: its name is part of every key, "
        "so all rows would be duplicated",
        f"{_AS_PUBLISHED}; to retire one source and add another, publish the two changes one after the other",
    ),
    Rule(
        "order of files changed",
        Category.REFUSED,
        "`effective` added to a published feed or removed from it, or one that reads another date from file "
        "names: newer files would silently lose to older ones",
        f"{_AS_PUBLISHED}; to order files by the date in their names, create a new entity that has "
        "`effective` from the start, and drop the files again for it",
    ),
    Rule(
        "key texts changed",
        Category.REFUSED,
        "a different `trim` of a published feed with text in its key: a key with blanks would become a "
        "second row",
        f"{_AS_PUBLISHED}, or create a new entity. A feed with mode snapshot may change it: its sweep "
        "deletes the rows with the old keys",
    ),
)
"""Changes of the sources in entity.toml since they were published."""


def rules_as_markdown() -> str:
    """Return the table of all rules, the cheapest first, for docs/evolution.md."""
    rules = sorted(
        (*RULES.values(), *SETTING_RULES.values(), *FILE_RULES.values()), key=lambda rule: rule.category
    )
    lines = [f"| {rule.name} | {rule.category.word} | {rule.what} | {rule.remedy} |" for rule in rules]
    return "\n".join(["| rule | category | what | what to do |", "|---|---|---|---|", *lines])
