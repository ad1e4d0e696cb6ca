"""Network: all hosts of a cluster and who answers for an address; made on demand, never all of a big cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from iptables_gen.values import BITS, Family, format_ip, in_net, parse_ip, parse_net
from netsim.cluster.model import Cluster, Pod
from netsim.hosts.cni import CniSettings
from netsim.hosts.layout import (
    FAMILIES,
    OUTSIDE,
    OUTSIDE_ADDRESSES,
    ROUTER,
    SWITCH,
    NodeFacts,
    bridge_segment,
    endpoint_host,
    gateway_of,
    node_facts,
    node_host,
    outside_host,
    pod_host,
    router_host,
    subnet_of,
)
from netsim.hosts.listeners import node_listeners
from netsim.hosts.model import Address, Host, Interface, LabelledDataplane, Neighbour, Owner
from netsim.hosts.services import virtual_addresses


@dataclass(frozen=True, slots=True)
class NodePrograms:
    """What is loaded on one node: rule programs, the sysctls kube-proxy sets, the addresses it binds (ipvs)."""

    dataplanes: tuple[LabelledDataplane, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    bound: tuple[Address, ...] = ()


NO_PROGRAMS = NodePrograms()


class Network:
    """The hosts of one cluster under one CNI, with one rule source. Queries never change what it answers."""

    def __init__(
        self, cluster: Cluster, cni: CniSettings, programs: Callable[[str], NodePrograms] = lambda _: NO_PROGRAMS
    ) -> None:
        self.cluster = cluster
        self.cni = cni
        self._programs = programs
        plain = {node.name: node_facts(node, cni) for node in cluster.nodes}
        self._owners = _adopted(_owners(cluster, plain), tuple(plain.values()))
        strays = _strays(self._owners, plain)
        self.facts: Mapping[str, NodeFacts] = {
            node.name: node_facts(node, cni, strays[node.name]) if node.name in strays else plain[node.name]
            for node in cluster.nodes
        }
        # Nodes may have any name, the router's too.
        self.router = next(name for name in _router_names() if name not in self.facts)
        self.gateways = _gateways(self.facts.values())
        self._own = _own_addresses(self.facts.values())
        self._switch = {
            (a.family, a.value): Neighbour(name, i.name) for name, i, a in _ports(self.facts.values(), SWITCH)
        } | {(family, value): Neighbour(self.router, "eth0") for (family, _, _), value in self.gateways.items()}
        self._hosts: dict[str, Host] = {}
        self._found: dict[tuple[Family, int], Owner | None] = {}

    def host(self, name: str) -> Host:
        """Return a host by its unique name; raises KeyError for a name that no host has."""
        found = self._hosts.get(name)
        if found is None:
            found = self._hosts[name] = self._build(name)
        return found

    def hosts(self) -> Iterator[Host]:
        """Yield every host that the cluster itself has: the router, nodes, then pods with an address of their own."""
        yield self.host(self.router)
        yield from (self.host(name) for name in self.facts)
        for pod in self.cluster.pods:
            if pod.ips and not pod.host_network and pod.node_name in self.facts:
                yield self.host(f"pod/{pod.namespace}/{pod.name}")

    def owner(self, family: Family, value: int) -> Owner | None:
        """Return who has an address: a node, a pod, an endpoint, None when no object names it."""
        key = (family, value)
        if key not in self._found:
            text = format_ip(family, value)
            self._found[key] = self._own.get(key) or self._owners.get(text)
        return self._found[key]

    @cached_property
    def endpoints(self) -> frozenset[int]:
        """Return every address that an EndpointSlice names, as numbers; a superset for either family."""
        slices = (item for item in self.cluster.slices if item.address_type != "FQDN")
        texts = {address for item in slices for endpoint in item.endpoints for address in endpoint.addresses}
        return frozenset(parse_ip(text)[1] for text in texts)

    @cached_property
    def _pods(self) -> Mapping[str, Pod]:
        return {f"{pod.namespace}/{pod.name}": pod for pod in self.cluster.pods}

    def neighbour(self, segment: str, family: Family, value: int) -> Neighbour | None:
        """Return who answers for an address on a segment, None when nobody does (no ARP or ND reply)."""
        if segment == SWITCH:
            return self._switch.get((family, value))
        if segment == OUTSIDE:
            return self._outside(family, value)
        node = segment.removeprefix("bridge/")
        owner = self.owner(family, value)
        if owner is None or owner.node != node:
            return None
        if owner.kind == "pod":
            return Neighbour(owner.host, "eth0")
        # The node answers on its bridge for all of its addresses (arp_ignore 0).
        return Neighbour(node, self.cni.bridge) if owner.kind == "node" else None

    def _outside(self, family: Family, value: int) -> Neighbour:
        if any(address.family == family and address.value == value for address in OUTSIDE_ADDRESSES):
            return Neighbour(self.router, "eth1")
        owner = self.owner(family, value)
        if owner is None:
            return Neighbour(f"external/{format_ip(family, value)}", "eth0")
        return Neighbour(owner.host, "eth0") if owner.kind == "outside" else Neighbour(self.router, "eth1")

    def _build(self, name: str) -> Host:
        kind, _, rest = name.partition("/")
        if name == self.router:
            return router_host(name, self.facts.values(), self.gateways, self._dead())
        if name in self.facts:
            return self._node(name)
        match kind:
            case "pod":
                pod = self._pods[rest]
                return pod_host(pod, self.facts[pod.node_name], self.cni)
            case "endpoint":
                return endpoint_host(rest, self.facts[self._owners[rest].node], self.cni)
            case "external":
                family, value = parse_ip(rest)
                owner = self.owner(family, value)
                return outside_host(family, value, rest, owner.pod if owner else None)
            case _:
                raise KeyError(name)

    def _node(self, name: str) -> Host:
        programs = self._programs(name)
        facts = self.facts[name]
        return node_host(
            facts,
            [other for other in self.facts.values() if other is not facts],
            self.gateways,
            bound=programs.bound,
            sysctls=programs.sysctls,
            listeners=node_listeners(self.cluster, name, self._addresses_of(facts)),
            dataplanes=programs.dataplanes,
        )

    @staticmethod
    def _addresses_of(facts: NodeFacts) -> frozenset[tuple[Family, int]]:
        return frozenset((a.family, a.value) for i in facts.interfaces for a in i.addresses)

    def _dead(self) -> Iterator[tuple[Family, int, int]]:
        """Yield what the router knows to be nowhere: service ranges, and virtual addresses that no machine has."""
        ranges = [parse_net(cidr) for cidr in self.cluster.service_cidrs or self.cluster.assumed_service_cidrs]
        yield from ranges
        for family, value in virtual_addresses(self.cluster):
            inside = any(f == family and in_net(value, network, prefix, f) for f, network, prefix in ranges)
            if not inside and self.owner(family, value) is None:
                yield family, value, BITS[family]


def _owners(cluster: Cluster, facts: Mapping[str, NodeFacts]) -> dict[str, Owner]:
    """Return who has each address that a Pod or an EndpointSlice names; a Pod wins over a slice.

    A pod of a node that has no address of the pod's family cannot be routed to there: it counts as behind the router.
    """
    nodes = frozenset(
        (name, ":" if f == 6 else ".") for name, node in facts.items() for f in FAMILIES if node.primary(f)
    )
    found: dict[str, Owner] = {}
    for item in cluster.slices:
        if item.address_type != "FQDN":
            for endpoint in item.endpoints:
                for address in endpoint.addresses:
                    known = found.get(address)
                    if known is None or not known.node:
                        found[address] = _endpoint_owner(address, endpoint.node_name, nodes)
    for pod in cluster.pods:
        if not pod.host_network and pod.phase not in ("Succeeded", "Failed"):
            found.update((ip, _pod_owner(pod, ip, nodes)) for ip in pod.ips)
    return found


def _endpoint_owner(address: str, node: str | None, nodes: frozenset[tuple[str, str]]) -> Owner:
    if (node, ":" if ":" in address else ".") in nodes:
        return Owner("pod", f"endpoint/{address}", str(node))
    return Owner("outside", f"external/{address}")


def _pod_owner(pod: Pod, ip: str, nodes: frozenset[tuple[str, str]]) -> Owner:
    name = (pod.namespace, pod.name)
    if (pod.node_name, ":" if ":" in ip else ".") in nodes:
        return Owner("pod", f"pod/{pod.namespace}/{pod.name}", pod.node_name, name)
    return Owner("outside", f"external/{ip}", "", name)


def _adopted(owners: dict[str, Owner], facts: tuple[NodeFacts, ...]) -> dict[str, Owner]:
    """Return the owners, endpoints without a node put on the node whose pod network holds their address."""
    homeless = [text for text, owner in owners.items() if owner.kind == "outside" and owner.pod is None]
    for text in homeless:
        family, value = parse_ip(text)
        home = next((node for node in facts if node.holds(family, value)), None)
        if home is not None:
            owners[text] = Owner("pod", f"endpoint/{text}", home.name)
    return owners


def _strays(owners: Mapping[str, Owner], facts: Mapping[str, NodeFacts]) -> dict[str, list[tuple[Family, int]]]:
    """Return, by node, pod addresses outside the node's pod networks: they need routes of their own."""
    own = _own_addresses(facts.values())
    found: dict[str, list[tuple[Family, int]]] = {}
    for text, owner in owners.items():
        if owner.kind == "pod":
            address = parse_ip(text)
            if not facts[owner.node].holds(*address) and address not in own:
                found.setdefault(owner.node, []).append(address)
    return {node: sorted(addresses) for node, addresses in found.items()}


def _ports(facts: Iterable[NodeFacts], segment: str) -> Iterator[tuple[str, Interface, Address]]:
    for node in facts:
        for interface in node.interfaces:
            if interface.segment == segment:
                yield from ((node.name, interface, address) for address in interface.addresses)


def _own_addresses(facts: Iterable[NodeFacts]) -> dict[tuple[Family, int], Owner]:
    return {
        (address.family, address.value): Owner("node", node.name, node.name)
        for node in facts
        for interface in node.interfaces
        if interface.kind != "loopback"
        for address in interface.addresses
    }


def _router_names() -> Iterator[str]:
    yield ROUTER
    yield from (f"{ROUTER}-{number}" for number in count(1))


def _gateways(facts: Iterable[NodeFacts]) -> dict[tuple[Family, int, int], int]:
    listed = list(facts)
    primaries = [address for node in listed for family in FAMILIES if (address := node.primary(family))]
    taken = frozenset(address.value for node in listed for link in node.interfaces for address in link.addresses)
    return {subnet_of(address): gateway_of(address, taken) for address in primaries}


__all__ = ["NO_PROGRAMS", "Network", "NodePrograms", "bridge_segment"]
