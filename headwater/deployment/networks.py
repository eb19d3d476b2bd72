"""Ranges of addresses and zones of a deployment: what AWS would refuse, or what could not work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network
from itertools import combinations
from typing import NamedTuple

from headwater.deployment.deployment import PEERING, Deployment
from headwater.deployment.stacks import Stack, Value
from schemas.refusals import refused

# Ranges that are not public: RFC 1918, and the shared range that AWS documents beside them:
# https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
# Nor does a request come from these. By a VPC endpoint it comes from a private address, but then without
# aws:SourceIp: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
# The list: https://www.iana.org/assignments/iana-ipv4-special-registry
_RESERVED = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))
# Some AWS services use it inside (the same page), as does Docker on a host.
_TAKEN = IPv4Network("172.17.0.0/16")
_LOST = 5  # addresses of each subnet: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html


class Range(NamedTuple):
    """A range of addresses, and the place of the file that decides it."""

    network: IPv4Network
    where: str


def network_problems(deployment: Deployment, stacks: Sequence[Stack]) -> list[str]:
    """Return what is wrong with the ranges and zones of all stacks."""
    found = [text for stack in stacks for text in (*_values(stack, deployment.region), *_pair(stack))]
    found += _missing(deployment)
    found += [text for stack in stacks for text in _role(stack)]
    found += _connections(stacks)
    vpcs: list[Range] = []
    for stack in stacks:
        if stack.template.name == "network":
            found += _inside(stack, "VpcCidr", _subnets(stack))
            found += _endpoints(stack)
            vpcs += _range(stack, "VpcCidr")
        elif stack.template.name == "replicas":
            found += _inside(stack, "SourceVpcCidr", _range(stack, "ReplicasCidr"))
            vpcs += _range(stack, "SourceVpcCidr")
    return [*found, *_overlaps(vpcs)]


def _missing(deployment: Deployment) -> Iterator[str]:
    """Yield replicas and peerings without the other end."""
    for number, source in enumerate(deployment.sources, 1):
        where, tables = f"source {number}", source.parameters
        if "replicas" in tables and "network" not in deployment.reporting.parameters:
            yield f"{where}, replicas: there is no network; allowed: with [reporting.network]"
        if PEERING in tables and "replicas" not in tables:
            yield f"{where}, {PEERING}: there are no replicas; allowed: with [source.replicas]"


def _role(stack: Stack) -> Iterator[str]:
    """Yield a role of another account, as a value of [parameters] is where several sources have replicas."""
    value = stack.values.get("PeeringRoleArn")
    if value and stack.peer and value.text.split(":")[4:5] != [stack.peer]:
        yield str(refused(value.where, value.text, f"a role of account {stack.peer}"))


def _connections(stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield a peering connection that two sources have, as from [parameters]."""
    seen: dict[str, str] = {}
    for stack in stacks:
        value = stack.values.get("PeeringConnectionId")
        if value and value.text and value.text in seen:
            yield str(refused(value.where, value.text, f"another connection than that of {seen[value.text]}"))
        elif value and value.text:
            seen[value.text] = stack.where


# One value


def _values(stack: Stack, region: str) -> Iterator[str]:
    for name, value in stack.values.items():
        if stack.template.parameters[name].allowed(value.text):
            continue  # refused by the template's own rule already
        if name == "FirmCidrs":
            yield from _firm(value)
        elif "Cidr" in name and value.text:
            yield from _private(value)
        elif re.fullmatch("Zone[AB]|ReplicasZone", name) and region:
            yield from _zone(value, region)
    zones = [value for name, value in stack.values.items() if name in ("ZoneA", "ZoneB")]
    if len(zones) == 2 and zones[0].text == zones[1].text:
        yield str(refused(zones[1].where, zones[1].text, "another zone than ZoneA"))


def _private(value: Value) -> Iterator[str]:
    network = network_of(value.text)
    if network is None:
        yield str(refused(value.where, value.text, "a network in CIDR form, such as 10.0.0.0/16"))
    elif not any(network.subnet_of(private) for private in _PRIVATE):
        names = ", ".join(map(str, _PRIVATE))
        yield str(refused(value.where, value.text, f"a part of one of the private ranges {names}"))
    elif network.overlaps(_TAKEN):
        yield str(refused(value.where, value.text, f"outside {_TAKEN}, which AWS services use themselves"))


def _firm(value: Value) -> Iterator[str]:
    """Yield ranges of the firm that are none, or not public."""
    for part in filter(None, map(str.strip, value.text.split(","))):
        network = network_of(part)
        if network is None:
            yield str(refused(value.where, part, "a network in CIDR form, such as 203.0.113.0/24"))
        elif any(network.overlaps(other) for other in (*_PRIVATE, *_RESERVED)):
            allowed = "public ranges, since requests never have a private address"
            yield str(refused(value.where, part, allowed))


def network_of(text: str) -> IPv4Network | None:
    """Return the network of a text; None also where bits behind the prefix are set, which AWS would clear."""
    try:
        return IPv4Network(text)
    except ValueError:
        return None


def _zone(value: Value, region: str) -> Iterator[str]:
    # Local and wavelength zones have longer names; they have neither all endpoints nor RDS for SQL Server.
    if not re.fullmatch(f"{region}[a-z]", value.text):
        yield str(refused(value.where, value.text, f"an availability zone of {region}, such as {region}a"))


def _pair(stack: Stack) -> Iterator[str]:
    """Yield a subnet without a group, or the reverse, of functions that may be in a VPC."""
    pair = [name for name in ("SubnetIds", "SecurityGroupIds") if name in stack.template.parameters]
    filled = [name for name in pair if name in stack.values and stack.values[name].text]
    if len(pair) == 2 and len(filled) == 1:
        other = next(name for name in pair if name not in filled)
        yield f"{stack.where}, {stack.template.name}: {filled[0]} without {other}; allowed: both, or neither"


# Ranges among each other


def _range(stack: Stack, name: str) -> list[Range]:
    """Return a parameter's range in a list; an empty one if it has none, which is a problem of its own."""
    value = stack.values.get(name)
    network = network_of(value.text) if value else None
    return [Range(network, value.where)] if value and network else []


def _subnets(stack: Stack) -> list[Range]:
    names = (name for name in stack.template.parameters if name.partition("Cidr")[1] and name != "VpcCidr")
    return [found for name in names for found in _range(stack, name)]


def _inside(stack: Stack, vpc: str, subnets: Sequence[Range]) -> Iterator[str]:
    for whole in _range(stack, vpc):
        for subnet in subnets:
            if not subnet.network.subnet_of(whole.network):
                yield str(refused(subnet.where, str(subnet.network), f"a part of {vpc}, {whole.network}"))
    yield from _overlaps(subnets)


def _overlaps(ranges: Iterable[Range]) -> Iterator[str]:
    # Two VPCs with common addresses cannot be peered, and two peers of one VPC cannot both be routed to:
    # https://docs.aws.amazon.com/vpc/latest/peering/invalid-peering-configurations.html
    for one, other in combinations(ranges, 2):
        if one.network.overlaps(other.network):
            yield str(refused(other.where, str(other.network), f"no address of {one.network} ({one.where})"))


def _endpoints(stack: Stack) -> Iterator[str]:
    """Yield subnets with too few addresses for the endpoints, each of which takes one in each zone."""
    resources = stack.template.body["Resources"].values()
    number = sum(one.get("Properties", {}).get("VpcEndpointType") == "Interface" for one in resources)
    needed = number + 1  # CloudFormation creates the replacement of one before it deletes the old one
    for name in ("EndpointCidrA", "EndpointCidrB"):
        for subnet in _range(stack, name):
            free = subnet.network.num_addresses - _LOST
            if free < needed:
                found = f"{subnet.network} with {free} free addresses"
                yield str(refused(subnet.where, found, f"at least {needed}, for {number} endpoints"))
