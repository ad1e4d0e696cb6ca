"""On which of a node's addresses nodePorts answer (--nodeport-addresses).

Source: kube-proxy's help text and KEP-3866; observed on kube-proxy v1.36.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from iptables_gen.kubeproxy.detect import networks_of
from iptables_gen.kubeproxy.inputs import NodeInfo, ProxyInput
from iptables_gen.values import BITS, Family, in_net, parse_ip, parse_net

PRIMARY = "primary"
"""The one word that --nodeport-addresses takes instead of networks: the node's own primary addresses."""


@dataclass(frozen=True, slots=True)
class NodePortAddresses:
    """Networks of one family. `match_all`: every local address. `covers_loopback`: 127.0.0.0 is among them."""

    family: Family
    networks: tuple[str, ...]
    match_all: bool
    covers_loopback: bool

    def addresses(self, node: NodeInfo) -> tuple[str, ...]:
        """Return the node's addresses inside the networks, each once, in the node's order (kube-proxy: random)."""
        return tuple(dict.fromkeys(a.address for a in node.addresses if covered(a.address, self.networks)))


def node_port_addresses(proxy_input: ProxyInput) -> NodePortAddresses:
    """Return the addresses of one family; a family that the list does not name takes every local address."""
    family = proxy_input.family
    zero = "0.0.0.0/0" if family == 4 else "::/0"
    networks = networks_of(_listed(proxy_input), family) or (zero,)
    return NodePortAddresses(family, networks, zero in networks, _covers_loopback(networks))


def _listed(proxy_input: ProxyInput) -> tuple[str, ...]:
    listed = proxy_input.config.node_port_addresses
    if listed != (PRIMARY,):
        return listed
    ip = proxy_input.node.ip
    return () if is_loopback(ip) else (f"{ip}/{BITS[proxy_input.family]}",)


def _covers_loopback(networks: tuple[str, ...]) -> bool:
    # A network inside 127.0.0.0/8 counts too, though it does not hold the first address.
    return covered("127.0.0.0", networks) or any(network.startswith("127.") for network in networks)


def covered(address: str, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of the networks (networks of the other family never hold it)."""
    family, value = parse_ip(address)
    parsed = map(parse_net, networks)
    return any(found == family and in_net(value, base, prefix, family) for found, base, prefix in parsed)


def is_loopback(address: str) -> bool:
    """Whether an address is in 127.0.0.0/8 or ::1."""
    return address.startswith("127.") or address == "::1"
