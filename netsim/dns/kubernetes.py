"""The kubernetes plugin: names of one view -> answers. Behaviour observed on CoreDNS 1.13.1.

Name errors (NXDOMAIN or fallthrough) are None where candidates are looked up; an empty tuple is NODATA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from netsim.dns.chain import Call, Plugin
from netsim.dns.names import best_zone, fqdn, host_of, in_zone, is_reverse, labels, parse_ip, reverse_address
from netsim.dns.records import Outcome, Query, Record, Records, Reply, Unwritten
from netsim.dns.view import NO_PORT, Found, ServiceEntry, ZoneView

SCHEMA_VERSION = "1.1.0"
VERSION_TTL = 28800
MAX_CNAMES = 10
SOA_TTL_CAP = 300

Candidates = Sequence[Found] | None


class Request(NamedTuple):
    """A name left of the zone, taken apart; "" where it has no such part. kind is "svc", "pod" or "" (apex)."""

    kind: str = ""
    namespace: str = ""
    service: str = ""
    endpoint: str = ""
    port: str = ""
    protocol: str = ""


def parse_request(base: str) -> Request | None:
    """Return the parts of a lower-case name without its zone; None when it can name nothing."""
    if base in ("", "svc", "pod"):
        return Request()
    parts = labels(base)
    kind = parts[-1]
    if kind not in ("svc", "pod"):
        return None
    match len(parts):
        case 1:
            return Request(kind)
        case 2:
            return Request(kind, parts[0])
        case 3:
            return Request(kind, parts[1], parts[0])
        case 4:
            return Request(kind, parts[2], parts[1], parts[0])
        case 5:
            return Request(kind, parts[3], parts[2], "", parts[0].removeprefix("_"), parts[1].removeprefix("_"))
        case _:
            return None


def trim_zone(name: str, zone: str) -> str:
    """Return a name without its zone and the dot between them; the zone's own name is ""."""
    return name[: -len(zone) - 1] if zone != "." else name[:-1]


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The plugin. addresses: CoreDNS' own, as in its pod's status; serial: the SOA's, in unix seconds."""

    view: ZoneView
    addresses: tuple[str, ...]
    serial: int
    next: Plugin

    def answer(self, query: Query, call: Call) -> Outcome:
        """Answer names of the plugin's zones, hand others on."""
        name = query.name.lower()
        settings = self.view.settings
        own = best_zone(name, settings.zones)
        if not own:
            return self.next.answer(query, call)
        # CoreDNS keeps the client's spelling of the zone in everything it derives from it.
        zone = query.name[len(query.name) - len(own) :]
        if query.type in ("AXFR", "IXFR"):
            return Unwritten("REFUSED", error=False)
        found = self._records(query, name, zone, call)
        if found is None:
            return self._name_error(query, name, zone, call)
        answer, additional, truncated = found
        if not answer:
            return Reply("NOERROR", authority=(self.soa(zone),))
        return Reply("NOERROR", tuple(answer), (), tuple(additional), tc=truncated)

    def _name_error(self, query: Query, name: str, zone: str, call: Call) -> Outcome:
        fallthrough = self.view.settings.fallthrough
        if fallthrough and any(in_zone(name, through) for through in fallthrough):
            return self.next.answer(query, call)
        return Reply("NXDOMAIN" if self.view.synced else "SERVFAIL", authority=(self.soa(zone),))

    def soa(self, zone: str) -> Record:
        """Return the zone's SOA, spelled as the client spells the zone."""
        ttl = self.view.settings.ttl
        tail = "" if zone == "." else zone
        data = f"ns.dns.{tail} hostmaster.{tail} {self.serial} 7200 1800 86400 {ttl}"
        return Record(zone, min(ttl, SOA_TTL_CAP), "SOA", data)

    def _records(
        self, query: Query, name: str, zone: str, call: Call
    ) -> tuple[Sequence[Record], Sequence[Record], bool] | None:
        """Return (answer, additional, truncated), None for a name error."""
        match query.type:
            case "A" | "AAAA":
                chased = Chase(self, query, call).addresses(query.name, name, zone, ())
                return None if chased is None else (chased[0], (), chased[1])
            case "SRV":
                return self._srv(query.name, name, zone)
            case "TXT":
                return self._txt(query.name, name, zone)
            case "CNAME":
                return self._cname(query.name, name, zone)
            case "PTR":
                return self._ptr(query.name, name, zone)
            case "MX":
                return None if self.candidates(name, zone, "MX") is None else ((), (), False)
            case "SOA":
                return ((self.soa(zone),) if query.name == zone else ()), (), False
            case "NS" if name == zone:
                return self._ns(query.name, zone)
            case _:
                # CoreDNS runs a fake A look-up to tell NODATA from NXDOMAIN, with its side effects on the cache.
                fake = replace(query, type="A")
                return (
                    None if Chase(self, fake, call).addresses(query.name, name, zone, ()) is None else ((), (), False)
                )

    def candidates(self, name: str, zone: str, kind: str) -> Candidates:
        """Return what a name stands for when asked for a type."""
        if name.startswith("ns.dns.") and name[len("ns.dns.") :] == zone:
            return [found for found in self._name_servers(zone) if found.host.kind == kind]
        return self.find(name, zone)

    def find(self, name: str, zone: str) -> Candidates:
        """Return the candidates of a service, endpoint, port or pod name; () where the name only exists."""
        request = parse_request(trim_zone(name, zone))
        if request is None or (request.kind and is_reverse(name)):
            return None
        if not request.kind:
            return ()
        if request.namespace not in self.view.exposed:
            return None
        if request.kind == "pod":
            return self._pods(request)
        if not request.service:
            return ()
        entry = self.view.services.get((request.namespace, request.service))
        return _matching(entry, request) if entry else None

    def _pods(self, request: Request) -> Candidates:
        settings, name = self.view.settings, request.service
        if settings.pods == "disabled":
            return None
        if not name:
            return ()
        dotted = name.count("-") == 3 and "--" not in name
        ip = name.replace("-", "." if dotted else ":")
        prefix = f"{name}.{request.namespace}.pod."
        if settings.pods == "insecure":
            return None if parse_ip(ip) is None else [Found(host_of(ip), 0, prefix)]
        owners = [ns for ns in self.view.pods_by_ip.get(ip, ()) if ns.lower() == request.namespace]
        return [Found(host_of(ip), 0, prefix) for _ in owners] or None

    def _srv(self, qname: str, name: str, zone: str) -> tuple[Records, Records, bool] | None:
        found = self.candidates(name, zone, "SRV")
        if found is None:
            return None
        found = [candidate for candidate in found if candidate.host.kind != "CNAME"]
        weight = max(1, int(100.0 / (100 * len(found)) * 100)) if found else 1
        ttl = self.view.settings.ttl
        services: dict[tuple[str, int], Record] = {}
        hosts: dict[tuple[str, str], Record] = {}
        for host, port, prefix, _, _ in found:
            if port == NO_PORT:
                continue
            target = prefix + zone
            if (target, port) not in services:
                services[target, port] = Record(qname, ttl, "SRV", f"0 {weight} {port} {target}")
            if (target, host.raw) not in hosts:
                hosts[target, host.raw] = Record(target, ttl, host.kind, host.text)
        return tuple(services.values()), tuple(hosts.values()), False

    def _txt(self, qname: str, name: str, zone: str) -> tuple[Records, Records, bool] | None:
        if trim_zone(name, zone) == "dns-version":
            return (Record(qname, VERSION_TTL, "TXT", f'"{SCHEMA_VERSION}"'),), (), False
        return ((), (), False) if self.find(name, zone) else None

    def _cname(self, qname: str, name: str, zone: str) -> tuple[Records, Records, bool] | None:
        found = self.candidates(name, zone, "CNAME")
        if found is None:
            return None
        first = found[0].host if found else None
        if first is None or first.kind != "CNAME":
            return (), (), False
        return (Record(qname, self.view.settings.ttl, "CNAME", first.text),), (), False

    def _ptr(self, qname: str, name: str, zone: str) -> tuple[Records, Records, bool] | None:
        address = reverse_address(name)
        if not address:
            return None if self.find(name, zone) is None else ((), (), False)
        targets = dict.fromkeys(self.names_of(address))
        ttl = self.view.settings.ttl
        return (tuple(Record(qname, ttl, "PTR", target) for target in targets), (), False) if targets else None

    def names_of(self, address: str) -> list[str]:
        """Return the names an address has: its first service's, else those of all endpoints with it."""
        view, tail = self.view, f"svc.{self.view.settings.primary_zone}"
        restricted = view.settings.namespaces
        for service in view.services_by_ip.get(address, ()):
            if not restricted or service.namespace in view.exposed:
                return [f"{service.name}.{service.namespace}.{tail}"]
        return [
            f"{endpoint.label}.{entry.owner}.{tail}"
            for entry in view.slices_by_ip.get(address, ())
            if not restricted or entry.namespace in view.exposed
            for endpoint in entry.addresses
            if endpoint.host.raw == address
        ]

    def _ns(self, qname: str, zone: str) -> tuple[Records, Records, bool]:
        ttl = self.view.settings.ttl
        servers = [(found, found.prefix + ("" if zone == "." else zone)) for found in self._name_servers(zone)]
        answer = dict.fromkeys(Record(qname, ttl, "NS", target) for _, target in servers)
        return tuple(answer), tuple(Record(target, ttl, f.host.kind, f.host.text) for f, target in servers), False

    def _name_servers(self, zone: str) -> list[Found]:
        """Return the services that CoreDNS' own addresses are ready endpoints of; its addresses if there is none."""
        entries = [entry for ip in self.addresses for entry in self.view.slices_by_ip.get(ip, ())]
        if not entries:
            return [Found(host_of(ip), 0, "ns.dns.") for ip in self.addresses]
        found: list[Found] = []
        for entry in entries:
            service = self.view.services.get((entry.namespace, entry.service))
            if service is None:
                continue
            if service.headless:
                found += [Found(a.host, 0, f"{a.label}.{service.prefix}") for a in entry.addresses]
            else:
                found += [Found(host, 0, service.prefix) for host in service.cluster_hosts]
        return found


def _matching(entry: ServiceEntry, request: Request) -> Candidates:
    """Return the candidates of a service that fit endpoint, port and protocol; none is a name error."""
    if request.endpoint:
        return None if entry.external else entry.endpoints.get(request.endpoint)
    if not request.port and not request.protocol:
        return entry.bare or None
    if entry.external:
        return None
    port, protocol = request.port, request.protocol
    return [
        found
        for found in entry.bare
        if (not port or found.port_name == port) and (not protocol or found.protocol == protocol)
    ] or None


@dataclass(frozen=True, slots=True)
class Chase:
    """An address look-up that follows CNAMEs: inside the zone by itself, elsewhere through the whole server."""

    plugin: Kubernetes
    query: Query
    call: Call

    def addresses(
        self, qname: str, name: str, zone: str, previous: tuple[str, ...]
    ) -> tuple[list[Record], bool] | None:
        """Return (records, truncated) for a name in the zone; previous: the CNAME targets already followed."""
        kind, ttl = self.query.type, self.plugin.view.settings.ttl
        found = self.plugin.candidates(name, zone, kind)
        if found is None:
            return None
        records: list[Record] = []
        truncated = False
        seen: set[str] = set()
        for candidate in found:
            host = candidate.host
            if host.kind == kind:
                if host.raw not in seen:
                    seen.add(host.raw)
                    records.append(Record(qname, ttl, kind, host.text))
            elif host.kind == "CNAME":
                followed, cut = self._follow(Record(qname, ttl, "CNAME", host.text), name, zone, previous)
                records += followed
                truncated = truncated or cut
        return records, truncated

    def _follow(self, cname: Record, name: str, zone: str, previous: tuple[str, ...]) -> tuple[list[Record], bool]:
        target = cname.rdata
        lower = target.lower()
        if in_zone(lower, name) or len(previous) > MAX_CNAMES or target in previous:
            return [], False
        if in_zone(lower, zone.lower()):
            inner = self.addresses(target, lower, zone, (*previous, target))
            if inner is None or not inner[0]:
                return [], bool(inner and inner[1])
            return [cname, *inner[0]], inner[1]
        reply = self.call.server.lookup(replace(self.query, name=fqdn(target), qclass="IN"), self.call)
        return [cname, *reply.answer], reply.tc
