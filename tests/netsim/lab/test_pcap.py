"""Captured packets: files that scapy reads back, lines that people read."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.lab.pcap import ETH_ARP, ETH_IPV4, ETH_IPV6, PACKET_OUTGOING, Captured, file_header, line, record, summary

logging.getLogger("scapy").setLevel(logging.ERROR)


def built(kind: str) -> bytes:
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
    from scapy.layers.l2 import ARP
    from scapy.layers.sctp import SCTP
    from scapy.packet import Raw

    ends, ends6 = {"src": "10.0.0.1", "dst": "10.0.0.2"}, {"src": "fd00::1", "dst": "fd00::2"}
    packets = {
        "syn": IP(**ends) / TCP(sport=1000, dport=80, flags="S"),
        "data": IP(**ends) / TCP(sport=1000, dport=80, flags="PA") / b"hello",
        "udp": IP(**ends) / UDP(sport=53, dport=5353) / b"12345678",
        "refused": IP(**ends) / ICMP(type=3, code=3),
        "six": IPv6(**ends6) / TCP(sport=1, dport=2, flags="R"),
        "refused6": IPv6(**ends6) / ICMPv6DestUnreach(code=4),
        "sctp": IP(**ends) / SCTP(sport=5, dport=6),
        "arp": ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.2"),
        "fragment": IP(**ends, frag=100, proto=17) / Raw(b"x" * 16),
    }
    return bytes(packets[kind])


@pytest.mark.parametrize(
    ("kind", "protocol", "want"),
    [
        pytest.param("syn", ETH_IPV4, "10.0.0.1:1000 > 10.0.0.2:80 tcp SYN 0 bytes", id="syn"),
        pytest.param("data", ETH_IPV4, "10.0.0.1:1000 > 10.0.0.2:80 tcp ACK,PSH 5 bytes", id="data"),
        pytest.param("udp", ETH_IPV4, "10.0.0.1:53 > 10.0.0.2:5353 udp 8 bytes", id="udp"),
        pytest.param("refused", ETH_IPV4, "10.0.0.1 > 10.0.0.2 icmp 3/3", id="icmp-error"),
        pytest.param("six", ETH_IPV6, "[fd00::1]:1 > [fd00::2]:2 tcp RST 0 bytes", id="ipv6"),
        pytest.param("refused6", ETH_IPV6, "fd00::1 > fd00::2 icmpv6 1/4", id="icmpv6-error"),
        pytest.param("sctp", ETH_IPV4, "10.0.0.1:5 > 10.0.0.2:6 sctp", id="sctp"),
        pytest.param("arp", ETH_ARP, "arp who has 10.0.0.2, tell 10.0.0.1", id="arp"),
        pytest.param("fragment", ETH_IPV4, "10.0.0.1 > 10.0.0.2 fragment", id="later-fragment"),
    ],
)
def test_a_packet_in_a_few_words(kind: str, protocol: int, want: str) -> None:
    assert summary(protocol, built(kind)) == want


@given(st.sampled_from([ETH_IPV4, ETH_IPV6, ETH_ARP, 0x1234]), st.binary(max_size=80))
def test_no_bytes_make_the_summary_fail(protocol: int, data: bytes) -> None:
    assert summary(protocol, data)


def test_scapy_reads_a_file_back() -> None:
    from scapy.utils import rdpcap

    packet = Captured(1_700_000_000_123_456_789, built("syn"), ETH_IPV4, 7, "eth0", PACKET_OUTGOING, 1, b"\2\0\0\0\0\1")
    (read,) = rdpcap(io.BytesIO(file_header() + record(packet)))
    assert (read["IP"].dst, read["TCP"].dport, read.ifindex, read.pkttype) == ("10.0.0.2", 80, 7, PACKET_OUTGOING)
    assert read.time == pytest.approx(1_700_000_000.123456789)
    assert line(packet, packet.when - 500_000) == (
        " 0.000500 eth0            Out 10.0.0.1:1000 > 10.0.0.2:80 tcp SYN 0 bytes"
    )
