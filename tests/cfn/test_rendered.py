"""The template that `headwater cfn render` writes passes what the others pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from deployments import COMPLETE, planned

from headwater.deployment.render import render
from headwater.deployment.tables import tables_template
from headwater.deployment.templates import load_templates
from schemas.catalog.loader import load_catalog
from schemas.sources.dynamodb import tables


@pytest.mark.parametrize("create", [True, False])
def test_cfn_lint_has_nothing_to_say_about_the_rendered_template(create: bool, tmp_path: Path) -> None:
    values = {**COMPLETE, "source": [{"account": "444455556666", "create-tables": create}]}
    deployment, stacks, _ = planned(values)
    file = tmp_path / "tables.yaml"
    file.write_text(render(deployment, stacks).files["444455556666/tables.yaml"])
    lint = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run(
        [lint, "--include-checks", "I", "--", file], capture_output=True, text=True, check=False, timeout=250
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_the_rendered_template_imports_is_exported() -> None:
    outputs = {name: {*one.body.get("Outputs", {})} for name, one in load_templates().items()}
    body = tables_template(tables(load_catalog()), create=True)
    imported = {tuple(text.split(":")) for text in _imports(body)}
    assert imported
    for stack, output in imported:
        template = stack.removeprefix("${").removesuffix("Stack}").lower()
        assert output in outputs[template], (stack, output)


def _imports(value: object) -> list[str]:
    if isinstance(value, dict):
        found = [value["Fn::ImportValue"]["Fn::Sub"]] if "Fn::ImportValue" in value else []
        return found + [text for item in value.values() for text in _imports(item)]
    return [text for item in value for text in _imports(item)] if isinstance(value, list) else []


def test_what_holds_data_is_retained_encrypted_and_can_be_restored() -> None:
    for one in tables_template(tables(load_catalog()), create=True)["Resources"].values():
        if one["Type"] == "AWS::DynamoDB::Table":
            assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] == "Retain"
            properties = one["Properties"]
            assert properties["SSESpecification"]["SSEType"] == "KMS"
            assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
            assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
            assert properties["DeletionProtectionEnabled"] is True


def test_alarms_ring_at_half_and_at_80_percent_of_a_day() -> None:
    resources = tables_template(tables(load_catalog()), create=True)["Resources"].values()
    alarms = [one["Properties"] for one in resources if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert sorted(alarm["Threshold"] for alarm in alarms) == [43_200_000, 69_120_000]
    assert all(alarm["AlarmActions"] and alarm["MetricName"] == "IteratorAge" for alarm in alarms)
