"""Server: one CoreDNS process. Picks the server block, runs its plugins and fits the reply to the client's limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from netsim.dns import sizes
from netsim.dns.chain import MAX_DEPTH, Call, Plugin
from netsim.dns.names import best_zone, packable
from netsim.dns.records import Answer, Edns, Outcome, Query, Record, Records, Reply, Unwritten

# NSID, expire, cookie, keepalive and padding are echoed; a forwarded answer brings an OPT record without options.
ECHOED_OPTIONS = frozenset((3, 9, 10, 11, 12))
EXPECTED_OPCODES = frozenset(("QUERY", "NOTIFY"))


@dataclass(frozen=True, slots=True)
class Block:
    """One server block's chain; any_class: a plugin that takes classes other than IN is loaded."""

    chain: Plugin
    any_class: bool = True
    payload_cap: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """The answer function. blocks by zone (lower-case, final dot)."""

    blocks: Mapping[str, Block]

    def answer(self, query: Query, now: float = 0.0) -> Answer:
        """Return what the client receives for one question at *now* seconds."""
        if query.opcode not in EXPECTED_OPCODES:
            flags = ("qr", "rd") if query.rd else ("qr",)
            return Answer(query, "NOTIMP", flags, wire_length=sizes.HEADER, has_question=False)
        if query.edns is not None and query.edns.version:
            return _bad_version(query)
        return fit(query, self.run(query, Call(self, now)))

    def run(self, query: Query, call: Call) -> Outcome:
        """Return what the plugins of the responsible block write."""
        block = self.block_of(query)
        if block is None or (query.qclass != "IN" and not block.any_class):
            return Unwritten("REFUSED")
        return block.chain.answer(query, call)

    def block_of(self, query: Query) -> Block | None:
        """Return the block with the longest zone; a DS question belongs to the parent's, where both are served."""
        zones = tuple(self.blocks)
        if len(zones) == 1:
            return self.blocks[zones[0]] if best_zone(query.name.lower(), zones) else None
        name = query.name.lower()
        own = best_zone(name, zones)
        if query.type == "DS" and own == name and (parent := best_zone(name, tuple(z for z in zones if z != own))):
            own = parent
        return self.blocks[own] if own else None

    def lookup(self, query: Query, call: Call) -> Reply:
        """Answer a plugin's own question, cut to the client's size limit like any other."""
        if call.depth >= MAX_DEPTH:
            return Reply("SERVFAIL", aa=False)
        answer = fit(query, self.run(query, replace(call, depth=call.depth + 1)))
        return Reply(answer.rcode, answer.answer, answer.authority, answer.additional, tc="tc" in answer.flags)


def _bad_version(query: Query) -> Answer:
    length = sizes.question_length(query.name) + 11
    return Answer(query, "BADVERS", flags_of(query, aa=False), edns=Edns(payload=0), wire_length=length)


def flags_of(query: Query, *, aa: bool, tc: bool = False, ra: bool = False) -> tuple[str, ...]:
    """Return a reply's flags in dig's order; rd and cd are copied from questions, not from notifications."""
    copied = query.opcode == "QUERY"
    rd, cd = copied and query.rd, copied and query.cd
    if rd and aa and not (tc or ra or cd):
        return ("qr", "aa", "rd")
    given = (("aa", aa), ("tc", tc), ("rd", rd), ("ra", ra), ("cd", cd))
    return ("qr", *(name for name, present in given if present))


def reply_edns(query: Query, *, options: bool) -> Edns | None:
    """Return the OPT record of a reply: the client's payload size and DO bit, and the options that are echoed."""
    edns = query.edns
    if edns is None or not edns.options:
        return edns
    kept = tuple(option for option in edns.options if options and option[0] in ECHOED_OPTIONS)
    return edns if kept == edns.options else Edns(edns.payload, edns.do, 0, kept)


def fit(query: Query, outcome: Outcome) -> Answer:
    """Return the answer that is sent: OPT added, and cut or compressed to the size limit (Msg.Truncate, Scrub)."""
    if isinstance(outcome, Unwritten):
        outcome = Reply(outcome.rcode, aa=False)
    rcode, answer, authority, additional, aa, ra, tc, opt = outcome
    edns = query.edns and reply_edns(query, options=not opt)
    limit = sizes.limit_of(query.transport, query.edns)
    extra = sizes.opt_length(edns)
    length = sizes.question_length(query.name) + extra + sizes.plain_length(answer + authority + additional)
    compressed = False
    if length > limit:
        compressed = True
        kept, used = sizes.fit(query.name, (answer, authority, additional), limit - extra)
        cut = (answer[: kept[0]], authority[: kept[1]], additional[: kept[2]])
        tc = tc or cut != (answer, authority, additional)
        answer, authority, additional = cut
        length = used + extra
    elif length > 1220 and query.transport == "udp" and length > udp_limit(query.src):
        compressed = True
        length = sizes.compressed_length(query.name, answer + authority + additional) + extra
    if not _packable(answer, authority, additional):
        return Answer(query, timeout=True)
    flags = flags_of(query, aa=aa, tc=tc, ra=ra)
    return Answer(query, rcode, flags, answer, authority, additional, edns, length, compressed)


def udp_limit(client: str) -> int:
    """Return the size in bytes above which a UDP reply is compressed to avoid fragments."""
    return sizes.UDP6_LIMIT if ":" in client else sizes.UDP4_LIMIT


def _packable(*sections: Records) -> bool:
    return all(_record_packable(record) for section in sections for record in section)


@lru_cache(maxsize=1 << 16)
def _target_packable(rdata: str) -> bool:
    return packable(rdata[rdata.rfind(" ") + 1 :])


def _record_packable(record: Record) -> bool:
    match record.type:
        case "A" | "AAAA":
            return ".." not in record.name or packable(record.name)
        case "CNAME" | "PTR" | "NS" | "SRV":
            return _target_packable(record.rdata) and packable(record.name)
        case _:
            return True
