"""The packet as seen at every hop, as a capture file (pcapng): one interface a host's port, in and out.

Every outcome is a flow of its own: its packets share IP id and TCP sequence number, and a comment on each says which
outcome it belongs to. Hardware addresses are made from the ports' names: the model has none. The clock starts at 0 and
ticks a millisecond a packet, so equal answers are equal files.

Source:  draft-ietf-opsawg-pcapng (block types, if_name, epb_flags), LINKTYPE_ETHERNET (tcpdump.org), RFC 792, 4443,
         9260.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from iptables_gen.values import format_ip
from netsim.packet.packet import Packet
from netsim.trace.answer import Answer, Outcome
from netsim.trace.passage import Sent
from netsim.trace.walk import Hop

ETHERNET = 1
INBOUND, OUTBOUND = 1, 2
MICROSECONDS_A_PACKET = 1000
INITIAL_TTL = 64
SNAPLEN = 262_144


class Seen(NamedTuple):
    """A packet at a port of a host: `port` is `HOST/INTERFACE`, `way` in or out, `wire` the ports it goes between."""

    port: str
    way: int
    packet: Packet
    ttl: int
    comment: str
    wire: tuple[str, str]


def capture(answer: Answer, *, back: bool = False) -> bytes:
    """Return the file; `back` adds the answer's way."""
    blocks = [_section()]
    ports: dict[str, int] = {}
    tick = 0
    for number, outcome in enumerate(answer.outcomes):
        for seen, data in _flow(number, outcome, back=back):
            if seen.port not in ports:
                ports[seen.port] = len(ports)
                blocks.append(_interface(seen.port))
            tick += 1
            blocks.append(_enhanced(ports[seen.port], tick * MICROSECONDS_A_PACKET, data, seen))
    return b"".join(blocks)


def _flow(number: int, outcome: Outcome, *, back: bool) -> Iterator[tuple[Seen, bytes]]:
    label = f"outcome {number + 1}: {outcome.probability} {outcome.disposition} {outcome.code}"
    for seen in seen_at(outcome.hops, label):
        yield seen, _framed(seen, _request(seen.packet, seen.ttl, number))
    if back and outcome.back:
        refused = outcome.detail if outcome.disposition == "REFUSED" else None
        for seen in seen_at(outcome.back, f"{label}, answer"):
            yield seen, _framed(seen, _answer(seen, number, outcome, refused))


def seen_at(hops: Sequence[Hop], comment: str) -> Iterator[Seen]:
    """Yield the packet at every port that it passes, in order."""
    ttl = INITIAL_TTL
    ports = [f"{hop.machine.name}/{hop.port}" for hop in hops]
    wire = ("", "")
    for index, hop in enumerate(hops):
        name = hop.machine.name
        if hop.port:
            yield Seen(ports[index], INBOUND, hop.packet, ttl, f"{comment}; {name} in", wire)
        end = hop.passage.end
        if isinstance(end, Sent):
            # The first host sends, all others forward; a bridge that passes a frame on does not touch it.
            ttl -= 1 if index and not end.bridged else 0
            out = f"{name}/{end.interface}"
            wire = (out, ports[index + 1] if index + 1 < len(hops) else "")
            yield Seen(out, OUTBOUND, hop.out, ttl, f"{comment}; {name} out", wire)


def _request(packet: Packet, ttl: int, number: int) -> Any:
    """Return a connection's first packet: a SYN, a datagram, an INIT; other protocols as bare IP."""
    return _network(packet, ttl, number) / _upper(packet, number, {"flags": "S", "seq": number + 1})


def _answer(seen: Seen, number: int, outcome: Outcome, refused: str | None) -> Any:
    """Return the answer: SYN-ACK, datagram or INIT-ACK of a server, else the error that comes back."""
    packet = seen.packet
    if refused is not None and not (packet.protocol == "tcp" and _resets(refused, outcome)):
        return _error(seen, number, outcome, refused)
    tcp = {"flags": "SA" if refused is None else "RA", "ack": number + 2}
    return _network(packet, seen.ttl, number) / _upper(packet, number, tcp, answer=True)


def _upper(packet: Packet, number: int, tcp: Mapping[str, Any], *, answer: bool = False) -> Any:
    """Return what is inside the IP packet; `tcp` are the fields of a TCP segment."""
    from scapy.layers.inet import TCP, UDP
    from scapy.layers.sctp import SCTP, SCTPChunkInit, SCTPChunkInitAck
    from scapy.packet import Raw

    ports: dict[str, Any] = {"sport": packet.sport, "dport": packet.dport}
    match packet.protocol:
        case "tcp":
            return TCP(**ports, **tcp)
        case "udp":
            return UDP(**ports) / Raw(b"netsim %d" % (number + 1))
        case "sctp":
            return SCTP(**ports) / (SCTPChunkInitAck if answer else SCTPChunkInit)(
                init_tag=number + 1, a_rwnd=106496, n_out_streams=10, n_in_streams=65535, init_tsn=number + 1
            )
        case _:
            return Raw(b"netsim %d" % (number + 1))


def _resets(kind: str, outcome: Outcome) -> bool:
    """Whether a refusal of TCP is a reset: of a rule that says so, or of a host on which nothing listens."""
    return "reset" in kind or outcome.rule is None


def _error(seen: Seen, number: int, outcome: Outcome, kind: str) -> Any:
    """Return the ICMP error, with the head of the packet that it is about."""
    from scapy.layers.inet import ICMP
    from scapy.layers.inet6 import ICMPv6DestUnreach
    from scapy.packet import Raw

    packet = seen.packet
    about = bytes(_request(packet.reversed(), INITIAL_TTL, number))
    teller = packet._replace(protocol="icmp", src=_teller(outcome, packet))
    if packet.family == 4:
        return _network(teller, seen.ttl, number) / ICMP(type=3, code=ICMP_CODES.get(kind, 3)) / Raw(about[:28])
    error = ICMPv6DestUnreach(code=ICMPV6_CODES.get(kind, 4)) / Raw(about)
    return _network(teller, seen.ttl, number) / error


ICMP_CODES = {
    "icmp-net-unreachable": 0,
    "icmp-host-unreachable": 1,
    "icmp-proto-unreachable": 2,
    "icmp-port-unreachable": 3,
    "icmp-net-prohibited": 9,
    "icmp-host-prohibited": 10,
    "icmp-admin-prohibited": 13,
}
ICMPV6_CODES = {
    "icmp6-no-route": 0,
    "icmp6-adm-prohibited": 1,
    "icmp6-addr-unreachable": 3,
    "icmp6-port-unreachable": 4,
}


def _teller(outcome: Outcome, packet: Packet) -> int:
    """Return the address an error comes from: the one dialled when it is the host's own, else that of the way back."""
    first = outcome.back[0]
    machine, family = first.machine, packet.family
    if machine.is_local(family, first.packet.src):
        return packet.src
    route = machine.route(family, first.packet.dst)
    source = None if route is None else machine.source_for(family, route, first.packet.dst)
    return packet.src if source is None else source


def _network(packet: Packet, ttl: int, number: int) -> Any:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    src, dst = format_ip(packet.family, packet.src), format_ip(packet.family, packet.dst)
    if packet.family == 4:
        return IP(src=src, dst=dst, ttl=ttl, id=(number + 1) & 0xFFFF, flags="DF")
    return IPv6(src=src, dst=dst, hlim=ttl, fl=(number + 1) & 0xFFFFF)


def _framed(seen: Seen, inside: Any) -> bytes:
    from scapy.layers.l2 import Ether

    source, target = seen.wire
    return bytes(Ether(src=hardware_address(source), dst=hardware_address(target)) / inside)


def hardware_address(port: str) -> str:
    """Return a locally administered address made from a port's name, zeros for a port nobody has."""
    digest = hashlib.sha256(port.encode()).digest()[:5] if port else bytes(5)
    return ":".join(f"{byte:02x}" for byte in (b"\2" if port else b"\0") + digest)


def _section() -> bytes:
    return _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def _interface(name: str) -> bytes:
    return _block(1, struct.pack("<HHI", ETHERNET, 0, SNAPLEN) + _option(2, name.encode()) + bytes(4))


def _enhanced(interface: int, when: int, data: bytes, seen: Seen) -> bytes:
    head = struct.pack("<IIIII", interface, when >> 32, when & 0xFFFFFFFF, len(data), len(data))
    options = _option(1, seen.comment.encode()) + _option(2, struct.pack("<I", seen.way)) + bytes(4)
    return _block(6, head + _padded(data) + options)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length
