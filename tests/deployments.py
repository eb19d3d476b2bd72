"""A deployment to change in tests, as values and as the text of its file."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from headwater.deployment.checks import missing_values, problems
from headwater.deployment.deployment import Deployment, deployment_of
from headwater.deployment.stacks import Stack, stacks_of
from headwater.deployment.templates import load_templates
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog

Toml = dict[str, Any]

_TEMPLATES, _SAMPLE = load_templates(), load_catalog()
REPORTING, SOURCE, SECOND = "111122223333", "444455556666", "777788889999"
KEY = f"arn:aws:kms:eu-west-2:{REPORTING}:key/11111111-2222-3333-4444-555555555555"
SECRET = f"arn:aws:secretsmanager:eu-west-2:{REPORTING}:secret:warehouse-AbCdEf"
ZIP = "a-0123456789ab.zip"
REGIONS = ("eu-west-1", "eu-west-2")
COMPLETE: Toml = {
    "region": "eu-west-2",
    "tags": {
        "application": "headwater",
        "environment": "prod",
        "owner": "data-platform",
        "data-class": "confidential",
        "schedule": "always",
    },
    "parameters": {
        "StreamKeyArn": KEY,
        "LogKeyArn": KEY,
        "ProducersKey": ZIP,
        "ConsumersKey": ZIP,
        "RefresherKey": ZIP,
    },
    "reporting": {"account": REPORTING, "consumers": {"WarehouseSecretArn": SECRET}},
    "source": [{"account": SOURCE, "create-tables": True}],
}


def example() -> str:
    """The text of the example, with the values that later steps bring."""
    text = (Path(__file__).parents[1] / "cfn" / "example.deployment.toml").read_text()
    return re.sub("^# ([A-Za-z]+Arn = )", r"\1", text, flags=re.M)


def changed(path: str, value: object) -> Toml:
    """The complete deployment with one value changed: `source.0.tables`. None takes it away."""
    values = deepcopy(COMPLETE)
    place: Any = values
    *parents, last = (int(name) if name.isdigit() else name for name in path.split("."))
    for name in parents:
        place = place[name] if isinstance(place, list) else place.setdefault(name, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return values


def stream_arn(table: str, account: str = SOURCE, region: str = "eu-west-2") -> str:
    return f"arn:aws:dynamodb:{region}:{account}:table/{table}/stream/2026-11-30T09:00:00.000"


def planned(
    values: Mapping[str, Any], catalog: Catalog | None = None, packages: Mapping[str, str] | None = None
) -> tuple[Deployment, list[Stack], list[str]]:
    """The deployment, its stacks, and all that is wrong, missing values included."""
    catalog, templates = catalog or _SAMPLE, _TEMPLATES
    deployment, wrong = deployment_of(values)
    stacks = stacks_of(deployment, catalog, templates, packages or {})
    found = problems(deployment, catalog, templates, stacks, REGIONS)
    return deployment, stacks, wrong + found + missing_values(stacks)


def toml(values: Mapping[str, Any]) -> str:
    """Values as the text of a TOML file, in inline tables."""
    return "".join(f"{_name(name)} = {_toml(value)}\n" for name, value in values.items())


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_name(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):  # TOML knows the escapes of JSON, except for those of halves of a character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _name(name: str) -> str:
    return _toml(str(name))
