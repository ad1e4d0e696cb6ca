"""DNS in a lab: our CoreDNS stand-in on the addresses of the DNS pods, and each pod's resolv.conf and hosts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator

from netsim.cluster.model import Cluster
from netsim.dns.open import ClusterDns, open_dns
from netsim.dns.podconf import PodFiles, node_files, pod_files
from netsim.dns.serve import State, Udp, serve_tcp
from netsim.hosts.model import Host
from netsim.lab.holder import Starter
from netsim.lab.ops import Serve, WriteFile
from netsim.lab.plan import namespace_name


def dns_starter(cluster: Cluster) -> Starter:
    """Return what serves a bound socket as the cluster's DNS server."""
    state = State(open_dns(cluster), lambda text: print(text, flush=True))

    async def start(serve: Serve, opened: socket.socket) -> object:
        if serve.protocol == "udp":
            return await asyncio.get_running_loop().create_datagram_endpoint(lambda: Udp(state), sock=opened)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve_tcp(state, reader, writer)

        return await asyncio.start_server(connected, sock=opened)

    return start


def file_operations(cluster: Cluster, hosts: Iterable[Host]) -> Iterator[WriteFile]:
    """Yield /etc/resolv.conf and /etc/hosts of every pod and node, as the kubelet writes them."""
    dns = open_dns(cluster)
    for host in hosts:
        files = _files(cluster, host, dns)
        if files is not None:
            folder = f"files/{namespace_name(host)}"
            yield WriteFile(f"{folder}/resolv.conf", files.resolv_conf)
            yield WriteFile(f"{folder}/hosts", files.hosts)


def _files(cluster: Cluster, host: Host, dns: ClusterDns) -> PodFiles | None:
    if host.kind == "node":
        return node_files(dns.kubelet)
    pod = cluster.pod(*host.pod) if host.kind == "pod" and host.pod else None
    return pod_files(pod, dns.kubelet) if pod else None
