"""The gate: findings about a new version of an entity, before it is published. Pure.

It finds every change of a version against older ones, and faults of the files themselves.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from schemas.catalog.entity import Entity
from schemas.catalog.published import changed_versions
from schemas.catalog.source_settings import changes as changed_settings
from schemas.evolution.evolution import FieldChange
from schemas.evolution.rules import FILE_RULES, SETTING_RULES, Category, Rule
from schemas.payload.fingerprint import fingerprint
from schemas.refusals import unknown


class Finding(NamedTuple):
    """One fact to consider before a version is published.

    `older` is what it was compared with: a version, the table in the warehouse, or what was published of a
    source. `older`, `newer` and `field` are empty where they do not apply.
    """

    entity: str
    older: str
    newer: str
    field: str
    rule: Rule
    remedy: str
    """What to do. For a fault of a file, the whole sentence."""
    detail: str = ""
    """For a setting, the whole sentence with its value and the published one."""

    @property
    def category(self) -> Category:
        return self.rule.category

    @property
    def sentence(self) -> str:
        """The text of the finding as an error."""
        if self.rule.name in FILE_RULES:
            return self.remedy
        if self.rule.name in SETTING_RULES:
            return f"{self.newer}, {self.detail}"
        return (
            f"{self.newer}.avsc, field {self.field}: {self.rule.name} since {self.older}.avsc: "
            f"{self.rule.what}; allowed: {self.remedy}"
        )


def refusals(entity: Entity, published: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings that no version may have; the loader refuses the entity for them.

    `published` maps files to fingerprints (schemas.catalog.published).
    """
    yield from _broken(entity, published)
    for finding in _settings(entity, published):
        if finding.category is Category.REFUSED:
            yield finding
    for schema in entity.versions:
        yield from _refused(entity, schema.version)


def findings(entity: Entity, published: Mapping[str, str], every: bool = False) -> list[Finding]:
    """Return the changes of every unpublished version against all older ones.

    Changes that a published version made earlier are left out, unless they are refused. With `every`, all
    versions and all their changes are included.
    """
    results = [*_broken(entity, published), *_settings(entity, published)]
    last_published = 0
    for schema in entity.versions:
        newer = schema.version
        if f"v{newer}.avsc" in published and not every:
            last_published = newer
            # It may have been published against a rule, or before the rule existed.
            results += _refused(entity, newer)
            continue
        # Events of all older versions are in the log, so each is compared, not only the one before.
        for older in range(1, newer):
            results += _changes(entity, max(older, last_published), newer, f"v{older}")
    return results


def _settings(entity: Entity, published: Mapping[str, str]) -> Iterator[Finding]:
    for change in changed_settings(entity, published):
        yield Finding(
            entity=entity.name,
            older="published",
            newer="entity.toml",
            field=f"{change.source}, {change.setting}",
            rule=change.rule,
            remedy=change.rule.remedy,
            detail=change.sentence,
        )


def _refused(entity: Entity, newer: int) -> Iterator[Finding]:
    """Yield the refused changes of this version since the one before."""
    for finding in _changes(entity, newer - 1, newer) if newer > 1 else ():
        if finding.category is Category.REFUSED:
            yield finding


def against_table(entity: Entity, revision: int, version: int, schema_fingerprint: bytes) -> list[Finding]:
    """Return the findings of the newest version against a table in the warehouse.

    `schema_fingerprint` is that of the schema version `version`, which created the table.
    """
    table = f"table r{revision} (v{version})"
    if entity.evolution.has(schema_fingerprint):
        older = entity.until(schema_fingerprint).schema.version
        return list(_changes(entity, older, entity.schema.version, table))
    remedy = (
        f"the table in the warehouse was created by version {version} with fingerprint "
        f"{schema_fingerprint.hex()}, which is none of these versions; allowed: a folder that contains that "
        "version, unchanged"
    )
    rule = FILE_RULES["table of another version"]
    newer = f"v{entity.schema.version}"
    return [Finding(entity=entity.name, older=table, newer=newer, field="", rule=rule, remedy=remedy)]


def malformed_finding(entity: str, sentence: str) -> Finding:
    """Return the finding for an entity whose files could not be read."""
    rule = FILE_RULES["malformed"]
    return Finding(entity=entity, older="", newer="", field="", rule=rule, remedy=sentence)


def _changes(entity: Entity, older: int, newer: int, shown: str = "") -> Iterator[Finding]:
    for change in entity.evolution.changes(older, newer):
        yield _finding(entity.name, shown or f"v{older}", change)


def _finding(entity: str, older: str, change: FieldChange) -> Finding:
    remedy = change.rule.remedy.replace("{entity}", entity)
    return Finding(
        entity=entity,
        older=older,
        newer=f"v{change.newer}",
        field=change.field,
        rule=change.rule,
        remedy=remedy,
    )


def _broken(entity: Entity, published: Mapping[str, str]) -> Iterator[Finding]:
    for file, sentence in changed_versions(entity, published):
        rule = FILE_RULES["published version changed"]
        newer = file.removesuffix(".avsc")
        yield Finding(entity=entity.name, older="", newer=newer, field="", rule=rule, remedy=sentence)
    yield from _unknown_aliases(entity)
    yield from _equal_versions(entity)


def _unknown_aliases(entity: Entity) -> Iterator[Finding]:
    older: set[str] = set()
    for schema in entity.versions:
        for field in schema.fields:
            for alias in sorted(set(field.aliases).difference(older)):
                where = f"v{schema.version}.avsc, field {field.name}, aliases: not a name of an older version"
                sentence = str(unknown(where, alias, sorted(older)))
                yield Finding(
                    entity=entity.name,
                    older="",
                    newer=f"v{schema.version}",
                    field=field.name,
                    rule=FILE_RULES["unknown alias"],
                    remedy=sentence,
                )
        older.update(field.name for field in schema.fields)


def _equal_versions(entity: Entity) -> Iterator[Finding]:
    for before, after in pairwise(entity.versions):
        if before.fields != after.fields or before.dropped != after.dropped:
            continue  # spares a fingerprint, which takes longer than the comparison
        # The version number is part of a fingerprint, so the older record is compared under the newer number.
        if fingerprint({**before.avro, "headwater.version": after.version}) == after.fingerprint:
            sentence = (
                f"v{after.version}.avsc: equals v{before.version}.avsc; allowed: a version that "
                "differs in more than documentation"
            )
            yield Finding(
                entity=entity.name,
                older=f"v{before.version}",
                newer=f"v{after.version}",
                field="",
                rule=FILE_RULES["equal versions"],
                remedy=sentence,
            )
