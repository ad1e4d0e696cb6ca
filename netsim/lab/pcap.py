"""Captured packets as a pcap file (link type LINUX_SLL2, as `tcpdump -i any` writes) and as lines of text. Pure.

Source:  draft-ietf-opsawg-pcap (nanosecond magic), LINKTYPE_LINUX_SLL2 (tcpdump.org), RFC 791, 8200, 9293.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from iptables_gen.values import format_endpoint

SNAPLEN = 262_144
LINUX_SLL2 = 276
NANOSECONDS = 0xA1B23C4D
PACKET_OUTGOING = 4
ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
TCP_FLAGS = ((0x02, "SYN"), (0x10, "ACK"), (0x08, "PSH"), (0x01, "FIN"), (0x04, "RST"))
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
NAMES = {ICMP: "icmp", ICMPV6: "icmpv6", SCTP: "sctp"}


class Captured(NamedTuple):
    """One packet as an AF_PACKET socket of type SOCK_DGRAM gives it (packet(7)). `when` is nanoseconds since 1970."""

    when: int
    data: bytes
    protocol: int
    interface: int
    name: str
    kind: int
    hardware: int
    address: bytes


def file_header() -> bytes:
    """Return the head of a file."""
    return struct.pack("=IHHiIII", NANOSECONDS, 2, 4, 0, 0, SNAPLEN, LINUX_SLL2)


def record(packet: Captured) -> bytes:
    """Return one packet as a record of the file."""
    address = packet.address[:8].ljust(8, b"\0")
    link = struct.pack(
        "!HHIHBB8s", packet.protocol, 0, packet.interface, packet.hardware, packet.kind, len(packet.address), address
    )
    seconds, nanoseconds = divmod(packet.when, 1_000_000_000)
    length = len(link) + len(packet.data)
    return struct.pack("=IIII", seconds, nanoseconds, length, length) + link + packet.data


def line(packet: Captured, start: int) -> str:
    """Return `SECONDS INTERFACE In|Out PACKET`; seconds count from *start*."""
    way = "Out" if packet.kind == PACKET_OUTGOING else "In "
    return f"{(packet.when - start) / 1e9:9.6f} {packet.name:15} {way} {summary(packet.protocol, packet.data)}"


def summary(protocol: int, data: bytes) -> str:
    """Return a packet in a few words; what cannot be read is named by its numbers."""
    try:
        match protocol:
            case 0x0800:
                return _ipv4(data)
            case 0x86DD:
                return _ipv6(data)
            case 0x0806:
                return _arp(data)
            case _:
                return f"ethertype {protocol:#06x}, {len(data)} bytes"
    except (struct.error, IndexError, ValueError, OSError):
        return f"ethertype {protocol:#06x}, {len(data)} bytes, cut short"


def _ipv4(data: bytes) -> str:
    head = (data[0] & 15) * 4
    source, target = socket.inet_ntop(socket.AF_INET, data[12:16]), socket.inet_ntop(socket.AF_INET, data[16:20])
    if struct.unpack_from("!H", data, 6)[0] & 0x1FFF:
        return f"{source} > {target} fragment"
    return _transport(data[9], source, target, data[head:])


def _ipv6(data: bytes) -> str:
    source, target = socket.inet_ntop(socket.AF_INET6, data[8:24]), socket.inet_ntop(socket.AF_INET6, data[24:40])
    return _transport(data[6], source, target, data[40:])


def _transport(protocol: int, source: str, target: str, data: bytes) -> str:
    if protocol not in (TCP, UDP, SCTP):
        kind = f" {data[0]}/{data[1]}" if protocol in (ICMP, ICMPV6) else ""
        return f"{source} > {target} {NAMES.get(protocol, f'protocol {protocol}')}{kind}"
    sport, dport = struct.unpack_from("!HH", data)
    words = f"{format_endpoint(source, sport)} > {format_endpoint(target, dport)}"
    if protocol == UDP:
        return f"{words} udp {struct.unpack_from('!H', data, 4)[0] - 8} bytes"
    if protocol == SCTP:
        return f"{words} sctp"
    flags = ",".join(name for bit, name in TCP_FLAGS if data[13] & bit)
    return f"{words} tcp {flags} {len(data) - (data[12] >> 4) * 4} bytes"


def _arp(data: bytes) -> str:
    operation = struct.unpack_from("!H", data, 6)[0]
    sender, target = socket.inet_ntoa(data[14:18]), socket.inet_ntoa(data[24:28])
    return f"arp who has {target}, tell {sender}" if operation == 1 else f"arp {sender} is here, {target}"
