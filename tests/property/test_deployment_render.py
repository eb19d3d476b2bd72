"""The rendered files, for any tables and any values."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
from deployments import COMPLETE, SOURCE, planned, toml
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.deployment.deployment import deployment_of
from headwater.deployment.render import render
from headwater.deployment.tables import logical_id, tables_template
from schemas.sources.dynamodb import KeyAttribute

NAMES = st.text("abAB01_.-", min_size=3, max_size=255)
KEYS = (KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
TABLES = st.sets(NAMES, max_size=40).map(lambda names: dict.fromkeys(names, KEYS))
VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)


@given(st.sets(NAMES, max_size=50))
@example({"a-b", "a.b", "a_b", "ab", "A-b", "aB"})
@example({"." * 3, "-" * 3, "x" * 255, "x" * 254})
def test_any_set_of_table_names_gives_unique_and_valid_ids(names: set[str]) -> None:
    ids = [logical_id(kind, name) for kind in ("Table", "Mapping", "Stream") for name in names]
    assert len({*ids}) == len(ids)
    assert all(re.fullmatch("[A-Za-z0-9]{1,255}", one) for one in ids)


@given(TABLES, NAMES, st.booleans())
def test_another_table_changes_no_resource_of_a_table(
    tables: dict[str, Any], name: str, create: bool
) -> None:
    with_it = tables_template({**tables, name: KEYS}, create=create)["Resources"]
    without = tables_template({one: KEYS for one in tables if one != name}, create=create)["Resources"]
    mine = {logical_id(kind, name) for kind in ("Table", "Mapping")}
    for one, resource in without.items():
        if one.startswith(("Table", "Mapping")):
            assert {**with_it[one], "DependsOn": None} == {**resource, "DependsOn": None}
    assert {*with_it} - {*without} >= mine & {*with_it}
    assert logical_id("Mapping", name) in with_it


@given(TABLES, st.booleans())
def test_every_table_has_a_mapping_that_discards_nothing_and_a_policy(
    tables: dict[str, Any], create: bool
) -> None:
    resources = tables_template(tables, create=create)["Resources"].values()
    mappings = [one["Properties"] for one in resources if one["Type"] == "AWS::Lambda::EventSourceMapping"]
    assert len(mappings) == len(tables)
    for mapping in mappings:
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert mapping["MaximumRetryAttempts"] == mapping["MaximumRecordAgeInSeconds"] == -1
        assert mapping["BisectBatchOnFunctionError"] is False
        assert mapping["ParallelizationFactor"] == 1
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert "DestinationConfig" not in mapping
    readable = [
        arn
        for one in resources
        if one["Type"] == "AWS::IAM::ManagedPolicy"
        for arn in one["Properties"]["PolicyDocument"]["Statement"][0]["Resource"]
    ]
    assert all(mapping["EventSourceArn"] in readable for mapping in mappings)


@given(TABLES)
def test_no_policy_is_larger_than_iam_allows(tables: dict[str, Any]) -> None:
    """Sizes count without white space, once CloudFormation has put the ARNs in."""
    for one in tables_template(tables, create=False)["Resources"].values():
        if one["Type"] == "AWS::IAM::ManagedPolicy":
            text = json.dumps(one["Properties"]["PolicyDocument"], separators=(",", ":"))
            for stream in re.findall(r'\{"Ref":"Stream[A-Za-z0-9]+"\}', text):
                name = next(name for name in tables if logical_id("Stream", name) in stream)
                table = f"arn:aws-us-gov:dynamodb:us-gov-west-1:{SOURCE}:table/{name}"
                text = text.replace(stream, f'"{table}/stream/2026-11-30T09:00:00.000"')
            text = re.sub(r'\{"Fn::Sub":("[^"]*")\}', r"\1", text)
            text = text.replace("${AWS::Partition}", "aws-us-gov").replace("${AWS::Region}", "us-gov-west-1")
            assert len(text.replace("${AWS::AccountId}", SOURCE)) <= 6144


@given(st.dictionaries(st.text(max_size=9), VALUES, max_size=5))
def test_what_is_written_as_toml_is_read_as_it_was(values: dict[str, Any]) -> None:
    assert tomllib.loads(toml(values)) == values


@given(st.dictionaries(st.sampled_from(sorted(COMPLETE)), VALUES))
def test_a_file_of_anything_is_read_or_refused_with_a_reason(values: dict[str, Any]) -> None:
    deployment, problems = deployment_of(values)
    assert problems
    assert not deployment.is_named
    planned(values)


@given(st.randoms(use_true_random=False))
def test_the_order_in_the_file_changes_no_byte(random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = [*value]
        random.shuffle(names)
        return {name: shuffled(value[name]) for name in names}

    deployment, stacks, _ = planned(COMPLETE)
    again, other, _ = planned(shuffled(COMPLETE))
    assert render(deployment, stacks) == render(again, other)


@pytest.mark.parametrize("create", [True, False])
def test_the_template_is_the_same_for_any_order_of_tables(create: bool) -> None:
    names = ("zeta", "alpha.b", "alpha-b")
    first = tables_template(dict.fromkeys(names, KEYS), create=create)
    second = tables_template(dict.fromkeys(sorted(names), KEYS), create=create)
    assert json.dumps(first) == json.dumps(second)
