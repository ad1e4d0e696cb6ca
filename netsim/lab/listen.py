"""Which servers run where: echo on every port that a pod declares or an EndpointSlice names, and DNS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from iptables_gen.values import format_ip
from netsim.cluster.model import Cluster, Pod
from netsim.hosts.model import Address, Host
from netsim.lab.ingress import sockets
from netsim.lab.ops import Serve
from netsim.lab.plan import namespace_name

SOCKETS = ("tcp", "udp")
Key = tuple[str, int, str]


def servers(cluster: Cluster, hosts: Iterable[Host]) -> tuple[Serve, ...]:
    """Return every server, one an (address, port, protocol), in the namespace that has the address.

    SCTP ports have none: not every kernel has SCTP sockets; nor have those of ingress controllers, which nginx serves.
    """
    homes = {format_ip(a.family, a.value): namespace_name(host) for host, a in _addresses(hosts)}
    busy = sockets(cluster)
    wanted = {
        key: owner for key, owner in _wanted(cluster) if key[2] in SOCKETS and key[0] in homes and key[:2] not in busy
    }
    plain = (Serve(homes[ip], ip, port, protocol, owner) for (ip, port, protocol), owner in sorted(wanted.items()))
    return tuple(_as_dns(serve, cluster) for serve in plain)


def _addresses(hosts: Iterable[Host]) -> Iterator[tuple[Host, Address]]:
    for host in hosts:
        for interface in host.interfaces:
            if interface.kind not in ("loopback", "dummy"):
                yield from ((host, address) for address in interface.addresses)


def _wanted(cluster: Cluster) -> Iterator[tuple[Key, str]]:
    """Yield (address, port, protocol) and owner; what comes later wins, so pods come last."""
    for item in cluster.slices:
        for endpoint in item.endpoints if item.address_type != "FQDN" else ():
            owner = f"endpoint/{item.namespace}/{item.service or item.name}"
            for address in endpoint.addresses[:1]:
                for port in item.ports:
                    yield (address, port.port or 0, port.protocol.lower()), owner
    nodes = {node.name: node.internal_ips for node in cluster.nodes}
    for pod in cluster.pods:
        for address in nodes.get(pod.node_name, ()) if pod.host_network else pod.ips:
            for declared in pod.ports:
                yield (address, declared.port, declared.protocol.lower()), f"pod/{pod.namespace}/{pod.name}"


def _as_dns(serve: Serve, cluster: Cluster) -> Serve:
    """Return the server as a DNS server when it is port 53 of a pod labelled k8s-app=kube-dns."""
    if serve.port == 53 and serve.address in dns_addresses(cluster):
        return Serve(serve.namespace, serve.address, serve.port, serve.protocol, serve.owner, "dns")
    return serve


def dns_addresses(cluster: Cluster) -> frozenset[str]:
    """Return the addresses of the cluster's own DNS server pods."""
    return frozenset(ip for pod in cluster.pods if is_dns(pod) for ip in pod.ips)


def is_dns(pod: Pod) -> bool:
    """Whether a pod is one of the cluster's DNS servers."""
    return pod.namespace == "kube-system" and pod.labels.get("k8s-app") == "kube-dns"
