"""`headwater schemas check`: classify the changes of new versions, and find those that are refused."""

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
from schemas.catalog.entity import Catalog, Entity
from schemas.catalog.gate import Finding, against_table, findings, malformed_finding
from schemas.catalog.loader import check_together, read_entity
from schemas.catalog.published import read_published
from schemas.catalog.source_settings import is_recorded
from schemas.errors import ConfigurationError, HeadwaterError
from schemas.evolution.rules import Category
from schemas.payload.codec import SchemaRegistry
from schemas.settings import Settings

_COLUMNS = ("entity", "from", "to", "field", "rule", "category", "remedy")


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "check",
        "list what new versions change, what that costs, and what is refused",
        example="headwater schemas check school --json",
        run=run,
        description=(
            "Compares each unpublished version with all older ones, and the newest with the warehouse's "
            "table. Each change is additive or widening (applied live), rebuild (correct only after the "
            "replay that is named), or refused. Changes nothing. Exit code 0, 3 when a rebuild is needed, 2 "
            "when anything is refused."
        ),
    )
    parser.add_argument("entities", nargs="*", metavar="ENTITY", help="such as school; all by default")
    parser.add_argument("--all", action="store_true", help="check published versions as well")
    add_home(parser)
    add_json(parser)
    add_warehouse(parser)


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, 3 or 2. Raises HeadwaterError if the warehouse can't be read, after the output."""
    settings = settings_of(options)
    folders = folders_of(settings.home, options.entities)
    checked = check_folders(folders, options.all)
    for folder in folders:
        _report_unrecorded(folder)
    failure = _ask_warehouse(settings, checked)
    lines = list(_grouped(checked.sorted()))
    if options.json:
        show_json(checked.as_json())
    elif lines:
        show_table(_COLUMNS, lines)
    tell(f"{counted(checked.count, 'entity', 'entities')}: {_summary(lines)}")
    if failure is not None:
        raise failure
    return exit_code(checked.findings)


def _report_unrecorded(folder: Path) -> None:
    """Print a hint if the entity was published before settings of sources were recorded."""
    with suppress(ConfigurationError):  # an unreadable published.json is reported as a finding
        published = read_published(folder)
        if published and not any(is_recorded(name) for name in published):
            tell(
                f"{folder.name}: published before settings of sources were recorded, so that no change of "
                f"them is seen: run `headwater schemas publish {folder.name}` before entity.toml changes"
            )


@dataclass(slots=True)
class Checked:
    """The entities of some folders, and the findings about them.

    `count` is the number of folders; `warehouse` is True if the live tables were checked as well.
    """

    count: int
    entities: dict[str, Entity] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    warehouse: bool = False

    def sorted(self) -> list[Finding]:
        """Return the findings by category, the worst last: that is next to the prompt of a terminal."""
        return sorted(self.findings, key=lambda finding: finding.category)

    def as_json(self) -> dict[str, Any]:
        worst = max((finding.category for finding in self.findings), default=None)
        return {
            "category": worst and worst.word,
            "warehouse": self.warehouse,
            "findings": [_as_json(finding) for finding in self.sorted()],
        }


def check_folders(folders: Sequence[Path], every: bool = False) -> Checked:
    """Check the files of all entities; a malformed one does not stop the others."""
    checked = Checked(len(folders))
    for folder in folders:
        try:
            checked.entities[folder.name] = read_entity(folder)
        except ConfigurationError as error:
            checked.findings.append(malformed_finding(folder.name, str(error)))
    for folder in folders:
        if folder.name in checked.entities:
            checked.findings += _version_findings(folder, checked.entities[folder.name], every)
    # Rules across entities need all entities, so that they are checked last.
    try:
        check_together(checked.entities)
    except ConfigurationError as error:
        checked.findings.append(malformed_finding("", str(error)))
    return checked


def _version_findings(folder: Path, entity: Entity, every: bool) -> list[Finding]:
    try:
        return findings(entity, read_published(folder), every)
    except ConfigurationError as error:
        return [malformed_finding(folder.name, str(error)), *findings(entity, {}, every)]


def _ask_warehouse(settings: Settings, checked: Checked) -> HeadwaterError | None:
    """Add the findings about the live tables. Return the error if the warehouse can't be read."""
    if settings.warehouse is None and settings.warehouse_secret is None:
        tell("no warehouse was asked: neither --warehouse nor HEADWATER_WAREHOUSE names one")
        return None
    # An empty registry is enough, since no event is decoded.
    here = Installation(settings, Catalog(checked.entities, SchemaRegistry()))
    try:
        checked.findings += _table_findings(here)
        checked.warehouse = True
    except HeadwaterError as error:  # raised by the caller after the findings about the files are printed
        return error
    return None


def _table_findings(here: Installation) -> list[Finding]:
    results: list[Finding] = []
    with here.warehouse() as warehouse:
        for entity in here.catalog.entities.values():
            for table in warehouse.revisions(entity.name):
                if table.state == "live":
                    results += against_table(
                        entity, table.number, table.schema_version, table.schema_fingerprint
                    )
    return results


def exit_code(results: Iterable[Finding]) -> int:
    """Return the exit code of the worst finding."""
    worst = max((finding.category for finding in results), default=Category.ADDITIVE)
    return {Category.REBUILD: FINDINGS, Category.REFUSED: REFUSED}.get(worst, DONE)


def show_findings(results: Sequence[Finding]) -> None:
    """Print the findings; those that several older versions share are one line."""
    if results:
        show_table(_COLUMNS, _grouped(results))


def _grouped(results: Iterable[Finding]) -> Iterator[Sequence[str]]:
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in results:
        # Findings that differ only in the older version share a group: v1 to v4 is one line.
        older = "v" if finding.older.startswith("v") else finding.older
        kind = (finding.entity, older, finding.newer, finding.field, finding.rule.name, finding.remedy)
        groups.setdefault(kind, []).append(finding)
    for first, *more in groups.values():
        older = f"{first.older} to {more[-1].older}" if more else first.older
        rule, category = first.rule.name, first.category.word
        yield first.entity, older, first.newer, first.field, rule, category, first.remedy


def _summary(lines: Iterable[Sequence[str]]) -> str:
    counts = Counter(line[_COLUMNS.index("category")] for line in lines)
    parts = [f"{counts[category.word]} {category.word}" for category in Category if counts[category.word]]
    return ", ".join(parts) or "nothing changes"


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
