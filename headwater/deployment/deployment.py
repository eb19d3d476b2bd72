"""deployment.toml as a frozen value. Everything that is wrong with the file is collected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from schemas.catalog.files import naming, read_toml
from schemas.errors import ConfigurationError
from schemas.refusals import missing, only_known, refused

TAGS = ("application", "environment", "owner", "data-class", "schedule")
"""Tags that every stack has, so that all its resources have them."""
REPORTING = (
    *("artifacts", "replica", "stream", "network", "warehouse", "consumers"),
    *("replay", "workbench", "monitoring", "schedule"),
)
SOURCE = ("artifacts", "source", "producers", "replicas", "alarms")
"""The templates of an account, in the order in which their stacks are deployed. RENDERED follow SOURCE."""
OPTIONAL = frozenset({"network", "warehouse", "replay", "workbench", "monitoring", "schedule"}) | {
    *("replica", "replicas", "alarms", "peering"),
}
"""Templates that have a stack only where the file has a table for them, which may be empty."""
TABLES, FEEDS = RENDERED = "tables", "feeds"
"""The templates that are rendered: from the entities, and from the hours of the feeds."""
_MOST_HOURS = 168
"""An alarm looks back seven days at most, if its periods are of an hour:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
REPLICA = "replica"
"""The template of the reporting account whose stack is in a region of its own."""
PEERING = "peering"
"""The template with a stack in the reporting account for each source that has `replicas`."""

Parameters = Mapping[str, Mapping[str, str]]
"""Values by template and name of the parameter."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """The account of the stream, the log and the consumers."""

    account: str
    parameters: Parameters
    """By template; those of OPTIONAL that have no stack are not among them."""
    replica_region: str = ""
    """The region of the log's replica; empty if there is none."""


@dataclass(frozen=True, slots=True)
class Source:
    """An account of producers."""

    account: str
    tables: tuple[str, ...] | None
    """Its DynamoDB tables; None for all tables of the entities."""
    create_tables: bool
    """True if its stack creates the tables, False if they exist."""
    streams: Mapping[str, str]
    """The ARN of each existing table's stream."""
    table_keys: tuple[str, ...]
    """ARNs of the customer managed keys that encrypt existing tables."""
    feeds: Mapping[str, int]
    """Hours without a file after which an alarm goes off, by feed."""
    parameters: Parameters
    """By template; those of OPTIONAL that have no stack are not among them."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What deployment.toml declares."""

    region: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    """Values for every template that has a parameter of that name."""
    reporting: Reporting
    sources: tuple[Source, ...]

    @property
    def is_named(self) -> bool:
        """True if all that names are derived from is there."""
        accounts = (self.reporting.account, *(source.account for source in self.sources))
        return all((self.region, self.tags["application"], self.tags["environment"], *accounts))

    @property
    def prefix(self) -> str:
        """The first part of every physical name."""
        return f"{self.tags['application']}-{self.tags['environment']}"

    def stack(self, template: str) -> str:
        """Return the name of the stack of a template."""
        return f"{self.prefix}-{template}"


def read_deployment(file: Path) -> tuple[Deployment, list[str]]:
    """Return the deployment of a file and what is wrong with it.

    A value that is refused is replaced by an empty one, so that the rest can be checked. Raises
    ConfigurationError for a file that cannot be read.
    """
    with naming(file):
        values = read_toml(file)
    return deployment_of(values)


def deployment_of(values: Mapping[str, Any]) -> tuple[Deployment, list[str]]:
    """Return the deployment of these values and what is wrong with them."""
    problems: list[str] = []
    top = _Section("deployment", values, problems)
    top.only(("region", "tags", "parameters", "reporting", "source"))
    deployment = Deployment(
        region=_region(top, "eu-west-2"),
        tags=_tags(top.section("tags", required=True)),
        parameters=top.section("parameters").parameters(),
        reporting=_reporting(top.section("reporting", required=True)),
        sources=tuple(map(_source, top.sections("source"))),
    )
    return deployment, problems


@dataclass(frozen=True, slots=True)
class _Section:
    """A table of the file, with the list that collects what is wrong."""

    where: str
    values: Mapping[str, Any]
    problems: list[str]

    def refuse(self, name: str, value: object, allowed: str) -> None:
        self.problems.append(str(refused(f"{self.where}, {name}", value, allowed)))

    def only(self, names: Iterable[str]) -> None:
        allowed = tuple(names)
        for name in self.values:
            try:
                only_known(self.where, [name], allowed)
            except ConfigurationError as error:
                self.problems.append(str(error))

    def text(self, name: str, pattern: str, allowed: str) -> str:
        if name not in self.values:
            self.problems.append(str(missing(self.where, name, allowed)))
            return ""
        return self._text(name, self.values[name], pattern, allowed)

    def _text(self, name: str, value: object, pattern: str, allowed: str) -> str:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        self.refuse(name, value, allowed)
        return ""

    def texts(self, name: str, pattern: str, allowed: str) -> tuple[str, ...]:
        value = self.values.get(name, [])
        if not isinstance(value, list) or len({*map(str, value)}) < len(value):
            self.refuse(name, value, f"a list, each once: {allowed}")
            return ()
        return tuple(filter(None, (self._text(name, item, pattern, allowed) for item in value)))

    def boolean(self, name: str) -> bool:
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            self.refuse(name, value, "true or false")
        return value is True

    def section(self, name: str, *, required: bool = False) -> _Section:
        where = name if self.where == "deployment" else f"{self.where}, {name}"
        if required and name not in self.values:
            self.problems.append(str(missing(self.where, name, f"a table [{name}]")))
            return _Section(where, {}, [])  # its missing properties need no mention
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            self.refuse(name, value, "a table")
            return _Section(where, {}, [])
        return _Section(where, value, self.problems)

    def sections(self, name: str) -> list[_Section]:
        value = self.values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            self.refuse(name, value, f"one or more [[{name}]]")
            return []
        return [_Section(f"{name} {number}", item, self.problems) for number, item in enumerate(value, 1)]

    def hours(self) -> Mapping[str, int]:
        """Return hours by name, without those that are refused."""
        for name, value in self.values.items():
            if type(value) is not int or not 1 <= value <= _MOST_HOURS:
                self.refuse(name, value, f"1 to {_MOST_HOURS} hours, as a whole number")
        return {
            name: value
            for name, value in self.values.items()
            if type(value) is int and 1 <= value <= _MOST_HOURS
        }

    def parameters(self) -> Mapping[str, str]:
        """Return the values of parameters as CloudFormation takes them: as text."""
        return {name: self._value(name, value) for name, value in self.values.items()}

    def _value(self, name: str, value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (str, int)) or type(value) is date:  # not a datetime, which is a date, too
            return str(value)
        if isinstance(value, list) and all(
            isinstance(item, (str, int)) or type(item) is date for item in value
        ):
            return ",".join(self._value(name, item) for item in value)
        allowed = "text, a whole number, a date, true, false, or a list of these"
        # Without the value, which may be the content of a secret in place of its ARN.
        self.problems.append(f"{self.where}, {name}: found {type(value).__name__}; allowed: {allowed}")
        return ""


def _tags(section: _Section) -> Mapping[str, str]:
    # The limits of a tag: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    allowed = "1 to 256 letters, digits, blanks and _ . : / = + - @"
    tags = {
        name: section.text(name, r"[\w .:/=+\-@]{1,256}", allowed)
        for name in dict.fromkeys((*TAGS, *section.values))
    }
    for name in section.values:
        if not re.fullmatch(r"(?!aws:)[\w .:/+\-@]{1,128}", name):
            section.refuse(
                "name of a tag", name, "1 to 128 such characters without =, not starting with aws:"
            )
    return tags


def _region(section: _Section, example: str) -> str:
    return section.text("region", r"[a-z]{2,3}(-[a-z]+)+-[0-9]", f"a region, such as {example}")


def _account(section: _Section) -> str:
    return section.text("account", "[0-9]{12}", "the number of an account: 12 digits, in quotes")


def _reporting(section: _Section) -> Reporting:
    section.only(("account", *REPORTING))
    replica = section.section(REPLICA)
    region = _region(replica, "eu-west-1") if REPLICA in section.values else ""
    return Reporting(_account(section), _by_template(section, REPORTING), region)


def _by_template(section: _Section, templates: Iterable[str]) -> Parameters:
    return {
        name: _of_template(section, name)
        for name in templates
        if name in section.values or name not in OPTIONAL
    }


def _of_template(section: _Section, name: str) -> Mapping[str, str]:
    parameters = section.section(name).parameters()
    if name == REPLICA:  # its region is no parameter of the template
        parameters = {key: text for key, text in parameters.items() if key != "region"}
    return parameters


def _source(section: _Section) -> Source:
    section.only(("account", "tables", "create-tables", "streams", "table-keys", "feeds", *SOURCE, PEERING))
    named = section.texts("tables", r"[A-Za-z0-9_.-]{3,255}", "names of DynamoDB tables")
    streams = section.section("streams")
    arn = r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]{3,255}/stream/[0-9T:.-]+Z?"
    key = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"
    return Source(
        account=_account(section),
        tables=named if "tables" in section.values else None,
        create_tables=section.boolean("create-tables"),
        streams={name: streams.text(name, arn, "the ARN of a DynamoDB stream") for name in streams.values},
        table_keys=section.texts("table-keys", key, "ARNs of KMS keys"),
        feeds=section.section("feeds").hours(),
        parameters=_by_template(section, (*SOURCE, PEERING)),
    )
