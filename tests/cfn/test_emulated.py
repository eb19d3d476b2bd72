"""Every type of resource is deployed on an emulator by `make e2e`, or has rules that judge it instead."""

from pathlib import Path

import pytest
from cfn_templates import load_world
from emulated import NOWHERE, ON_LOCALSTACK, ON_MINISTACK, ON_MOTO

ROOT = Path(__file__).resolve().parents[2]


def types() -> set[str]:
    return {body["Type"] for template in load_world().values() for body in template.resources.values()}


def test_every_type_is_deployed_or_has_rules_instead() -> None:
    deployed = ON_LOCALSTACK | ON_MINISTACK | ON_MOTO
    assert types() - deployed == NOWHERE.keys()
    assert deployed <= types()


@pytest.mark.parametrize("kind", sorted(NOWHERE))
def test_the_rules_in_place_of_an_emulator_know_the_type(kind: str) -> None:
    assert kind.rpartition("::")[2] in (ROOT / NOWHERE[kind]).read_text()
