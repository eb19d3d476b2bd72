"""What passes the endpoints: all that the roles inside the VPC may do, and little else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache

import pytest
from cfn_templates import ROOT, Statement, World, branches, listed, load_world, statements, text
from template_rules.endpoints import GATEWAYS, INTERFACES
from test_network import REACHED, ROLES

NAME = "${Application}-${Environment}"
HERE = "${AWS::Region}:${AWS::AccountId}"
INSIDE = {
    "consumers": ("ConsumerRole", "RefresherRole", "ConsumerRedriveRole", "MetricsRole"),
    "replay": ("ReplayRole", "ReplayStartRole"),
}
"""Roles whose functions and tasks are in the VPC; managed policies of their templates are included."""
OUTSIDE = {
    "kinesis:DescribeStream": "the event source mapping, which is Lambda's",
    "ec2": "Lambda, to keep network interfaces",
}
"""Calls of those roles that AWS makes from elsewhere."""
AHEAD = {
    "dynamodb": "state of producers of relational sources",
    "firehose": "a person who looks at the delivery",
    "kinesis:PutRecords": "producers of relational sources",
    "kms": "the SSM agent; services that use keys for a role call KMS themselves",
    "logs:DescribeLogGroups": "the SSM agent",
    "logs:DescribeLogStreams": "the SSM agent",
    "ssm": "the SSM agent",
    "ssmmessages": "the SSM agent",
    "ec2messages": "the SSM agent",
    "s3:AbortMultipartUpload": "an upload in parts that fails: S3 lets whoever may write end it",
}
"""What endpoints let through although no role here has the permission, and for whom."""
KNOWN = {
    r"\$\{StreamStack:LogBucketName\}": f"{NAME}-log",
    r"\$\{StreamStack:StreamArn\}": "${StreamStack:StreamArn}",
    r"\$\{(Warehouse|Refresher)SecretArn\}": f"arn:${{AWS::Partition}}:secretsmanager:{HERE}:secret:any",
    r"\$\{\w+LogGroup\.Arn\}": f"arn:${{AWS::Partition}}:logs:{HERE}:log-group:/aws/any/{NAME}-any",
}
"""References of roles, and what they are."""


@cache
def world() -> World:
    return load_world()


def policies() -> list[Statement]:
    return [one for one in statements(world()["network"]) if one.kind == "AWS::EC2::VPCEndpoint"]


def calls() -> Iterator[tuple[str, str]]:
    """Yield action and resource of everything that the roles may call from inside."""
    for template, roles in INSIDE.items():
        for one in statements(world()[template]):
            if one.kind == "identity" and (one.holder in roles or one.holder.endswith("Policy")):
                for action in one.actions:
                    if not {action, action.partition(":")[0]} & {*OUTSIDE, "kms"}:
                        yield from ((action, resource) for resource in resources(one))


def resources(statement: Statement) -> Iterator[str]:
    for value in listed(statement.body["Resource"]):
        yield from (known(text(branch)) for _, branch in branches(value))


def known(resource: str) -> str:
    for pattern, meaning in KNOWN.items():
        resource = re.sub(pattern, lambda _, meaning=meaning: meaning, resource)  # type: ignore[misc]
    return resource


def passes(action: str, resource: str) -> bool:
    return any(
        action in one.actions and any(fnmatchcase(resource, allowed) for allowed in one.resources)
        for one in policies()
    )


@pytest.mark.parametrize(("action", "resource"), sorted(set(calls())))
def test_what_a_role_may_do_passes_an_endpoint(action: str, resource: str) -> None:
    assert passes(action, resource)


def test_calls_are_found() -> None:
    services = {action.partition(":")[0] for action, _ in calls()}
    assert services == {"s3", "kinesis", "secretsmanager", "logs", "ecr"}


def test_nothing_passes_that_nobody_needs() -> None:
    used = {action for action, _ in calls()}
    extra = {action for one in policies() for action in one.actions} - used
    unexplained = {action for action in extra if not {action, action.partition(":")[0]} & {*AHEAD}}
    assert unexplained == set()
    assert {name for name in AHEAD if not any(action.startswith(name) for action in extra)} == set()


# docs/network.md


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the page."""
    page = (ROOT / "docs" / "network.md").read_text()
    table = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def flows() -> dict[tuple[str, str], list[str]]:
    """Who reaches whom by name, and the ports; one source stands for all."""
    names = {"replicas 1": "replicas", "application 1": "databases of their VPC"}
    found: dict[tuple[str, str], list[str]] = {}
    for one, other, port in sorted(REACHED):
        if one in {*ROLES, "replicas 1"} and other != "replicas 2":
            text = "ReplicasPort" if port == 5432 else str(port)
            found.setdefault((names.get(one, one), names.get(other, other)), []).append(text)
    return found


def diagram() -> str:
    """Return the picture of the page, in the language of Mermaid."""
    lines = [
        f"    {one} -->|{', '.join(ports)}| {other}"
        for (one, other), ports in flows().items()
        if "replicas" not in (one, other)
    ]
    return "\n".join(
        [
            "```mermaid",
            "flowchart LR",
            '  subgraph reporting["reporting account: a VPC without a way to the internet"]',
            *lines,
            "  end",
            '  subgraph source["source account: its own VPC"]',
            '    replicas -->|ReplicasPort| databases["databases of the VPC"]',
            "  end",
            "  producers -->|ReplicasPort, by peering| replicas",
            "```",
        ]
    )


def test_the_page_draws_what_the_graph_finds() -> None:
    """The picture is drawn from the table of the graph, not by hand: replace it by `diagram()`."""
    assert diagram() in (ROOT / "docs" / "network.md").read_text()


def test_the_page_shows_who_reaches_whom() -> None:
    expected = {(one, other, port) for (one, other), ports in flows().items() for port in ports}
    shown = rows("Who reaches whom")
    assert {tuple(row) for row in shown} == expected
    assert len(shown) == len(expected)


def test_the_page_shows_every_endpoint() -> None:
    kinds = {service: "gateway" for service, _ in GATEWAYS.values()}
    kinds |= dict.fromkeys(INTERFACES.values(), "interface")
    assert {row[0]: row[1] for row in rows("Endpoints")} == kinds
    page = (ROOT / "docs" / "network.md").read_text()
    assert f"{len(INTERFACES)} in two zones are {2 * len(INTERFACES)}" in page
