"""From where can what be reached? Every pair of places is asked, on every port that something uses.

What belongs to no template is worst case: strangers in each subnet with a group that lets everything out,
applications of the sources that let everything in and out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Address
from typing import Any

import pytest
from cfn_templates import World, copy_world, load_world
from iam.templates import Stack
from mutations import Mutation
from network_graph import INTERNET, Network, Place, prefix_list
from network_mutations import OPENING
from template_rules.networks import EXPECTED

REPORTING, REGION = "111122223333", "eu-west-2"
SOURCES = {
    "444455556666": ("10.20.0.0/16", "10.20.30.0/24", "5432"),
    "777788889999": ("10.30.0.0/16", "10.30.30.0/24", "3306"),
}
RANGES = {
    "VpcCidr": "10.60.0.0/16",
    **{
        f"{role}Cidr{zone}": f"10.60.{10 * number + place}.0/24"
        for number, role in enumerate(("Database", "Consumer", "Producer", "Endpoint"), 1)
        for place, zone in enumerate("AB")
    },
    "WorkbenchCidr": "10.60.50.0/24",
}
PORTS = (22, 25, 80, 443, 587, 1433, 3306, 3389, 5432, 5985, 49152)


def stacks_of(world: World) -> Iterator[Stack]:
    """Yield the network, and for each source its replicas, after the second update, and the peering."""
    base = {"Application": "headwater", "Environment": "test"}
    stream = {"headwater-test-stream:StreamArn": "stream", "headwater-test-stream:OperationsKeyArn": "key"}
    zones = {"ZoneA": f"{REGION}a", "ZoneB": f"{REGION}b"}
    lists = {"S3PrefixListId": prefix_list("s3"), "DynamoDbPrefixListId": prefix_list("dynamodb")}
    given = {**base, **RANGES, **zones, **lists, "StreamStack": "headwater-test-stream"}
    network = Stack("network", world["network"].body, REPORTING, REGION, given, stream)
    yield network
    for account, (vpc, replicas, port) in SOURCES.items():
        shared = {"SourceVpcId": f"vpc-{account}", "ReplicasCidr": replicas, "ReplicasPort": port}
        there = {
            **{name: RANGES[name] for name in ("ProducerCidrA", "ProducerCidrB")},
            **{name: network.outputs[name] for name in ("VpcId", "ProducerGroupId")},
            "ReportingAccount": REPORTING,
            "SourceVpcCidr": vpc,
            "ReplicasZone": f"{REGION}a",
        }
        here = {"NetworkStack": "network", "SourceAccount": account, "PeeringRoleArn": "role"}
        peering = Stack(
            f"peering-{account}", world["peering"].body, REPORTING, REGION, here | shared, network.exports
        )
        yield peering
        joined = {"PeeringConnectionId": peering.outputs["PeeringConnectionId"]}
        values = base | shared | there | joined
        yield Stack(f"replicas-{account}", world["replicas"].body, account, REGION, values)


ROLES = {"warehouse": "Database", "consumers": "Consumer", "producers": "Producer", "workbench": "Workbench"}


def places(network: Network) -> Iterator[Place]:
    """Yield all places, a host in each subnet of a role; those of a role have one name."""
    yield INTERNET
    for number, service in enumerate(("s3", "dynamodb"), 1):
        yield Place(service, INTERNET.address + number, service=service)
    yield from network.endpoint_places()
    for name, role in ROLES.items():
        group = "Warehouse" if role == "Database" else role
        yield from network.hosts(name, network.subnets("network", role), [f"network-{group}Group-1A2B3C"])
    for role in (*ROLES.values(), "Endpoint"):
        yield from network.hosts(f"stranger: {role}", network.subnets("network", role), ["sg-default"])
    for number, (account, (vpc, _, _)) in enumerate(SOURCES.items(), 1):
        subnets = network.subnets(f"replicas-{account}", "Replicas")
        yield from network.hosts(f"replicas {number}", subnets, [f"replicas-{account}-ReplicasGroup-1A2B3C"])
        address = IPv4Address(vpc.partition("/")[0]) + 10
        yield Place(f"application {number}", address, f"vpc-{account}", f"subnet-of-{account}")


Reached = set[tuple[str, str, int]]
REACHED: Reached = {
    # The database: from consumers and workbench alone.
    ("consumers", "warehouse", 1433),
    ("workbench", "warehouse", 1433),
    # The replicas: from the producers alone. They follow the databases of their own VPC.
    ("producers", "replicas 1", 5432),
    ("producers", "replicas 2", 3306),
    ("replicas 1", "application 1", 5432),
    ("replicas 2", "application 2", 3306),
    # AWS.
    ("consumers", "endpoints", 443),
    ("producers", "endpoints", 443),
    ("workbench", "endpoints", 443),
    ("workbench", "endpoints", 587),
    ("consumers", "s3", 443),
    ("producers", "s3", 443),
    ("workbench", "s3", 443),
    ("producers", "dynamodb", 443),
    # A gateway belongs to a route table, and to no group: its policy is what limits strangers.
    ("stranger: Consumer", "s3", 443),
    ("stranger: Producer", "s3", 443),
    ("stranger: Workbench", "s3", 443),
    ("stranger: Producer", "dynamodb", 443),
}
"""Who can open a connection to whom, and nobody else to anything."""
WAYS = {
    *(
        way
        for role in ("producers", "stranger: Producer")
        for number in (1, 2)
        for way in ((role, f"replicas {number}"), (f"replicas {number}", role))
    ),
    *((one, "s3") for one in ("consumers", "producers", "workbench")),
    *((f"stranger: {one}", "s3") for one in ("Consumer", "Producer", "Workbench")),
    *((one, "dynamodb") for one in ("producers", "stranger: Producer")),
}
"""Between which places packets find their way, beyond a VPC."""
_BESIDE = {"warehouse", "stranger: Database"}
_CLIENTS = {"consumers", "workbench", "stranger: Consumer", "stranger: Workbench"}
ACL_IN = {(one, port) for one in _BESIDE for port in PORTS} | {(one, 1433) for one in _CLIENTS}
ACL_OUT = {(one, port) for one in _BESIDE for port in PORTS} | {
    (one, port) for one in _CLIENTS for port in PORTS if port >= 1024
}
"""What the network ACL lets to the database, and answers from it, whatever groups allow."""


def pairs(network: Network) -> Iterator[tuple[Place, Place]]:
    everything = list(places(network))
    yield from ((one, other) for one in everything for other in everything if one is not other)


def reached(network: Network) -> Reached:
    """Return who reaches whom. A service behind a gateway starts nothing, and listens on one port."""
    return {
        (one.name, other.name, port)
        for one, other in pairs(network)
        if not one.service
        for port in ((443,) if other.service else PORTS)
        if network.reaches(one, other, port)
    }


def ways(network: Network) -> set[tuple[str, str]]:
    """Return from where to where, beyond a VPC, packets find their way."""
    return {
        (one.name, other.name)
        for one, other in pairs(network)
        if not one.service and (one.vpc != other.vpc or not one.vpc) and network.leads(one, other)
    }


def let_out(network: Network) -> Reached:
    """Return what the groups of the templates let their members open, whatever the other end does."""
    return {
        (one.name, other.name, port)
        for one, other in pairs(network)
        if one.groups is not None and not one.name.startswith("stranger")
        for port in ((443,) if other.service else PORTS)
        if network.lets_out(one, other, port)
    }


def let_in(network: Network) -> Reached:
    """Return what the groups of the templates let in, whatever the other end does."""
    return {
        (one.name, other.name, port)
        for one, other in pairs(network)
        if not one.service and other.groups is not None and not other.name.startswith("stranger")
        for port in PORTS
        if network.lets_in(one, other, port)
    }


def passed(network: Network, *, egress: bool) -> set[tuple[str, int]]:
    """Return what the network ACL lets to the database, or from it."""
    return {
        (other.name, port)
        for one, other in pairs(network)
        if one.name == "warehouse" and not other.service
        for port in PORTS
        if network.passes(one, other, port, egress=egress)
    }


def findings(world: World) -> list[str]:
    """Return where the network differs from the tables, as a whole and by layer."""
    network = Network(stacks_of(world))
    of_groups = {way for way in REACHED if not way[0].startswith("stranger")}
    guarded = {way for way in of_groups if way[1] not in ("s3", "dynamodb", "application 1", "application 2")}
    compared: dict[str, tuple[set[Any], set[Any]]] = {
        "reach": (reached(network), REACHED),
        "route": (ways(network), WAYS),
        "group, out": (let_out(network), of_groups),
        "group, in": (let_in(network), guarded),
        "ACL, in": (passed(network, egress=False), ACL_IN),
        "ACL, out": (passed(network, egress=True), ACL_OUT),
    }
    return [
        f"{layer}: {way} is {'open' if way in found else 'closed'}"
        for layer, (found, expected) in compared.items()
        for way in sorted(found ^ expected, key=str)
    ]


@cache
def original() -> World:
    return {name: template for name, template in load_world().items() if name in EXPECTED}


def test_every_pair_is_as_the_tables_say() -> None:
    assert findings(original()) == []


def test_every_place_is_asked() -> None:
    names = {place.name for place in places(Network(stacks_of(original())))}
    assert names >= {name for way in REACHED for name in way[:2]}
    assert len(names) == 17


@pytest.mark.parametrize("place", ["internet", "application 1", "application 2", "replicas 2"])
def test_nothing_here_is_reached_from(place: str) -> None:
    """The explicit cases of the table: the internet, and a peer beyond its own VPC."""
    network = Network(stacks_of(original()))
    for one, other in pairs(network):
        if one.name == place and other.vpc != one.vpc:
            assert not any(network.reaches(one, other, port) for port in PORTS), other
            if other.vpc != one.vpc and not other.name.startswith("producers"):
                assert not network.is_routed(one, other) or "stranger: Producer" in other.name


def test_nothing_reaches_the_internet() -> None:
    network = Network(stacks_of(original()))
    assert not any(network.is_routed(one, INTERNET) for one, _ in pairs(network) if one is not INTERNET)


@pytest.mark.parametrize("mutation", OPENING, ids=lambda mutation: f"{mutation.template}: {mutation.name}")
def test_a_way_that_opens_is_found_in_the_graph(mutation: Mutation) -> None:
    world = copy_world(original())
    mutation.apply(world[mutation.template])
    assert findings(world)


def test_before_the_second_update_nothing_leads_back() -> None:
    """The source opens nothing until the connection exists."""
    world = original()
    stacks = [
        Stack(one.name, one.template, one.account, one.region, {**one.parameters, "PeeringConnectionId": ""})
        if one.name.startswith("replicas")
        else one
        for one in stacks_of(world)
    ]
    network = Network(
        Stack(one.name, one.template, one.account, one.region, one.parameters, old.imports)
        for one, old in zip(stacks, stacks_of(world), strict=True)
    )
    assert {way for way in reached(network) if way[1].startswith("replicas")} == set()
