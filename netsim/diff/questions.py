"""What a diff asks: every Service address, from every class of client, as trace queries.

Clients: processes on nodes, pods that are endpoints of the Service, other pods, and one client outside. Nodes that
look alike to a Service (same zone, with or without an endpoint of it) are represented by two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from iptables_gen.values import Family, format_endpoint, format_ip
from netsim.cluster.model import Cluster, Pod, Service, ServicePort
from netsim.hosts.network import Network
from netsim.trace.query import USUAL_CLIENT, TraceQuery

Kind = Literal[
    "clusterIP",
    "externalIP",
    "loadBalancer",
    "nodePort",
    "otherNodePort",
    "localhostNodePort",
    "healthCheckNodePort",
    "unusedPort",
    "wrongProtocol",
    "boundHostPort",
]
"""otherNodePort: at an address of the node that is not its primary one. unusedPort and wrongProtocol: at a virtual
address. boundHostPort: a port on which the node itself listens, at a virtual address."""
Client = Literal["endpoint", "pod", "node", "external"]

UNUSED_PORT = 4321
ALL_NODES = 4
"""Up to this many nodes each is asked; beyond it two of each look."""


class Question(NamedTuple):
    """One flow: the query, what is dialled, who dials, and the node whose rules are met first.

    `place` is the kind of virtual address of unusedPort, wrongProtocol and boundHostPort.
    """

    query: TraceQuery
    kind: Kind
    client: Client
    entry: str
    family: Family
    service: Service
    port: ServicePort | None
    place: Kind


class _Target(NamedTuple):
    """One address of a Service: where it is, and on which node it is met (None: where the client is)."""

    address: str
    number: int
    protocol: str
    kind: Kind
    place: Kind
    port: ServicePort | None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all questions about one Service share."""

    network: Network
    service: Service
    nodes: tuple[str, ...]
    backends: frozenset[tuple[str, str]]
    pods_of: Callable[[str], Iterable[Pod]]


def questions(cluster: Cluster, network: Network) -> Iterator[Question]:
    """Yield every question, in a fixed order."""
    index = _Index(cluster, network)
    for service in cluster.services:
        if service.type == "ExternalName" or service.headless or not service.cluster_ips:
            continue
        scene = index.scene(service)
        for target in _targets(scene, index):
            yield from _asked(scene, target)


class _Index:
    """Pods by node and backends by Service, made once."""

    def __init__(self, cluster: Cluster, network: Network) -> None:
        self.network = network
        self._zones = {node.name: node.zone for node in cluster.nodes}
        self._pods: dict[str, list[Pod]] = {}
        for pod in cluster.pods:
            running = pod.ips and pod.phase == "Running" and not pod.host_network
            if running and pod.node_name in network.facts:
                self._pods.setdefault(pod.node_name, []).append(pod)
        self._backends: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self._spots: dict[tuple[str, str], set[str]] = {}
        for item in cluster.slices:
            owner = (item.namespace, item.service)
            for endpoint in item.endpoints:
                self._spots.setdefault(owner, set()).add(endpoint.node_name or "")
                if endpoint.target_kind == "Pod":
                    name = (endpoint.target_namespace or item.namespace, endpoint.target_name)
                    self._backends.setdefault(owner, set()).add(name)
        self.used = _used_ports(cluster)

    def pods(self, node: str) -> list[Pod]:
        """Return the pods of a node that have an address of their own."""
        return self._pods.get(node, [])

    def scene(self, service: Service) -> _Scene:
        """Return what the questions about a Service share."""
        owner = (service.namespace, service.name)
        spots = self._spots.get(owner, set())
        nodes = _representatives(self.network.facts, lambda name: (name in spots, self._zones.get(name, "")))
        return _Scene(self.network, service, nodes, frozenset(self._backends.get(owner, ())), self.pods)


def _representatives(nodes: Iterable[str], look: Callable[[str], object]) -> tuple[str, ...]:
    names = tuple(nodes)
    if len(names) <= ALL_NODES:
        return names
    chosen: dict[object, list[str]] = {}
    for name in names:
        chosen.setdefault(look(name), []).append(name)
    return tuple(sorted(name for alike in chosen.values() for name in alike[:2]))


def _used_ports(cluster: Cluster) -> frozenset[tuple[str, int, str]]:
    """Return every (virtual address, port, protocol) that some Service has."""
    return frozenset(
        (address, port.port, port.protocol.lower())
        for service in cluster.services
        for address in (*service.cluster_ips, *service.external_ips, *(i.ip for i in service.ingress))
        for port in service.ports
    )


def _targets(scene: _Scene, index: _Index) -> Iterator[_Target]:
    service = scene.service
    for address, place in _virtual(service):
        for port in service.ports:
            yield _Target(address, port.port, port.protocol.lower(), place, place, port)
        yield from _strange_ports(service, address, place, index)
    for port in service.ports:
        if port.node_port:
            yield from _node_ports(scene, port)
    if service.health_check_node_port:
        for name in scene.nodes:
            for address in _primary(scene.network, name):
                number = service.health_check_node_port
                yield _Target(address, number, "tcp", "healthCheckNodePort", "healthCheckNodePort", None, name)


def _virtual(service: Service) -> Iterator[tuple[str, Kind]]:
    yield from ((ip, "clusterIP") for ip in service.cluster_ips if ip and ip != "None")
    yield from ((ip, "externalIP") for ip in service.external_ips)
    for ingress in service.ingress if service.type == "LoadBalancer" else ():
        if ingress.ip and ingress.ip_mode != "Proxy":
            yield ingress.ip, "loadBalancer"


def _strange_ports(service: Service, address: str, place: Kind, index: _Index) -> Iterator[_Target]:
    """Yield ports that the address does not have: an unused one, a used one with the other protocol, a host's."""
    number = UNUSED_PORT
    while any((address, number, protocol) in index.used for protocol in ("tcp", "udp")):
        number += 1
    yield _Target(address, number, "tcp", "unusedPort", place, None)
    for port in service.ports:
        other = "udp" if port.protocol == "TCP" else "tcp"
        if (address, port.port, other) not in index.used:
            yield _Target(address, port.port, other, "wrongProtocol", place, None)
            break
    if service.health_check_node_port:
        yield _Target(address, service.health_check_node_port, "tcp", "boundHostPort", place, None)


def _primary(network: Network, node: str) -> Iterator[str]:
    for family in (4, 6):
        found = network.facts[node].primary(family)
        if found is not None:
            yield format_ip(found.family, found.value)


def _node_ports(scene: _Scene, port: ServicePort) -> Iterator[_Target]:
    families = {"IPv4": 4, "IPv6": 6}
    wanted = {families[name] for name in scene.service.ip_families if name in families}
    number, protocol = port.node_port, port.protocol.lower()
    for name in scene.nodes:
        primary = set(_primary(scene.network, name))
        for link in scene.network.facts[name].interfaces:
            for item in link.addresses:
                address = format_ip(item.family, item.value)
                if item.family not in wanted or address.startswith("fe80"):
                    continue
                kind: Kind = "nodePort" if address in primary else "otherNodePort"
                kind = "localhostNodePort" if link.kind == "loopback" else kind
                yield _Target(address, number, protocol, kind, kind, port, name)


def _asked(scene: _Scene, target: _Target) -> Iterator[Question]:
    family: Family = 6 if ":" in target.address else 4
    to = format_endpoint(target.address, target.number)
    for source, via, client, node in _clients(scene, target, family):
        entry = target.node or via or node
        query = TraceQuery(source, to, f"node/{via}" if via else None, target.protocol)
        yield Question(query, target.kind, client, entry, family, scene.service, target.port, target.place)


def _clients(scene: _Scene, target: _Target, family: Family) -> Iterator[tuple[str, str | None, Client, str]]:
    """Yield (FROM word, node of --via, class, node of the client)."""
    if target.kind == "localhostNodePort":
        assert target.node is not None
        yield f"node/{target.node}", None, "node", target.node
        return
    for node in scene.nodes:
        yield from ((f"pod/{p.namespace}/{p.name}", None, c, node) for c, p in _client_pods(scene, node, family))
        if scene.network.facts[node].primary(family) is not None:
            yield f"node/{node}", None, "node", node
    outside = f"external/{format_ip(family, USUAL_CLIENT[family])}"
    if target.kind == "otherNodePort":
        return
    if target.node is not None:
        yield outside, None, "external", target.node
        return
    for node in scene.nodes:
        if scene.network.facts[node].primary(family) is not None:
            yield outside, node, "external", node


def _client_pods(scene: _Scene, node: str, family: Family) -> Iterator[tuple[Client, Pod]]:
    """Yield the first endpoint of the Service and the first other pod on a node that have the family."""
    found: dict[Client, Pod] = {}
    for pod in scene.pods_of(node):
        if any((":" in ip) == (family == 6) for ip in pod.ips):
            found.setdefault("endpoint" if (pod.namespace, pod.name) in scene.backends else "pod", pod)
    yield from sorted(found.items())
