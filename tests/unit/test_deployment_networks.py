"""Ranges and zones that AWS would refuse, or that could not work, are found before the first call."""

from __future__ import annotations

from copy import deepcopy
from ipaddress import IPv4Network
from typing import Any

import pytest
from deployments import COMPLETE, REPORTING, SECOND, SOURCE, Toml, planned
from hypothesis import given
from hypothesis import strategies as st

from headwater.deployment.networks import network_of
from headwater.deployment.render import is_rendered, render

NETWORK: Toml = {
    "VpcCidr": "10.60.0.0/20",
    "ZoneA": "eu-west-2a",
    "ZoneB": "eu-west-2b",
    "DatabaseCidrA": "10.60.0.0/26",
    "DatabaseCidrB": "10.60.0.64/26",
    "ConsumerCidrA": "10.60.1.0/24",
    "ConsumerCidrB": "10.60.2.0/24",
    "ProducerCidrA": "10.60.3.0/24",
    "ProducerCidrB": "10.60.4.0/24",
    "EndpointCidrA": "10.60.5.0/26",
    "EndpointCidrB": "10.60.5.64/26",
    "WorkbenchCidr": "10.60.6.0/26",
    "S3PrefixListId": "pl-7ca54015",
    "DynamoDbPrefixListId": "pl-b3a742da",
}
REPLICAS: Toml = {
    "SourceVpcId": "vpc-0fedcba9876543210",
    "SourceVpcCidr": "10.20.0.0/16",
    "ReplicasCidr": "10.20.30.0/24",
    "ReplicasZone": "eu-west-2a",
}
ROLE = f"arn:aws:iam::{SOURCE}:role/headwater-prod-replicas-PeeringRole-1"
SECOND_ROLE = ROLE.replace(SOURCE, SECOND)
SUBNETS = [name for name in NETWORK if "Cidr" in name and name != "VpcCidr"]


def complete() -> Toml:
    values = deepcopy(COMPLETE)
    values["parameters"] |= {"VpcId": "vpc-0123456789abcdef0", "ProducerGroupId": "sg-0123456789abcdef0"}
    values["reporting"]["network"] = dict(NETWORK)
    values["source"][0]["replicas"] = dict(REPLICAS)
    values["source"][0]["peering"] = {"PeeringRoleArn": ROLE}
    return values


def wrong(**changes: Any) -> list[str]:
    """What is wrong with other values of the network or of the replicas; None takes one away."""
    values = complete()
    for name, value in changes.items():
        table = values["reporting"]["network"] if name in NETWORK else values["source"][0]["replicas"]
        table[name] = value
        if value is None:
            del table[name]
    return planned(values)[2]


def with_second(**replicas: str) -> list[str]:
    """What is wrong with a second source that has replicas."""
    values = complete()
    values["source"][0]["tables"] = ["accounts", "subscriptions"]
    second = {**REPLICAS, "SourceVpcCidr": "10.30.0.0/16", "ReplicasCidr": "10.30.30.0/24", **replicas}
    peering = {"PeeringRoleArn": SECOND_ROLE}
    values["source"].append({"account": SECOND, "tables": [], "replicas": second, "peering": peering})
    return planned(values)[2]


def test_nothing_is_wrong_with_a_complete_network() -> None:
    assert wrong() == []
    assert with_second() == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        # Sizes: a subnet has /28 to /16, and loses five addresses.
        ("VpcCidr", "10.60.0.0/29", 'reporting, network, VpcCidr: found "10.60.0.0/29"; allowed: a private'),
        ("VpcCidr", "10.0.0.0/8", "VpcCidr: found"),
        ("VpcCidr", "0.0.0.0/0", "VpcCidr: found"),
        ("DatabaseCidrA", "10.60.0.0/29", "DatabaseCidrA: found"),
        ("EndpointCidrA", "10.60.5.0/28", "10.60.5.0/28 with 11 free addresses"),
        # Forms
        ("VpcCidr", "10.60.0.0/33", "VpcCidr: found"),
        ("VpcCidr", "10.60.0.1/20", "a network in CIDR form"),
        ("VpcCidr", "10.60.0.999/20", "a network in CIDR form"),
        ("VpcCidr", "fd00::/20", "VpcCidr: found"),
        # Public, and used by AWS itself
        ("VpcCidr", "8.8.0.0/20", "a part of one of the private ranges"),
        ("SourceVpcCidr", "52.0.0.0/16", "a part of one of the private ranges"),
        ("VpcCidr", "172.17.0.0/20", "outside 172.17.0.0/16"),
        ("VpcCidr", "192.168.0.0/16", "a part of VpcCidr, 192.168.0.0/16"),
        # Among each other
        ("DatabaseCidrA", "10.61.0.0/26", "a part of VpcCidr, 10.60.0.0/20"),
        ("DatabaseCidrB", "10.60.0.0/26", "no address of 10.60.0.0/26 (reporting, network, DatabaseCidrA)"),
        ("WorkbenchCidr", "10.60.1.128/25", "no address of 10.60.1.0/24"),
        ("ReplicasCidr", "10.21.30.0/24", "a part of SourceVpcCidr, 10.20.0.0/16"),
        ("SourceVpcCidr", "10.60.0.0/16", "no address of 10.60.0.0/20"),
        # Zones
        ("ZoneA", "eu-west-1a", "an availability zone of eu-west-2"),
        ("ZoneB", "eu-west-2a", "another zone than ZoneA"),
        ("ZoneB", "us-east-1-bos-1a", "ZoneB: found"),
        ("ZoneB", "eu-west-2-wl1-lon-wlz-1", "ZoneB: found"),
        ("ZoneB", "euw2-az1", "ZoneB: found"),
        ("ReplicasZone", "eu-west-1a", "an availability zone of eu-west-2"),
        # Other values
        ("S3PrefixListId", "s3", "S3PrefixListId: found"),
        ("S3PrefixListId", None, "reporting, network, S3PrefixListId: missing"),
        ("SourceVpcId", "vpc-x", "source 1, replicas, SourceVpcId: found"),
        ("SourceVpcId", None, "source 1, replicas, SourceVpcId: missing"),
        ("ReplicasPort", 80, "ReplicasPort: found"),
        ("PeeringConnectionId", "vpc-0123456789abcdef0", "PeeringConnectionId: found"),
        ("PeerVpcId", "vpc-1", "unknown parameter"),
    ],
)
def test_each_mistake_is_named_with_its_place(name: str, value: object, expected: str) -> None:
    found = wrong(**{name: value})
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize("name", [*SUBNETS, "VpcCidr", "SourceVpcCidr", "ReplicasCidr"])
@pytest.mark.parametrize("value", ["0.0.0.0/0", "10.60.0.0/29", "8.8.8.0/24"])
def test_no_range_is_public_or_too_small(name: str, value: str) -> None:
    assert any(f"{name}: found" in problem for problem in wrong(**{name: value}))


def test_a_mistake_of_the_template_is_one_problem() -> None:
    assert len(wrong(ReplicasZone="nowhere")) == 1
    assert len(wrong(SourceVpcId=None)) == 1  # two stacks take it from the same place


def test_sources_do_not_overlap_each_other() -> None:
    expected = "source 2, replicas, SourceVpcCidr: found"
    assert any(problem.startswith(expected) for problem in with_second(SourceVpcCidr="10.20.0.0/16"))
    assert any(problem.startswith(expected) for problem in with_second(SourceVpcCidr="10.20.128.0/17"))


def test_the_role_that_accepts_is_of_the_source() -> None:
    values = complete()
    values["source"][0]["peering"]["PeeringRoleArn"] = SECOND_ROLE
    assert any(f"allowed: a role of account {SOURCE}" in problem for problem in planned(values)[2])


def test_two_sources_have_two_connections() -> None:
    values = complete()
    second = {**REPLICAS, "SourceVpcCidr": "10.30.0.0/16", "ReplicasCidr": "10.30.30.0/24"}
    peering = {"PeeringRoleArn": SECOND_ROLE}
    values["source"].append({"account": SECOND, "tables": [], "replicas": second, "peering": peering})
    values["parameters"]["PeeringConnectionId"] = "pcx-0123456789abcdef0"
    (problem,) = planned(values)[2]
    assert "another connection than that of source 1" in problem
    del values["parameters"]["PeeringConnectionId"]
    values["source"][0]["replicas"]["PeeringConnectionId"] = "pcx-0123456789abcdef0"
    second["PeeringConnectionId"] = "pcx-0123456789abcdef1"
    assert planned(values)[2] == []


def test_replicas_need_a_network() -> None:
    values = complete()
    del values["reporting"]["network"]
    assert any("source 1, replicas: there is no network" in problem for problem in planned(values)[2])


def test_the_peering_is_a_stack_of_the_reporting_account_for_each_source() -> None:
    values = complete()
    deployment, stacks, _ = planned(values)
    (peering,) = (stack for stack in stacks if stack.template.name == "peering")
    assert (peering.account, peering.name) == (REPORTING, f"peering-{SOURCE}")
    assert stacks.index(peering) == len(stacks) - 1  # after the role that accepts it
    texts = {name: value.text for name, value in peering.values.items()}
    assert texts["SourceAccount"] == SOURCE
    assert texts["NetworkStack"] == deployment.stack("network")
    assert {name: texts[name] for name in ("SourceVpcId", "ReplicasCidr")}.items() <= REPLICAS.items()
    files = render(deployment, stacks).files
    assert f"{REPORTING}/peering-{SOURCE}.json" in files
    assert all(map(is_rendered, files))
    (replicas,) = (stack for stack in stacks if stack.template.name == "replicas")
    assert replicas.values["ProducerCidrA"].text == NETWORK["ProducerCidrA"]
    assert replicas.values["ReportingAccount"].text == REPORTING


def test_a_port_is_shared_and_an_own_value_wins() -> None:
    values = complete()
    values["source"][0]["replicas"]["ReplicasPort"] = 3306
    ports = {s.name: s.values["ReplicasPort"].text for s in planned(values)[1] if "ReplicasPort" in s.values}
    assert set(ports.values()) == {"3306"}
    values["source"][0]["peering"]["ReplicasPort"] = 5433
    ports = {s.name: s.values["ReplicasPort"].text for s in planned(values)[1] if "ReplicasPort" in s.values}
    assert ports == {"replicas": "3306", f"peering-{SOURCE}": "5433"}


def test_without_replicas_there_is_no_peering() -> None:
    values = complete()
    del values["source"][0]["replicas"]
    del values["source"][0]["peering"]
    assert not [stack for stack in planned(values)[1] if stack.template.name in ("peering", "replicas")]


def test_a_peering_without_replicas_is_refused() -> None:
    values = complete()
    del values["source"][0]["replicas"]
    assert any("source 1, peering: there are no replicas" in problem for problem in planned(values)[2])


# Properties

PRIVATE = st.integers(0, 2**20 - 1).map(lambda number: 10 << 24 | number << 4)


@st.composite
def ranges(draw: st.DrawFn) -> str:
    size = draw(st.integers(16, 28))
    first = draw(PRIVATE) & ~((1 << (32 - size)) - 1)
    return str(IPv4Network((first, size)))


@given(one=ranges(), other=ranges())
def test_two_sources_are_refused_exactly_if_they_overlap(one: str, other: str) -> None:
    values = complete()
    values["reporting"]["network"] = {**NETWORK, **_moved("192.168.0.0")}
    for number, whole in enumerate((one, other)):
        if number:
            values["source"].append(
                {"account": SECOND, "tables": [], "peering": {"PeeringRoleArn": SECOND_ROLE}}
            )
        part = next(iter(IPv4Network(whole).subnets(new_prefix=28)))
        values["source"][number]["replicas"] = {**REPLICAS, "SourceVpcCidr": whole, "ReplicasCidr": str(part)}
    found = planned(values)[2]
    assert bool(found) is IPv4Network(one).overlaps(IPv4Network(other)), found


def _moved(start: str) -> Toml:
    """The same network at another place."""
    offset = int(IPv4Network(start).network_address) - int(IPv4Network("10.60.0.0").network_address)
    moved = {}
    for name, value in NETWORK.items():
        if "Cidr" in name:
            network = IPv4Network(value)
            moved[name] = str(IPv4Network((int(network.network_address) + offset, network.prefixlen)))
    return moved


@given(name=st.sampled_from(SUBNETS), value=ranges())
def test_a_subnet_is_refused_exactly_if_it_is_outside_or_overlaps(name: str, value: str) -> None:
    subnet, whole = IPv4Network(value), IPv4Network(NETWORK["VpcCidr"])
    others = [IPv4Network(NETWORK[other]) for other in SUBNETS if other != name]
    too_small = name.startswith("Endpoint") and subnet.prefixlen > 27
    bad = not subnet.subnet_of(whole) or any(map(subnet.overlaps, others)) or too_small
    assert bool(wrong(**{name: value})) is bad


@given(name=st.sampled_from(SUBNETS), size=st.integers(22, 28), place=st.integers(0, 255))
def test_so_it_is_inside_the_vpc(name: str, size: int, place: int) -> None:
    first = (int(IPv4Network("10.60.0.0/20").network_address) + place * 16) & ~((1 << (32 - size)) - 1)
    value = str(IPv4Network((first, size)))
    others = [IPv4Network(NETWORK[other]) for other in SUBNETS if other != name]
    too_small = name.startswith("Endpoint") and size > 27
    bad = any(map(IPv4Network(value).overlaps, others)) or too_small
    assert bool(wrong(**{name: value})) is bad


@given(text=st.text(st.characters(codec="ascii"), max_size=20))
def test_any_text_is_a_network_or_refused(text: str) -> None:
    network = network_of(text)
    found = wrong(WorkbenchCidr=text)
    assert found or (network is not None and network.subnet_of(IPv4Network(NETWORK["VpcCidr"])))
