"""Names in a trace: resolved in the model as the source would, with the DNS questions' own way through the cluster.

A process in a pod or on a node asks the nameservers of its resolv.conf; each nameserver's address is traced like any
other, so a Service without endpoints or a Local policy makes names fail as it would in the cluster. A client outside
uses what --resolve says.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from iptables_gen.values import format_endpoint, parse_ip
from netsim.cluster.model import Pod
from netsim.dns.open import ClusterDns, open_dns
from netsim.dns.resolve import Resolution, resolve
from netsim.hosts.network import Network
from netsim.notes import Note
from netsim.packet.words import HostRef, UrlRef
from netsim.trace.answer import Answer, Lookup, Question
from netsim.trace.query import Goal, Resolved, Start, TraceQuery
from netsim.trace.tracer import Tracer

DNS_PORT = 53


class Names:
    """Resolves host names for a tracer; one serves one cluster."""

    def __init__(self, network: Network, mode: str, given: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.network = network
        self.given = dict(given or {})
        self._tracer = Tracer(network, mode)
        self._paths: dict[tuple[str, str], Answer] = {}

    @cached_property
    def dns(self) -> ClusterDns:
        """The cluster's DNS, opened when the first name is asked for."""
        return open_dns(self.network.cluster)

    def __call__(self, word: HostRef | UrlRef, start: Start, protocol: str) -> Resolved:
        """Return what a name leads to for a process at *start*; see `netsim.trace.query.Resolver`."""
        host = word.name if isinstance(word, HostRef) else word.host
        if host in self.given:
            lookup = Lookup(host, "OK", self.given[host])
            return Resolved(_goals(self.given[host], start, word.port, protocol), "OK", (), lookup)
        if _is_address(host):
            return Resolved(_goals((host,), start, word.port, protocol))
        if start.outside or start.stranger:
            note = Note("OUTSIDE_RESOLVER", f"what {host} resolves to outside the cluster is not known: say --resolve")
            return Resolved((), "NXDOMAIN", (note,), Lookup(host, "NXDOMAIN", ()))
        return self._inside(host, start, word.port, protocol)

    def _inside(self, host: str, start: Start, port: int, protocol: str) -> Resolved:
        pod = self.network.cluster.pod(*start.pod) if start.pod else None
        resolution = resolve(self.network.cluster, pod, host, dns=self.dns)
        servers = [server for server in _servers(resolution) if server not in self._assumed]
        paths = tuple((server, self._path(start, pod, server)) for server in servers)
        code = _code(resolution, paths)
        addresses = resolution.addresses if code == "OK" else ()
        questions = tuple(Question(q.name, q.type, q.to, q.rcode, q.answers or 0) for q in resolution.queries)
        lookup = Lookup(host, code, addresses, questions, paths)
        return Resolved(_goals(addresses, start, port, protocol), code, resolution.notes, lookup)

    @cached_property
    def _assumed(self) -> frozenset[str]:
        """Nameservers that are taken to lead to CoreDNS though no Service of the input does: no rule knows them."""
        assumed = any(note.code == "ASSUMED_CLUSTER_DNS" for note in self.dns.notes)
        return frozenset(self.dns.kubelet.cluster_dns if assumed else ())

    def _path(self, start: Start, pod: Pod | None, server: str) -> Answer:
        source = f"pod/{pod.namespace}/{pod.name}" if pod else f"node/{start.host}"
        key = (source, server)
        if key not in self._paths:
            query = TraceQuery(source, format_endpoint(server, DNS_PORT), protocol="udp")
            self._paths[key] = self._tracer.trace(query)
        return self._paths[key]


def _servers(resolution: Resolution) -> tuple[str, ...]:
    return tuple(dict.fromkeys(query.to for query in resolution.queries))


def _code(resolution: Resolution, paths: tuple[tuple[str, Answer], ...]) -> str:
    """Return the resolution's code, or DNS_UNREACHABLE when no question can reach any nameserver."""
    lost = [path for _, path in paths if path.verdict not in ("REACHABLE", "PARTIAL")]
    return "DNS_UNREACHABLE" if paths and len(lost) == len(paths) else resolution.code


def _is_address(host: str) -> bool:
    try:
        parse_ip(host)
    except ValueError:
        return False
    return True


def _goals(addresses: tuple[str, ...], start: Start, port: int, protocol: str) -> tuple[Goal, ...]:
    """Return one goal an address of the family that comes first: a resolver's answers take turns at being first."""
    parsed = [parse_ip(address) for address in addresses]
    usable = [address for address in parsed if address[0] in start.families] or parsed
    return tuple(Goal(family, value, port, protocol) for family, value in usable if family == usable[0][0])
