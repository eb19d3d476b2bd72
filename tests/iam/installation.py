"""An installation in two accounts, as `headwater cfn render` derives it, and what it permits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from headwater.deployment.deployment import deployment_of
from headwater.deployment.stacks import stacks_of
from headwater.deployment.templates import FOLDER, load_templates
from iam.deployment import Deployment
from iam.judge import FIRM
from iam.templates import Stack
from schemas.catalog.entity import Catalog

REPORTING, SOURCE, REGION = "111122223333", "444455556666", "eu-west-2"
PREFIX = "headwater-test"
HASH_KEY = f"arn:aws:kms:{REGION}:{SOURCE}:key/hash-secret"
HOST = f"arn:aws:ec2:{REGION}:{REPORTING}:instance/i-0123456789abcdef0"
HOST_KEY = f"arn:aws:kms:{REGION}:{REPORTING}:key/host"

VPC = "vpc-12345678"
NETWORK = {
    "VpcCidr": "10.60.0.0/16",
    **{
        f"{role}Cidr{zone}": f"10.60.{2 * number + place}.0/24"
        for number, role in enumerate(("Database", "Consumer", "Producer", "Endpoint"))
        for place, zone in enumerate("AB")
    },
    "WorkbenchCidr": "10.60.8.0/24",
    "ZoneA": f"{REGION}a",
    "ZoneB": f"{REGION}b",
    "S3PrefixListId": "pl-12345678",
    "DynamoDbPrefixListId": "pl-87654321",
}
REPLICAS = {
    "SourceVpcId": "vpc-87654321",
    "SourceVpcCidr": "10.20.0.0/16",
    "ReplicasCidr": "10.20.0.0/24",
    "ReplicasZone": f"{REGION}a",
}


class Secrets(NamedTuple):
    """ARNs of the secrets: users create the one for hashes, warehouse.yaml the others."""

    hash: str = f"arn:aws:secretsmanager:{REGION}:{SOURCE}:secret:headwater/hash-AbCdEf"
    warehouse: str = f"arn:aws:secretsmanager:{REGION}:{REPORTING}:secret:headwater/warehouse-AbCdEf"
    refresher: str = f"arn:aws:secretsmanager:{REGION}:{REPORTING}:secret:headwater/refresher-AbCdEf"


def installation(
    catalog: Catalog,
    secrets: Secrets,
    folder: Path = FOLDER,
    watched: Mapping[str, Any] | None = None,
    workbench: Mapping[str, str] | None = None,
    **producers: str,
) -> Deployment:
    """Return what the templates of a folder permit, with every option that adds a permission.

    `watched`: what the file has for the stacks of alarms. `workbench`, `producers`: more parameters of
    workbench.yaml and producers.yaml.
    """
    templates = load_templates(folder)
    keys: dict[str, str] = {}  # outputs of stacks, which users copy into the file
    known = {"ConsumerSecret": secrets.warehouse, "RefresherSecret": secrets.refresher}
    stacks: list[Stack] = []
    for _ in range(2):
        values = _values(secrets, keys, producers, workbench or {})
        deployment, problems = deployment_of(_with_alarms(values, watched or {}))
        assert problems == []
        exports: dict[str, dict[str, Any]] = {REPORTING: {}, SOURCE: {}}
        stacks = []
        for made in stacks_of(deployment, catalog, templates, {}):
            given = {name: value.text for name, value in made.values.items()}
            name = deployment.stack(made.name)
            stack = Stack(
                name, made.template.body, made.account, made.region, given, exports[made.account], known
            )
            exports[made.account] = {**exports[made.account], **stack.exports}
            stacks.append(stack)
            copied = _COPIED.get(made.template.name, ())
            keys |= {name: stack.outputs[name] for name in copied}
    resources = [resource for stack in stacks for resource in stack.resources.values()]
    return Deployment(resources, {secrets.hash: HASH_KEY, HOST: HOST_KEY})


def _with_alarms(values: dict[str, Any], watched: Mapping[str, Any]) -> dict[str, Any]:
    (source,) = values["source"]
    reporting = {name: table for name, table in watched.items() if name == "monitoring"}
    others = {name: table for name, table in watched.items() if name not in reporting}
    return {**values, "reporting": {**values["reporting"], **reporting}, "source": [{**source, **others}]}


_COPIED = {
    "replica": ("ReplicaKeyArn",),
    "stream": ("StreamKeyArn", "LogKeyArn"),
    "warehouse": ("WarehouseSecretKeyArn",),
}
"""Outputs that users copy into deployment.toml, by template."""


def _values(
    secrets: Secrets, keys: Mapping[str, str], producers: Mapping[str, str], workbench: Mapping[str, str]
) -> dict[str, Any]:
    """Return the file of the deployment, as tomllib reads it."""
    warehouse = {"WarehouseSecretArn": secrets.warehouse}
    zips = {f"{side}Key": "a.zip" for side in ("Producers", "Consumers", "Refresher", "Scheduler")}
    names = [name for copied in _COPIED.values() for name in copied]
    placeholder = dict.fromkeys(names, f"arn:aws:kms:{REGION}:{REPORTING}:key/0")
    joined = {"VpcId": VPC, "ProducerGroupId": "sg-12345678"}
    tags = ("application", "environment", "owner", "data-class", "schedule")
    return {
        "region": REGION,
        "tags": dict(zip(tags, ("headwater", "test", "data", "confidential", "always"), strict=True)),
        "parameters": {**zips, **placeholder, **joined, **keys, "FirmCidrs": FIRM},
        "reporting": {
            "account": REPORTING,
            "replica": {"region": "eu-west-1"},
            "network": NETWORK,
            "warehouse": {},
            "workbench": {**workbench},
            "consumers": {
                **warehouse,
                "RefresherSecretArn": secrets.refresher,
                "SubnetIds": "subnet-12345678",
                "SecurityGroupIds": "sg-12345678",
            },
            "replay": {**warehouse, "ImageDigest": f"sha256:{64 * '0'}"},
            "schedule": {
                "WarehouseInstanceId": f"{PREFIX}-warehouse",
                "Zone": "Europe/London",
                "From": "07:00",
                "To": "20:00",
                "HostArns": HOST,
                "HostKeyArn": HOST_KEY,
            },
        },
        "source": [
            {
                "account": SOURCE,
                "create-tables": True,
                "replicas": REPLICAS,
                "peering": {"PeeringRoleArn": f"arn:aws:iam::{SOURCE}:role/peering"},
                "producers": {"HashSecretArn": secrets.hash, "HashSecretKeyArn": HASH_KEY, **producers},
            }
        ],
    }
