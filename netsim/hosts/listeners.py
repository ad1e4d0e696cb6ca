"""Who listens on a node: hostNetwork pods, kube-proxy's health checks, the kubelet, and endpoints that are the node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from iptables_gen.values import Family, parse_ip
from netsim.cluster.model import Cluster, EndpointSlice, Pod
from netsim.hosts.model import Listener
from netsim.hosts.services import external_local

KUBELET_PORT = 10250


def node_listeners(cluster: Cluster, node: str, own: frozenset[tuple[Family, int]]) -> tuple[Listener, ...]:
    """Return the sockets in a node's host network namespace; `own` are the node's addresses."""
    return (
        *host_network_listeners(cluster, node),
        *health_check_listeners(cluster),
        Listener(None, None, "tcp", KUBELET_PORT, "kubelet"),
        *endpoint_listeners(cluster, own),
    )


def host_network_listeners(cluster: Cluster, node: str) -> Iterator[Listener]:
    """Yield a listener for each declared port of the node's hostNetwork pods, on every address of the node."""
    for pod in _host_network_pods(cluster).get(node, ()):
        for port in pod.ports:
            owner = f"pod {pod.namespace}/{pod.name}"
            yield Listener(None, None, port.protocol.lower(), port.port, owner, (pod.namespace, pod.name))


def _host_network_pods(cluster: Cluster) -> dict[str, list[Pod]]:
    key = "hosts.host_network_pods"
    if key not in cluster.memo:
        found: dict[str, list[Pod]] = {}
        for pod in cluster.pods:
            if pod.host_network and pod.phase not in ("Succeeded", "Failed"):
                found.setdefault(pod.node_name, []).append(pod)
        cluster.memo[key] = found
    return cast("dict[str, list[Pod]]", cluster.memo[key])


def health_check_listeners(cluster: Cluster) -> Iterator[Listener]:
    """Yield kube-proxy's health check servers: load balancers with externalTrafficPolicy Local, on every node."""
    for service in cluster.services:
        if service.type == "LoadBalancer" and service.health_check_node_port and external_local(service):
            owner = f"kube-proxy health check of {service.namespace}/{service.name}"
            yield Listener(None, None, "tcp", service.health_check_node_port, owner)


def endpoint_listeners(cluster: Cluster, own: frozenset[tuple[Family, int]]) -> Iterator[Listener]:
    """Yield a listener for each endpoint whose address is the node's own."""
    for item in cluster.slices:
        if item.address_type != "FQDN":
            yield from _slice_listeners(item, own)


def _slice_listeners(item: EndpointSlice, own: frozenset[tuple[Family, int]]) -> Iterator[Listener]:
    for endpoint in item.endpoints:
        for text in endpoint.addresses[:1]:
            address = parse_ip(text)
            if address in own:
                target = endpoint.target_kind == "Pod" and endpoint.target_name
                pod = (endpoint.target_namespace or item.namespace, endpoint.target_name) if target else None
                for port in item.ports:
                    if port.port:
                        owner = f"endpoint of {item.namespace}/{item.service or item.name}"
                        yield Listener(*address, port.protocol.lower(), port.port, owner, pod)
