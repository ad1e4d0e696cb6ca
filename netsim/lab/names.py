"""DNS in a lab: our CoreDNS stand-in on the addresses of the DNS pods, and each pod's resolv.conf and hosts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import pack

from netsim.cluster.model import Cluster
from netsim.dns.open import ClusterDns, open_dns
from netsim.dns.podconf import PodFiles, node_files, pod_files
from netsim.dns.serve import State, Udp, serve_tcp
from netsim.hosts.model import Host
from netsim.lab.ingress import outside_names
from netsim.lab.ops import Serve, WriteFile
from netsim.lab.plan import namespace_name
from netsim.lab.servers import answer

# CH TXT id.server. (RFC 4892): "which server are you?"; the lab's servers also say which client they saw.
IDENTITY = b"\x02id\x06server\x00\x00\x10\x00\x03"
IDENTITY_QUERY = b"\x00\x2a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00" + IDENTITY


@dataclass(frozen=True, slots=True)
class Identified:
    """A DNS server that answers IDENTITY with an echo server's line, and everything else as CoreDNS would."""

    state: State
    serve: Serve

    def respond(self, data: bytes, transport: str, client: str, now: float) -> bytes | None:
        """Implement `netsim.dns.serve.Responder`."""
        if data[12:] != IDENTITY:
            return self.state.respond(data, transport, client, now)
        serve = self.serve
        line = answer(serve.owner, serve.protocol, (serve.address, serve.port), (client, 0)).strip()
        text = bytes((len(line),)) + line
        header = data[:2] + b"\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00"
        return header + IDENTITY + b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00" + pack("!H", len(text)) + text


class LabDns:
    """The DNS servers of one lab: one answer function behind all sockets, replaced when the cluster changes."""

    def __init__(self, cluster: Cluster) -> None:
        self._state = State(open_dns(cluster), lambda text: print(text, flush=True))

    def change(self, cluster: Cluster) -> None:
        """Answer from another cluster from now on."""
        self._state.dns = open_dns(cluster)

    async def start(self, serve: Serve, opened: socket.socket) -> object:
        """Serve a bound socket; a `netsim.lab.holder.Starter`."""
        responder = Identified(self._state, serve)
        if serve.protocol == "udp":
            return await asyncio.get_running_loop().create_datagram_endpoint(lambda: Udp(responder), sock=opened)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve_tcp(responder, reader, writer)

        return await asyncio.start_server(connected, sock=opened)


def file_operations(cluster: Cluster, hosts: Iterable[Host]) -> Iterator[WriteFile]:
    """Yield /etc/resolv.conf and /etc/hosts of every pod and node, as the kubelet writes them."""
    dns = open_dns(cluster)
    outside = outside_hosts(cluster)
    for host in hosts:
        if host.kind == "outside":
            yield WriteFile(f"files/{namespace_name(host)}/hosts", outside)
        files = _files(cluster, host, dns)
        if files is not None:
            folder = f"files/{namespace_name(host)}"
            yield WriteFile(f"{folder}/resolv.conf", files.resolv_conf)
            yield WriteFile(f"{folder}/hosts", files.hosts)


def outside_hosts(cluster: Cluster) -> str:
    """Return /etc/hosts of the clients outside: the hosts of Ingresses at their controllers' load balancers."""
    lines = [f"{address}\t{host}" for host, found in sorted(outside_names(cluster).items()) for address in found]
    return "\n".join(("127.0.0.1\tlocalhost", "::1\tlocalhost", *lines)) + "\n"


def _files(cluster: Cluster, host: Host, dns: ClusterDns) -> PodFiles | None:
    if host.kind == "node":
        return node_files(dns.kubelet)
    pod = cluster.pod(*host.pod) if host.kind == "pod" and host.pod else None
    return pod_files(pod, dns.kubelet) if pod else None
