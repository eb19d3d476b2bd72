"""The judge of requests: IAM's evaluation of policies, by a simulator in a Node process of the tests' own.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from iam.policies import Policy, Statement

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ANONYMOUS = "*"
"""The principal of a request without a signature."""
_CONTEXT = "kms:EncryptionContext:"
_LOWERED = "aws:PrincipalTag/EncryptionContext."

# The simulator knows no resource of this action, to which the example of AWS gives streams, as the other has:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.Lambda.html
_ACTIONS = {"dynamodb:ListStreams": "dynamodb:GetResourcePolicy"}


@dataclass(frozen=True)
class Request:
    """One action on one resource, as IAM sees it. `account` owns the resource."""

    principal: str
    action: str
    resource: str
    account: str
    context: tuple[tuple[str, str], ...] = field(default=())

    def with_context(self, **values: str | None) -> Request:
        """Return the request with other values of keys, with `__` for the colon; None removes a key."""
        changed = {name.replace("__", ":", 1): value for name, value in values.items()}
        kept = {**dict(self.context), **changed}
        return Request(self.principal, self.action, self.resource, self.account, context_of(kept))


def context_of(values: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    """Return context keys in order, without those that are absent."""
    return tuple(sorted((key, value) for key, value in values.items() if value is not None))


INSIDE, OUTSIDE = "203.0.113.7", "192.0.2.7"
"""An address of the firm that the deployment of these tests names, and one of anybody else."""
FIRM = "203.0.113.0/24"


def origin(
    principal: str, address: str | None = OUTSIDE, *, via_service: bool = False
) -> dict[str, str | None]:
    """Return what every request tells about its origin. Functions have addresses of AWS: not of the firm.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    values: dict[str, str | None] = {"aws:SourceIp": address, "aws:ViaAWSService": str(via_service).lower()}
    if principal != ANONYMOUS:
        values["aws:PrincipalIsAWSService"] = str(principal.endswith(".amazonaws.com")).lower()
    if ":assumed-role/" in principal:
        account, role = principal.split(":")[4], principal.split("/")[1]
        values["aws:PrincipalArn"] = f"arn:aws:iam::{account}:role/{role}"
    return values


class Verdict(NamedTuple):
    """Whether a request is allowed, and the statements that allowed or denied it."""

    allowed: bool
    why: str
    allowed_by: tuple[str, ...]
    denied_by: tuple[str, ...]


def missing_tool() -> str | None:
    """Return why nothing can be judged on this machine, or None."""
    if shutil.which("node") is None:
        return "Node is not on the PATH: calls are not judged"
    if not (simulator() / "installed.json").exists():
        return f"the IAM simulator is not installed: tests/iam/install {simulator()}"
    return None


def simulator() -> Path:
    """Return the folder that tests/iam/install installs into, beside LocalStack."""
    return ROOT / os.environ.get("HEADWATER_LOCALSTACK", ".localstack") / "iam"


class Judge:
    """A process that judges requests; a context manager."""

    def __init__(self) -> None:
        self.judged = 0
        self._known: dict[str, Verdict] = {}
        self._process = subprocess.Popen(
            ["node", str(HERE / "judge.mjs"), str(simulator())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def judge(
        self,
        request: Request,
        identity: Sequence[Policy],
        resource: Policy | None,
        *,
        public_blocked: bool = False,
    ) -> Verdict:
        """Judge a request by the policies of its caller and of its resource.

        `public_blocked`: the bucket restricts public policies, as S3's block of public access does.
        """
        simulation = json.dumps(_simulation(request, identity, resource, public_blocked=public_blocked))
        if simulation not in self._known:
            self._known[simulation] = self._ask(simulation, request)
        return self._known[simulation]

    def _ask(self, simulation: str, request: Request) -> Verdict:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(simulation + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, f"{request}: {answer}"
        # A key that the action does not have is no finding about policies: the test's context is wrong.
        assert not answer["ignored"], f"{request}: {answer['ignored']} are no context keys of this action"
        self.judged += 1
        return Verdict(
            answer["result"] == "Allowed",
            answer["result"],
            tuple(sid for sid in answer["allowed_by"] if sid),
            tuple(sid for sid in answer["denied_by"] if sid),
        )


def _simulation(
    request: Request, identity: Sequence[Policy], resource: Policy | None, *, public_blocked: bool
) -> dict[str, Any]:
    anonymous = request.principal == ANONYMOUS
    return {
        "request": {
            "principal": {"type": "Anonymous"} if anonymous else request.principal,
            "action": _ACTIONS.get(request.action, request.action),
            "resource": {"resource": request.resource, "accountId": request.account},
            "contextVariables": {_lowered(key): value for key, value in request.context},
        },
        "identityPolicies": [
            {"name": f"policy{number}", "policy": _document(policy)} for number, policy in enumerate(identity)
        ],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        **({"resourcePolicy": _document(resource)} if resource else {}),
        "additionalSettings": {"s3": {"blockPublicAccess": public_blocked}},
    }


def _document(policy: Policy) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [_statement(one) for one in policy]}


def _statement(statement: Statement) -> dict[str, Any]:
    actions = statement.body["Action"]
    listed = [actions] if isinstance(actions, str) else actions
    body = {
        **statement.body,
        "Sid": statement.sid,
        "Action": [_ACTIONS.get(action, action) for action in listed],
    }
    if "Condition" in body:
        body["Condition"] = {
            operator: {_lowered(key): values for key, values in keys.items()}
            for operator, keys in body["Condition"].items()
        }
    return body


def _lowered(key: str) -> str:
    """Return a key that the simulator knows for every action, instead of one it drops.

    It looks for the variable part of a name after a slash, and finds none in kms:EncryptionContext:<name>.
    """
    if not key.lower().startswith(_CONTEXT.lower()):
        return key
    return _LOWERED + key[len(_CONTEXT) :].replace(":", ".")
