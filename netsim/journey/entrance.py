"""Where clients reach a controller: the Ingress's address, its Service's, nodePorts, ports of its pods' hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iptables_gen.values import format_endpoint, parse_ip
from netsim.cluster.model import Cluster, Pod, Service
from netsim.l7.frontend import Frontend, status_addresses
from netsim.manifests.objects import Manifest


def entrances(
    cluster: Cluster, front: Frontend, owner: Manifest | None, port: int, via: str | None = None
) -> tuple[str, ...]:
    """Return the `IP:PORT`s that clients of *port* dial, each as likely as the others; () when there is none.

    *owner* is the Ingress or Gateway whose status may say it. *via* is the name of the node that a client chose.
    """
    published = [address for address in status_addresses(owner) if _is_ip(address)] if owner else []
    if published:
        return tuple(format_endpoint(address, port) for address in published)
    ways = (
        [end for service in front.services for end in _virtual(service, port)][:1],
        [end for service in front.services for end in _node_ports(cluster, service, port, via)],
        list(_host_ports(front, port)),
        [end for service in front.services for end in _cluster_ip(service, port)][:1],
        [format_endpoint(pod.ips[0], port) for pod in front.pods if pod.ips][:1],
    )
    return tuple(next((tuple(dict.fromkeys(found)) for found in ways if found), ()))


def _virtual(service: Service, port: int) -> Iterator[str]:
    """Yield the load balancer's addresses, else the external IPs; none for a port that only is a nodePort."""
    if _node_port(service, port) == port:
        return
    addresses = [item.ip for item in service.ingress if item.ip and item.ip_mode != "Proxy"]
    yield from (format_endpoint(address, port) for address in addresses or service.external_ips)


def _node_ports(cluster: Cluster, service: Service, port: int, via: str | None) -> Iterator[str]:
    number = _node_port(service, port)
    for node in cluster.nodes if number else ():
        if via in (None, node.name):
            yield from (format_endpoint(address, number) for address in node.internal_ips[:1])


def _node_port(service: Service, port: int) -> int:
    """Return the nodePort that leads to a Service port; a nodePort leads to itself. 0: there is none."""
    numbers: Sequence[tuple[int, int]] = [(item.port, item.node_port) for item in service.ports if item.node_port]
    return next((node for own, node in numbers if port in (own, node)), 0)


def _host_ports(front: Frontend, port: int) -> Iterator[str]:
    """Yield the node's address for each pod of the controller that listens on its host's network."""
    if front.scheme(port):
        yield from (format_endpoint(pod.ips[0], port) for pod in front.pods if pod.host_network and _serves(pod))


def _serves(pod: Pod) -> bool:
    return bool(pod.ips) and pod.ready


def _cluster_ip(service: Service, port: int) -> Iterator[str]:
    yield from (format_endpoint(address, port) for address in service.cluster_ips[:1] if address != "None")


def _is_ip(text: str) -> bool:
    try:
        parse_ip(text)
    except ValueError:
        return False
    return True
