"""Report developers may forward a port through the workbench, from the firm, and nothing else."""

from __future__ import annotations

import json

import pytest
from iam.installation import PREFIX, REGION, REPORTING, Secrets, installation
from iam.judge import INSIDE, OUTSIDE, Judge, Request, context_of, missing_tool
from iam.policies import Policy, statements_of

from schemas.catalog.loader import load_catalog

pytestmark = pytest.mark.skipif(missing_tool() is not None, reason=str(missing_tool()))

DEVELOPER = f"arn:aws:sts::{REPORTING}:assumed-role/Developer/someone"
HOST = f"arn:aws:ec2:{REGION}:{REPORTING}:instance/{PREFIX}-workbench-Workbench-1A2B3C"
# Documents of AWS have no account. The simulator knows none without, so it is given one, on both sides.
DOCUMENTS, OF_AWS = f"arn:aws:ssm:{REGION}::document/", f"arn:aws:ssm:{REGION}:{REPORTING}:document/"
FORWARDING = f"{OF_AWS}AWS-StartPortForwardingSessionToRemoteHost"
MFA = {"aws:MultiFactorAuthPresent": "true"}


def policy(**parameters: str) -> Policy:
    """Return the developers' policy of a deployment."""
    resources = installation(load_catalog(), Secrets(), workbench=parameters).resources
    (found,) = (each for each in resources if each.logical == "DevelopersPolicy")
    text = json.dumps(found.properties["PolicyDocument"])
    assert text.count(DOCUMENTS) == 1
    return statements_of(json.loads(text.replace(DOCUMENTS, OF_AWS)), "developers", 0)


def may(judge: Judge, policy: Policy, action: str, resource: str, **context: str | None) -> bool:
    values = {
        "aws:SourceIp": INSIDE,
        **MFA,
        **{name.replace("__", ":", 1): value for name, value in context.items()},
    }
    request = Request(DEVELOPER, action, resource, REPORTING, context_of(values))
    return judge.judge(request, [policy], None).allowed


@pytest.mark.parametrize("resource", [HOST, FORWARDING])
def test_a_developer_at_the_firm_may_forward_a_port(judge: Judge, resource: str) -> None:
    assert may(judge, policy(), "ssm:StartSession", resource)


@pytest.mark.parametrize("address", [OUTSIDE, None])
def test_nobody_may_from_elsewhere(judge: Judge, address: str | None) -> None:
    for resource in (HOST, FORWARDING):
        assert not may(judge, policy(), "ssm:StartSession", resource, aws__SourceIp=address)


@pytest.mark.parametrize("present", ["false", None])
def test_nobody_may_without_mfa_unless_an_identity_provider_requires_it(
    judge: Judge, present: str | None
) -> None:
    context = {"aws__MultiFactorAuthPresent": present}
    assert not may(judge, policy(), "ssm:StartSession", HOST, **context)
    assert may(judge, policy(RequireMfa="false"), "ssm:StartSession", HOST, **context)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ssm:StartSession", f"arn:aws:ec2:{REGION}:{REPORTING}:instance/i-12345678"),
        ("ssm:StartSession", f"arn:aws:ssm:{REGION}:{REPORTING}:document/SSM-SessionManagerRunShell"),
        ("ssm:StartSession", f"arn:aws:ssm:{REGION}:{REPORTING}:document/{PREFIX}-workbench-shell"),
        ("ssm:StartSession", f"{OF_AWS}AWS-StartInteractiveCommand"),
        ("ssm:StartSession", f"{OF_AWS}AWS-StartSSHSession"),
        ("ssm:SendCommand", HOST),
        ("ec2:TerminateInstances", HOST),
        ("secretsmanager:GetSecretValue", Secrets().warehouse),
    ],
)
def test_nothing_else_is_allowed(judge: Judge, action: str, resource: str) -> None:
    assert not may(judge, policy(), action, resource)


def test_no_shell_without_naming_the_document(judge: Judge) -> None:
    """A call that names no document starts a shell: Systems Manager then says that it checked none."""
    assert not may(judge, policy(), "ssm:StartSession", HOST, ssm__SessionDocumentAccessCheck="false")
