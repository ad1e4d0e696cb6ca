"""From a cluster to a lab's plan: which hosts it has, and everything that makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from iptables_gen.values import BITS, format_ip, parse_ip
from netsim.cluster.model import Cluster
from netsim.hosts.layout import ROUTER
from netsim.hosts.model import Host
from netsim.hosts.network import Network
from netsim.hosts.services import external_local, service_vips
from netsim.lab.health import node_servers
from netsim.lab.ingress import proxy_operations
from netsim.lab.listen import servers
from netsim.lab.names import file_operations
from netsim.lab.ops import AddRoute, AddRule, Operation
from netsim.lab.plan import Numbers, plan_hosts
from netsim.lab.programs import program_operations

CLIENTS = ("198.51.100.10", "2001:db8:51::10")
FROM_OUTSIDE = 100


def lab_hosts(network: Network, clients: Iterable[str] = CLIENTS) -> tuple[Host, ...]:
    """Return every host of a lab: the cluster's, those behind endpoints without a Pod, and the clients outside."""
    found = {host.name: host for host in network.hosts()}
    for address in (*_endpoint_addresses(network.cluster), *clients):
        owner = network.owner(*parse_ip(address))
        name = owner.host if owner else f"external/{address}"
        if name not in found:
            found[name] = network.host(name)
    return tuple(found.values())


def _endpoint_addresses(cluster: Cluster) -> Iterator[str]:
    for item in cluster.slices:
        if item.address_type != "FQDN":
            yield from (endpoint.addresses[0] for endpoint in item.endpoints if endpoint.addresses)


def plan_lab(network: Network, hosts: Iterable[Host], numbers: Numbers | None = None) -> tuple[Operation, ...]:
    """Return the whole plan: hosts, the router's way to virtual addresses, rules, files, servers.

    numbers: those of the plan that the lab runs on, when it is to be changed.
    """
    listed = tuple(hosts)
    return (
        *plan_hosts(listed, numbers),
        *vip_routes(network),
        *program_operations(listed),
        *file_operations(network.cluster, listed),
        *servers(network.cluster, listed),
        *node_servers(network.cluster, listed),
        *proxy_operations(network.cluster),
    )


def vip_routes(network: Network) -> Iterator[Operation]:
    """Yield the router's routes to load balancer VIPs and external IPs: to the first node that would take them.

    They hold for packets from outside only: what a node sends back for such an address, because no rule of its took
    it, must not come in again.
    """
    yield from (AddRule(ROUTER, family, "eth1", FROM_OUTSIDE) for family in (4, 6))
    for service in network.cluster.services:
        for text, vip in service_vips(service):
            if vip.kind != "clusterIP" and not vip.proxied:
                local = external_local(service)
                nodes = _nodes_with_endpoints(network.cluster, service.namespace, service.name) if local else ()
                node = next((name for name in network.facts if not local or name in nodes), "")
                if node:
                    yield from vip_route(network, text, node)


def vip_route(network: Network, address: str, node: str) -> Iterator[Operation]:
    """Yield the router's route for one virtual address via a node; nothing when the node lacks the family."""
    family, value = parse_ip(address)
    primary = network.facts[node].primary(family)
    if primary is not None and network.owner(family, value) is None:
        via = format_ip(family, primary.value)
        destination = f"{address}/{BITS[family]}"
        yield AddRoute(ROUTER, destination, via, "eth0", router_index(network), table=FROM_OUTSIDE)


def router_index(network: Network) -> int:
    """Return the index that the plan gives the router's interface on the switch (the first after loopback)."""
    names = [link.name for link in network.host(network.router).interfaces if link.kind != "loopback"]
    return 2 + names.index("eth0")


def _nodes_with_endpoints(cluster: Cluster, namespace: str, name: str) -> frozenset[str]:
    return frozenset(
        endpoint.node_name or ""
        for item in cluster.slices
        if item.namespace == namespace and item.service == name
        for endpoint in item.endpoints
        if endpoint.ready is not False
    )
