"""The firm's address ranges, from which people reach what the deployment protects."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network

from headwater.deployment.stacks import Stack
from schemas.refusals import refused

# A request never comes from one of these. By a VPC endpoint it comes from a private address, but then without
# aws:SourceIp: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
# The list: https://www.iana.org/assignments/iana-ipv4-special-registry
_NEVER = [
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3"),
    )
]
_ALLOWED = "public ranges, since requests never have a private address"


def firm_problems(stack: Stack) -> Iterator[str]:
    """Yield ranges of FirmCidrs that are not public. Other rules refuse what is no range."""
    value = stack.values.get("FirmCidrs")
    for part in value.text.split(",") if value else ():
        network = _network(part.strip())
        if value and network and any(network.overlaps(other) for other in _NEVER):
            yield str(refused(value.where, part.strip(), _ALLOWED))


def _network(text: str) -> IPv4Network | None:
    try:
        network = ip_network(text)
    except ValueError:
        return None
    return network if isinstance(network, IPv4Network) else None
