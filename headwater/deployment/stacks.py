"""The stacks of a deployment: each template in each account, with the value of every parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from headwater.deployment.deployment import (
    FEEDS,
    OPTIONAL,
    PEERING,
    REPLICA,
    REPORTING,
    SOURCE,
    TABLES,
    Deployment,
    Parameters,
    Source,
)
from headwater.deployment.feeds import feeds_template
from headwater.deployment.tables import stream_parameter, tables_template
from headwater.deployment.templates import Template, template_of
from schemas.catalog.entity import Catalog
from schemas.sources.dynamodb import tables

IDENTITY = {"Application": "tags, application", "Environment": "tags, environment"}
"""Parameters that are tags, with their place in the file: the names of everything follow from them."""
PACKAGE_KEYS = {
    f"{side.capitalize()}Key": side for side in ("producers", "consumers", "refresher", "scheduler")
}
"""Parameters that are the key of a package in the bucket of the code, with the name of the package."""


class Value(NamedTuple):
    """A value of a parameter."""

    text: str
    where: str
    """The place of the file that decides it."""
    derived: bool = False
    """True if it follows from accounts, region and tags."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One template in one account."""

    account: str
    where: str
    """The table of the file that declares the account: `reporting`, or `source 2`."""
    template: Template
    given: Mapping[str, str]
    """Values that the file gives for this template alone."""
    values: Mapping[str, Value]
    """The values of all parameters that have one."""

    places: Mapping[str, str]
    """The place of the file of each parameter."""
    region: str = ""
    peer: str = ""
    """The account at the other end of a peering."""

    @property
    def name(self) -> str:
        """The last part of its name, and its file: the template, and the peer if there is one."""
        return f"{self.template.name}-{self.peer}" if self.peer else self.template.name

    @property
    def missing(self) -> tuple[str, ...]:
        """Parameters without a value."""
        return tuple(name for name in self.template.parameters if name not in self.values)


def tables_of(catalog: Catalog, source: Source) -> tuple[str, ...]:
    """Return the tables of an account that entities name, sorted."""
    known = tables(catalog)
    return tuple(sorted(known if source.tables is None else {*source.tables} & {*known}))


def stacks_of(
    deployment: Deployment,
    catalog: Catalog,
    templates: Mapping[str, Template],
    packages: Mapping[str, str],
    former: Mapping[str, str] | None = None,
) -> list[Stack]:
    """Return the stacks: of the reporting account, then of each source, each in the order of deployment.

    The peering with a source is in the reporting account, and among the source's stacks: it comes after
    `replicas`, which has the role that accepts it.

    Args:
        deployment: The file.
        catalog: The entities.
        templates: The templates by name; those that are not among them have no stack.
        packages: Keys of the zips in the bucket of the code, by file name, such as `producers-arm64.zip`.
        former: Keys that stay where `packages` has none, by `<account>/<template>/<parameter>`.
    """
    values = _Values(deployment, _derived(deployment), packages, former or {})
    reporting = deployment.reporting
    stacks = [
        values.stack(reporting.account, "reporting", templates[name], reporting.parameters)
        for name in REPORTING
        if name in templates and name in reporting.parameters
    ]
    for number, source in enumerate(deployment.sources, 1):
        # The account of the log has one stack of artifacts, also where it is a source.
        shared = {"artifacts"} if source.account == reporting.account else set()
        stacks += [
            values.stack(source.account, f"source {number}", templates[name], source.parameters)
            for name in SOURCE
            if name in templates and name in source.parameters and name not in shared
        ]
        if tables_of(catalog, source):
            stacks.append(values.tables(catalog, source, f"source {number}"))
        if source.feeds:
            stacks.append(values.feeds(source, f"source {number}"))
        if PEERING in templates and "replicas" in source.parameters:
            stacks.append(values.peering(source, templates, f"source {number}"))
    return stacks


@dataclass(frozen=True, slots=True)
class _Values:
    """Where values come from: the file, names that follow from it, packages, and the templates' defaults."""

    deployment: Deployment
    derived: Mapping[str, str]
    packages: Mapping[str, str]
    former: Mapping[str, str]

    def stack(self, account: str, where: str, template: Template, parameters: Parameters) -> Stack:
        """Return the stack of a template whose parameters have their own names in the file."""
        given = parameters.get(template.name, {})
        return self._stack(account, where, template, given, {})

    def peering(self, source: Source, templates: Mapping[str, Template], where: str) -> Stack:
        """Return the stack of the reporting account for a source's replicas, whose parameters it shares."""
        template, replicas = templates[PEERING], source.parameters["replicas"]
        own = source.parameters.get(PEERING, {})
        shared = {*template.parameters} & {*templates["replicas"].parameters} - {*own}
        places = {
            name: f"{where}, {'replicas' if name in shared else PEERING}, {name}"
            for name in template.parameters
        }
        given = {"SourceAccount": source.account}
        given |= {name: replicas[name] for name in shared if name in replicas}
        given |= own
        made = self._stack(self.deployment.reporting.account, where, template, given, places)
        return replace(made, peer=source.account)

    def tables(self, catalog: Catalog, source: Source, where: str) -> Stack:
        """Return the stack of an account's tables, whose parameters are in `streams` by name of the table."""
        known, mine = tables(catalog), tables_of(catalog, source)
        body = tables_template(
            {name: known[name] for name in mine}, create=source.create_tables, table_keys=source.table_keys
        )
        arns = {stream_parameter(name): arn for name, arn in source.streams.items() if name in mine}
        places = {stream_parameter(name): f"{where}, streams, {name}" for name in mine}
        return self._stack(source.account, where, template_of(TABLES, body), arns, places)

    def feeds(self, source: Source, where: str) -> Stack:
        """Return the stack of an account's alarms on feeds."""
        return self._stack(source.account, where, template_of(FEEDS, feeds_template(source.feeds)), {}, {})

    def _stack(
        self,
        account: str,
        where: str,
        template: Template,
        given: Mapping[str, str],
        places: Mapping[str, str],
    ) -> Stack:
        code = {"CodeBucket": f"{self.deployment.prefix}-artifacts-{account}-{self.deployment.region}"}
        derived = {**self.derived, **code}
        defaults = {n: one.default for n, one in template.parameters.items() if one.default is not None}
        if self.deployment.reporting.replica_region:
            defaults.pop("ReplicaKeyArn", None)  # without it nothing would be replicated
        chosen = {**self.deployment.parameters, **given}
        texts = {**defaults, **derived, **chosen}
        texts = {**self._package_keys(f"{account}/{template.name}", texts), **texts}
        own = {name: f"{where}, {template.name}, {name}" for name in (*derived, *template.parameters)}
        shared = {name: f"parameters, {name}" for name in self.deployment.parameters if name not in given}
        places = {**own, **shared, **places, **IDENTITY}
        values = {
            name: Value(texts[name], places[name], name in derived and name not in {*chosen, *IDENTITY})
            for name in template.parameters
            if name in texts
        }
        regions = {REPLICA: self.deployment.reporting.replica_region}
        region = regions.get(template.name, self.deployment.region)
        return Stack(account, where, template, given, values, places, region)

    def _package_keys(self, stack: str, texts: Mapping[str, str]) -> Mapping[str, str]:
        machine = texts.get("Architecture", "")
        keys = {
            name: self.packages.get(f"{side}-{machine}.zip", self.former.get(f"{stack}/{name}"))
            for name, side in PACKAGE_KEYS.items()
        }
        return {name: key for name, key in keys.items() if key is not None}


def _derived(deployment: Deployment) -> Mapping[str, str]:
    """Return the values that follow from the file: names of stacks, and of what other accounts use."""
    region, reporting, prefix = deployment.region, deployment.reporting.account, deployment.prefix
    reporting_stacks = deployment.reporting.parameters
    tables = (deployment.reporting.parameters, *(source.parameters for source in deployment.sources))
    made = {name for parameters in tables for name in parameters}
    stacks = {
        f"{name.capitalize()}Stack": deployment.stack(name)
        for name in (*REPORTING, *SOURCE)
        if name in made or name not in OPTIONAL
    }
    return {
        **stacks,
        "Application": deployment.tags["application"],
        "Environment": deployment.tags["environment"],
        "SourceAccounts": ",".join(sorted({source.account for source in deployment.sources})),
        "ReportingAccount": reporting,
        **_producer_ranges(deployment),
        "Scheduled": str("schedule" in deployment.reporting.parameters).lower(),
        "StreamArn": f"arn:{partition(region)}:kinesis:{region}:{reporting}:stream/{prefix}-events",
        "LogBucketName": f"{prefix}-log-{reporting}-{region}",
        **({"WarehouseInstanceId": f"{prefix}-warehouse"} if "warehouse" in reporting_stacks else {}),
        **_replica(deployment),
    }


def _replica(deployment: Deployment) -> Mapping[str, str]:
    """Return the bucket of the log's replica, if there is one."""
    region = deployment.reporting.replica_region
    bucket = f"{deployment.prefix}-log-replica-{deployment.reporting.account}-{region}"
    return {"ReplicaBucketArn": f"arn:{partition(region)}:s3:::{bucket}"} if region else {}


def _producer_ranges(deployment: Deployment) -> Mapping[str, str]:
    """Return the ranges of the producers' subnets, which the source accounts have their routes back to."""
    network = deployment.reporting.parameters.get("network", {})
    return {name: network[name] for name in ("ProducerCidrA", "ProducerCidrB") if name in network}


def is_private(place: str, text: str) -> bool:
    """Return whether a value of a parameter may contain a secret, and is not shown.

    A password, or a URL that contains one, may have been put where an ARN or a host belongs.
    """
    return "Secret" in place or "Warehouse" in place or "://" in text


def partition(region: str) -> str:
    """Return the partition of a region, as ARNs name it."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
