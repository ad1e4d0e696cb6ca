"""Hosts to operations: how the kernel is told what the model executes. Pure.

Every layer-2 segment is a bridge: a node's pod segment is the node's own CNI bridge, the switch between nodes and the
outside network are bridges of one further namespace, the fabric. Interface indices are counted here, so nothing has to
be looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from iptables_gen.values import BITS, format_ip, net_mask
from netsim.hosts.layout import OUTSIDE, ROUTER, SWITCH
from netsim.hosts.model import Host, Interface, Route
from netsim.lab.ops import AddAddress, AddRoute, MakeBridge, MakeNamespace, MakeVeth, Operation, SetSysctl

FABRIC = "fabric"
BRIDGES = {SWITCH: ("switch0", 2), OUTSIDE: ("outside0", 3)}
FIRST_PORT = 1000
QUIET: Mapping[str, str] = {
    # Tests and people send many packets that are refused: the kernel must not ration its answers.
    "net.ipv4.icmp_ratelimit": "0",
    "net.ipv6.icmp.ratelimit": "0",
    # The mask also takes errors out of the limit on all messages together (type 255 does not exist).
    "net.ipv4.icmp_ratemask": "0",
    "net.ipv6.icmp.ratemask": "255",
    # Addresses work at once instead of after a second of duplicate address detection.
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
}
IPVS: Mapping[str, str] = {
    # What kube-proxy sets at its start besides conntrack (pkg/proxy/ipvs).
    "net.ipv4.vs.conn_reuse_mode": "0",
    "net.ipv4.vs.expire_nodest_conn": "1",
    "net.ipv4.vs.expire_quiescent_template": "1",
}


def namespace_name(host: Host) -> str:
    """Return the lab's name of a host: node/NAME for nodes, the host's own name otherwise."""
    match host.kind:
        case "node":
            return f"node/{host.name}"
        case "router":
            return ROUTER
        case _:
            return host.name


@dataclass(slots=True)
class Numbers:
    """Interface indices of one plan: where each interface of each namespace ended up."""

    index: dict[tuple[str, str], int] = field(default_factory=dict)
    cables: dict[tuple[str, str], int] = field(default_factory=dict)
    last: int = 0

    def assign(self, namespace: str, interface: str) -> int:
        """Return the index of an interface, a new one the first time; 1 is loopback's."""
        key = (namespace, interface)
        if key not in self.index:
            self.index[key] = 1 + max((n for (owner, _), n in self.index.items() if owner == namespace), default=1)
        return self.index[key]

    def cable(self, namespace: str, interface: str) -> tuple[str, int]:
        """Return the name and index of the bridge's end of an interface's cable."""
        key = (namespace, interface)
        if key not in self.cables:
            self.last += 1
            self.cables[key] = self.last
        return f"veth{self.cables[key]}", FIRST_PORT + self.cables[key]


def numbers_of(operations: Iterable[Operation]) -> Numbers:
    """Return the numbers that an earlier plan used, so that a later one keeps them."""
    numbers = Numbers()
    for operation in operations:
        match operation:
            case MakeBridge(namespace, name, index):
                numbers.index[(namespace, name)] = index
            case MakeVeth(_, _, index, namespace, name, own):
                numbers.index[(namespace, name)] = own
                numbers.cables[(namespace, name)] = index - FIRST_PORT
                numbers.last = max(numbers.last, index - FIRST_PORT)
    return numbers


def plan_hosts(hosts: Iterable[Host], numbers: Numbers | None = None) -> tuple[Operation, ...]:
    """Return the operations that make every host: namespaces, sysctls, links, addresses, routes, in this order."""
    listed = tuple(hosts)
    count = numbers or Numbers()
    owners = {i.segment: (host, i) for host in listed for i in host.interfaces if i.kind == "bridge"}
    # A node's uplink comes before its bridge, as on real nodes: MASQUERADE on loopback takes the first link's address.
    uplinks = [link for host in listed for link in _cables(host, owners, count, uplink=True)]
    bridges = [link for host in listed for link in _bridges(host, count)]
    cables = [link for host in listed for link in _cables(host, owners, count, uplink=False)]
    return (
        *fabric(),
        *(operation for host in listed for operation in _namespace(host)),
        *uplinks,
        *bridges,
        *cables,
        *(operation for host in listed for operation in _addresses(host, count)),
        *(operation for host in listed for operation in _routes(host, count)),
    )


def fabric() -> tuple[Operation, ...]:
    """Return the fabric: a namespace with one bridge a shared segment, which filters nothing."""
    return (
        MakeNamespace(FABRIC),
        SetSysctl(FABRIC, "net.ipv6.conf.all.disable_ipv6", "1"),
        SetSysctl(FABRIC, "net.bridge.bridge-nf-call-iptables", "0"),
        SetSysctl(FABRIC, "net.bridge.bridge-nf-call-ip6tables", "0"),
        *(MakeBridge(FABRIC, name, index) for name, index in BRIDGES.values()),
    )


def _namespace(host: Host) -> Iterator[Operation]:
    namespace = namespace_name(host)
    yield MakeNamespace(namespace)
    ipvs = IPVS if "net.ipv4.vs.conntrack" in host.sysctls else {}
    for name, value in {**QUIET, **ipvs, **_inherited(host.sysctls)}.items():
        yield SetSysctl(namespace, name, value)


def _inherited(sysctls: Mapping[str, str]) -> dict[str, str]:
    """Return sysctls with `conf.default` beside `conf.all`: interfaces made later take theirs from it."""
    found: dict[str, str] = {}
    for name, value in sysctls.items():
        found[name] = value
        if ".conf.all." in name and not name.endswith("forwarding"):
            found[name.replace(".conf.all.", ".conf.default.")] = value
    return found


def _bridges(host: Host, count: Numbers) -> Iterator[Operation]:
    """Yield the bridges and dummies of a host."""
    namespace = namespace_name(host)
    for interface in host.interfaces:
        if interface.kind in ("bridge", "dummy"):
            index = count.assign(namespace, interface.name)
            yield MakeBridge(namespace, interface.name, index, interface.kind)


def _cables(
    host: Host, owners: Mapping[str, tuple[Host, Interface]], count: Numbers, *, uplink: bool
) -> Iterator[Operation]:
    """Yield a veth pair for each interface plugged into the fabric (uplink) or into a node's bridge.

    The bridge's end is made first, the host's end in its own namespace.
    """
    namespace = namespace_name(host)
    for interface in host.interfaces:
        plugged = interface.kind in ("ethernet", "veth") and interface.segment
        if plugged and uplink == (interface.segment in BRIDGES):
            where, master, hairpin = _bridge_of(interface.segment, owners, count)
            name, index = count.cable(namespace, interface.name)
            own = count.assign(namespace, interface.name)
            yield MakeVeth(where, name, index, namespace, interface.name, own, master, hairpin)


def _bridge_of(segment: str, owners: Mapping[str, tuple[Host, Interface]], count: Numbers) -> tuple[str, int, bool]:
    """Return (namespace, bridge index, hairpin) of a segment's bridge."""
    if segment in BRIDGES:
        return FABRIC, BRIDGES[segment][1], False
    host, bridge = owners[segment]
    namespace = namespace_name(host)
    return namespace, count.assign(namespace, bridge.name), bridge.hairpin


def _addresses(host: Host, count: Numbers) -> Iterator[Operation]:
    namespace = namespace_name(host)
    for interface in host.interfaces:
        if interface.kind != "loopback":
            index = count.assign(namespace, interface.name)
            for address in interface.addresses:
                text = format_ip(address.family, address.value)
                yield AddAddress(namespace, interface.name, index, text, address.prefix)


def _routes(host: Host, count: Numbers) -> Iterator[Operation]:
    connected = {
        (a.family, a.value & net_mask(a.family, a.prefix), a.prefix)
        for interface in host.interfaces
        for a in interface.addresses
        if a.prefix < BITS[a.family]
    }
    namespace = namespace_name(host)
    for route in host.routes:
        if (route.family, route.network, route.prefix) not in connected:
            yield _route(namespace, route, count)


def _route(namespace: str, route: Route, count: Numbers) -> AddRoute:
    destination = f"{format_ip(route.family, route.network)}/{route.prefix}"
    if route.blackhole:
        return AddRoute(namespace, destination, kind="blackhole")
    via = format_ip(route.family, route.gateway) if route.gateway is not None else ""
    index = count.assign(namespace, route.interface)
    return AddRoute(namespace, destination, via, route.interface, index, onlink=route.onlink)
