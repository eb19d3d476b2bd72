"""What the gate says of an entity: every change that a new version brings, and what is wrong between its
versions whatever they change. Pure; the files are the loader's."""

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
    """One thing to know before a version is published. `older`: what it was compared with, a version, the
    warehouse's table, or what was published of a source. `older`, `newer` and `field` are empty where none is
    to blame."""

    entity: str
    older: str
    newer: str
    field: str
    rule: Rule
    remedy: str
    """What to do, or for what is wrong with a file the whole sentence."""
    detail: str = ""
    """For a setting the whole sentence, with its value and the published one."""

    @property
    def category(self) -> Category:
        return self.rule.category

    @property
    def sentence(self) -> str:
        """As an error says it."""
        if self.rule.name in FILE_RULES:
            return self.remedy
        if self.rule.name in SETTING_RULES:
            return f"{self.newer}, {self.detail}"
        return (
            f"{self.newer}.avsc, field {self.field}: {self.rule.name} since {self.older}.avsc: "
            f"{self.rule.what}; allowed: {self.remedy}"
        )


def refusals(entity: Entity, published: Mapping[str, str]) -> Iterator[Finding]:
    """What no version may be: `published` are files and their fingerprints (schemas.catalog.published)."""
    yield from _broken(entity, published)
    for finding in _settings(entity, published):
        if finding.category is Category.REFUSED:
            yield finding
    for schema in entity.versions:
        yield from _refused(entity, schema.version)


def findings(entity: Entity, published: Mapping[str, str], every: bool = False) -> list[Finding]:
    """Each version that is not published against all older ones: what it changes, and not what a published
    one changed before it, unless that is refused. With `every`: all versions, and all they changed."""
    found = [*_broken(entity, published), *_settings(entity, published)]
    kept = 0
    for schema in entity.versions:
        newer = schema.version
        if f"v{newer}.avsc" in published and not every:
            kept = newer
            found += _refused(entity, newer)  # published against a rule, or before there was one
            continue
        for older in range(1, newer):
            found += _changes(entity, max(older, kept), newer, f"v{older}")
    return found


def _settings(entity: Entity, published: Mapping[str, str]) -> Iterator[Finding]:
    for each in changed_settings(entity, published):
        where = f"{each.source}, {each.setting}"
        yield Finding(
            entity.name, "published", "entity.toml", where, each.rule, each.rule.remedy, each.sentence
        )


def _refused(entity: Entity, newer: int) -> Iterator[Finding]:
    """What this version changes since the one before that none may: no process loads it."""
    for finding in _changes(entity, newer - 1, newer) if newer > 1 else ():
        if finding.category is Category.REFUSED:
            yield finding


def against_table(entity: Entity, revision: int, version: int, made_by: bytes) -> list[Finding]:
    """The newest version against the warehouse's table, which `made_by`, the fingerprint of this version,
    has made."""
    table = f"table r{revision} (v{version})"
    if entity.evolution.has(made_by):
        older = entity.until(made_by).schema.version
        return list(_changes(entity, older, entity.schema.version, table))
    remedy = (
        f"the warehouse's table was made by version {version} with fingerprint {made_by.hex()}, which is "
        "none of these versions; allowed: a folder that has that version, as it was"
    )
    rule = FILE_RULES["table of another version"]
    return [Finding(entity.name, table, f"v{entity.schema.version}", "", rule, remedy)]


def malformed(entity: str, sentence: str) -> Finding:
    """Of an entity whose files could not be read."""
    return Finding(entity, "", "", "", FILE_RULES["malformed"], sentence)


def _changes(entity: Entity, older: int, newer: int, shown: str = "") -> Iterator[Finding]:
    for change in entity.evolution.changes(older, newer):
        yield _finding(entity.name, shown or f"v{older}", change)


def _finding(entity: str, older: str, change: FieldChange) -> Finding:
    remedy = change.rule.remedy.replace("{entity}", entity)
    return Finding(entity, older, f"v{change.newer}", change.field, change.rule, remedy)


def _broken(entity: Entity, published: Mapping[str, str]) -> Iterator[Finding]:
    for file, sentence in changed_versions(entity, published):
        rule = FILE_RULES["published version changed"]
        yield Finding(entity.name, "", file.removesuffix(".avsc"), "", rule, sentence)
    yield from _unknown_aliases(entity)
    yield from _equal_versions(entity)


def _unknown_aliases(entity: Entity) -> Iterator[Finding]:
    older: set[str] = set()
    for schema in entity.versions:
        for field in schema.fields:
            for alias in sorted(set(field.aliases).difference(older)):
                where = f"v{schema.version}.avsc, field {field.name}, aliases: not a name of an older version"
                sentence = str(unknown(where, alias, sorted(older)))
                rule = FILE_RULES["unknown alias"]
                yield Finding(entity.name, "", f"v{schema.version}", field.name, rule, sentence)
        older.update(field.name for field in schema.fields)


def _equal_versions(entity: Entity) -> Iterator[Finding]:
    for before, after in pairwise(entity.versions):
        if before.fields != after.fields or before.dropped != after.dropped:
            continue  # a fingerprint costs more
        if fingerprint({**before.avro, "headwater.version": after.version}) == after.fingerprint:
            sentence = (
                f"v{after.version}.avsc: says what v{before.version}.avsc says; allowed: a version that "
                "differs in more than documentation"
            )
            versions = f"v{before.version}", f"v{after.version}"
            yield Finding(entity.name, *versions, "", FILE_RULES["equal versions"], sentence)
