"""An update never replaces or deletes what holds data.

A release copies the templates to tests/golden/cfn/released/, which the current ones are compared with.
What a change of a property does is in the schemas of CloudFormation, which cfn-lint carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cfn_templates import FOLDER, ROOT, Json, copy_world, load_world, normal, parse
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from template_rules.retained import KEEPS, KEPT_ROLES

RELEASED = ROOT / "tests" / "golden" / "cfn" / "released"
_ABSENT = object()


def released() -> dict[str, Json]:
    return {file.stem: parse(file.read_text()) for file in sorted(RELEASED.glob("*.yaml"))}


def current() -> dict[str, Json]:
    return {name: template.body for name, template in load_world().items()}


def losses(before: dict[str, Json], after: dict[str, Json]) -> Iterator[str]:
    """Yield what an update from one set of templates to another would replace or delete."""
    for name, template in before.items():
        for logical_id, resource in template["Resources"].items():
            where = f"{name}.{logical_id}"
            if resource["Type"] not in KEEPS and where not in KEPT_ROLES:
                continue
            found = after.get(name, {"Resources": {}})["Resources"].get(logical_id)
            if found is None:
                yield f"{where}: is gone, or has another logical id"
            elif found["Type"] != resource["Type"]:
                yield f"{where}: is a {found['Type']}"
            else:
                yield from _replaced(where, resource, found)


def _replaced(where: str, before: Json, after: Json) -> Iterator[str]:
    for attribute in ("DeletionPolicy", "UpdateReplacePolicy", "Condition"):
        if before.get(attribute) != after.get(attribute):
            yield f"{where}: its {attribute} changes"
    for path in _create_only(before["Type"]):
        if _at(before, path) != _at(after, path):
            yield f"{where}: a change of {'.'.join(path)} replaces it"


def _create_only(type_: str) -> list[list[str]]:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_).schema
    pointers = [*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())]
    return [pointer.split("/")[2:] for pointer in pointers]


def _at(resource: Json, path: list[str]) -> Any:
    value: Any = normal(resource.get("Properties", {}))
    for part in path:
        value = value.get(part, _ABSENT) if isinstance(value, dict) else _ABSENT
    return value


def test_no_update_from_the_released_templates_loses_data() -> None:
    assert [*losses(released(), current())] == []


def test_every_template_with_data_is_among_the_released_ones() -> None:
    bodies = {file.stem: parse(file.read_text()) for file in FOLDER.glob("*.yaml")}
    types = {name: {found["Type"] for found in body["Resources"].values()} for name, body in bodies.items()}
    assert set(released()) == {name for name, found in types.items() if found & KEEPS}


def _set(path: str, value: Any) -> Callable[[Json], None]:
    def apply(template: Json) -> None:
        *parents, last = path.split("/")
        inner = template["Resources"]
        for part in parents:
            inner = inner[part]
        if value is _ABSENT:
            del inner[last]
        else:
            inner[last] = value

    return apply


def _rename(template: Json) -> None:
    template["Resources"]["TheLog"] = template["Resources"].pop("LogBucket")


CHANGES: dict[str, tuple[str, Callable[[Json], None]]] = {
    "a bucket taken away": ("stream", _set("LogBucket", _ABSENT)),
    "a bucket's logical id": ("stream", _rename),
    "a bucket's name": ("stream", _set("LogBucket/Properties/BucketName", "other")),
    "a stream's name": ("stream", _set("EventStream/Properties/Name", "other")),
    "a stream of another type": ("stream", _set("EventStream/Type", "AWS::MSK::Cluster")),
    "a delivery stream's name": ("stream", _set("Delivery/Properties/DeliveryStreamName", "other")),
    "a delivery stream's source": ("stream", _set("Delivery/Properties/DeliveryStreamType", "DirectPut")),
    "a queue's name": ("source", _set("FileQueue/Properties/QueueName", "other")),
    "a queue taken away": ("source", _set("DeadFileQueue", _ABSENT)),
    "a key taken away": ("source", _set("SourceKey", _ABSENT)),
    "no longer retained": ("stream", _set("LogKey/DeletionPolicy", _ABSENT)),
    "no longer retained when replaced": ("source", _set("SourceBucket/UpdateReplacePolicy", "Delete")),
    "under a condition": ("source", _set("SourceBucket/Condition", "Rarely")),
    "the role of the delivery taken away": ("stream", _set("DeliveryRole", _ABSENT)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_update_that_loses_data_is_refused(change: str) -> None:
    template, apply = CHANGES[change]
    world = {name: found.body for name, found in copy_world(load_world()).items()}
    apply(world[template])
    assert [*losses(released(), world)]


def test_an_update_in_place_is_not_refused() -> None:
    world = {name: found.body for name, found in copy_world(load_world()).items()}
    _set("EventStream/Properties/RetentionPeriodHours", 336)(world["stream"])
    _set("SourceBucket/Properties/LifecycleConfiguration", {"Rules": []})(world["source"])
    assert [*losses(released(), world)] == []


def test_a_template_taken_away_is_refused() -> None:
    assert [*losses(released(), {})]
