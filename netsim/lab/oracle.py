"""The kernel's own rule trace: nf_tables' trace messages to steps (table, chain, rule, verdict). Pure.

iptables-nft's chains are nf_tables chains to the kernel, so one kind of message tells of both modes. Messages carry
handles; `RuleBook` knows the text behind each. A packet is recognised from host to host by its TCP sequence number or
the first bytes of its UDP payload, which no translation changes: the kernel's own trace id may change at routing.

Source:  Linux include/uapi/linux/netfilter/nf_tables.h (nft_trace_attributes), net/netfilter/nf_tables_trace.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from iptables_gen.values import Family

NFT_MSG_NEWRULE, NFT_MSG_TRACE = 0x0A06, 0x0A11
TABLE, CHAIN, HANDLE, KIND, VERDICT, IDENTITY = 1, 2, 3, 4, 5, 6
NETWORK_HEADER, TRANSPORT_HEADER = 8, 9
KINDS = {1: "policy", 2: "return", 3: "rule"}
CODES = {0: "DROP", 1: "ACCEPT", -1: "CONTINUE", -2: "BREAK", -3: "JUMP", -4: "GOTO", -5: "RETURN"}
XTABLES = frozenset(("raw", "mangle", "nat", "filter", "security"))
OWN_TABLE = "netsim-trace"
FAMILIES: Mapping[int, Family] = {2: 4, 10: 6}
TCP, UDP = 6, 17
Attributes = Mapping[int, bytes]


class Flight(NamedTuple):
    """What a header says of a packet: addresses as bytes, ports, and the mark that stays the same on its way."""

    protocol: int
    source: bytes
    sport: int
    target: bytes
    dport: int
    token: bytes


class Event(NamedTuple):
    """One trace message: a rule that matched, or how a chain ended. `flight` only in the first of a base chain."""

    family: Family
    table: str
    chain: str
    kind: str
    handle: int
    verdict: str
    identity: int
    flight: Flight | None = None


class KernelStep(NamedTuple):
    """One rule that the kernel says matched, or (`rule` "") the end of a base chain by its policy."""

    table: str
    chain: str
    rule: str
    verdict: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The text of every rule of one namespace: (family, table, chain, handle) -> text."""

    texts: Mapping[tuple[Family, str, str, int], str]

    def step(self, event: Event) -> KernelStep:
        """Return an event as a step; a rule that is not in the book is named by its handle."""
        rule = ""
        if event.kind == "rule":
            key = (event.family, event.table, event.chain, event.handle)
            rule = self.texts.get(key, f"handle {event.handle}")
        return KernelStep(table_name(event.family, event.table), event.chain, rule, event.verdict)


def table_name(family: Family, table: str) -> str:
    """Return a table as a model's step names it: `nat` for iptables', `ip kube-proxy` for others."""
    return table if table in XTABLES else f"{'ip' if family == 4 else 'ip6'} {table}"


def attributes(data: bytes) -> dict[int, bytes]:
    """Return netlink attributes by number (the nested bit removed)."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        length, number = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found[number & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, payload after nlmsghdr) of the netlink messages in one datagram."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 16:
            return
        yield kind, data[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def event_of(payload: bytes) -> Event | None:
    """Return a trace message's event, None for a family that is neither IPv4 nor IPv6, and for our own table."""
    family = FAMILIES.get(payload[0])
    found = attributes(payload[4:])
    table = text(found.get(TABLE, b""))
    if family is None or table == OWN_TABLE:
        return None
    (kind,) = struct.unpack("!I", found.get(KIND, b"\0\0\0\0"))
    (handle,) = struct.unpack("!Q", found.get(HANDLE, bytes(8)))
    (identity,) = struct.unpack("!I", found.get(IDENTITY, b"\0\0\0\0"))
    verdict = _verdict(found)
    flight = flight_of(family, found.get(NETWORK_HEADER, b""), found.get(TRANSPORT_HEADER, b""))
    # The end of a chain is a rule without a handle to newer kernels (observed on Linux 6.18).
    word = "return" if KINDS.get(kind) == "rule" and not handle else KINDS.get(kind, "")
    return Event(family, table, text(found.get(CHAIN, b"")), word, handle, verdict, identity, flight)


def text(data: bytes) -> str:
    """Return a netlink string."""
    return data.rstrip(b"\0").decode(errors="replace")


def _verdict(found: Attributes) -> str:
    """Return the verdict's word; a policy's event carries it in an attribute of its own (16)."""
    if VERDICT not in found:
        (code,) = struct.unpack("!i", found.get(16, b"\0\0\0\1"))
        return CODES.get(code, str(code))
    inside = attributes(found[VERDICT])
    (code,) = struct.unpack("!i", inside.get(1, b"\xff\xff\xff\xff"))
    word = CODES.get(code, str(code))
    return f"{word} {text(inside[2])}" if 2 in inside else word


def flight_of(family: Family, network: bytes, transport: bytes) -> Flight | None:
    """Return what the headers of a traced packet say; None when they are missing or of another protocol."""
    if len(network) < (20 if family == 4 else 40) or len(transport) < 8:
        return None
    protocol = network[9] if family == 4 else network[6]
    source, target = (network[12:16], network[16:20]) if family == 4 else (network[8:24], network[24:40])
    if protocol not in (TCP, UDP):
        return None
    sport, dport = struct.unpack_from("!HH", transport)
    token = transport[4:8] if protocol == TCP else transport[8:20]
    return Flight(protocol, source, sport, target, dport, token)


class Run(NamedTuple):
    """What one packet met in one base chain."""

    flight: Flight
    events: tuple[Event, ...]


def runs(events: Iterable[Event]) -> list[Run]:
    """Return the runs through base chains in order; events of several packets may be interleaved."""
    found: list[tuple[Flight, list[Event]]] = []
    current: dict[int, list[Event]] = {}
    for event in events:
        if event.flight is not None:
            current[event.identity] = []
            found.append((event.flight, current[event.identity]))
        if event.identity in current:
            current[event.identity].append(event)
    return [Run(flight, tuple(members)) for flight, members in found]


def token_of(all_runs: Iterable[Run], protocol: int, source: bytes, sport: int) -> bytes | None:
    """Return the mark of the packet that a client sent from an address and port, None when no node saw it."""
    for run in all_runs:
        flight = run.flight
        if (flight.protocol, flight.source, flight.sport) == (protocol, source, sport):
            return flight.token
    return None


def steps(all_runs: Iterable[Run], token: bytes, book: RuleBook) -> tuple[KernelStep, ...]:
    """Return every rule that one packet matched on one host, in order; the ends of chains are left out."""
    return tuple(
        book.step(event)
        for run in all_runs
        if run.flight.token == token
        for event in run.events
        if event.kind == "rule"
    )


def book_of(
    handles: Iterable[tuple[Family, str, str, int]], texts: Mapping[tuple[Family, str, str], Sequence[str]]
) -> RuleBook:
    """Return the book of a namespace: handles as the kernel lists them, texts by chain in the same order."""
    seen: dict[tuple[Family, str, str], int] = {}
    found: dict[tuple[Family, str, str, int], str] = {}
    for family, table, chain, handle in handles:
        key = (family, table, chain)
        number = seen.get(key, 0)
        seen[key] = number + 1
        lines = texts.get(key, ())
        if number < len(lines):
            found[(family, table, chain, handle)] = lines[number]
    return RuleBook(found)


def handle_of(payload: bytes) -> tuple[Family, str, str, int] | None:
    """Return (family, table, chain, handle) of a rule message of a dump."""
    family = FAMILIES.get(payload[0])
    found = attributes(payload[4:])
    if family is None or HANDLE not in found:
        return None
    (handle,) = struct.unpack("!Q", found[HANDLE])
    return family, text(found.get(TABLE, b"")), text(found.get(CHAIN, b"")), handle
