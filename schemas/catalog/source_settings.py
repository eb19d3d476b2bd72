"""Settings of a published source: which of them may change, and what a change of each one costs. Pure.

entity.toml has no versions, yet it decides the keys and positions of what is in the log. Publishing therefore
records the settings that do so; the gate compares them from then on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from schemas.catalog.entity import CsvSource, DynamoDbSource, Entity, Mode, Source
from schemas.evolution.formats import reads_differently
from schemas.evolution.rules import SETTING_RULES, Rule
from schemas.payload.fields import Field, FieldType
from schemas.refusals import shown

_IN_USE, _GONE = "in use", "gone"
_TEXTS = (FieldType.STRING, FieldType.ENUM)

Judge = Callable[[Entity, Source, str, str], str]
"""Entity and source as they are now, the setting's published text and its text now: the name of a rule."""


class Change(NamedTuple):
    """A recorded setting that is no longer what was published."""

    source: str
    setting: str
    before: str
    now: str
    rule: Rule

    @property
    def sentence(self) -> str:
        """As an error says it."""
        return (
            f"{self.source}, {self.setting}: {self.rule.name}: is published as {shown(self.before)}, found "
            f"{shown(self.now)}: {self.rule.what}; allowed: {self.rule.remedy}"
        )


class Setting(NamedTuple):
    """One property of a source. `rules`: names of those that a change of it may meet, none where it is free:
    then it is not recorded. `judge` chooses among several."""

    name: str
    why: str
    rules: tuple[str, ...] = ()
    judge: Judge | None = None


def _dated(_entity: Entity, _source: Source, before: str, now: str) -> str:
    if "null" in (before, now):
        return "order of files changed"
    old, new = (Field("f", FieldType.DATE, format=each) for each in (before, now))
    return "order of files changed" if reads_differently(old, new) else "dated otherwise"


def _trimmed(entity: Entity, source: Source, _before: str, _now: str) -> str:
    has_text = any(field.kind in _TEXTS for field in entity.key_fields)
    swept = isinstance(source, CsvSource) and source.mode is Mode.SNAPSHOT
    return "key texts changed" if has_text and not swept else "cells read otherwise"


_NAME, _CELLS = ("source renamed", "source gone"), ("cells read otherwise",)

CSV_SETTINGS = (
    Setting("csv", "the source's name is part of the hash of every key", _NAME),
    Setting(
        "mode", "decides whether a file deletes what it leaves out, but no key or position", ("mode changed",)
    ),
    Setting("encoding", "decides the texts of cells; a supplier may switch to another", _CELLS),
    Setting("delimiter", "decides what a cell is; a supplier may switch to another", _CELLS),
    Setting("header", "decides which cell is which field; a supplier may add columns", _CELLS),
    Setting(
        "effective",
        "decides the form of positions, hence which file is newer; a pattern may change where it reads the "
        "same date from a name",
        ("order of files changed", "dated otherwise"),
        _dated,
    ),
    Setting(
        "trim",
        "decides the texts of keys: refused where the key has a text, unless a snapshot's sweep removes the "
        "rows with the former keys",
        ("key texts changed", "cells read otherwise"),
        _trimmed,
    ),
    Setting("min_rows", "no key or position depends on it"),
    Setting("reject_limit", "no key or position depends on it"),
    Setting("quoting", "decides what a cell is; a supplier may switch to another form", _CELLS),
    Setting("skip_lines", "a supplier may add or drop a title; rows are counted from the header"),
    Setting("older_files", "decides which files are taken, but no key or position"),
    Setting("max_deleted", "decides whether a file deletes what it leaves out, but no key or position"),
)
DYNAMODB_SETTINGS = (
    Setting(
        "dynamodb", "the name stays, by `alias`; the streams' labels order the tables", ("table changed",)
    ),
    Setting("alias", "the source's name is part of the hash of every key", _NAME),
    Setting("where", "decides which items are rows", ("items selected otherwise",)),
    Setting("table_key", "compared with every record; the key of a row is `key`"),
    Setting("hashed_numbers", "used only by the local runtime, to create the table"),
)
_RECORDED: Mapping[str, Callable[[Source], object]] = {
    "mode": lambda source: source.mode if isinstance(source, CsvSource) else None,
    "dynamodb": lambda source: source.table if isinstance(source, DynamoDbSource) else None,
    "where": lambda source: dict(source.where) if isinstance(source, DynamoDbSource) else None,
}


def settings_of(source: Source) -> tuple[Setting, ...]:
    """Every property that the source may have."""
    return CSV_SETTINGS if isinstance(source, CsvSource) else DYNAMODB_SETTINGS


def recorded(entity: Entity, published: Mapping[str, str]) -> dict[str, str]:
    """What published.json says of the sources: their names, and their settings. A source that is gone keeps
    its settings there, in case it comes back."""
    kept = {name: text for name, text in published.items() if is_recorded(name)}
    kept = {name: _GONE if text == _IN_USE else text for name, text in kept.items()}
    for source in entity.sources:
        kept[source.name] = _IN_USE
        kept |= {f"{source.name} {setting.name}": text for setting, text in _texts(source)}
    return kept


def changes(entity: Entity, published: Mapping[str, str]) -> Iterator[Change]:
    """Each recorded setting that is another one now. Nothing where none was recorded."""
    for source in entity.sources:
        for setting, now in _texts(source):
            before = published.get(f"{source.name} {setting.name}")
            if before is not None and before != now:
                judge = setting.judge
                rule = judge(entity, source, before, now) if judge else setting.rules[0]
                yield Change(source.name, setting.name, before, now, SETTING_RULES[rule])
    yield from _gone(entity, published)


def _gone(entity: Entity, published: Mapping[str, str]) -> Iterator[Change]:
    """A source that goes while another of its kind comes was renamed: there is no telling them apart."""
    names = {source.name for source in entity.sources}
    new = {name.partition(":")[0] for name in names if name not in published}
    for name in (each for each, text in published.items() if text == _IN_USE and each not in names):
        kind = name.partition(":")[0]
        rule = "source renamed" if kind in new else "source gone"
        yield Change(name, kind, _IN_USE, _GONE, SETTING_RULES[rule])


def is_recorded(name: str) -> bool:
    """Whether this name in published.json is about a source, and no file."""
    return name.startswith(("csv:", "dynamodb:"))


def _texts(source: Source) -> Iterator[tuple[Setting, str]]:
    """The recorded settings but for the name, each with its value as one text."""
    for setting in settings_of(source):
        if setting.rules and setting.rules != _NAME:
            read = _RECORDED.get(setting.name)
            value = read(source) if read else getattr(source, setting.name)
            yield setting, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def settings_as_markdown() -> str:
    """The table of all settings, for docs/evolution.md."""
    lines = ["| source | setting | what a change may be | why |", "|---|---|---|---|"]
    for kind, settings in (("csv", CSV_SETTINGS), ("dynamodb", DYNAMODB_SETTINGS)):
        lines += [
            f"| {kind} | `{each.name}` | {' or '.join(each.rules) or 'free'} | {each.why} |"
            for each in settings
        ]
    return "\n".join(lines)
