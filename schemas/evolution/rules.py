"""The rules of the gate: what may change between two versions of a schema, and what it costs. Pure.

docs/evolution.md holds this table; it is written from here (`headwater schemas rules`).
"""

from enum import IntEnum
from typing import NamedTuple


class Category(IntEnum):
    """What a change costs, the cheapest first: of several changes the greatest decides."""

    ADDITIVE = 1
    """Applied live: a new column, or nothing at all."""
    WIDENING = 2
    """Applied live by ALTER COLUMN: every value that is there stays the same value."""
    REBUILD = 3
    """Correct only after a replay into a new revision."""
    REFUSED = 4
    """Never: the log or the tables would break."""

    @property
    def word(self) -> str:
        return self.name.lower()


class Rule(NamedTuple):
    """One kind of change. `remedy` is what its author is told; `{entity}` stands for the entity's name."""

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
        "a field that is new, with a default",
        "nothing to do: rows that are there take the default, tombstones too",
    ),
    Rule(
        "field retired",
        Category.ADDITIVE,
        "a field that is gone",
        "nothing to do: its column stays, and later rows have its default or NULL",
    ),
    Rule(
        "field renamed",
        Category.ADDITIVE,
        'a field under a new name, with the old one in "aliases"',
        "tell the report developers: the view shows the new name only",
    ),
    Rule("null allowed", Category.ADDITIVE, "a field that may be null now", _NOTHING),
    Rule("default given", Category.ADDITIVE, "a default where there was none", _NOTHING),
    Rule("symbol added", Category.ADDITIVE, "an enum with more symbols", _NOTHING),
    Rule("read otherwise", Category.ADDITIVE, "another `from`, `format` or list of casts", _NOTHING),
    Rule(
        "key read otherwise",
        Category.ADDITIVE,
        "another `from` of a key field, or a `format` that reads no text as another value than before",
        "see that each row keeps its key: one that gets another is a second row beside the first",
    ),
    Rule(
        "key texts turned round",
        Category.ADDITIVE,
        "a `format` of a key field that reads a text as another value than before, as 01/02/2024 or Y",
        "only where the source itself has turned them round, else each row stands twice; files from before "
        "must not be dropped again",
    ),
    Rule("int to long", Category.WIDENING, "int becomes long", _NOTHING),
    Rule("float to double", Category.WIDENING, "float becomes double", _NOTHING),
    Rule("longer", Category.WIDENING, "a greater `maxLength`, or none any more", _NOTHING),
    Rule("more digits", Category.WIDENING, "a decimal of greater precision and equal scale", _NOTHING),
    Rule("enum to string", Category.WIDENING, "an enum becomes a string that is long enough", _NOTHING),
    Rule(
        "exact number",
        Category.REBUILD,
        "int or long becomes a decimal that holds all of them; int becomes double",
        _REBUILT,
    ),
    Rule(
        "finer scale",
        Category.REBUILD,
        "a decimal of greater scale, and no fewer digits before the point",
        _REBUILT,
    ),
    Rule("finer time", Category.REBUILD, "milliseconds become microseconds", _REBUILT),
    Rule("declared cast", Category.REBUILD, 'a kind that the field\'s "headwater.casts" names', _REBUILT),
    Rule(
        "made private",
        Category.REBUILD,
        "a field that is masked, hashed or dropped from now on, or more than before",
        _REBUILT + ": until then readers see the old values. The log keeps them",
    ),
    Rule(
        "made less private",
        Category.REBUILD,
        "a field that was hashed or masked, and is so no more",
        _REBUILT + ", after whoever answers for privacy has agreed: values so far become NULL",
    ),
    Rule(
        "added without a default",
        Category.REFUSED,
        "a field that is new, without a default",
        'give it a default; ["null", ...] with null does',
    ),
    Rule(
        "default changed",
        Category.REFUSED,
        "another default than before, or none",
        "leave it: rows made so far have the old one. A new field may have another",
    ),
    Rule(
        "null forbidden",
        Category.REFUSED,
        "a field that may be null no more",
        "leave the null: the log may hold some",
    ),
    Rule(
        "shorter",
        Category.REFUSED,
        "a smaller `maxLength`, or one where there was none",
        "leave it: the log may hold longer values",
    ),
    Rule(
        "fewer digits",
        Category.REFUSED,
        "a decimal with fewer digits before or behind the point",
        "leave it: the log may hold more digits",
    ),
    Rule(
        "symbol removed",
        Category.REFUSED,
        "an enum without a symbol that it had",
        "leave the symbol: the log may hold it",
    ),
    Rule(
        "coarser time",
        Category.REFUSED,
        "microseconds become milliseconds",
        "leave it: the log may hold microseconds",
    ),
    Rule(
        "kind changed",
        Category.REFUSED,
        "another kind, that not every old value has",
        'name the old kind in "headwater.casts" where there is a cast, else add a new field',
    ),
    Rule(
        "key changed",
        Category.REFUSED,
        "other key fields, or one of another kind or privacy: read by another `from` or `format` it is the "
        "same",
        "a changed key is a new entity",
    ),
    Rule(
        "name used again",
        Category.REFUSED,
        "a field with a name that a retired or dropped field had",
        "take a new name",
    ),
)

FILE_RULES = _rules(
    Rule(
        "malformed",
        Category.REFUSED,
        "a file that is not what it should be, a gap between versions, an alias that clashes, a key "
        "field that may be null",
        "the message says file, field and what is allowed",
    ),
    Rule(
        "published version changed",
        Category.REFUSED,
        "a published version, or the entity's key, is not as it was",
        "put it back, and make a new version",
    ),
    Rule(
        "equal versions",
        Category.REFUSED,
        "a version that says what the one before says",
        "take it away",
    ),
    Rule(
        "unknown alias",
        Category.REFUSED,
        "an alias that is no name of an older version",
        "name the field as an older version does",
    ),
    Rule(
        "table of another version",
        Category.REFUSED,
        "the warehouse's table was made by a version that is not here",
        "use the folder that has it",
    ),
)
"""What is wrong with the files whatever they change."""

_AS_PUBLISHED = "put back what is published"

SETTING_RULES = _rules(
    Rule(
        "mode changed",
        Category.ADDITIVE,
        "another `mode` of a published feed",
        "with snapshot the next file deletes what it leaves out; without it no file does any more",
    ),
    Rule(
        "cells read otherwise",
        Category.ADDITIVE,
        "another `encoding`, `delimiter` or `header` of a published feed, or another `trim` where no key "
        "that stays has blanks",
        "see that each row keeps its key, and do not drop files from before again",
    ),
    Rule(
        "dated otherwise",
        Category.ADDITIVE,
        "another `effective` of a published feed that reads the same date from a name",
        "rename no file that was dropped already",
    ),
    Rule(
        "items selected otherwise",
        Category.ADDITIVE,
        "another `where` of a published table",
        "items that it selects no more keep their rows; those that it selects newly come with their next "
        "change",
    ),
    Rule(
        "table changed",
        Category.ADDITIVE,
        "another table under the same `alias`",
        "its stream must be younger than the former table's: switch it off and on again where it is not, or "
        "its changes lose",
    ),
    Rule(
        "source gone",
        Category.ADDITIVE,
        "a published source that entity.toml does not have any more",
        "nothing to do where it was retired: its rows stay as they are",
    ),
    Rule(
        "source renamed",
        Category.REFUSED,
        "a published source that is gone while another of its kind is new: its name is part of every key, so "
        "all rows would be there twice",
        f"{_AS_PUBLISHED}; to retire one source and to add another, publish the two changes one after the "
        "other",
    ),
    Rule(
        "order of files changed",
        Category.REFUSED,
        "`effective` added to a published feed or taken from it, or one that reads another date from a name: "
        "newer files would lose against older ones without a word",
        f"{_AS_PUBLISHED}; to order files by the date in their names make a new entity that has `effective` "
        "from the start, and drop the files again for it",
    ),
    Rule(
        "key texts changed",
        Category.REFUSED,
        "another `trim` of a published feed whose key has a text: a key with blanks would be a second row "
        "beside the first",
        f"{_AS_PUBLISHED}, or make a new entity. A feed with mode snapshot may change it: its sweep removes "
        "the rows with the former keys",
    ),
)
"""What changes in the sources of entity.toml since they were published."""


def rules_as_markdown() -> str:
    """The table of all rules, the cheapest first, for docs/evolution.md."""
    rules = sorted(
        (*RULES.values(), *SETTING_RULES.values(), *FILE_RULES.values()), key=lambda rule: rule.category
    )
    lines = [f"| {rule.name} | {rule.category.word} | {rule.what} | {rule.remedy} |" for rule in rules]
    return "\n".join(["| rule | category | what | what to do |", "|---|---|---|---|", *lines])
