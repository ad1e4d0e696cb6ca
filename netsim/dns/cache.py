"""The cache and loadbalance plugins. The cache holds state: one instance serves one server.

Source: coredns.io/plugins/cache; observed on CoreDNS 1.13.1 (TTLs lowered to the minimum of all sections, aa on hits).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from netsim.dns.chain import Call, Plugin
from netsim.dns.names import best_zone
from netsim.dns.records import Outcome, Query, Record, Records, Reply, Unwritten

FAIL_TTL = 5
UNBOUNDED = 86400
Key = tuple[str, str, bool, bool]


class Bounds(NamedTuple):
    """Lowest and highest TTL in seconds."""

    low: int = 5
    high: int = 3600

    def clamp(self, ttl: int) -> int:
        """Return a TTL within the bounds; the upper one wins."""
        return min(max(ttl, self.low), self.high)


SUCCESS, DENIAL = Bounds(5, 3600), Bounds(5, 1800)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """zones the cache serves; zones whose positive or negative answers are not kept; capacities in entries."""

    zones: tuple[str, ...] = (".",)
    success: Bounds = SUCCESS
    denial: Bounds = DENIAL
    fail_ttl: int = FAIL_TTL
    keep_success_except: tuple[str, ...] = ()
    keep_denial_except: tuple[str, ...] = ()
    keep_ttl: bool = False
    capacity: int = 9984


class Entry(NamedTuple):
    """A kept reply, when it was kept (seconds) and for how long."""

    reply: Reply
    stored: float
    ttl: int


def kind_of(reply: Reply, query: Query) -> str:
    """Return what a reply is: success, denial, failure or other (never kept); after response.Typify."""
    if query.opcode != "QUERY" or query.type in ("AXFR", "IXFR"):
        return "other"
    if reply.answer and reply.rcode == "NOERROR":
        return "success"
    soa = any(record.type == "SOA" for record in reply.authority)
    if soa and reply.rcode in ("NOERROR", "NXDOMAIN"):
        return "denial"
    if reply.rcode in ("SERVFAIL", "NOTIMP"):
        return "failure"
    return "success" if reply.rcode == "NOERROR" else "other"


def minimal_ttl(reply: Reply, kind: str) -> int:
    """Return the lowest TTL of all sections; 5 for failures and for replies without records."""
    ttls = [record.ttl for section in (reply.answer, reply.authority, reply.additional) for record in section]
    if kind in ("failure", "other") or not ttls:
        return FAIL_TTL
    return min(UNBOUNDED, *ttls)


def with_ttl(reply: Reply, ttl: int) -> Reply:
    """Return a reply with every TTL set; the OPT record is dropped, as the plugin does."""

    def lowered(section: Records) -> Records:
        if all(record[1] == ttl for record in section):
            return section
        return tuple([Record(name, ttl, kind, rdata) for name, _, kind, rdata in section])

    return reply._replace(
        answer=lowered(reply.answer),
        authority=lowered(reply.authority),
        additional=lowered(reply.additional),
        opt=False,
    )


@dataclass(frozen=True, slots=True)
class Cache:
    """The plugin. `entries` is its memory, oldest first; the clock comes with each call."""

    settings: CacheSettings
    next: Plugin
    entries: dict[Key, Entry] = field(default_factory=dict)

    def answer(self, query: Query, call: Call) -> Outcome:
        """Answer from memory, else keep what the next plugin writes."""
        name = query.name.lower()
        if not best_zone(name, self.settings.zones):
            return self.next.answer(query, call)
        key = (name, query.type, bool(query.edns and query.edns.do), query.cd)
        kept = self.entries.get(key)
        if kept is not None and (left := kept.ttl - int(call.now - kept.stored)) > 0:
            ttl = kept.ttl if self.settings.keep_ttl else left
            return with_ttl(kept.reply, ttl)._replace(aa=True)
        outcome = self.next.answer(query, call)
        if isinstance(outcome, Unwritten):
            return outcome
        return self._keep(key, name, query, outcome, call.now)

    def _keep(self, key: Key, name: str, query: Query, reply: Reply, now: float) -> Reply:
        kind, settings = kind_of(reply, query), self.settings
        ttl = self._duration(kind, minimal_ttl(reply, kind))
        excepted = settings.keep_denial_except if kind == "denial" else settings.keep_success_except
        if kind != "other" and not reply.tc and ttl > 0 and not best_zone(name, excepted if kind != "failure" else ()):
            self.entries.pop(key, None)
            self.entries[key] = Entry(reply, now, ttl)
            if len(self.entries) > settings.capacity:
                del self.entries[next(iter(self.entries))]
        return with_ttl(reply, ttl)

    def _duration(self, kind: str, ttl: int) -> int:
        match kind:
            case "denial":
                return self.settings.denial.clamp(ttl)
            case "failure":
                return self.settings.fail_ttl
            case _:
                return self.settings.success.clamp(ttl)


@dataclass(frozen=True, slots=True)
class Loadbalance:
    """The loadbalance plugin: CNAMEs first, then the rest, addresses, MX. CoreDNS shuffles the last two; here they keep
    their order, so that one question always has one answer."""

    next: Plugin

    def answer(self, query: Query, call: Call) -> Outcome:
        """Regroup the sections of a successful reply."""
        outcome = self.next.answer(query, call)
        if isinstance(outcome, Unwritten) or outcome.rcode != "NOERROR" or query.type in ("AXFR", "IXFR"):
            return outcome
        answer, additional = regroup(outcome.answer), regroup(outcome.additional)
        if answer is outcome.answer and additional is outcome.additional:
            return outcome
        return outcome._replace(answer=answer, additional=additional)


_GROUPS: Mapping[str, int] = {"CNAME": 0, "A": 2, "AAAA": 2, "MX": 3}


def regroup(section: Records) -> Records:
    """Return a section in the plugin's order; the same object when it already is."""
    groups = [_GROUPS.get(record.type, 1) for record in section]
    if groups == sorted(groups):
        return section
    return tuple(record for _, record in sorted(zip(groups, section, strict=True), key=lambda pair: pair[0]))
