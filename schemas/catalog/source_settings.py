"""Settings of a published source: which of them may change, and the cost of changing them. Pure.

entity.toml has no versions, but it decides the keys and positions of events in the log. So publishing records
the settings that do, and the gate compares them from then on.
"""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from schemas.catalog.entity import Entity
from schemas.evolution.rules import SETTING_RULES, Rule
from schemas.refusals import shown
from schemas.sources.kind import RENAMED, Setting
from schemas.sources.kinds import KINDS, kind_of
from schemas.sources.source import Source

_IN_USE, _GONE = "in use", "gone"


class SettingChange(NamedTuple):
    """A recorded setting that differs from its published value."""

    source: str
    setting: str
    before: str
    now: str
    rule: Rule

    @property
    def sentence(self) -> str:
        """The text of the change as an error."""
        return (
            f"{self.source}, {self.setting}: {self.rule.name}: is published as {shown(self.before)}, found "
            f"{shown(self.now)}: {self.rule.what}; allowed: {self.rule.remedy}"
        )


def recorded(entity: Entity, published: Mapping[str, str]) -> dict[str, str]:
    """Return the entries of published.json about sources: their names and settings."""
    # A removed source keeps its settings here, in case it comes back.
    kept = {name: text for name, text in published.items() if is_recorded(name)}
    kept = {name: _GONE if text == _IN_USE else text for name, text in kept.items()}
    for source in entity.sources:
        kept[source.name] = _IN_USE
        kept |= {f"{source.name} {setting.name}": text for setting, text in _texts(source)}
    return kept


def changes(entity: Entity, published: Mapping[str, str]) -> Iterator[SettingChange]:
    """Yield every recorded setting whose value changed. Settings that were never recorded are skipped."""
    for source in entity.sources:
        for setting, now in _texts(source):
            before = published.get(f"{source.name} {setting.name}")
            if before is not None and before != now:
                judge = setting.judge
                rule = judge(entity, source, before, now) if judge else setting.rules[0]
                yield SettingChange(
                    source=source.name,
                    setting=setting.name,
                    before=before,
                    now=now,
                    rule=SETTING_RULES[rule],
                )
    yield from _gone(entity, published)


def _gone(entity: Entity, published: Mapping[str, str]) -> Iterator[SettingChange]:
    """Yield the published sources that were removed."""
    names = {source.name for source in entity.sources}
    # A rename looks the same as a removal and an addition of one kind in one step, so these are refused as
    # well.
    new = {name.partition(":")[0] for name in names if name not in published}
    for name in (source for source, text in published.items() if text == _IN_USE and source not in names):
        kind = name.partition(":")[0]
        rule = "source renamed" if kind in new else "source removed"
        yield SettingChange(source=name, setting=kind, before=_IN_USE, now=_GONE, rule=SETTING_RULES[rule])


def is_recorded(name: str) -> bool:
    """Return whether this name in published.json is about a source, not about a file."""
    return name.partition(":")[0] in KINDS


def _texts(source: Source) -> Iterator[tuple[Setting, str]]:
    """Yield the recorded settings other than the name, each with its value as text."""
    for setting in kind_of(source).settings:
        if setting.rules and setting.rules != RENAMED:
            value = setting.value(source) if setting.value else getattr(source, setting.name)
            yield setting, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def settings_as_markdown() -> str:
    """Return the table of all settings, for docs/evolution.md."""
    lines = ["| source | setting | what a change may be | why |", "|---|---|---|---|"]
    for kind in KINDS.values():
        lines += [
            f"| {kind.name} | `{setting.name}` | {' or '.join(setting.rules) or 'free'} | {setting.why} |"
            for setting in kind.settings
        ]
    return "\n".join(lines)
