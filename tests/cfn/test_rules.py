"""Every rule holds for every template, the rendered ones included."""

import pytest
from cfn_templates import FOLDER, load_world
from template_rules import RULES, Rule


@pytest.mark.parametrize(
    "rule", RULES, ids=lambda rule: f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"
)
def test_the_templates_obey(rule: Rule) -> None:
    assert list(rule(load_world())) == []


def test_all_templates_are_read() -> None:
    expected = {"artifacts", "replica", "stream", "source", "producers", "consumers", "replay", "schedule"}
    expected |= {"network", "peering", "replicas"}
    expected |= {"monitoring", "alarms"}
    expected |= {"warehouse", "workbench"}
    assert {
        file.stem for file in FOLDER.iterdir() if file.suffix in (".yaml", ".yml", ".json", ".template")
    } == expected
