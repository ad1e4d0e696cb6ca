"""The world outside, as `--upstream` describes it, and the forward plugin that asks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from netsim.dns.chain import Call, Plugin
from netsim.dns.names import fqdn, in_zone, labels, packable
from netsim.dns.records import Outcome, Query, Record, Records, Reply, Unwritten
from netsim.errors import UsageError

ROOT_SOA = Record(".", 86400, "SOA", "a.root-servers.net. nstld.verisign-grs.com. 2024010100 1800 900 604800 86400")
MAX_CHAIN = 16


@dataclass(frozen=True, slots=True)
class Upstream:
    """A recursive resolver that knows only these records (by lower-case name); other names are NXDOMAIN.

    `reachable` False: nobody described the world outside, and every question ends in SERVFAIL.
    """

    records: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)
    servfail: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    reachable: bool = True

    def resolve(self, query: Query) -> Outcome:
        """Return the resolver's own reply; a dropped question is a SERVFAIL of the forwarder (its time is up)."""
        name = query.name.lower()
        if not self.reachable or name in self.drop or not packable(query.name):
            return Unwritten("SERVFAIL")
        opt = query.edns is not None
        if name in self.servfail:
            return Reply("SERVFAIL", aa=False, ra=True, opt=opt)
        answer, last = self._chain(query.name, query.type)
        authority = () if answer and answer[-1].type == query.type else (ROOT_SOA,)
        rcode = "NOERROR" if last in self.records else "NXDOMAIN"
        if query.name != name:
            answer = respelled(query.name, answer)
        return Reply(rcode, answer, authority, aa=False, ra=True, opt=opt)

    def _chain(self, name: str, kind: str) -> tuple[Records, str]:
        """Return the records, CNAMEs followed, and the lower-case name where the chain ends."""
        chain: list[Record] = []
        for _ in range(MAX_CHAIN):
            own = self.records.get(name.lower(), ())
            found = [record for record in own if record.type == kind]
            alias = next((record for record in own if record.type == "CNAME"), None)
            chain += [record._replace(name=name) for record in found or ([alias] if alias else [])]
            if found or alias is None:
                break
            name = alias.rdata
        return tuple(chain), name.lower()


def respelled(question: str, records: Records) -> Records:
    """Return records as they arrive from a server that compresses names whatever their case.

    A name whose end was already in the message points there, and so takes on the spelling it had (RFC 1035, 4.1.4).
    """
    spelled: dict[str, str] = {}

    def spell(name: str) -> str:
        parts = labels(name)
        for cut in range(len(parts)):
            suffix = ".".join(parts[cut:]) + "."
            if suffix.lower() in spelled:
                return ".".join((*parts[:cut], spelled[suffix.lower()]))
            spelled[suffix.lower()] = suffix
        return name

    spell(question)
    return tuple(
        record._replace(name=spell(record.name), rdata=spell(record.rdata) if record.type == "CNAME" else record.rdata)
        for record in records
    )


UNREACHABLE = Upstream(reachable=False)


def read_upstream(data: Any, where: str) -> Upstream:
    """Return the upstream of its JSON form: `records` [[name, type, ttl, rdata]], `servfail` and `drop` name lists."""
    if not isinstance(data, dict):
        raise UsageError(f"{where}: an object with records, servfail and drop is needed")
    records: dict[str, list[Record]] = {}
    listed = data.get("records") or []
    if not isinstance(listed, list):
        raise UsageError(f"{where}: records: a list of [name, type, ttl, rdata] is needed")
    for index, entry in enumerate(listed):
        record = _record(entry, f"{where}: records[{index}]")
        records.setdefault(record.name.lower(), []).append(record)
    return Upstream(
        {name: tuple(found) for name, found in records.items()},
        _names(data, "servfail", where),
        _names(data, "drop", where),
    )


def _names(data: Mapping[str, Any], key: str, where: str) -> frozenset[str]:
    listed = data.get(key) or []
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise UsageError(f"{where}: {key}: a list of names is needed")
    return frozenset(fqdn(name).lower() for name in listed)


def _record(entry: object, where: str) -> Record:
    import dns.exception
    import dns.rdata

    match entry:
        case [str(name), str(kind), int(ttl), str(rdata)] if 0 <= ttl < 2**31:
            try:
                text = dns.rdata.from_text("IN", kind, rdata).to_text()
            except (dns.exception.DNSException, ValueError) as error:
                raise UsageError(f"{where}: {kind} {rdata!r}: {error}") from error
            return Record(fqdn(name), ttl, kind.upper(), text)
        case _:
            raise UsageError(f"{where}: [name, type, ttl, rdata] is needed")


@dataclass(frozen=True, slots=True)
class Forward:
    """The forward plugin for one zone (lower-case, final dot) with exceptions."""

    zone: str
    excepted: tuple[str, ...]
    upstream: Upstream
    next: Plugin

    def answer(self, query: Query, call: Call) -> Outcome:
        """Forward names of the zone, hand others on; the class makes no difference to an answer."""
        name = query.name.lower()
        if not in_zone(name, self.zone) or any(in_zone(name, zone) for zone in self.excepted):
            return self.next.answer(query, call)
        return self.upstream.resolve(replace(query, qclass="IN") if query.qclass != "IN" else query)
