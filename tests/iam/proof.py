"""Proof of least privilege: the pipe works, and without any statement, part or condition it would not.

A statement that allows is needed if a request of the pipe is denied without it. A condition is needed if it
denies something that its statement would allow otherwise. A statement that denies is needed if something
that nobody should do is allowed without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from iam.deployment import Deployment, Holder
from iam.judge import INSIDE, OUTSIDE, Judge, Request, Verdict, context_of
from iam.policies import Statement

_OTHER_ACCOUNT = "999999999999"


class Proof:
    """Judgements of the requests of a whole pipe, with and without parts of the policies."""

    def __init__(self, deployment: Deployment, requests: Iterable[Request], judge: Judge) -> None:
        self.deployment = deployment
        self._judge = judge
        self.requests = list(dict.fromkeys(requests))
        self.verdicts = {request: deployment.judge(request, judge) for request in self.requests}

    def verdict(self, request: Request, deployment: Deployment | None = None) -> Verdict:
        return (deployment or self.deployment).judge(request, self._judge)

    def denied(self) -> list[Request]:
        """Return the requests of the pipe that are denied: there should be none."""
        return [request for request, verdict in self.verdicts.items() if not verdict.allowed]

    def unneeded_statements(self) -> list[str]:
        """Return the statements without which the pipe works, and nothing more is possible."""
        return [
            f"{_name(holder)} {statement.name}"
            for holder, statement in self.deployment.statements()
            if not (self._allows(holder, statement) if statement.allows else self._forbids(holder, statement))
        ]

    def unneeded_parts(self) -> list[str]:
        """Return single actions and resources of statements without which the pipe works.

        A part of a policy that several roles share is needed if one of them needs it.
        """
        needed: dict[str, bool] = {}
        for holder, statement in self.deployment.statements():
            for part, smaller in _parts(statement) if statement.allows else ():
                name = f"{statement.name}: {part}"
                needed[name] = needed.get(name, False) or self._allows(holder, statement, smaller)
        return [name for name, is_needed in needed.items() if not is_needed]

    def unneeded_conditions(self) -> list[str]:
        """Return conditions that make no difference to anyone."""
        return [
            f"{_name(holder)} {statement.name}: {operator} {key}"
            for holder, statement in self.deployment.statements()
            for operator, key in statement.conditions
            if not self._limits(holder, statement, operator, key)
        ]

    def _uses(self, holder: Holder, statement: Statement) -> list[Request]:
        """Return the requests of the pipe that a statement allows."""
        return [
            request
            for request, verdict in self.verdicts.items()
            if statement.sid in verdict.allowed_by and self._concerns(holder, request)
        ]

    def _concerns(self, holder: Holder, request: Request) -> bool:
        role = self.deployment.role_of(request.principal)
        return holder in (self.deployment.holder_of(request.resource), role)

    def _allows(self, holder: Holder, statement: Statement, smaller: Statement | None = None) -> bool:
        without = self.deployment.changed(holder, statement, smaller)
        return any(not self.verdict(use, without).allowed for use in self._uses(holder, statement))

    def _forbids(self, holder: Holder, statement: Statement) -> bool:
        without = self.deployment.changed(holder, statement, None)
        keys = [key for _, key in statement.conditions]
        return any(
            not self.verdict(other).allowed and self.verdict(other, without).allowed
            for request in self.requests
            if self._concerns(holder, request)
            for other in _altered(request, keys)
        )

    def _limits(self, holder: Holder, statement: Statement, operator: str, key: str) -> bool:
        wider = statement.without_condition(operator, key)
        if not statement.allows:
            without = self.deployment.changed(holder, statement, wider)
            mine = [request for request in self.requests if self._concerns(holder, request)]
            return any(not self.verdict(request, without).allowed for request in mine)
        return any(
            not self.verdict(other, self._alone(holder, request)).allowed
            and self.verdict(other, self._alone(holder, request, statement, wider)).allowed
            for request in self._uses(holder, statement)
            for other in _altered(
                request, [key], {key for each in holder.statements for _, key in each.conditions}
            )
        )

    def _alone(
        self, holder: Holder, request: Request, old: Statement | None = None, new: Statement | None = None
    ) -> Deployment:
        """Return the deployment in which only this side decides.

        Between accounts both sides have to allow. Each belongs to another owner, so that a condition of one
        is no reason to leave it out of the other.
        """
        deployment = self.deployment
        if old:
            deployment = deployment.changed(holder, old, new)
        role, other = deployment.role_of(request.principal), deployment.holder_of(request.resource)
        if role is None or other is None or role.account == other.account:
            return deployment
        if role.arn == holder.arn:
            return deployment.replaced(other, [_everything_for(role.account)])
        return deployment.replaced(role, [_ANYTHING])


def _everything_for(account: str) -> Statement:
    body = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "*", "Resource": "*"}
    return Statement("everything", account, body)


_ANYTHING = Statement("anything", "anything", {"Effect": "Allow", "Action": "*", "Resource": "*"})


def _keys(holder: Holder) -> set[str]:
    return {key for statement in holder.statements for _, key in statement.conditions}


def _name(holder: Holder) -> str:
    return holder.arn.rpartition(":")[2]


def _parts(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """Yield the statement without one of its actions, resources or principals, where it has several."""
    for member in ("Action", "Resource"):
        values = statement.body.get(member)
        if isinstance(values, list) and len(values) > 1:
            for value in values:
                yield value, _with(statement, member, [each for each in values if each != value])


def _with(statement: Statement, member: str, value: Any) -> Statement:
    return replace(statement, body={**statement.body, member: value})


def _altered(request: Request, keys: Iterable[str], others: Iterable[str] = ()) -> Iterator[Request]:
    """Yield the request with another value of each of these context keys, and without it.

    Also together with another value of one of `others`: two statements may forbid the same.
    """
    changes = list(_changes(request, keys))
    for change in changes:
        yield replace(request, context=context_of({**dict(request.context), **change}))
    for change in changes:
        for second in _changes(request, set(others) - set(keys)):
            yield replace(request, context=context_of({**dict(request.context), **second, **change}))


def _changes(request: Request, keys: Iterable[str]) -> Iterator[dict[str, str | None]]:
    wanted = {key.lower() for key in keys}
    for name, value in request.context:
        if name.lower() in wanted:
            yield {name: _other(value)}
            yield {name: None}


def _other(value: str) -> str:
    """Return another value of the same form."""
    if value in (INSIDE, OUTSIDE):
        return INSIDE if value == OUTSIDE else OUTSIDE
    if value in ("true", "false"):
        return "false" if value == "true" else "true"
    if value.isdigit() and len(value) == len(_OTHER_ACCOUNT):
        return _OTHER_ACCOUNT
    return value.replace(".", "-other.", 1) if value.endswith("amazonaws.com") else f"{value}-other"
