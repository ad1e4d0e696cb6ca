"""Message sizes computed arithmetically, and the server's decision what to leave out.

Observed on CoreDNS 1.13.1: a message that fits uncompressed is sent so; else names are compressed and whole records are
added in order until the first that does not fit. SRV targets are never compressed but later names may point at them.
"""

from __future__ import annotations

from functools import lru_cache

from netsim.dns.names import label_length, wire_length
from netsim.dns.records import Edns, Record, Records

HEADER = 12
MAX_POINTER = 1 << 14
NAME_TYPES = ("CNAME", "PTR", "NS", "DNAME")
UDP4_LIMIT, UDP6_LIMIT = 1480, 1220


def rdata_length(kind: str, rdata: str) -> int:
    """Return the bytes of rdata, uncompressed."""
    match kind:
        case "A":
            return 4
        case "AAAA":
            return 16
        case "CNAME" | "PTR" | "NS" | "DNAME":
            return wire_length(rdata)
        case "SRV":
            return 6 + wire_length(rdata[rdata.rindex(" ") + 1 :])
        case "SOA":
            mname, rname, _ = rdata.split(" ", 2)
            return wire_length(mname) + wire_length(rname) + 20
        case _:
            return _other_rdata_length(kind, rdata)


@lru_cache(maxsize=1 << 12)
def _other_rdata_length(kind: str, rdata: str) -> int:
    import dns.rdata

    return len(dns.rdata.from_text("IN", kind, rdata).to_wire() or b"")


def opt_length(edns: Edns | None) -> int:
    """Return the bytes of the OPT record, 0 without one."""
    if edns is None:
        return 0
    return 11 + sum(4 + len(data) // 2 for _, data in edns.options)


def question_length(name: str, has_question: bool = True) -> int:
    """Return the bytes of header and question."""
    return HEADER + (wire_length(name) + 4 if has_question else 0)


def plain_length(records: Records) -> int:
    """Return the bytes of records written without compression."""
    total = 0
    for name, _, kind, rdata in records:
        owner = wire_length(name) if "\\" in name else len(name) + 1 if len(name) > 1 else 1
        if kind == "A":
            total += owner + 14
        elif kind == "AAAA":
            total += owner + 26
        else:
            total += owner + 10 + rdata_length(kind, rdata)
    return total


def limit_of(transport: str, edns: Edns | None) -> int:
    """Return the size limit in bytes that the client set."""
    if transport == "tcp":
        return 65535
    return max(512, edns.payload) if edns else 512


class Compressor:
    """The names seen so far in a message: lengths with compression (case-sensitive), nothing is written."""

    __slots__ = ("offset", "seen")

    def __init__(self, question: str) -> None:
        self.seen: set[str] = set()
        self.offset = HEADER
        self.offset += self.name(question, 0) + 4

    def name(self, name: str, ahead: int, *, compress: bool = True) -> int:
        """Return the length of a name that starts *ahead* bytes after the current end."""
        if len(name) <= 1:
            return 1
        start, position = self.offset + ahead, 0
        while position < len(name):
            suffix = name[position:]
            if suffix in self.seen:
                if compress:
                    return wire_length(name[:position]) - 1 + 2 if position else 2
                return wire_length(name)
            if start + position < MAX_POINTER:
                self.seen.add(suffix)
            position = _next_label(name, position)
        return wire_length(name)

    def record(self, record: Record) -> int:
        """Return the length of a record at the current end."""
        name, _, kind, rdata = record
        length = self.name(name, 0) + 10
        if kind in NAME_TYPES:
            return length + self.name(rdata, length)
        match kind:
            case "SRV":
                return length + 6 + self.name(rdata[rdata.rindex(" ") + 1 :], length + 6, compress=False)
            case "MX":
                return length + 2 + self.name(rdata[rdata.rindex(" ") + 1 :], length + 2)
            case "SOA":
                mname, rname, _ = rdata.split(" ", 2)
                length += self.name(mname, length)
                return length + self.name(rname, length) + 20
            case _:
                return length + rdata_length(kind, rdata)


def _next_label(name: str, position: int) -> int:
    if "\\" not in name:
        return name.find(".", position) + 1 or len(name)
    while position < len(name):
        if name[position] == "\\":
            position += 2
            continue
        if name[position] == ".":
            return position + 1
        position += 1
    return position


def compressed_length(question: str, records: Records) -> int:
    """Return the bytes of header, question and records with compression."""
    seen = Compressor(question)
    for record in records:
        seen.offset += seen.record(record)
    return seen.offset


def fit(question: str, sections: tuple[Records, Records, Records], limit: int) -> tuple[list[int], int]:
    """Return how many records of each section fit into *limit* bytes (without the OPT record), and the length."""
    seen = Compressor(question)
    used, full, kept = seen.offset, seen.offset >= limit, []
    for section in sections:
        count = 0
        for record in section if not full else ():
            length = seen.record(record)
            seen.offset += length
            if seen.offset > limit:
                full = True
                break
            used, count = seen.offset, count + 1
            if used == limit:
                full = True
                break
        kept.append(count)
    return kept, used


__all__ = [
    "UDP4_LIMIT",
    "UDP6_LIMIT",
    "Compressor",
    "compressed_length",
    "fit",
    "label_length",
    "limit_of",
    "opt_length",
    "plain_length",
    "question_length",
    "rdata_length",
]
