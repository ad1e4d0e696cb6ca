"""`netsim dns NAME --from POD`: one name asked as a process in a pod would, with the answer that decides."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netsim.cluster.model import Pod
from netsim.dns.names import fqdn
from netsim.dns.open import ClusterDns
from netsim.dns.podconf import PodFiles
from netsim.dns.records import Answer, Query
from netsim.dns.resolve import Resolution, look_up
from netsim.dns.stub.conf import Libc, ResolvConf, read_resolv_conf
from netsim.dns.stub.glibc import Walk
from netsim.dns.stub.go import Go
from netsim.dns.stub.wire import Api, Sent, Wire

NOTHING_ASKED = "no question is sent: the pod has no nameserver, or this is no host name"


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to the name that decided, the packets sent, the nameserver asked, and hints."""

    answer: Answer
    queries: tuple[Sent, ...] = ()
    server: str = ""
    hints: tuple[str, ...] = ()


def ask_as_is(query: Query, dns: ClusterDns) -> Asked:
    """Ask CoreDNS for the name as it is written."""
    return Asked(dns.server.answer(query), server=next(iter(dns.kubelet.cluster_dns), ""))


def ask_from(
    query: Query, dns: ClusterDns, pod: Pod, files: PodFiles, libc: Libc, *, typed: bool, rooted: bool
) -> Asked:
    """Ask along the pod's search list: A and AAAA as getaddrinfo does, or only *typed* questions.

    rooted: NAME was written with its final dot, and no search applies.
    """
    name = query.name if rooted else query.name.removesuffix(".")
    src = pod.ips[0] if pod.ips else query.src
    query = replace(query, src=src)
    local: tuple[str, ...] = ()
    if typed and query.type not in ("A", "AAAA"):
        sent = _typed_walk(name, query, dns, files, libc)
    else:
        api: Api = {"A": "inet", "AAAA": "inet6"}[query.type] if typed else "unspec"  # type: ignore[assignment]
        resolution = look_up(name, files, dns, pod.ips, libc=libc, api=api)
        sent, local = resolution.queries, resolution.addresses
    return _decided(query, dns, sent, name, local)


def _typed_walk(name: str, query: Query, dns: ClusterDns, files: PodFiles, libc: Libc) -> tuple[Sent, ...]:
    """Walk the search list for one type, as res_search and net.Resolver do (musl has no search for other types)."""
    conf = read_resolv_conf(files.resolv_conf, libc)
    wire = Wire(dns, query.src)
    match libc:
        case "go":
            Go(conf, (), wire, ()).walk(name, query.type)
        case "musl":
            Walk(ResolvConf(conf.nameservers), wire, (query.type,)).candidate(name)
        case _:
            Walk(conf, wire, (query.type,)).search(name)
    return tuple(packet for packet in wire.sent if packet.on_wire)


def _decided(query: Query, dns: ClusterDns, sent: tuple[Sent, ...], name: str, local: tuple[str, ...]) -> Asked:
    last = _deciding(sent)
    if last is None:
        # /etc/hosts, an address or no host name at all: nothing is asked, and what CoreDNS would say is shown.
        why = f"no question is sent: {', '.join(local)} is known without DNS" if local else NOTHING_ASKED
        answer = dns.server.answer(replace(query, name=fqdn(name)))
        return Asked(answer, (), next(iter(dns.kubelet.cluster_dns), ""), (why,))
    found = dns.ask(last.to, replace(query, name=last.name, type=last.type))
    answer = Answer(query, timeout=True) if isinstance(found, str) else found
    return Asked(answer, sent, last.to, hints(name, sent))


def _deciding(sent: tuple[Sent, ...]) -> Sent | None:
    """Return the packet whose answer decides: the first with records, else the last name's first question."""
    with_records = next((packet for packet in sent if packet.answers and packet.rcode == "NOERROR"), None)
    if with_records or not sent:
        return with_records
    return next(packet for packet in sent if packet.name == sent[-1].name)


def wasted(sent: tuple[Sent, ...]) -> int:
    """Return how many packets brought no record."""
    return sum(1 for packet in sent if not packet.answers)


def hints(name: str, sent: tuple[Sent, ...]) -> tuple[str, ...]:
    """Return what would save questions: the full name with its final dot."""
    last = _deciding(sent)
    if last is None or not last.answers or name.endswith("."):
        return ()
    useful = sum(1 for packet in sent if packet.name == last.name)
    if useful == len(sent):
        return ()
    return (f"write {last.name} with its final dot: {useful} questions instead of {len(sent)}",)


def resolution_hints(resolution: Resolution) -> tuple[str, ...]:
    """Return the hints for a look-up."""
    return hints(resolution.host, resolution.queries)
