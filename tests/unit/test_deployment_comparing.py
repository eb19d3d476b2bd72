"""What `headwater deploy plan` finds: real templates and their parameters, compared with deployed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from deployments import COMPLETE, KEY, changed, planned

from headwater.deployment.comparing import HIDDEN, Comparison, compare
from headwater.deployment.deployment import Deployment
from headwater.deployment.resolving import references, resolve
from headwater.deployment.stacks import Stack
from headwater.deployment.states import DeployedStack, refusal
from headwater.deployment.templates import template_of

Json = dict[str, Any]
REGION = "eu-west-2"


def stack_of(template: str, values: Mapping[str, Any] = COMPLETE) -> tuple[Deployment, Stack]:
    deployment, stacks, _ = planned(values)
    return deployment, next(stack for stack in stacks if stack.template.name == template)


def deployed(
    template: str, change: Callable[[Json], object] = lambda body: None, **parameters: str
) -> DeployedStack:
    """The stack of the complete deployment, deployed from another template or with other parameters."""
    deployment, stack = stack_of(template)
    body = deepcopy(dict(stack.template.body))
    change(body)
    return DeployedStack(
        name=deployment.stack(template),
        status="CREATE_COMPLETE",
        changed_at=datetime(2026, 11, 30, tzinfo=UTC),
        parameters={name: value.text for name, value in stack.values.items()} | parameters,
        tags=deployment.tags,
        outputs={},
        template=template_of(template, body),
    )


def compared(before: DeployedStack, values: Mapping[str, Any] = COMPLETE) -> Comparison:
    deployment, stack = stack_of(before.name.rpartition("-")[2], values)
    return compare(stack, deployment.tags, before)


def resources(found: Comparison) -> dict[str, str]:
    return {one.logical_id: one.what for one in found.resources}


def dangers(found: Comparison) -> dict[str, str]:
    return {one.logical_id: one.danger for one in found.resources if one.danger}


@pytest.mark.parametrize("name", [stack.template.name for stack in planned(COMPLETE)[1]])
def test_nothing_changes_where_nothing_changed(name: str) -> None:
    assert compared(deployed(name)).is_empty


def test_a_parameter_changes_the_properties_that_follow_from_it() -> None:
    found = compared(
        deployed("stream", RetentionHours="168"), changed("reporting.stream.RetentionHours", 336)
    )
    parameter, *outputs = found.values
    assert (parameter.name, parameter.before, parameter.after) == ("RetentionHours", "168", "336")
    assert {one.name for one in outputs} == {"IteratorAgeHalf", "IteratorAgeMost"}
    paths = {one.logical_id: one.paths for one in found.resources}
    assert paths == {
        "EventStream": ("Properties.RetentionPeriodHours",),
        "DeliveryBehindHalfAlarm": ("Properties.Threshold",),
        "DeliveryBehindMostAlarm": ("Properties.Threshold",),
    }
    assert {*resources(found).values()} == {"changed"}
    assert not dangers(found)


def test_a_condition_that_changes_is_seen() -> None:
    found = compared(deployed("stream"), changed("reporting.stream.StreamMode", "PROVISIONED"))
    paths = {one.logical_id: one.paths for one in found.resources}
    assert {*paths["EventStream"]} == {
        "Properties.ShardCount",
        "Properties.StreamModeDetails.StreamMode",
    }


def test_what_replaces_data_is_a_danger_and_so_is_what_follows() -> None:
    def named(body: Json) -> None:
        body["Resources"]["LogBucket"]["Properties"]["BucketName"] = "another"

    found = compared(deployed("stream", named))
    assert resources(found)["LogBucket"] == "replaced"
    assert resources(found)["LogBucketPolicy"] == "replaced"  # its bucket is another one
    assert resources(found)["Delivery"] == "changed"
    assert dangers(found) == {"LogBucket": "it holds data, and an empty one takes its place"}


def test_what_leaves_the_stack_is_a_danger_if_it_holds_data() -> None:
    def owning(body: Json) -> None:
        body["Resources"]["OtherBucket"] = deepcopy(body["Resources"]["LogBucket"])
        body["Resources"]["OtherTopic"] = {"Type": "AWS::SNS::Topic"}

    found = compared(deployed("stream", owning))
    assert resources(found) == {"OtherBucket": "removed", "OtherTopic": "removed"}
    assert [*dangers(found)] == ["OtherBucket"]


def test_what_is_new_is_added() -> None:
    def less(body: Json) -> None:
        del body["Resources"]["AlarmTopicPolicy"]

    assert resources(compared(deployed("stream", less))) == {"AlarmTopicPolicy": "added"}


def test_data_that_is_no_longer_kept_is_a_danger() -> None:
    def kept(body: Json) -> None:
        body["Resources"]["AlarmTopic"]["DeletionPolicy"] = "Retain"

    found = compared(deployed("stream", kept))
    assert found.resources[0].paths == ("DeletionPolicy",)
    assert "loses its DeletionPolicy" in dangers(found)["AlarmTopic"]


def test_another_type_under_the_same_id_is_refused_by_cloudformation() -> None:
    def topic(body: Json) -> None:
        body["Resources"]["EventStream"] = {"Type": "AWS::SNS::Topic"}

    assert "another logical id" in dangers(compared(deployed("stream", topic)))["EventStream"]


def test_a_package_changes_the_code_of_its_functions_alone() -> None:
    found = compared(deployed("consumers", ConsumersKey="earlier.zip"))
    assert {path for one in found.resources for path in one.paths} == {"Properties.Code.S3Key"}
    assert {*resources(found).values()} == {"changed"}


def test_values_that_may_be_secrets_are_not_shown() -> None:
    before = deployed("consumers", WarehouseSecretArn="a password by mistake", WarehouseHost="mssql://a:b@c")
    found = compared(before)
    assert {(one.name, one.before, one.after) for one in found.values if one.what == "parameter"} == {
        ("WarehouseSecretArn", HIDDEN, HIDDEN),
        ("WarehouseHost", HIDDEN, ""),
    }


def test_a_parameter_without_a_value_keeps_the_deployed_one() -> None:
    """As the AWS CLI does it for a parameter that its file leaves out."""
    before = deployed("consumers", ConsumersKey="earlier.zip")
    assert compared(before, changed("parameters.ConsumersKey", None)).is_empty


def test_tags_change_too() -> None:
    (found,) = compared(deployed("stream"), changed("tags.owner", "others")).values
    assert (found.what, found.name, found.before, found.after) == ("tag", "owner", "data-platform", "others")


def test_texts_for_readers_are_no_change() -> None:
    def described(body: Json) -> None:
        body["Description"] = "another"
        body["Parameters"]["LockDays"]["Description"] = "another"
        body["Outputs"]["StreamArn"]["Description"] = "another"

    assert compared(deployed("stream", described)).is_empty


def test_what_aws_does_not_show_is_not_compared() -> None:
    def silent(body: Json) -> None:
        body["Parameters"]["LockDays"]["NoEcho"] = True

    found = compared(deployed("stream", silent, LockDays="****"))
    assert not [one for one in found.values if one.name == "LockDays"]


def scalars(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every scalar with its container, but those of branches, of which one does not count."""
    for name, item in [*value.items()] if isinstance(value, dict) else [*enumerate(value)]:
        if isinstance(item, (dict, list)):
            yield from () if name == "Fn::If" else scalars(item)
        else:
            yield value, name


@pytest.mark.parametrize("name", [stack.template.name for stack in planned(COMPLETE)[1]])
def test_a_change_of_any_single_value_of_a_property_is_seen(name: str) -> None:
    deployment, stack = stack_of(name)
    before, silent, number = deployed(name), [], 0
    values = {key: value.text for key, value in stack.values.items()}
    for logical_id in resolve(stack.template, values, {}).resources:
        body = {**stack.template.body, "Resources": {}, "Outputs": {}}
        alone = replace(
            before, template=template_of(name, deepcopy(body | {"Resources": one(stack, logical_id)}))
        )
        body["Resources"] = one(stack, logical_id)
        changed = replace(stack, template=template_of(name, body))
        for container, key in [*scalars(body["Resources"][logical_id].get("Properties", {}))]:
            former, container[key] = container[key], f"{container[key]}x"
            if not compare(changed, deployment.tags, alone).resources:
                silent.append((logical_id, key))
            container[key] = former
            number += 1
    assert silent == []
    assert number > 10


def one(stack: Stack, logical_id: str) -> Json:
    return {logical_id: deepcopy(stack.template.body["Resources"][logical_id])}


# Functions of templates


def evaluated(value: Any, **values: str) -> Any:
    body = {
        "Parameters": {
            name: {"Type": "CommaDelimitedList" if name == "List" else "String"} for name in values
        },
        "Mappings": {"Hours": {"72": {"Half": 36}}},
        "Conditions": {
            "IsA": {"Fn::Equals": [{"Ref": "A"}, "a"]},
            "Neither": {"Fn::Not": [{"Fn::Or": [{"Condition": "IsA"}, {"Fn::Equals": [{"Ref": "A"}, "b"]}]}]},
            "Both": {"Fn::And": [{"Condition": "IsA"}, {"Fn::Not": [{"Condition": "Neither"}]}]},
        },
        "Resources": {"One": {"Type": "T", "Properties": {"P": value}}},
    }
    found = resolve(template_of("t", body), {"A": "a", **values}, {"AWS::Region": REGION})
    return found.resources["One"]["Properties"].get("P")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (168, "168"),
        ({"Ref": "List"}, ["1", "2"]),
        ({"Ref": "AWS::NoValue"}, None),
        ([{"Ref": "AWS::NoValue"}, "x"], ["x"]),
        ({"Ref": "Other"}, {"Ref": "Other"}),
        ({"Fn::GetAtt": "Other.Arn"}, {"Fn::GetAtt": ["Other", "Arn"]}),
        ({"Fn::Sub": "${A}-${AWS::Region}-${!B}"}, "a-eu-west-2-${!B}"),
        ({"Fn::Sub": "${A}-${Other.Arn}"}, {"Fn::Sub": "a-${Other.Arn}"}),
        ({"Fn::Sub": ["${V}/x", {"V": {"Ref": "A"}}]}, "a/x"),
        ({"Fn::Sub": ["${V}/x", {"V": {"Fn::GetAtt": ["Other", "Arn"]}}]}, {"Fn::Sub": "${Other.Arn}/x"}),
        (
            {"Fn::Sub": ["${V}", {"V": {"Fn::ImportValue": {"Fn::Sub": "${A}:X"}}}]},
            '{"Fn::ImportValue": "a:X"}',
        ),
        ({"Fn::If": ["IsA", "yes", "no"]}, "yes"),
        ({"Fn::If": ["Neither", "yes", "no"]}, "no"),
        ({"Fn::If": ["Both", "yes", "no"]}, "yes"),
        ({"Fn::Join": ["-", [{"Ref": "A"}, "b"]]}, "a-b"),
        ({"Fn::Join": ["", {"Ref": "List"}]}, "12"),
        ({"Fn::Join": ["-", [{"Ref": "O"}]]}, {"Fn::Join": ["-", [{"Ref": "O"}]]}),
        ({"Fn::Select": [1, {"Ref": "List"}]}, "2"),
        ({"Fn::Select": [5, {"Ref": "List"}]}, {"Fn::Select": ["5", ["1", "2"]]}),
        ({"Fn::Split": ["-", {"Fn::Sub": "${A}-b"}]}, ["a", "b"]),
        ({"Fn::FindInMap": ["Hours", "72", "Half"]}, "36"),
        (
            {"Fn::FindInMap": ["Hours", {"Ref": "O"}, "Half"]},
            {"Fn::FindInMap": ["Hours", {"Ref": "O"}, "Half"]},
        ),
        ({"Fn::ImportValue": {"Fn::Sub": "${A}:X"}}, {"Fn::ImportValue": "a:X"}),
    ],
    ids=str,
)
def test_a_function_is_evaluated_as_far_as_it_is_known(value: Any, expected: Any) -> None:
    assert evaluated(value, List="1, 2") == expected


def test_references_of_a_resolved_value_are_found() -> None:
    value = {"A": {"Ref": "One"}, "B": [{"Fn::GetAtt": ["Two", "Arn"]}, {"Fn::Sub": "${Three.Arn}/${Four}"}]}
    assert {*references(value)} == {"One", "Two", "Three", "Four"}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("CREATE_COMPLETE", None),
        ("UPDATE_ROLLBACK_COMPLETE", None),
        ("REVIEW_IN_PROGRESS", None),
        ("UPDATE_IN_PROGRESS", "wait"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait"),
        ("ROLLBACK_COMPLETE", "delete the stack"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("DELETE_FAILED", "delete it again"),
    ],
)
def test_states_that_refuse_an_update_come_with_what_to_do(status: str, word: str | None) -> None:
    found = refusal(status)
    assert found is None if word is None else found is not None and word in found


def test_the_key_of_another_stack_is_no_secret() -> None:
    found = compared(deployed("producers", StreamKeyArn=KEY.replace("1111", "2222")))
    assert found.values[0].after == KEY
