"""What `lab verify` asks by itself: every client class against every Service address, port and protocol."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from iptables_gen.values import format_endpoint, parse_ip
from netsim.cluster.model import Cluster, Pod, Service
from netsim.hosts.network import Network
from netsim.hosts.services import external_local

OUTSIDE = "external/198.51.100.10"
OUTSIDE_6 = "external/2001:db8:51::10"
UNUSED_PORT = 4321
UNVERIFIABLE = ("sctp",)


@dataclass(frozen=True, slots=True)
class Question:
    """One flow: words of `netsim trace`, and the Service it is about (`NS/NAME`, "" if none)."""

    source: str
    target: str
    protocol: str
    via: str | None = None
    service: str = ""

    @property
    def text(self) -> str:
        """Return the arguments of `netsim trace` that ask the same."""
        via = f" --via {self.via}" if self.via else ""
        return f"{self.source} {self.target}/{self.protocol}{via}"


def default_questions(network: Network) -> tuple[Question, ...]:
    """Return every question, each once, in a stable order."""
    return tuple(dict.fromkeys(_all(network)))


def random_questions(network: Network, count: int, seed: int) -> tuple[Question, ...]:
    """Return a seeded sample of the questions, without repetition."""
    questions = default_questions(network)
    chosen = random.Random(seed).sample(range(len(questions)), min(count, len(questions)))
    return tuple(questions[number] for number in sorted(chosen))


def _all(network: Network) -> Iterator[Question]:
    cluster = network.cluster
    pods = tuple(f"pod/{pod.namespace}/{pod.name}" for pod in clients(cluster))
    nodes = tuple(f"node/{name}" for name in network.facts)
    for service in cluster.services:
        name = f"{service.namespace}/{service.name}"
        for target, protocol, kind in targets(network, service):
            for source in (*pods, *nodes):
                if kind != "loopback" or source in nodes:
                    yield Question(source, target, protocol, None, name)
            for node in network.facts if kind != "loopback" else ():
                via = None if kind == "nodePort" else f"node/{node}"
                yield Question(OUTSIDE_6 if "[" in target else OUTSIDE, target, protocol, via, name)


def clients(cluster: Cluster) -> tuple[Pod, ...]:
    """Return one client pod a node of each class: an endpoint of something, and one that is not."""
    targets = {
        (e.target_namespace, e.target_name) for s in cluster.slices for e in s.endpoints if e.target_kind == "Pod"
    }
    chosen: dict[tuple[str, bool, bool], Pod] = {}
    for pod in cluster.pods:
        if pod.ips and not pod.terminating and pod.phase == "Running":
            key = (pod.node_name, (pod.namespace, pod.name) in targets, pod.host_network)
            chosen.setdefault(key, pod)
    return tuple(chosen.values())


def targets(network: Network, service: Service) -> Iterator[tuple[str, str, str]]:
    """Yield (IP:PORT, protocol, kind) of a Service: its addresses, nodePorts, health check, and a port it lacks."""
    addresses = [ip for ip in service.cluster_ips if ip != "None"]
    outer = [*service.external_ips, *(item.ip for item in service.ingress if item.ip)]
    for port in service.ports:
        protocol = port.protocol.lower()
        yield from ((format_endpoint(ip, port.port), protocol, "clusterIP") for ip in addresses)
        yield from ((format_endpoint(ip, port.port), protocol, "vip") for ip in outer)
        if port.node_port:
            yield from _node_ports(network, service, port.node_port, protocol)
    if service.type == "LoadBalancer" and service.health_check_node_port and external_local(service):
        yield from _node_ports(network, service, service.health_check_node_port, "tcp")
    yield from ((format_endpoint(ip, UNUSED_PORT), "tcp", "clusterIP") for ip in (*addresses, *outer))


def _node_ports(network: Network, service: Service, port: int, protocol: str) -> Iterator[tuple[str, str, str]]:
    families = {6 if name == "IPv6" else 4 for name in service.ip_families}
    for node in network.cluster.nodes:
        for address in node.internal_ips:
            if parse_ip(address)[0] in families:
                yield format_endpoint(address, port), protocol, "nodePort"
    if 4 in families:
        yield format_endpoint("127.0.0.1", port), protocol, "loopback"
