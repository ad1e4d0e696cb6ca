"""Cluster to ProxyInput: what kube-proxy of one family on one node sees.

Source: pkg/proxy/serviceport.go, endpointschangetracker.go, endpointslicecache.go of v1.36.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import NamedTuple, cast

from iptables_gen.kubeproxy.inputs import Endpoint, HostAddress, NodeInfo, ProxyConfig, ProxyInput, ServicePort
from iptables_gen.values import Family
from netsim.cluster.allocate import first_address
from netsim.cluster.collector import paused_collector
from netsim.cluster.model import Cluster, EndpointSlice, Node, Service
from netsim.cluster.read import IPV4, IPV6, canonical_cidr, family_of
from netsim.cluster.service_allocation import needs_health_check
from netsim.errors import UsageError

# kube-proxy asks for `!headless,!service-proxy-name` on Services and EndpointSlices alike.
SKIP_LABELS = ("service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name")
LOOPBACK: dict[Family, HostAddress] = {4: HostAddress("lo", "127.0.0.1", 8), 6: HostAddress("lo", "::1", 128)}
# What an InternalIP's network is when only the address is known.
ASSUMED_PREFIX: dict[Family, int] = {4: 24, 6: 64}
FIELDS = tuple(f"endpoints[{i}]" for i in range(1000))

Slices = dict[tuple[str, str], list[EndpointSlice]]
PortKey = tuple[str, str]


class SharedPort(NamedTuple):
    """A service port as every node sees it (no endpoint is local), and duplicates that count where they are local."""

    port: ServicePort
    duplicates: tuple[Endpoint, ...] = ()


def proxy_input(cluster: Cluster, node_name: str, family: Family, config: ProxyConfig) -> ProxyInput:
    """Return what the proxier of *family* on a node reads; raises UsageError for a name that is no node."""
    node = cluster.node(node_name)
    if node is None:
        known = ", ".join(n.name for n in cluster.nodes)
        raise UsageError(f"node/{node_name}: no such node (there are {known})")
    with paused_collector():
        return _proxy_input(cluster, node, family, config)


def _proxy_input(cluster: Cluster, node: Node, family: Family, config: ProxyConfig) -> ProxyInput:
    family_name = IPV4 if family == 4 else IPV6
    return ProxyInput(
        family=family,
        node=node_info(node, family),
        config=config,
        services=tuple([_localized(shared, node.name) for shared in shared_ports(cluster, family)]),
        service_cidrs=tuple(cidr for cidr in cluster.service_cidrs if family_of(cidr) == family_name),
    )


def node_info(node: Node, family: Family) -> NodeInfo:
    """Return a node as kube-proxy and the kernel see it in one family."""
    name = IPV4 if family == 4 else IPV6
    # nodeutil.GetNodeHostIPs: InternalIPs, then ExternalIPs; the first of each family is used.
    ips = [ip for ip in (*node.internal_ips, *node.external_ips) if family_of(ip) == name]
    return NodeInfo(
        name=node.name,
        ip=ips[0] if ips else LOOPBACK[family].address,
        zone=node.zone,
        pod_cidrs=tuple(cidr for cidr in node.pod_cidrs if family_of(cidr) == name),
        addresses=host_addresses(node, family),
        locator=node.source,
    )


def host_addresses(node: Node, family: Family) -> tuple[HostAddress, ...]:
    """Return every address of one family on a node: lo, eth0 (InternalIPs), cni0 (the bridge), then the annotation's.

    The annotation may name an InternalIP again to say its interface and network.
    """
    name = IPV4 if family == 4 else IPV6
    named = {item.address: HostAddress(item.interface, item.address, item.prefix) for item in node.extra_addresses}
    own = {ip: HostAddress("eth0", ip, ASSUMED_PREFIX[family]) for ip in node.internal_ips}
    bridge = {
        ip: HostAddress("cni0", ip, ip_network(cidr).prefixlen, assumed=True)
        for cidr in node.pod_cidrs
        if (ip := _bridge(cidr))
    }
    found = {LOOPBACK[family].address: LOOPBACK[family], **own, **bridge, **named}
    return tuple(item for address, item in found.items() if family_of(address) == name)


def _bridge(cidr: str) -> str:
    return first_address(cidr) if ip_network(cidr).num_addresses > 2 else ""


def _localized(shared: SharedPort, node_name: str) -> ServicePort:
    """Return a service port with `local` set; the shared object itself when none of its endpoints is on the node."""
    port = shared.port
    if shared.duplicates:
        # EndpointSliceCache.addEndpoints: of two endpoints with one ip:port the first counts, unless another is local.
        own = {e.key: e for e in shared.duplicates if e.node == node_name}
        port = replace(port, endpoints=tuple([own.get(e.key, e) for e in port.endpoints]))
    if all(endpoint.node != node_name for endpoint in port.endpoints):
        return port
    endpoints = tuple([e._replace(local=True) if e.node == node_name else e for e in port.endpoints])
    return replace(port, endpoints=endpoints)


def shared_ports(cluster: Cluster, family: Family) -> tuple[SharedPort, ...]:
    """Return the service ports of one family, sorted by (namespace/name, port name, protocol); computed once."""
    memo, key = cluster.memo, ("shared_ports", family)
    if key not in memo:
        memo[key] = tuple(_shared_ports(cluster, family))
    return cast("tuple[SharedPort, ...]", memo[key])


def _shared_ports(cluster: Cluster, family: Family) -> list[SharedPort]:
    slices = _slices_by_service(cluster, family)
    found: list[SharedPort] = []
    for service in cluster.services:
        cluster_ip = cluster_ip_of(service, family)
        if cluster_ip and not any(label in service.labels for label in SKIP_LABELS):
            found.extend(_ports(service, cluster_ip, family, slices.get((service.namespace, service.name), [])))
    return sorted(found, key=_order)


def _order(shared: SharedPort) -> tuple[str, str, str]:
    port = shared.port
    return f"{port.namespace}/{port.name}", port.port_name, port.protocol


def _slices_by_service(cluster: Cluster, family: Family) -> Slices:
    name = IPV4 if family == 4 else IPV6
    found: Slices = defaultdict(list)
    for item in cluster.slices:
        if item.address_type == name and not any(label in item.labels for label in SKIP_LABELS):
            found[item.namespace, item.service].append(item)
    return found


def cluster_ip_of(service: Service, family: Family) -> str:
    """Return the ClusterIP that the proxier of a family uses, "" for none (GetClusterIPByFamily, ShouldSkipService)."""
    if service.type == "ExternalName" or service.headless:
        return ""
    name = IPV4 if family == 4 else IPV6
    return next((ip for ip, own in zip(service.cluster_ips, service.ip_families, strict=False) if own == name), "")


def _ports(service: Service, cluster_ip: str, family: Family, slices: list[EndpointSlice]) -> Iterator[SharedPort]:
    external_ips = _of_family(service.external_ips, family)
    lb_vips = _of_family([i.ip if i.ip_mode != "Proxy" else "" for i in service.ingress], family)
    ranges = _of_family([canonical_cidr(item) for item in service.source_ranges], family)
    external_local = service.external_traffic_policy == "Local" and _externally_accessible(service)
    indexed = {(port.name, port.protocol): (index, port) for index, port in enumerate(service.ports)}
    for (name, protocol), (index, port) in indexed.items():
        endpoints, duplicates = collect_endpoints(slices, (name, protocol), family)
        yield SharedPort(
            ServicePort(
                namespace=service.namespace,
                name=service.name,
                port_name=name,
                protocol=protocol.lower(),
                port=port.port,
                cluster_ip=cluster_ip,
                node_port=port.node_port,
                external_ips=external_ips.values,
                lb_vips=lb_vips.values,
                source_ranges=ranges.values,
                affinity_seconds=service.affinity_seconds,
                external_local=external_local,
                internal_local=service.internal_traffic_policy == "Local",
                health_check_node_port=service.health_check_node_port if needs_health_check(service) else 0,
                type=service.type,
                endpoints=endpoints,
                index=index,
                locator=service.source,
                external_ip_positions=external_ips.positions,
                lb_vip_positions=lb_vips.positions,
                source_range_positions=ranges.positions,
            ),
            duplicates,
        )


class Chosen(NamedTuple):
    """The addresses or networks of one family, and their places in the manifest's list, () when none was left out."""

    values: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()


NOTHING = Chosen()


def _of_family(listed: Sequence[str], family: Family) -> Chosen:
    if not listed:
        return NOTHING
    kept = [index for index, value in enumerate(listed) if value and (":" in value) == (family == 6)]
    return Chosen(tuple([listed[i] for i in kept]), () if len(kept) == len(listed) else tuple(kept))


def _externally_accessible(service: Service) -> bool:
    return service.type in ("LoadBalancer", "NodePort") or (service.type == "ClusterIP" and bool(service.external_ips))


def collect_endpoints(
    slices: list[EndpointSlice], wanted: PortKey, family: Family
) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
    """Return (endpoints of a service port sorted by the string ip:port, duplicates on other nodes)."""
    found: dict[str, Endpoint] = {}
    duplicates: list[Endpoint] = []
    form = "[%s]:%d" if family == 6 else "%s:%d"
    for item in slices:
        for name, number, protocol, _ in item.ports:
            if name == wanted[0] and protocol == wanted[1] and number:
                for endpoint in _slice_endpoints(item, number, family == 6):
                    key = form % endpoint[:2]
                    kept = found.setdefault(key, endpoint)
                    if kept is not endpoint and kept.node != endpoint.node:
                        duplicates.append(endpoint)
    return tuple([found[key] for key in sorted(found)]), tuple(duplicates)


def _slice_endpoints(item: EndpointSlice, number: int, v6: bool) -> Iterator[Endpoint]:
    """Yield a slice's endpoints at one port; only addresses[0] counts, absent conditions mean what kube-proxy reads."""
    locators = item.endpoint_sources
    for index, (addresses, ready, serving, terminating, node, _, _, _, _, _, zones, nodes) in enumerate(item.endpoints):
        if addresses and (ip := addresses[0]) and (":" in ip) is v6:
            yield Endpoint(
                ip,
                number,
                ready is not False,
                serving is not False,
                terminating is True,
                False,
                node,
                None if zones is None else frozenset(zones),
                None if nodes is None else frozenset(nodes),
                locators[index] if locators else item.source,
                "" if locators else FIELDS[index] if index < 1000 else f"endpoints[{index}]",
            )
