"""The judge of calls, on cases whose outcome AWS documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from iam.judge import ANONYMOUS, Judge, Request, context_of, missing_tool
from iam.policies import Policy, statements_of

OURS, THEIRS = "111122223333", "444455556666"
ROLE = f"arn:aws:sts::{THEIRS}:assumed-role/Writer/session"
OBJECT = "arn:aws:s3:::log/log/_schemas/1"
KEY = f"arn:aws:kms:eu-west-2:{OURS}:key/1234abcd"
STREAM = f"arn:aws:kinesis:eu-west-2:{OURS}:stream/events"
VIA = {"kms:ViaService": "kinesis.eu-west-2.amazonaws.com", "kms:EncryptionContext:aws:kinesis:arn": STREAM}

pytestmark = pytest.mark.skipif(missing_tool() is not None, reason=str(missing_tool()))


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


def allow(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def policy(*bodies: dict[str, Any]) -> Policy:
    return statements_of({"Statement": list(bodies)}, "test", 0)


def request(
    action: str, resource: str, account: str = OURS, principal: str = ROLE, **context: str
) -> Request:
    return Request(principal, action, resource, account, context_of(context))


ACCOUNT = {"Principal": {"AWS": f"arn:aws:iam::{THEIRS}:root"}}
WRITER = {"Principal": {"AWS": f"arn:aws:iam::{THEIRS}:role/Writer"}}
PUT = request("s3:PutObject", OBJECT)


@pytest.mark.parametrize(
    ("identity", "resource", "allowed"),
    [
        (policy(allow("s3:PutObject")), policy(allow("s3:PutObject", OBJECT, **ACCOUNT)), True),
        (policy(allow("s3:PutObject")), policy(allow("s3:PutObject", OBJECT, **WRITER)), True),
        (policy(allow("s3:PutObject")), None, False),
        (policy(), policy(allow("s3:PutObject", OBJECT, **ACCOUNT)), False),
        (policy(), policy(allow("s3:PutObject", OBJECT, **WRITER)), False),
    ],
)
def test_another_account_needs_both_sides(
    judge: Judge, identity: Policy, resource: Policy | None, allowed: bool
) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html"""
    assert judge.judge(PUT, [identity], resource).allowed == allowed


def test_within_an_account_one_side_is_enough(judge: Judge) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html"""
    mine = request("s3:PutObject", OBJECT, account=THEIRS)
    assert judge.judge(mine, [policy(allow("s3:PutObject"))], None).allowed
    assert judge.judge(mine, [], policy(allow("s3:PutObject", OBJECT, **WRITER))).allowed
    assert not judge.judge(mine, [], None).allowed


@pytest.mark.parametrize("side", ["identity", "resource"])
def test_an_explicit_deny_overrides_both(judge: Judge, side: str) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html"""
    identity, resource = [allow("s3:PutObject")], [allow("s3:PutObject", OBJECT, **ACCOUNT)]
    if side == "identity":
        identity.append(deny("s3:*"))
    else:
        resource.append(deny("s3:*", OBJECT, Principal="*"))
    verdict = judge.judge(PUT, [policy(*identity)], policy(*resource))
    assert (verdict.allowed, verdict.why) == (False, "ExplicitlyDenied")


def test_a_deny_without_tls_spares_requests_without_the_key(judge: Judge) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-securetransport"""
    tls_only = deny("s3:*", OBJECT, Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    resource = policy(allow("s3:PutObject", OBJECT, **ACCOUNT), tls_only)
    identity = [policy(allow("s3:PutObject"))]
    assert judge.judge(PUT, identity, resource).allowed
    assert judge.judge(PUT.with_context(aws__SecureTransport="true"), identity, resource).allowed
    assert not judge.judge(PUT.with_context(aws__SecureTransport="false"), identity, resource).allowed


def test_a_conditional_write(judge: Judge) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""
    once = allow("s3:PutObject", OBJECT, **ACCOUNT, Condition={"Null": {"s3:if-none-match": "false"}})
    identity = [policy(allow("s3:PutObject"))]
    assert not judge.judge(PUT, identity, policy(once)).allowed
    assert judge.judge(PUT.with_context(**{"s3__if-none-match": "*"}), identity, policy(once)).allowed


GENERATE = request("kms:GenerateDataKey", KEY, **VIA)
ENABLE_IAM = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{OURS}:root"})
VIA_KINESIS = allow("kms:GenerateDataKey", **ACCOUNT, Condition={"StringEquals": VIA})


def test_a_key_trusts_no_policy_of_its_own_account_unless_its_policy_says_so(judge: Judge) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"""
    principal = f"arn:aws:sts::{OURS}:assumed-role/Reader/session"
    mine, identity = request("kms:Decrypt", KEY, principal=principal), [policy(allow("kms:Decrypt", KEY))]
    other = allow("kms:Encrypt", **ACCOUNT)
    assert judge.judge(mine, identity, policy(ENABLE_IAM)).allowed
    assert not judge.judge(mine, identity, policy(other)).allowed
    assert not judge.judge(mine, [], policy(ENABLE_IAM)).allowed


def test_a_key_of_another_account_needs_both_sides(judge: Judge) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html"""
    identity = [policy(allow("kms:GenerateDataKey", KEY))]
    assert judge.judge(GENERATE, identity, policy(ENABLE_IAM, VIA_KINESIS)).allowed
    assert not judge.judge(GENERATE, identity, policy(ENABLE_IAM)).allowed
    assert not judge.judge(GENERATE, [], policy(ENABLE_IAM, VIA_KINESIS)).allowed


@pytest.mark.parametrize(
    "other",
    [
        {"kms:ViaService": "s3.eu-west-2.amazonaws.com"},
        {"kms:ViaService": None},
        {"kms:EncryptionContext:aws:kinesis:arn": STREAM + "-other"},
        {"kms:EncryptionContext:aws:kinesis:arn": None},
    ],
)
def test_a_key_only_through_a_service_and_for_one_stream(judge: Judge, other: dict[str, str | None]) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html"""
    identity = [policy(allow("kms:GenerateDataKey", KEY))]
    changed = Request(GENERATE.principal, GENERATE.action, KEY, OURS, context_of({**VIA, **other}))
    assert not judge.judge(changed, identity, policy(ENABLE_IAM, VIA_KINESIS)).allowed


def test_nobody_may_read_a_public_bucket_that_blocks_it(judge: Judge) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"""
    public = policy(allow("s3:GetObject", "arn:aws:s3:::log/*", Principal="*"))
    read = request("s3:GetObject", OBJECT, principal=ANONYMOUS)
    assert judge.judge(read, [], public).allowed
    assert not judge.judge(read, [], public, public_blocked=True).allowed
    assert not judge.judge(read, [], None).allowed


def test_a_service_is_judged_by_the_resource_alone(judge: Judge) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-services"""
    queue = f"arn:aws:sqs:eu-west-2:{OURS}:files"
    condition = {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::source"}}
    sends = allow("sqs:SendMessage", queue, Principal={"Service": "s3.amazonaws.com"}, Condition=condition)
    context = {"aws:SourceArn": "arn:aws:s3:::source"}
    assert judge.judge(
        request("sqs:SendMessage", queue, principal="s3.amazonaws.com", **context), [], policy(sends)
    ).allowed
    context["aws:SourceArn"] = "arn:aws:s3:::another"
    assert not judge.judge(
        request("sqs:SendMessage", queue, principal="s3.amazonaws.com", **context), [], policy(sends)
    ).allowed
