"""Settings of a published source: which of them may change, and what a change of each one costs. Pure.

entity.toml has no versions, yet it decides the keys and positions of what is in the log. Publishing therefore
records the settings that do so; the gate compares them from then on.
"""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from schemas.catalog.entity import Entity
from schemas.evolution.rules import SETTING_RULES, Rule
from schemas.refusals import shown
from schemas.sources.kind import RENAMED, Setting, Source
from schemas.sources.kinds import KINDS, kind_of

_IN_USE, _GONE = "in use", "gone"


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
    return name.partition(":")[0] in KINDS


def _texts(source: Source) -> Iterator[tuple[Setting, str]]:
    """The recorded settings but for the name, each with its value as one text."""
    for setting in kind_of(source).settings:
        if setting.rules and setting.rules != RENAMED:
            value = setting.value(source) if setting.value else getattr(source, setting.name)
            yield setting, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def settings_as_markdown() -> str:
    """The table of all settings, for docs/evolution.md."""
    lines = ["| source | setting | what a change may be | why |", "|---|---|---|---|"]
    for kind in KINDS.values():
        lines += [
            f"| {kind.name} | `{each.name}` | {' or '.join(each.rules) or 'free'} | {each.why} |"
            for each in kind.settings
        ]
    return "\n".join(lines)
