"""Wire format: request bytes -> Query, Answer -> reply bytes. Names and odd record types go through dnspython.

What CoreDNS does with broken messages is what its DNS library does: answer FORMERR or NOTIMP with little more than a
header, or keep silent. Source: RFC 1035, RFC 6891; observed on CoreDNS 1.13.1 (github.com/miekg/dns).
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache
from typing import NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.wire

from netsim.dns.records import Answer, Edns, Query, Record
from netsim.dns.sizes import MAX_POINTER

HEADER = struct.Struct("!6H")
RR = struct.Struct("!HHIH")
QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
OPCODE_MASK, OPCODE_SHIFT = 0x7800, 11
OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE"}
OPCODE_NUMBERS = {name: number for number, name in OPCODES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5, "BADVERS": 16}
FLAGS = {"qr": QR, "aa": AA, "tc": TC, "rd": RD, "ra": RA, "ad": AD, "cd": CD}
OPT = 41
UDP_READ = 512
"""CoreDNS reads at most this many bytes of a UDP request; the rest is lost."""


class Request(NamedTuple):
    """A message worth answering: its id and the question."""

    id: int
    query: Query


Parsed = Request | bytes | None
"""A request, the bytes to send back to a broken one, or None: no reply."""


def parse(data: bytes, transport: str, client: str) -> Parsed:
    """Return what to do with a message from *client*; never raises."""
    if transport == "udp":
        data = data[:UDP_READ]
    if len(data) < HEADER.size:
        return None
    number, bits, questions, answers, authorities, additionals = HEADER.unpack_from(data)
    if bits & QR:
        return None
    opcode = (bits & OPCODE_MASK) >> OPCODE_SHIFT
    if opcode not in (0, 4):
        return _rejected(number, bits, 4, opcode)
    if questions != 1 or answers > 1 or authorities > 1 or additionals > 2:
        return _rejected(number, bits, 1)
    if len(data) == HEADER.size:
        return _empty(number, bits)
    return _parse_body(data, (number, bits, opcode), (answers, authorities, additionals), transport, client)


def _rejected(number: int, bits: int, rcode: int, opcode: int = 0, question: bytes = b"") -> bytes:
    """Return a bare FORMERR or NOTIMP; the request's other flags come back as they were."""
    kept = bits & (TC | RD | RA | AD | CD)
    return HEADER.pack(number, QR | opcode << OPCODE_SHIFT | kept | rcode, int(bool(question)), 0, 0, 0) + question


def _empty(number: int, bits: int) -> bytes:
    """Return the SERVFAIL for a header that promises a question and ends."""
    opcode = bits & OPCODE_MASK
    kept = 0 if opcode else bits & (RD | CD)
    return HEADER.pack(number, QR | opcode | kept | 2, 0, 0, 0, 0)


def _parse_body(
    data: bytes, head: tuple[int, int, int], counts: tuple[int, int, int], transport: str, client: str
) -> Parsed:
    number, bits, opcode = head
    parser = dns.wire.Parser(data, HEADER.size)
    question = b""
    try:
        name, kind, qclass = _question(parser)
        question = name.to_wire() + struct.pack("!HH", kind, qclass)  # type: ignore[operator]
        edns = _records(parser, counts)
    except (dns.exception.DNSException, ValueError, struct.error):
        return _rejected(number, bits, 1, question=question)
    query = Query(
        name.to_text(),
        type_text(kind),
        class_text(qclass),
        transport,
        edns,
        bool(bits & RD),
        bool(bits & CD),
        bool(bits & AD),
        OPCODES[opcode],
        client,
    )
    return Request(number, query)


def _question(parser: dns.wire.Parser) -> tuple[dns.name.Name, int, int]:
    """Return the question; one that ends after the name, or after the type, counts as 0 for the rest."""
    name = dns.name.from_wire_parser(parser)
    kind = parser.get_uint16() if parser.remaining() else 0
    return name, kind, parser.get_uint16() if parser.remaining() else 0


def _records(parser: dns.wire.Parser, counts: tuple[int, int, int]) -> Edns | None:
    """Read the records after the question, and return the last OPT of the additional section."""
    edns = None
    for section, count in enumerate(counts):
        for _ in range(count):
            if not parser.remaining():
                break
            found = _record(parser)
            if found is not None and section == 2:
                edns = found
    return edns


def _record(parser: dns.wire.Parser) -> Edns | None:
    dns.name.from_wire_parser(parser)
    kind, qclass, ttl, length = parser.get_struct("!HHIH")
    if kind != OPT:
        with parser.restrict_to(length):
            if length:
                dns.rdata.from_wire_parser(qclass, kind, parser)
        return None
    data = parser.get_bytes(length)
    return Edns(qclass, bool(ttl & 0x8000), ttl >> 16 & 0xFF, tuple(_options(data)))


def _options(data: bytes) -> list[tuple[int, str]]:
    found, position = [], 0
    while position < len(data):
        if position + 4 > len(data):
            raise ValueError("a cut EDNS option")
        code, length = struct.unpack_from("!HH", data, position)
        position += 4
        if position + length > len(data):
            raise ValueError("a cut EDNS option")
        found.append((code, data[position : position + length].hex()))
        position += length
    return found


@lru_cache(maxsize=1 << 10)
def type_text(number: int) -> str:
    """Return a type's name as dig prints it."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


@lru_cache(maxsize=1 << 10)
def type_number(text: str) -> int:
    """Return a type's number."""
    return int(dns.rdatatype.from_text(text))


@lru_cache(maxsize=1 << 8)
def class_text(number: int) -> str:
    """Return a class's name as dig prints it."""
    return dns.rdataclass.to_text(dns.rdataclass.RdataClass.make(number))


@lru_cache(maxsize=1 << 8)
def class_number(text: str) -> int:
    """Return a class's number."""
    return int(dns.rdataclass.from_text(text))


@lru_cache(maxsize=1 << 16)
def name_wire(name: str) -> bytes:
    """Return a name uncompressed."""
    return dns.name.from_text(name, origin=dns.name.root).to_wire() or b""


@lru_cache(maxsize=1 << 16)
def rdata_wire(kind: str, rdata: str) -> bytes:
    """Return rdata uncompressed."""
    match kind:
        case "A":
            return socket.inet_aton(rdata)
        case "AAAA":
            return socket.inet_pton(socket.AF_INET6, rdata)
        case "CNAME" | "PTR" | "NS":
            return name_wire(rdata)
        case "SRV":
            priority, weight, port, target = rdata.split(" ")
            return struct.pack("!HHH", int(priority), int(weight), int(port)) + name_wire(target)
        case _:
            return dns.rdata.from_text("IN", kind, rdata).to_wire() or b""


def render(number: int, answer: Answer) -> bytes | None:
    """Return the reply's bytes, None where the server sends nothing."""
    if answer.timeout:
        return None
    query = answer.query
    rcode = RCODES.get(answer.rcode, 0)
    bits = OPCODE_NUMBERS[query.opcode] << OPCODE_SHIFT | rcode & 0xF
    for flag in answer.flags:
        bits |= FLAGS[flag]
    sections = (answer.answer, answer.authority, answer.additional)
    counts = [len(section) for section in sections]
    counts[2] += answer.edns is not None
    head = HEADER.pack(number, bits, int(answer.has_question), *counts)
    records = (*answer.answer, *answer.authority, *answer.additional)
    if not answer.has_question:
        return head
    question = name_wire(query.name) + struct.pack("!HH", type_number(query.type), class_number(query.qclass))
    opt = _opt(answer.edns, rcode)
    if not answer.compressed:
        return b"".join((head, question, *map(_plain, records), opt))
    return Writer(head + question, query.name).write(records) + opt


def _opt(edns: Edns | None, rcode: int) -> bytes:
    if edns is None:
        return b""
    options = b"".join(struct.pack("!HH", code, len(data) // 2) + bytes.fromhex(data) for code, data in edns.options)
    ttl = (rcode >> 4) << 24 | edns.version << 16 | edns.do << 15
    return b"\0" + RR.pack(OPT, edns.payload, ttl, len(options)) + options


def _plain(record: Record) -> bytes:
    name, ttl, kind, rdata = record
    data = rdata_wire(kind, rdata)
    return name_wire(name) + RR.pack(type_number(kind), 1, ttl, len(data)) + data


class Writer:
    """A message written with name compression (RFC 1035, 4.1.4): pointers only to names spelled in the same case."""

    __slots__ = ("buffer", "offsets")

    def __init__(self, start: bytes, question: str) -> None:
        self.buffer = bytearray(start)
        self.offsets: dict[str, int] = {}
        self._note(question, HEADER.size)

    def write(self, records: tuple[Record, ...]) -> bytes:
        """Append records and return the message so far."""
        for record in records:
            self._record(record)
        return bytes(self.buffer)

    def _record(self, record: Record) -> None:
        name, ttl, kind, rdata = record
        self._name(name)
        self.buffer += RR.pack(type_number(kind), 1, ttl, 0)
        start = len(self.buffer)
        self._rdata(kind, rdata)
        struct.pack_into("!H", self.buffer, start - 2, len(self.buffer) - start)

    def _rdata(self, kind: str, rdata: str) -> None:
        match kind:
            case "CNAME" | "PTR" | "NS":
                self._name(rdata)
            case "SRV":
                self.buffer += rdata_wire(kind, rdata)[:6]
                target = rdata[rdata.rindex(" ") + 1 :]
                self._note(target, len(self.buffer))
                self.buffer += name_wire(target)
            case "MX":
                preference, target = rdata.split(" ")
                self.buffer += struct.pack("!H", int(preference))
                self._name(target)
            case "SOA":
                mname, rname, rest = rdata.split(" ", 2)
                self._name(mname)
                self._name(rname)
                self.buffer += struct.pack("!5I", *map(int, rest.split(" ")))
            case _:
                self.buffer += rdata_wire(kind, rdata)

    def _name(self, name: str) -> None:
        here = len(self.buffer)
        position = 0
        while position < len(name) and name != ".":
            pointer = self.offsets.get(name[position:])
            if pointer is not None:
                self.buffer += name_wire(name[:position])[:-1] if position else b""
                self.buffer += struct.pack("!H", 0xC000 | pointer)
                self._note(name, here, until=position)
                return
            position = _next_label(name, position)
        self._note(name, here)
        self.buffer += name_wire(name)

    def _note(self, name: str, offset: int, until: int | None = None) -> None:
        """Remember where the ends of a name stand, up to the first that is known already."""
        position = 0
        while position < len(name) and name != "." and (until is None or position < until):
            suffix = name[position:]
            if suffix in self.offsets:
                return
            following = _next_label(name, position)
            if offset < MAX_POINTER:
                self.offsets[suffix] = offset
            offset += len(name_wire(name[position:following])) - 1
            position = following


def _next_label(name: str, position: int) -> int:
    while position < len(name):
        if name[position] == "\\":
            position += 2
        elif name[position] == ".":
            return position + 1
        else:
            position += 1
    return position
