"""The replica of the log has a stack in a region of its own, and the log is replicated only to it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from deployments import COMPLETE, KEY, REPORTING, SOURCE, planned

from headwater.deployment.checks import missing_values
from headwater.deployment.render import render
from headwater.deployment.stacks import Stack

THERE = KEY.replace("eu-west-2", "eu-west-1")
BUCKET = f"arn:aws:s3:::headwater-prod-log-replica-{REPORTING}-eu-west-1"


def values(replica: Any, **stream: str) -> dict[str, Any]:
    made = deepcopy(COMPLETE)
    made["reporting"] |= {"stream": stream, **({} if replica is None else {"replica": replica})}
    return made


def found(replica: Any, **stream: str) -> list[str]:
    return planned(values(replica, **stream))[2]


def stack_of(template: str, replica: Any, **stream: str) -> Stack:
    stacks = planned(values(replica, **stream))[1]
    return next(stack for stack in stacks if stack.template.name == template)


def test_the_stack_of_the_replica_comes_before_the_stream_in_its_own_region() -> None:
    deployment, stacks, wrong = planned(values({"region": "eu-west-1", "LockDays": 30}, ReplicaKeyArn=THERE))
    assert wrong == []
    names = [stack.name for stack in stacks if stack.account == REPORTING]
    assert names[:3] == ["artifacts", "replica", "stream"]
    assert {stack.name: stack.region for stack in stacks if stack.region != deployment.region} == {
        "replica": "eu-west-1"
    }
    replica = next(stack for stack in stacks if stack.name == "replica")
    assert replica.values["LockDays"].text == "30"
    assert "region" not in replica.values


def test_the_bucket_follows_from_the_region() -> None:
    stream = stack_of("stream", {"region": "eu-west-1"}, ReplicaKeyArn=THERE)
    assert stream.values["ReplicaBucketArn"].text == BUCKET
    china = stack_of("stream", {"region": "cn-north-1"}, ReplicaKeyArn=THERE)
    assert china.values["ReplicaBucketArn"].text.startswith("arn:aws-cn:s3:::")


def test_the_stream_waits_for_the_key_of_the_replica() -> None:
    deployment, stacks, _ = planned(values({"region": "eu-west-1"}))
    stream = next(stack for stack in stacks if stack.name == "stream")
    assert stream.missing == ("ReplicaKeyArn",)
    assert missing_values([stream]) == [
        "reporting, stream, ReplicaKeyArn: missing; "
        "allowed: the output ReplicaKeyArn of replica.yaml, or nothing"
    ]
    assert f"{REPORTING}/stream.json" in render(deployment, stacks).waiting


def test_without_a_replica_nothing_is_replicated() -> None:
    stream = stack_of("stream", None)
    assert (stream.values["ReplicaBucketArn"].text, stream.values["ReplicaKeyArn"].text) == ("", "")
    assert stream.missing == ()


@pytest.mark.parametrize(
    ("replica", "stream", "expected"),
    [
        ({}, {}, 'reporting, replica: "region" is missing'),
        ({"region": "Dublin"}, {}, 'replica, region: found "Dublin"; allowed: a region, such as eu-west-1'),
        ({"region": 1}, {}, "replica, region: found 1; allowed: a region"),
        ({"region": "eu-west-2"}, {}, 'found "eu-west-2"; allowed: another region than eu-west-2'),
        ({"region": "eu-west-9"}, {}, 'reporting, replica, region: found "eu-west-9"; did you mean'),
        ({"region": "eu-west-1", "Region": "x"}, {}, "replica: unknown parameter"),
        ({"region": "eu-west-1", "LockDays": 0}, {}, "reporting, replica, LockDays: found"),
        ({"region": "eu-west-1", "LockMode": "NONE"}, {}, "reporting, replica, LockMode: found"),
        ("eu-west-1", {}, 'reporting, replica: found "eu-west-1"; allowed: a table'),
        ({"region": "eu-west-1"}, {"ReplicaKeyArn": KEY}, "allowed: an ARN in eu-west-1"),
        (
            {"region": "eu-west-1"},
            {"ReplicaKeyArn": THERE.replace(REPORTING, SOURCE)},
            f"allowed: an ARN in account {REPORTING}",
        ),
        ({"region": "eu-west-1"}, {"ReplicaKeyArn": "alias/x"}, "reporting, stream, ReplicaKeyArn: found"),
        (None, {"ReplicaKeyArn": KEY}, "ReplicaKeyArn: found without [reporting.replica]"),
        (None, {"ReplicaBucketArn": BUCKET}, "ReplicaBucketArn: found without [reporting.replica]"),
    ],
)
def test_what_would_not_replicate_is_refused(replica: Any, stream: dict[str, str], expected: str) -> None:
    assert [text for text in found(replica, **stream) if expected in text]


def test_regions_of_another_partition_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.REGIONS", ("eu-west-2", "cn-north-1"))
    assert [text for text in found({"region": "cn-north-1"}) if "of the partition of eu-west-2" in text]
