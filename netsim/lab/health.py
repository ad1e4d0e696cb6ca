"""kube-proxy's health check servers on nodes: what a load balancer asks before it sends to one.

Source:  observed on kube-proxy v1.36.2 (status, body, header); it counts ready local endpoints only.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterable, Iterator

from iptables_gen.values import Family
from netsim.cluster.model import Cluster
from netsim.hosts.listeners import KUBELET_PORT
from netsim.hosts.model import Host
from netsim.hosts.services import external_local, local_endpoints
from netsim.lab.ops import Serve
from netsim.lab.plan import namespace_name
from netsim.lab.servers import PATIENCE, answer

ANY = {4: "0.0.0.0", 6: "::"}


def node_servers(cluster: Cluster, hosts: Iterable[Host]) -> Iterator[Serve]:
    """Yield what listens on every node besides pods: a health check a Service that has one, and the kubelet's port."""
    checks = [
        (service.health_check_node_port, f"{service.namespace}/{service.name}")
        for service in cluster.services
        if service.type == "LoadBalancer" and service.health_check_node_port and external_local(service)
    ]
    for host in hosts:
        if host.kind == "node":
            families = {a.family for i in host.interfaces if i.kind == "ethernet" for a in i.addresses}
            for family in sorted(families):
                name = namespace_name(host)
                yield from (Serve(name, ANY[family], port, "tcp", owner, "health") for port, owner in checks)
                yield Serve(name, ANY[family], KUBELET_PORT, "tcp", f"kubelet of {host.name}")


def response(service: str, count: int, identity: str = "") -> bytes:
    """Return the whole HTTP response for a Service with so many ready endpoints; `identity` is the lab's own header."""
    namespace, _, name = service.partition("/")
    record = {
        "service": {"namespace": namespace, "name": name},
        "localEndpoints": count,
        "serviceProxyHealthy": True,
    }
    body = json.dumps(record, indent=2).encode() + b"\n"
    head = (
        "HTTP/1.1 200 OK" if count else "HTTP/1.1 503 Service Unavailable",
        f"X-Netsim: {identity}",
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        f"X-Load-Balancing-Endpoint-Weight: {count}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class LabHealth:
    """The health check servers of one lab; the cluster they count in may be replaced."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def change(self, cluster: Cluster) -> None:
        """Count in another cluster from now on."""
        self._cluster = cluster

    async def start(self, serve: Serve, opened: socket.socket) -> object:
        """Serve a bound socket; a `netsim.lab.holder.Starter`."""
        node = serve.namespace.removeprefix("node/")
        family: Family = 6 if ":" in serve.address else 4

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await asyncio.wait_for(reader.read(4096), PATIENCE)
                ends = writer.get_extra_info("sockname")[:2], writer.get_extra_info("peername")[:2]
                identity = answer(f"health check of {serve.owner}", "tcp", *ends).decode().strip()
                count = local_endpoints(self._cluster, node, serve.owner, family)
                writer.write(response(serve.owner, count, identity))
                await writer.drain()
            except (OSError, TimeoutError):
                pass
            finally:
                writer.close()

        return await asyncio.start_server(connected, sock=opened)
