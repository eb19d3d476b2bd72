"""`headwater schemas check`: what a new version changes, what that costs, and what is refused."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.commands.schemas.arguments import add_home, folders_of, settings_of
from headwater.exit_codes import DONE, FINDINGS, REFUSED
from headwater.installation import Installation
from headwater.output import counted, show_json, show_table, tell
from headwater.parsing import Commands, add_command, add_json, add_warehouse
from headwater.settings import Settings
from schemas.catalog.entity import Catalog, Entity
from schemas.catalog.gate import Finding, against_table, findings, malformed
from schemas.catalog.loader import check_together, read_entity
from schemas.catalog.published import read_published
from schemas.catalog.source_settings import is_recorded
from schemas.errors import ConfigurationError, HeadwaterError
from schemas.evolution.rules import Category
from schemas.payload.codec import SchemaRegistry

_COLUMNS = ("entity", "from", "to", "field", "rule", "category", "remedy")


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "check",
        "say what new versions change, what that costs, and what is refused",
        "headwater schemas check school --json",
        run,
        "Compares each version that is not published with all older ones, and the newest with the "
        "warehouse's table. Each change is additive or widening (applied live), rebuild (correct only after "
        "the replay that is named), or refused. Changes nothing. Exit code 0, 3 when a rebuild is needed, 2 "
        "when anything is refused.",
    )
    parser.add_argument(
        "entities", nargs="*", metavar="ENTITY", help="such as school; all where none is named"
    )
    parser.add_argument("--all", action="store_true", help="published versions as well")
    add_home(parser)
    add_json(parser)
    add_warehouse(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 0, 3 or 2. What the warehouse has against being asked is raised when the rest is told."""
    settings = settings_of(options)
    folders = folders_of(settings.home, options.entities)
    checked = check_folders(folders, options.all)
    for folder in folders:
        _tell_unrecorded(folder)
    away = _ask_warehouse(settings, checked)
    lines = list(_grouped(checked.sorted()))
    if options.json:
        show_json(checked.as_json())
    elif lines:
        show_table(_COLUMNS, lines)
    tell(f"{counted(checked.count, 'entity', 'entities')}: {_summary(lines)}")
    if away is not None:
        raise away
    return exit_code(checked.found)


def _tell_unrecorded(folder: Path) -> None:
    """Of an entity that was published before settings of sources were recorded. A published.json that cannot
    be read is a finding."""
    with suppress(ConfigurationError):
        published = read_published(folder)
        if published and not any(is_recorded(name) for name in published):
            tell(
                f"{folder.name}: published before settings of sources were recorded, so that no change of "
                f"them is seen: run `headwater schemas publish {folder.name}` before entity.toml changes"
            )


@dataclass(slots=True)
class Checked:
    """Entities as their files say, and all that there is to say of them."""

    count: int
    entities: dict[str, Entity] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)
    warehouse: bool = False

    def sorted(self) -> list[Finding]:
        """The cheapest first, so that what matters most stands last, where a terminal ends."""
        return sorted(self.found, key=lambda each: each.category)

    def as_json(self) -> dict[str, Any]:
        worst = max((each.category for each in self.found), default=None)
        return {
            "category": worst and worst.word,
            "warehouse": self.warehouse,
            "findings": [_as_json(each) for each in self.sorted()],
        }


def check_folders(folders: Sequence[Path], every: bool = False) -> Checked:
    """All that the files alone say, of all entities: nothing stops at the first."""
    checked = Checked(len(folders))
    for folder in folders:
        try:
            checked.entities[folder.name] = read_entity(folder)
        except ConfigurationError as error:
            checked.found.append(malformed(folder.name, str(error)))
    for folder in folders:
        if folder.name in checked.entities:
            checked.found += _of_versions(folder, checked.entities[folder.name], every)
    try:
        check_together(checked.entities)
    except ConfigurationError as error:
        checked.found.append(malformed("", str(error)))
    return checked


def _of_versions(folder: Path, entity: Entity, every: bool) -> list[Finding]:
    try:
        return findings(entity, read_published(folder), every)
    except ConfigurationError as error:
        return [malformed(folder.name, str(error)), *findings(entity, {}, every)]


def _ask_warehouse(settings: Settings, checked: Checked) -> HeadwaterError | None:
    """Adds what the live tables say. Returns why they could not be asked."""
    if settings.warehouse is None and settings.warehouse_secret is None:
        tell("no warehouse was asked: neither --warehouse nor HEADWATER_WAREHOUSE names one")
        return None
    here = Installation(settings, Catalog(checked.entities, SchemaRegistry()))
    try:
        checked.found += _of_tables(here)
        checked.warehouse = True
    except HeadwaterError as error:
        return error
    return None


def _of_tables(here: Installation) -> list[Finding]:
    found: list[Finding] = []
    with here.warehouse() as warehouse:
        for entity in here.catalog.entities.values():
            for each in warehouse.revisions(entity.name):
                if each.state == "live":
                    found += against_table(entity, each.number, each.schema_version, each.schema_fingerprint)
    return found


def exit_code(found: Iterable[Finding]) -> int:
    """The one of the worst finding."""
    worst = max((each.category for each in found), default=Category.ADDITIVE)
    return {Category.REBUILD: FINDINGS, Category.REFUSED: REFUSED}.get(worst, DONE)


def show_findings(found: Sequence[Finding]) -> None:
    """One line for what several older versions have in common."""
    if found:
        show_table(_COLUMNS, _grouped(found))


def _grouped(found: Iterable[Finding]) -> Iterator[Sequence[str]]:
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for each in found:
        older = "v" if each.older.startswith("v") else each.older
        alike.setdefault(
            (each.entity, older, each.newer, each.field, each.rule.name, each.remedy), []
        ).append(each)
    for each, *more in alike.values():
        older = f"{each.older} to {more[-1].older}" if more else each.older
        yield each.entity, older, each.newer, each.field, each.rule.name, each.category.word, each.remedy


def _summary(lines: Iterable[Sequence[str]]) -> str:
    counts = Counter(line[_COLUMNS.index("category")] for line in lines)
    told = [f"{counts[category.word]} {category.word}" for category in Category if counts[category.word]]
    return ", ".join(told) or "nothing changes"


def _as_json(finding: Finding) -> dict[str, str | None]:
    return {
        "entity": finding.entity or None,
        "from": finding.older or None,
        "to": finding.newer or None,
        "field": finding.field or None,
        "rule": finding.rule.name,
        "category": finding.category.word,
        "what": finding.rule.what,
        "remedy": finding.remedy,
    }
