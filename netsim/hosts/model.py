"""Host: one network namespace, described once. The model executes the description; the lab realises it.

Everything is frozen and complete: interfaces with their addresses and the segment they plug into, routes, sysctls,
listening sockets, and the rule programs loaded on it. Addresses are (family, value) with prefix lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from iptables_gen.dataplane import Dataplane
from iptables_gen.values import Family, format_ip

HostKind = Literal["node", "pod", "router", "outside"]
InterfaceKind = Literal["loopback", "ethernet", "bridge", "veth", "dummy"]


class Address(NamedTuple):
    """An address of an interface; `scope_host` for loopback addresses, which never leave as a source."""

    family: Family
    value: int
    prefix: int
    scope_host: bool = False

    def __str__(self) -> str:
        return f"{format_ip(self.family, self.value)}/{self.prefix}"


class Route(NamedTuple):
    """A unicast or blackhole route; gateway None means on link; source None leaves the choice to the kernel.

    `onlink`: the gateway need not lie in a connected subnet (`ip route … onlink`).
    """

    family: Family
    network: int
    prefix: int
    interface: str
    gateway: int | None = None
    source: int | None = None
    blackhole: bool = False
    onlink: bool = False

    def __str__(self) -> str:
        what = "default" if self.prefix == 0 else f"{format_ip(self.family, self.network)}/{self.prefix}"
        if self.blackhole:
            return f"blackhole {what}"
        via = f" via {format_ip(self.family, self.gateway)}" if self.gateway is not None else ""
        return f"{what}{via} dev {self.interface}{' onlink' if self.onlink else ''}"


@dataclass(frozen=True, slots=True)
class Interface:
    """A link of a namespace. `segment` is the layer-2 network it plugs into ("" for loopback and dummies).

    A bridge is itself the host's port on its own segment; `hairpin` says whether its ports send a frame back where it
    came from.
    """

    name: str
    kind: InterfaceKind
    segment: str = ""
    addresses: tuple[Address, ...] = ()
    hairpin: bool = False


class Listener(NamedTuple):
    """A listening socket; address None is any address of the host, port 0 any port, protocol "" any protocol.

    `owner` is what people call it: `pod shop/api-1`, `kube-proxy health check of shop/api`, `kubelet`.
    """

    family: Family | None
    address: int | None
    protocol: str
    port: int
    owner: str
    pod: tuple[str, str] | None = None


DEFAULT_SYSCTLS: Mapping[str, str] = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.all.route_localnet": "0",
    "net.ipv4.conf.all.accept_local": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
}


@dataclass(frozen=True, slots=True)
class Host:
    """One network namespace.

    `name` is unique in the Network (`node-1`, `pod/shop/api-1`, `router`, `external/198.51.100.10`); `node` is the node
    it lives on ("" outside the cluster). `accepts_any`: a socket answers on every port of every address.
    `dataplanes` come in the order they were loaded; their hooks are merged by priority.
    """

    name: str
    kind: HostKind
    node: str = ""
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    listeners: tuple[Listener, ...] = ()
    dataplanes: tuple[LabelledDataplane, ...] = ()
    accepts_any: bool = False
    pod: tuple[str, str] | None = None
    declared_ports: frozenset[tuple[str, int]] = frozenset()

    def interface(self, name: str) -> Interface | None:
        """Return an interface by name."""
        return next((link for link in self.interfaces if link.name == name), None)


class LabelledDataplane(NamedTuple):
    """A rule program and whose it is: `kube-proxy`, `cni` or `dump`."""

    label: str
    program: Dataplane


class Owner(NamedTuple):
    """Who has an address: a pod, a node, or something outside. `host` is the namespace that answers for it."""

    kind: HostKind
    host: str
    node: str = ""
    pod: tuple[str, str] | None = None


class Neighbour(NamedTuple):
    """Who answers for an address on a segment: the host and its interface there."""

    host: str
    interface: str
