"""The hosts plugin: names from inline entries of the Corefile. Source: coredns.io/plugins/hosts (not recorded)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netsim.dns.chain import Call, Plugin
from netsim.dns.names import best_zone, fqdn, in_zone, parse_ip, reverse_address
from netsim.dns.records import Outcome, Query, Record, Reply, Unwritten

DEFAULT_TTL = 3600


@dataclass(frozen=True, slots=True)
class Hosts:
    """addresses by lower-case name, names by address; zones whose names it answers; fallthrough zones, None: never."""

    zones: tuple[str, ...]
    addresses: Mapping[str, tuple[str, ...]]
    names: Mapping[str, tuple[str, ...]]
    ttl: int
    fallthrough: tuple[str, ...] | None
    next: Plugin

    def answer(self, query: Query, call: Call) -> Outcome:
        """Answer A, AAAA and PTR of its entries; a name it does not have falls through or is SERVFAIL."""
        name = query.name.lower()
        if query.type == "PTR":
            targets = self.names.get(reverse_address(name), ())
            if targets:
                return Reply("NOERROR", tuple(Record(name, self.ttl, "PTR", target) for target in targets))
            return self.next.answer(query, call)
        if not best_zone(name, self.zones):
            return self.next.answer(query, call)
        own = self.addresses.get(name, ())
        if own:
            found = [ip for ip in own if query.type == ("AAAA" if ":" in ip else "A")]
            return Reply("NOERROR", tuple(Record(name, self.ttl, query.type, ip) for ip in found))
        if self.fallthrough and any(in_zone(name, zone) for zone in self.fallthrough):
            return self.next.answer(query, call)
        return Unwritten("SERVFAIL", error=False)


def index(
    lines: Iterable[tuple[str, tuple[str, ...]]], *, reverse: bool
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return (addresses by name, names by address) of lines `ADDRESS NAME…`."""
    addresses: dict[str, list[str]] = defaultdict(list)
    names: dict[str, list[str]] = defaultdict(list)
    for text, listed in lines:
        address = parse_ip(text)
        for name in listed if address else ():
            addresses[fqdn(name).lower()].append(address or "")
            if reverse:
                names[address or ""].append(fqdn(name).lower())
    return {k: tuple(v) for k, v in addresses.items()}, {k: tuple(v) for k, v in names.items()}
