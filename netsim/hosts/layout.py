"""The hosts of a cluster: every node, pod, the upstream router and the world outside, as the reference layout has them.

Node: `eth0` on one switch with all nodes and the router, a bridge for its pods, host routes to the other nodes' pod
networks, a default route through the router. Pod: `eth0` in its node's bridge. Router: `eth0` on the switch, `eth1`
towards the outside, which holds every address that nothing in the cluster has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha1

from iptables_gen.values import BITS, Family, in_net, net_mask, parse_ip, parse_net
from netsim.cluster.model import Node, Pod
from netsim.cluster.proxy import host_addresses
from netsim.hosts.cni import CniSettings
from netsim.hosts.model import DEFAULT_SYSCTLS, Address, Host, Interface, LabelledDataplane, Listener, Route

FAMILIES: tuple[Family, Family] = (4, 6)
SWITCH = "switch"
OUTSIDE = "outside"
ROUTER = "router"
IPVS_INTERFACE = "kube-ipvs0"
LOOPBACK = Interface("lo", "loopback", addresses=(Address(4, 0x7F000001, 8, True), Address(6, 1, 128, True)))
OUTSIDE_ADDRESSES = (Address(4, parse_ip("198.51.100.1")[1], 24), Address(6, parse_ip("2001:db8:51::1")[1], 64))
LINK_GATEWAY: Mapping[Family, int] = {4: parse_ip("169.254.1.1")[1], 6: parse_ip("fe80::1")[1]}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the layout needs of every node, computed once: its addresses by interface and its pod networks."""

    name: str
    interfaces: tuple[Interface, ...]
    pod_networks: tuple[tuple[Family, int, int], ...]
    strays: tuple[tuple[Family, int], ...] = ()

    def primary(self, family: Family) -> Address | None:
        """Return the first address of a family on the switch: the InternalIP."""
        return next(
            (a for i in self.interfaces if i.segment == SWITCH for a in i.addresses if a.family == family), None
        )

    def holds(self, family: Family, value: int) -> bool:
        """Whether an address lies in one of the node's pod networks."""
        return any(f == family and in_net(value, network, prefix, f) for f, network, prefix in self.pod_networks)


def bridge_segment(node: str) -> str:
    """Return the layer-2 network of a node's bridge."""
    return f"bridge/{node}"


def veth_name(namespace: str, name: str) -> str:
    """Return the node's end of a pod's veth pair."""
    return f"veth{sha1(f'{namespace}/{name}'.encode(), usedforsecurity=False).hexdigest()[:8]}"


def node_facts(node: Node, cni: CniSettings, strays: Iterable[tuple[Family, int]] = ()) -> NodeFacts:
    """Return a node's interfaces and pod networks; `strays` are addresses of its pods that lie outside of these."""
    by_name: dict[str, list[Address]] = {"eth0": [], cni.bridge: []}
    for family in FAMILIES:
        for item in host_addresses(node, family):
            name = cni.bridge if item.interface == "cni0" else item.interface
            if name != "lo" and (name != cni.bridge or cni.gateway):
                by_name.setdefault(name, []).append(Address(family, parse_ip(item.address)[1], item.prefix))
    interfaces = tuple(_interface(node.name, name, addresses, cni) for name, addresses in by_name.items())
    return NodeFacts(
        node.name, (LOOPBACK, *interfaces), tuple(parse_net(cidr) for cidr in node.pod_cidrs), tuple(strays)
    )


def _interface(node: str, name: str, addresses: Iterable[Address], cni: CniSettings) -> Interface:
    if name == cni.bridge:
        return Interface(name, "bridge", bridge_segment(node), tuple(addresses), cni.hairpin)
    dummy = name.startswith(("dummy", "kube-", "nodelocaldns"))
    return Interface(name, "dummy" if dummy else "ethernet", "" if dummy else SWITCH, tuple(addresses))


def gateway_of(address: Address, taken: frozenset[int]) -> int:
    """Return the router's address in a node's subnet: the highest free one (.254 of a /24, ::fe of a /64)."""
    network = address.value & net_mask(address.family, address.prefix)
    size = 1 << (BITS[address.family] - address.prefix)
    if size < 4:
        return LINK_GATEWAY[address.family]
    candidate = network + (min(size - 2, 0xFE) if address.family == 6 else size - 2)
    while candidate in taken and candidate > network + 1:
        candidate -= 1
    return candidate


def node_host(
    facts: NodeFacts,
    others: Iterable[NodeFacts],
    gateways: Mapping[tuple[Family, int, int], int],
    *,
    bound: Iterable[Address] = (),
    sysctls: Mapping[str, str] | None = None,
    listeners: Iterable[Listener] = (),
    dataplanes: Iterable[LabelledDataplane] = (),
) -> Host:
    """Return a node. `gateways`: the router's address in each subnet; `bound`: addresses on kube-ipvs0."""
    dummy = (Interface(IPVS_INTERFACE, "dummy", addresses=tuple(bound)),) if bound else ()
    return Host(
        name=facts.name,
        kind="node",
        node=facts.name,
        interfaces=(*facts.interfaces, *dummy),
        routes=(*_connected(facts.interfaces), *_node_routes(facts, tuple(others), gateways)),
        sysctls={**DEFAULT_SYSCTLS, **(sysctls or {})},
        listeners=tuple(listeners),
        dataplanes=tuple(dataplanes),
    )


def _connected(interfaces: Iterable[Interface]) -> Iterator[Route]:
    for interface in interfaces:
        for address in interface.addresses:
            if interface.kind != "loopback" and address.prefix < BITS[address.family]:
                network = address.value & net_mask(address.family, address.prefix)
                yield Route(address.family, network, address.prefix, interface.name, source=address.value)


def _node_routes(
    facts: NodeFacts, others: tuple[NodeFacts, ...], gateways: Mapping[tuple[Family, int, int], int]
) -> Iterator[Route]:
    bridge = next(link.name for link in facts.interfaces if link.kind == "bridge")
    yield from (Route(family, value, BITS[family], bridge) for family, value in facts.strays)
    for family in FAMILIES:
        own = facts.primary(family)
        if own is None:
            continue
        uplink = next(i.name for i in facts.interfaces if own in i.addresses)
        router = gateways[subnet_of(own)]
        for other in others:
            yield from _routes_to(other, own, uplink, router)
        yield Route(family, 0, 0, uplink, gateway=router, onlink=True)


def _routes_to(other: NodeFacts, own: Address, uplink: str, router: int) -> Iterator[Route]:
    """Yield the routes to another node's pods: via its InternalIP when that is on link, else via the router."""
    family = own.family
    peer = other.primary(family)
    on_link = peer is not None and in_net(peer.value, own.value, own.prefix, family)
    gateway = peer.value if peer is not None and on_link else router
    for pod_family, network, prefix in other.pod_networks:
        if pod_family == family:
            yield Route(family, network, prefix, uplink, gateway=gateway)
    for stray_family, value in other.strays:
        if stray_family == family:
            yield Route(family, value, BITS[family], uplink, gateway=gateway)


def subnet_of(address: Address) -> tuple[Family, int, int]:
    """Return (family, network, prefix) of an address' subnet."""
    return address.family, address.value & net_mask(address.family, address.prefix), address.prefix


def pod_host(pod: Pod, facts: NodeFacts, cni: CniSettings) -> Host:
    """Return a pod's namespace: eth0 in the bridge of its node, a default route through the bridge's address."""
    addresses = tuple(_pod_address(text, facts) for text in pod.ips)
    eth0 = Interface("eth0", "veth", bridge_segment(facts.name), addresses)
    return Host(
        name=f"pod/{pod.namespace}/{pod.name}",
        kind="pod",
        node=facts.name,
        interfaces=(LOOPBACK, eth0),
        routes=(*_connected((eth0,)), *_pod_defaults(facts, cni, addresses)),
        accepts_any=True,
        pod=(pod.namespace, pod.name),
        declared_ports=frozenset((port.protocol.lower(), port.port) for port in pod.ports),
    )


def endpoint_host(address: str, facts: NodeFacts, cni: CniSettings) -> Host:
    """Return the namespace behind an endpoint that names a node but no known pod."""
    own = (_pod_address(address, facts),)
    eth0 = Interface("eth0", "veth", bridge_segment(facts.name), own)
    routes = (*_connected((eth0,)), *_pod_defaults(facts, cni, own))
    return Host(f"endpoint/{address}", "pod", facts.name, (LOOPBACK, eth0), routes, accepts_any=True)


def _pod_address(text: str, facts: NodeFacts) -> Address:
    family, value = parse_ip(text)
    prefixes = [p for f, network, p in facts.pod_networks if f == family and in_net(value, network, p, f)]
    return Address(family, value, prefixes[0] if prefixes else BITS[family])


def _pod_defaults(facts: NodeFacts, cni: CniSettings, addresses: tuple[Address, ...]) -> Iterator[Route]:
    bridge = next(link for link in facts.interfaces if link.name == cni.bridge)
    for family in sorted({address.family for address in addresses}):
        gateway = next((a.value for a in bridge.addresses if a.family == family), None)
        if gateway is not None:
            yield Route(family, 0, 0, "eth0", gateway=gateway, onlink=True)


def router_host(
    name: str,
    nodes: Iterable[NodeFacts],
    gateways: Mapping[tuple[Family, int, int], int],
    dead: Iterable[tuple[Family, int, int]],
) -> Host:
    """Return the upstream router: it reaches every node, pod network and the outside; `dead` networks go nowhere."""
    inside = tuple(Address(family, value, prefix) for (family, _, prefix), value in gateways.items())
    interfaces = (
        LOOPBACK,
        Interface("eth0", "ethernet", SWITCH, inside),
        Interface("eth1", "ethernet", OUTSIDE, OUTSIDE_ADDRESSES),
    )
    return Host(
        name=name,
        kind="router",
        interfaces=interfaces,
        routes=(
            *_connected(interfaces),
            *(route for facts in nodes for route in _router_routes(facts)),
            *(Route(family, network, prefix, "", blackhole=True) for family, network, prefix in dead),
            *(Route(family, 0, 0, "eth1") for family in FAMILIES),
        ),
        sysctls=DEFAULT_SYSCTLS,
    )


def _router_routes(facts: NodeFacts) -> Iterator[Route]:
    for family in FAMILIES:
        address = facts.primary(family)
        if address is None:
            continue
        networks = [(network, prefix) for f, network, prefix in facts.pod_networks if f == family]
        own = [a for i in facts.interfaces if i.kind != "loopback" for a in i.addresses if a.family == family]
        single = [*(v for f, v in facts.strays if f == family), *(a.value for a in own if a != address)]
        for network, prefix in (*networks, *((value, BITS[family]) for value in single)):
            yield Route(family, network, prefix, "eth0", gateway=address.value)


def outside_host(family: Family, value: int, text: str, pod: tuple[str, str] | None = None) -> Host:
    """Return a machine outside the cluster; everything is on link for it, the router answers for the cluster."""
    eth0 = Interface("eth0", "ethernet", OUTSIDE, (Address(family, value, BITS[family]),))
    gateway = next(a.value for a in OUTSIDE_ADDRESSES if a.family == family)
    route = Route(family, 0, 0, "eth0", gateway=gateway, onlink=True)
    return Host(f"external/{text}", "outside", "", (LOOPBACK, eth0), (route,), accepts_any=True, pod=pod)
