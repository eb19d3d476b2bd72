"""The network as a graph, from the templates: can X open a connection to Y on port p?

A connection needs a route there and back, groups that let it out and in, and network ACLs that let it and its
answers pass. Everything that a template does not say is assumed to be open: a host may have a public address,
and whatever belongs to no template lets all in and out.

https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Security.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from iam.templates import Resource, Stack

Json = dict[str, Any]
_EVERYWHERE = "0.0.0.0/0"
CLIENT_PORTS = (1024, 32768, 60999, 65535)
"""Ports of a client that stand for all, to which answers go."""


@dataclass(frozen=True)
class Place:
    """What opens or takes connections: a host, a service of AWS behind a gateway, or the internet."""

    name: str
    address: IPv4Address
    vpc: str = ""
    subnet: str = ""
    groups: frozenset[str] | None = None
    """Its security groups; None if nothing filters at this end."""
    service: str = ""
    """The service of AWS that it is, behind a gateway."""


INTERNET = Place("internet", IPv4Address("198.51.100.7"))


@dataclass
class _Group:
    into: list[Json] = field(default_factory=list)
    out: list[Json] = field(default_factory=list)


class Network:
    """Routes, groups and ACLs of some stacks. Ids are those that references to the resources resolve to."""

    def __init__(self, stacks: Iterable[Stack]) -> None:
        self._resources: dict[str, list[Resource]] = defaultdict(list)
        for one in (one for stack in stacks for one in stack.resources.values()):
            self._resources[one.type.removeprefix("AWS::EC2::")].append(one)
        self._tables = self._pairs("SubnetRouteTableAssociation", "RouteTableId")
        self._acls = self._pairs("SubnetNetworkAclAssociation", "NetworkAclId")
        self._subnets = {one.id: IPv4Network(one.properties["CidrBlock"]) for one in self._all("Subnet")}
        self._groups = dict(self._read_groups())

    def _all(self, kind: str) -> list[Resource]:
        return self._resources.get(kind, [])

    def _pairs(self, kind: str, target: str) -> dict[str, str]:
        return {one.properties["SubnetId"]: one.properties[target] for one in self._all(kind)}

    # What is there

    def hosts(self, name: str, subnets: Iterable[str], groups: Iterable[str] | None) -> Iterator[Place]:
        """Yield a host in each subnet: its tenth address, in the subnet's VPC."""
        held = None if groups is None else frozenset(groups)
        vpcs = {one.id: one.properties["VpcId"] for one in self._all("Subnet")}
        for subnet in subnets:
            yield Place(name, self._subnets[subnet][10], vpcs[subnet], subnet, held)

    def subnets(self, stack: str, word: str) -> list[str]:
        """Return the subnets of a stack whose logical name begins with a word."""
        return [one.id for one in self._all("Subnet") if one.stack == stack and one.logical.startswith(word)]

    def endpoint_places(self) -> Iterator[Place]:
        """Yield each interface endpoint, in each of its subnets, with its groups."""
        for one in self._all("VPCEndpoint"):
            if one.properties["VpcEndpointType"] == "Interface":
                groups = map(_plain, one.properties.get("SecurityGroupIds", ()))
                yield from self.hosts("endpoints", one.properties["SubnetIds"], groups)

    # Reachability

    def reaches(self, one: Place, other: Place, port: int) -> bool:
        """Return whether a TCP connection is possible."""
        return (
            self.is_routed(one, other)
            and self.groups_allow(one, other, port)
            and self.acls_allow(one, other, port)
        )

    def is_routed(self, one: Place, other: Place) -> bool:
        """Return whether packets find the way there and back."""
        return self.leads(one, other) and self.leads(other, one)

    def leads(self, one: Place, other: Place) -> bool:
        """Return whether packets find the way there."""
        for host, far in ((one, other), (other, one)):
            if far.service:
                return self._has_gateway(host, far.service) or self._is_online(host)
            if far is INTERNET:
                return self._is_online(host)
        if one.vpc == other.vpc:
            return True  # the local route, which nobody can take away
        target = self._target(one.subnet, other.address)
        # A peering ends in its two VPCs: nothing is passed on to a third.
        return target is not None and self._joins(target[1], one.vpc, other.vpc)

    def _has_gateway(self, host: Place, service: str) -> bool:
        table = self._tables.get(host.subnet)
        return any(
            one.properties["VpcEndpointType"] == "Gateway"
            and one.properties["ServiceName"].endswith(f".{service}")
            and table in one.properties["RouteTableIds"]
            for one in self._all("VPCEndpoint")
        )

    def _is_online(self, host: Place) -> bool:
        """Return whether a route leads to the internet: whatever its gateway is, both ways are assumed."""
        target = self._target(host.subnet, INTERNET.address)
        return target is not None and target[0] != "VpcPeeringConnectionId"

    def _target(self, subnet: str, address: IPv4Address) -> tuple[str, str] | None:
        """Return kind and id of the target of the narrowest route to an address."""
        found = [
            (_network(route["DestinationCidrBlock"]).prefixlen, kind, str(route[kind]))
            for route in (one.properties for one in self._all("Route"))
            if route["RouteTableId"] == self._tables.get(subnet)
            and address in _network(route["DestinationCidrBlock"])
            for kind in route.keys() - {"RouteTableId", "DestinationCidrBlock"}
        ]
        return max(found)[1:] if found else None

    def _joins(self, peering: str, one: str, other: str) -> bool:
        ends = [
            {found.properties["VpcId"], found.properties["PeerVpcId"]}
            for found in self._all("VPCPeeringConnection")
            if found.id == peering
        ]
        return {one, other} in ends

    # Groups

    def groups_allow(self, one: Place, other: Place, port: int) -> bool:
        """Return whether a group of each end allows the connection."""
        return self.lets_out(one, other, port) and self.lets_in(one, other, port)

    def lets_out(self, one: Place, other: Place, port: int) -> bool:
        """Return whether a group of the first place lets it open the connection."""
        rules = (rule for group in one.groups or () for rule in self._out(group))
        return one.groups is None or any(_allows(rule, port, other, "Destination") for rule in rules)

    def lets_in(self, one: Place, other: Place, port: int) -> bool:
        """Return whether a group of the second place lets the connection in."""
        rules = (rule for group in other.groups or () for rule in self._into(group))
        return other.groups is None or any(_allows(rule, port, one, "Source") for rule in rules)

    def _out(self, group: str) -> Sequence[Json]:
        return (
            self._groups[group].out
            if group in self._groups
            else [{"IpProtocol": "-1", "CidrIp": _EVERYWHERE}]
        )

    def _into(self, group: str) -> Sequence[Json]:
        return self._groups[group].into if group in self._groups else []

    def _read_groups(self) -> Iterator[tuple[str, _Group]]:
        rules = self._all("SecurityGroupIngress"), self._all("SecurityGroupEgress")
        for one in self._all("SecurityGroup"):
            into, out = (
                [rule.properties for rule in kind if _plain(rule.properties["GroupId"]) == one.id]
                for kind in rules
            )
            into = [*into, *one.properties.get("SecurityGroupIngress", ())]
            # A group that is created without such a rule gets one for everything.
            everything = [{"IpProtocol": "-1", "CidrIp": _EVERYWHERE}]
            out = [*out, *one.properties.get("SecurityGroupEgress", everything)]
            yield one.id, _Group([*map(dict, into)], [*map(dict, out)])

    # Network ACLs

    def acls_allow(self, one: Place, other: Place, port: int) -> bool:
        """Return whether the ACLs let the connection pass, and its answers to some port of the client."""
        if one.subnet and one.subnet == other.subnet:
            return True
        passes = self.passes
        there = passes(one, other, port, egress=True) and passes(other, one, port, egress=False)
        return there and all(
            passes(other, one, client, egress=True) and passes(one, other, client, egress=False)
            for client in CLIENT_PORTS
        )

    def passes(self, here: Place, there: Place, port: int, *, egress: bool) -> bool:
        """Return whether the ACL here lets out what goes there, or in what comes from there, to a port."""
        acl = self._acls.get(here.subnet)
        if acl is None:
            return True  # the default one of a VPC lets everything pass
        entries = [
            one.properties
            for one in self._all("NetworkAclEntry")
            if one.properties["NetworkAclId"] == acl and one.properties.get("Egress", False) is egress
        ]
        for entry in sorted(entries, key=lambda entry: int(entry["RuleNumber"])):
            if _matches(entry, port, there.address):
                return bool(entry["RuleAction"] == "allow")
        return False


_network = cache(IPv4Network)


def _plain(group: str) -> str:
    """Return the id of a group, which `!Ref` and `!GetAtt Group.GroupId` name alike."""
    return group.removesuffix(".GroupId")


def prefix_list(service: str) -> str:
    """Return the id of a service's prefix list, as the stacks of the graph have it."""
    return f"pl-{service}"


def _allows(rule: Json, port: int, far: Place, end: str) -> bool:
    """Return whether a rule of a group is for this port and the place at the far end."""
    is_port = int(rule.get("FromPort", 0)) <= port <= int(rule.get("ToPort", 65535))
    if not (rule["IpProtocol"] == "-1" or (rule["IpProtocol"] in ("tcp", "6") and is_port)):
        return False
    if f"{end}SecurityGroupId" in rule:
        return _plain(rule[f"{end}SecurityGroupId"]) in (far.groups or ())
    if f"{end}PrefixListId" in rule:
        return bool(far.service) and rule[f"{end}PrefixListId"] == prefix_list(far.service)
    return far.address in _network(rule.get("CidrIp", _EVERYWHERE))


def _matches(entry: Json, port: int, address: IPv4Address) -> bool:
    ports = entry.get("PortRange", {"From": 0, "To": 65535})
    is_port = int(ports["From"]) <= port <= int(ports["To"])
    protocol = str(entry["Protocol"])
    return address in _network(entry["CidrBlock"]) and (protocol == "-1" or (protocol == "6" and is_port))
