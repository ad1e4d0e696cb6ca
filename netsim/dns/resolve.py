"""resolve(): what a process gets for a host name, and every question that was sent for it.

    resolution = resolve(cluster, cluster.pod("shop", "cart-0"), "api", dns=open_dns(cluster))
    resolution.addresses   # ("10.96.0.10",) in the order the library returns them; () with `error` and `code` set
    resolution.queries     # Sent(name, type, to, sock, rcode, answers …); `to` is the nameserver the packet goes to

`pod` None is a process on a node, with the node's own resolv.conf. `dns` is opened once per Cluster by
`netsim.dns.open.open_dns`; left out, it is opened for this call. Nothing here touches the network or the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from netsim.cluster.model import Cluster, Pod
from netsim.dns.names import parse_ip
from netsim.dns.open import ClusterDns, open_dns
from netsim.dns.podconf import PodFiles, node_files, pod_files
from netsim.dns.records import DEFAULT_CLIENT
from netsim.dns.stub.conf import Libc, nsswitch_sources, read_hosts, read_resolv_conf
from netsim.dns.stub.glibc import Glibc
from netsim.dns.stub.go import Go
from netsim.dns.stub.musl import Musl
from netsim.dns.stub.wire import Api, Found, Sent, Wire
from netsim.errors import UsageError
from netsim.notes import Note

NXDOMAIN, NODATA, TRY_AGAIN, NOT_A_NAME = "NXDOMAIN", "NODATA", "DNS_NO_ANSWER", "NOT_A_HOST_NAME"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The result of one look-up. `code` is "OK", or why there is no address: NXDOMAIN, NODATA, DNS_NO_ANSWER (no server
    gave a usable answer), NOT_A_HOST_NAME (nothing was asked). `wasted` counts questions whose answer was of no use."""

    host: str
    addresses: tuple[str, ...]
    error: str
    code: str
    name: str
    aliases: tuple[str, ...]
    queries: tuple[Sent, ...]
    notes: tuple[Note, ...] = ()

    @property
    def wasted(self) -> int:
        """Return how many questions brought no record."""
        return sum(1 for query in self.queries if not query.answers)


def resolve(
    cluster: Cluster,
    pod: Pod | None,
    host: str,
    *,
    dns: ClusterDns | None = None,
    libc: Libc = "glibc",
    api: Api = "unspec",
) -> Resolution:
    """Resolve a host name as a process in *pod* would."""
    dns = dns or open_dns(cluster)
    files = pod_files(pod, dns.kubelet) if pod else node_files(dns.kubelet)
    return look_up(host, files, dns, pod.ips if pod else (DEFAULT_CLIENT,), libc=libc, api=api)


def look_up(
    host: str,
    files: PodFiles,
    dns: ClusterDns,
    client_ips: tuple[str, ...],
    *,
    libc: Libc = "glibc",
    api: Api = "unspec",
    nsswitch: str = "",
    localdomain: str = "",
) -> Resolution:
    """Resolve a host name with these files; client_ips are the process's own addresses (for AI_ADDRCONFIG)."""
    if api == "nameinfo" and parse_ip(host) is None:
        raise UsageError(f"{host!r} is not an address: nameinfo asks for the name of one")
    conf = read_resolv_conf(files.resolv_conf, libc, localdomain)
    hosts = read_hosts(files.hosts)
    client_ips = client_ips or (DEFAULT_CLIENT,)
    wire = Wire(dns, client_ips[0])
    sources = nsswitch_sources(nsswitch)
    match libc:
        case "glibc":
            found = Glibc(conf, hosts, wire, client_ips, sources).lookup(host, api)
        case "musl":
            found = Musl(conf, hosts, wire, client_ips).lookup(host, api)
        case "go":
            found = Go(conf, hosts, wire, client_ips, sources).lookup(host, api)
        case _ as never:
            assert_never(never)
    sent = tuple(query for query in found.queries if query.on_wire)
    return Resolution(
        host, found.addresses, found.error, _code(found), found.name, found.aliases, sent, (*dns.notes, *files.notes)
    )


def _code(found: Found) -> str:
    if not found.error:
        return "OK"
    if not found.queries:
        return NOT_A_NAME
    if any(query.rcode not in ("NOERROR", "NXDOMAIN") for query in found.queries):
        return TRY_AGAIN
    return NODATA if any(query.rcode == "NOERROR" for query in found.queries) else NXDOMAIN
