"""headwater/deployment/create_only.json: what the schemas of CloudFormation, which cfn-lint carries, state.

`PYTHONPATH=.:tests/cfn python tests/cfn/create_only.py` updates the file.
"""

from __future__ import annotations

import json

from cfn_templates import load_world
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from headwater.deployment.replacement import FILE

Table = dict[str, dict[str, list[str]]]


def types() -> set[str]:
    """The types of all templates, and those that are in the file already."""
    used = {one["Type"] for template in load_world().values() for one in template.resources.values()}
    return used | (json.loads(FILE.read_text()).keys() if FILE.exists() else set())


def create_only(type_: str) -> dict[str, list[str]]:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_).schema

    def paths(name: str) -> list[str]:
        return sorted(pointer.removeprefix("/properties/") for pointer in schema.get(name, ()))

    return {
        "always": paths("createOnlyProperties"),
        "sometimes": paths("conditionalCreateOnlyProperties"),
    }


def table() -> Table:
    return {type_: create_only(type_) for type_ in sorted(types())}


if __name__ == "__main__":
    FILE.write_text(json.dumps(table(), indent=2) + "\n", encoding="utf-8")
