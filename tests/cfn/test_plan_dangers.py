"""`headwater deploy plan` warns of every update that test_replacement.py refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cfn_templates import copy_world, load_world
from deployments import COMPLETE, planned
from test_replacement import CHANGES

from headwater.deployment.comparing import compare
from headwater.deployment.states import DeployedStack
from headwater.deployment.templates import load_templates, template_of


@pytest.mark.parametrize("change", CHANGES)
def test_an_update_that_loses_data_is_a_danger(change: str) -> None:
    name, apply = CHANGES[change]
    if change == "under a condition":
        pytest.skip("a condition of no value: CloudFormation refuses the template")
    deployment, stacks, _ = planned(COMPLETE)
    stack = next(one for one in stacks if one.template.name == name)
    values = {key: value.text for key, value in stack.values.items()}
    template = load_templates()[name]
    deployed = DeployedStack(
        f"headwater-prod-{name}", "CREATE_COMPLETE", datetime.now(UTC), values, deployment.tags, {}, template
    )
    body = copy_world(load_world())[name].body
    apply(body)
    after = replace(stack, template=template_of(name, body))
    found = compare(after, deployment.tags, deployed)
    assert [one.logical_id for one in found.resources if one.danger]
