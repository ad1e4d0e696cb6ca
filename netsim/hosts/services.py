"""Addresses of Services: which of them are virtual, and what each kind of address belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from iptables_gen.values import Family, parse_ip
from netsim.cluster.model import Cluster, Service

VipKind = Literal["clusterIP", "externalIP", "loadBalancer"]


class Vip(NamedTuple):
    """An address of a Service; `proxied` is a load balancer address with ipMode Proxy."""

    kind: VipKind
    service: Service
    proxied: bool = False


def service_vips(service: Service) -> Iterator[tuple[str, Vip]]:
    """Yield the virtual addresses of one Service as text."""
    yield from ((ip, Vip("clusterIP", service)) for ip in service.cluster_ips if ip and ip != "None")
    yield from ((ip, Vip("externalIP", service)) for ip in service.external_ips)
    for ingress in service.ingress if service.type == "LoadBalancer" else ():
        if ingress.ip:
            yield ingress.ip, Vip("loadBalancer", service, ingress.ip_mode == "Proxy")


def virtual_addresses(cluster: Cluster) -> Iterator[tuple[Family, int]]:
    """Yield every virtual address of every Service, once."""
    seen: set[str] = set()
    for service in cluster.services:
        for text, _ in service_vips(service):
            if text not in seen:
                seen.add(text)
                yield parse_ip(text)


def vip_index(cluster: Cluster) -> dict[str, tuple[Vip, ...]]:
    """Return what each virtual address belongs to; an external IP may be shared by several Services."""
    found: dict[str, tuple[Vip, ...]] = {}
    for service in cluster.services:
        for text, vip in service_vips(service):
            found[text] = (*found.get(text, ()), vip)
    return found


def external_local(service: Service) -> bool:
    """Whether externalTrafficPolicy Local is in force (kube-proxy's externalPolicyLocal)."""
    external = service.type in ("LoadBalancer", "NodePort") or bool(service.external_ips)
    return external and service.external_traffic_policy == "Local"


def local_endpoints(cluster: Cluster, node: str, service: str, family: Family) -> int:
    """Return how many distinct addresses of ready endpoints of a Service (NS/NAME) are on a node.

    Each family has a kube-proxy's health check of its own (observed in a dual-stack cluster).
    """
    wanted = "IPv6" if family == 6 else "IPv4"
    found = {
        address
        for item in cluster.slices
        if f"{item.namespace}/{item.service}" == service and item.address_type == wanted
        for endpoint in item.endpoints
        if endpoint.node_name == node and endpoint.ready is not False
        for address in endpoint.addresses
    }
    return len(found)
