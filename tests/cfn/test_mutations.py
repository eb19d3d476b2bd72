"""The rules report mistakes: those that people make, and a change of any single value."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from alarm_mutations import ALARM_MUTATIONS
from cfn_templates import World, copy_world, load_world
from default_mutations import DEFAULTS
from firm_mutations import FIRM
from interface_mutations import INTERFACES
from mutations import Mutation
from network_mutations import NETWORKS
from permission_mutations import PERMISSIONS
from replica_mutations import REPLICA
from resource_mutations import RESOURCES
from schedule_mutations import SCHEDULE
from template_rules import RULES, findings
from warehouse_mutations import WAREHOUSE, WORKBENCH

MUTATIONS = (
    *PERMISSIONS,
    *RESOURCES,
    *INTERFACES,
    *ALARM_MUTATIONS,
    *DEFAULTS,
    *FIRM,
    *NETWORKS,
    *REPLICA,
    *SCHEDULE,
    *WAREHOUSE,
    *WORKBENCH,
)


@cache
def original() -> World:
    return load_world()


@cache
def found_before() -> frozenset[str]:
    return frozenset(findings(original()))


def test_there_are_enough_and_each_has_a_name() -> None:
    names = [(mutation.template, mutation.name) for mutation in MUTATIONS]
    assert len(names) == len(set(names))
    assert len(names) >= 250


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.template}: {mutation.name}")
def test_a_mistake_is_reported(mutation: Mutation) -> None:
    world = copy_world(original())
    mutation.apply(world[mutation.template])
    found = set(findings(world)) - found_before()
    assert world[mutation.template] != original()[mutation.template]
    assert any(finding.startswith(mutation.template) for finding in found)


# What a change of any value cannot show: texts for people, and values that rules only limit.
FREE = {
    "Sid",
    "AlarmName",
    "PolicyName",
    "TableName",
    "Description",
    "AlarmDescription",
    "AssertDescription",
    "description",
    "ConstraintDescription",
    "AWSTemplateFormatVersion",
    "Metadata",
}
LIMITED = {"AllowedPattern", "MinValue", "MaxValue", "AllowedValues"}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Yield every value with its container and its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if key in FREE or ("Parameters" in path[:1] and key in LIMITED):
            continue
        if isinstance(item, dict | list):
            yield from leaves(item, (*path, key))
        else:
            yield value, key, (*path, key)


COMPARED = {"stream", "source", "consumers"}


def changed(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}x"


@pytest.mark.parametrize("name", sorted(original()))
def test_a_change_of_any_value_is_reported(name: str) -> None:
    # Only what rules compare with each other, since this runs all of them for every value.
    world = {key: found for key, found in copy_world(original()).items() if key in {name, *COMPARED}}
    silent, number, before_all = [], 0, set(findings(world))
    for container, key, path in list(leaves(world[name].body)):
        before = container[key]
        container[key] = changed(before)
        number += 1
        if not is_reported(world, before_all):
            silent.append(path)
        container[key] = before
    assert silent == []
    assert number > 20


def is_reported(world: World, known: set[str]) -> bool:
    try:
        return any(finding not in known for rule in RULES for finding in rule(world))
    except (KeyError, ValueError, TypeError):  # such as a reference to nothing, which cfn-lint reports too
        return True
