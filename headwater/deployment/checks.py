"""What is wrong with a deployment, found before the first call to AWS: everything, not only the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from headwater.deployment.deployment import REPLICA, Deployment, Source
from headwater.deployment.feeds import feed_problems
from headwater.deployment.limits import too_long
from headwater.deployment.networks import network_problems
from headwater.deployment.sleeping import sleeping
from headwater.deployment.stacks import IDENTITY, Stack, Value, is_private, partition, tables_of
from headwater.deployment.templates import Template
from headwater.deployment.warehouses import warehouse_problems
from schemas.catalog.entity import Catalog, Entity
from schemas.privacy import Privacy
from schemas.refusals import refused, unknown
from schemas.sources.dynamodb import tables

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_MOST_RESOURCES, _MOST_PARAMETERS = 500, 200
# A role has at most ten, and producers.yaml attaches one:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_MOST_POLICIES = 9
_REPLICA_KEY = "ReplicaKeyArn"
_OF_REPORTING = ("StreamArn", "StreamKeyArn", "LogKeyArn", _REPLICA_KEY)
"""Parameters that are outputs of stacks of the reporting account."""


def problems(
    deployment: Deployment,
    catalog: Catalog,
    templates: Mapping[str, Template],
    stacks: Iterable[Stack],
    regions: Iterable[str],
) -> list[str]:
    """Return what is wrong, without parameters that are missing; empty if nothing is.

    `regions` are the regions that AWS is known to have.
    """
    stacks = list(stacks)
    known = sorted(regions)
    found: list[str] = []
    found += _regions(deployment, known)
    found += _accounts(deployment)
    found += _tables(deployment, catalog)
    found += feed_problems(deployment, catalog)
    found += _parameters(deployment, templates, stacks)
    found += _hash_secrets(catalog, stacks)
    found += network_problems(deployment, stacks)
    found += sleeping(stacks)
    found += warehouse_problems(deployment, stacks)
    found += _without_replica(deployment, stacks)
    for stack in stacks:
        found += _of_stack(stack, deployment)
        found += _arns(stack, deployment) if deployment.is_named and deployment.region in known else ()
    return list(dict.fromkeys(found))


def missing_values(stacks: Iterable[Stack]) -> list[str]:
    """Return the parameters without a value, each place once: two stacks may share it."""
    texts = (
        f"{stack.places[name]}: missing; allowed: {_meaning(stack.template, name)}"
        for stack in stacks
        for name in stack.missing
    )
    return list(dict.fromkeys(texts))


def _meaning(template: Template, name: str) -> str:
    declared = template.body["Parameters"][name]
    return str(declared.get("ConstraintDescription") or declared.get("Description") or declared["Type"])


# Regions


def _regions(deployment: Deployment, known: list[str]) -> Iterator[str]:
    """Yield regions that AWS does not have, and one of the replica to which S3 cannot replicate the log."""
    own, replica, where = (
        deployment.region,
        deployment.reporting.replica_region,
        f"reporting, {REPLICA}, region",
    )
    for place, region in (("deployment, region", own), (where, replica)):
        if region and region not in known:
            yield str(unknown(place, region, known))
    if own and replica == own:
        yield str(refused(where, replica, f"another region than {own}, which would be lost with the log"))
    elif own and replica and partition(replica) != partition(own):
        yield str(refused(where, replica, f"a region of the partition of {own}: S3 replicates to no other"))


def _without_replica(deployment: Deployment, stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield bucket and key of a replica that has no stack."""
    if REPLICA not in deployment.reporting.parameters:
        for stack in stacks:
            for name in ("ReplicaBucketArn", _REPLICA_KEY):
                if (value := stack.values.get(name)) and value.text:
                    yield f"{value.where}: found without [reporting.{REPLICA}]; allowed: with that table"


# Accounts and tables


def _accounts(deployment: Deployment) -> Iterator[str]:
    counts = Counter(source.account for source in deployment.sources if source.account)
    for account in (account for account, count in counts.items() if count > 1):
        yield str(refused("source, account", account, "each account once"))
    for number, source in enumerate(deployment.sources, 1):
        if source.account == deployment.reporting.account and source.parameters["artifacts"]:
            yield (
                f"source {number}, artifacts: the account is also that of [reporting], and has one stack of "
                "artifacts; allowed: in [reporting]"
            )


def _tables(deployment: Deployment, catalog: Catalog) -> Iterator[str]:
    known = tables(catalog)
    owners: dict[str, list[str]] = {}
    for number, source in enumerate(deployment.sources, 1):
        for name in source.tables or ():
            if name not in known:
                yield str(unknown(f"source {number}, tables: in no entity", name, known))
        for name in tables_of(catalog, source):
            owners.setdefault(name, []).append(source.account)
        yield from _streams(f"source {number}", deployment.region, source, catalog)
    for name in known:
        accounts = owners.get(name, [])
        if not accounts:
            yield f"source, tables: the table {name} of the entities is in no account; allowed: in one"
        elif len(accounts) > 1:
            yield f"source, tables: the table {name} is in {' and '.join(accounts)}; allowed: in one"


def _streams(where: str, region: str, source: Source, catalog: Catalog) -> Iterator[str]:
    mine = tables_of(catalog, source)
    for name, arn in source.streams.items():
        if source.create_tables:
            yield f"{where}, streams, {name}: the stack creates the table; allowed: no ARN of its stream"
        elif name not in mine:
            yield str(unknown(f"{where}, streams: not a table of this account", name, mine))
        elif arn and not arn.partition(":dynamodb:")[2].startswith(
            f"{region}:{source.account}:table/{name}/"
        ):
            yield str(
                refused(
                    f"{where}, streams, {name}", arn, f"a stream of that table in this account and {region}"
                )
            )
    for arn in source.table_keys:
        if source.create_tables:
            yield f"{where}, table-keys: the stack creates the tables, with its own key; allowed: none"
        elif not arn.partition(":kms:")[2].startswith(f"{region}:"):
            yield str(refused(f"{where}, table-keys", arn, f"a key in {region}"))


# Parameters


def _parameters(
    deployment: Deployment, templates: Mapping[str, Template], stacks: Iterable[Stack]
) -> Iterator[str]:
    everywhere = {name for template in templates.values() for name in template.parameters}
    for name in deployment.parameters:
        if name in IDENTITY:
            yield f"parameters, {name}: it is the tag {name.lower()}; allowed: in [tags]"
        elif name not in everywhere:
            yield str(unknown("parameters: in no template", name, sorted(everywhere)))
    for stack in stacks:
        where = f"{stack.where}, {stack.template.name}"
        for name in stack.given:
            if name in IDENTITY:
                yield f"{where}, {name}: it is the tag {name.lower()}; allowed: in [tags]"
            elif name not in stack.template.parameters:
                yield str(unknown(f"{where}: unknown parameter", name, stack.template.parameters))


def _of_stack(stack: Stack, deployment: Deployment) -> Iterator[str]:
    for name, value in stack.values.items():
        allowed = stack.template.parameters[name].allowed(value.text)
        # What follows from a part that is refused itself is no second mistake.
        if allowed and (deployment.is_named or not value.derived) and (value.text or name not in IDENTITY):
            yield _value_refused(value, allowed)
    yield from _quotas(stack)
    if deployment.is_named:
        for text in too_long(stack, deployment.stack(stack.name)):
            yield f"{stack.where}, {stack.template.name}: {text}; shorten the tag application"


def _value_refused(value: Value, allowed: str) -> str:
    if is_private(value.where, value.text):
        return f"{value.where}: found a value that is not shown; allowed: {allowed}"
    return str(refused(value.where, value.text, allowed))


def _arns(stack: Stack, deployment: Deployment) -> Iterator[str]:
    """Yield ARNs of another region, and outputs of the reporting account's stacks from another account."""
    replica = deployment.reporting.replica_region
    for name, value in stack.values.items():
        parts = value.text.split(":")
        if len(parts) < 6 or parts[0] != "arn":
            continue
        region = replica if name == _REPLICA_KEY and replica else deployment.region
        if parts[3] not in ("", region):
            yield _value_refused(value, f"an ARN in {region}")
        elif name in _OF_REPORTING and parts[4] != deployment.reporting.account:
            yield _value_refused(value, f"an ARN in account {deployment.reporting.account}")


def _quotas(stack: Stack) -> Iterator[str]:
    resources = stack.template.body["Resources"]
    policies = sum(resource["Type"] == "AWS::IAM::ManagedPolicy" for resource in resources.values())
    for number, most, what in (
        (len(resources), _MOST_RESOURCES, "resources"),
        (len(stack.template.parameters), _MOST_PARAMETERS, "parameters"),
        (policies, _MOST_POLICIES, "managed policies for the role of the producer"),
    ):
        if number > most:
            yield (
                f"{stack.where}, {stack.template.name}: {number} {what}; allowed: at most {most}; "
                "divide the tables among accounts"
            )


# Private fields


def _hash_secrets(catalog: Catalog, stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield producers without the key of hashed fields, which refuse to start if any entity has one."""
    hashing = sorted(entity.name for entity in catalog.entities.values() if _hashes(entity))
    for stack in stacks:
        value = stack.values.get("HashSecretArn")
        if hashing and "HashSecretArn" in stack.template.parameters and not (value and value.text):
            yield (
                f"{stack.where}, {stack.template.name}, HashSecretArn: missing, and fields are hashed in "
                f"{', '.join(hashing)}; allowed: the ARN of a secret (docs/private-fields.md)"
            )


def _hashes(entity: Entity) -> bool:
    return any(field.private is Privacy.HASH for field in entity.schema.fields)
