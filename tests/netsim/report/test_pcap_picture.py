"""`-o pcap`: read back with scapy, the packets are those of the hops, at the ports they pass."""

from __future__ import annotations

import io
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit, SCTPChunkInitAck
from scapy.utils import RawPcapNgReader, rdpcap

from iptables_gen.values import format_ip
from netsim.report.pcap import capture, hardware_address
from tests.netsim.report.picture_cases import CASES, answer

ALL = pytest.mark.parametrize("case", CASES)


def packets(case: str, *, back: bool = False) -> list[Any]:
    return list(rdpcap(io.BytesIO(capture(answer(case), back=back))))


def network(packet: Any) -> Any:
    return packet[IP] if IP in packet else packet[IPv6]


@ALL
def test_every_port_of_every_hop_is_in_the_file(case: str) -> None:
    wanted = []
    for outcome in answer(case).outcomes:
        for hop in outcome.hops:
            if hop.port:
                wanted.append((f"{hop.machine.name}/{hop.port}", hop.packet.src, hop.packet.dst, hop.packet.family))
            if hop.passage.out_interface and hop.passage.end.__class__.__name__ == "Sent":
                wanted.append(
                    (f"{hop.machine.name}/{hop.passage.end.interface}", hop.out.src, hop.out.dst, hop.out.family)
                )
    found = [(p.sniffed_on, network(p).src, network(p).dst) for p in packets(case)]
    assert found == [(port, format_ip(f, src), format_ip(f, dst)) for port, src, dst, f in wanted]


@ALL
def test_checksums_are_right_and_time_goes_on(case: str) -> None:
    listed = packets(case, back=True)
    for packet in listed:
        again = packet.__class__(bytes(packet))
        for layer in (IP, TCP, UDP, ICMP):
            if layer in again:
                del again[layer].chksum
        assert bytes(again) == bytes(packet)
    times = [float(packet.time) for packet in listed]
    assert times == sorted(set(times))


def test_a_syn_and_its_answer() -> None:
    listed = packets("a nodePort from outside", back=True)
    assert {str(p[TCP].flags) for p in listed} == {"S", "SA"}
    first = [p for p in listed if b"outcome 1" in p.comment]
    assert (network(first[0]).dst, first[0][TCP].dport, network(first[0]).ttl) == ("192.168.10.1", 30080, 64)
    served = [p for p in first if p.sniffed_on == "pod/shop/frontend-0/eth0"]
    assert [(network(p).src, network(p).dst, p[TCP].dport, str(p[TCP].flags)) for p in served] == [
        ("10.244.1.1", "10.244.1.10", 8080, "S"),
        ("10.244.1.10", "10.244.1.1", 40000, "SA"),
    ]
    assert network(served[0]).ttl == 62
    last = first[-1]
    assert (last.sniffed_on, network(last).src, last[TCP].sport) == (
        "external/198.51.100.10/eth0",
        "192.168.10.1",
        30080,
    )


def test_ways_in_and_out_are_said() -> None:
    data = capture(answer("a nodePort from outside"))
    directions = [meta.direction for _, meta in RawPcapNgReader(io.BytesIO(data))]
    assert directions[:4] == [2, 1, 2, 1]


@pytest.mark.parametrize(
    ("case", "layer", "reply"),
    [("UDP to a ClusterIP", UDP, UDP), ("SCTP to a pod", SCTPChunkInit, SCTPChunkInitAck), ("IPv6 nodePort", TCP, TCP)],
)
def test_other_protocols(case: str, layer: Any, reply: Any) -> None:
    listed = packets(case, back=True)
    assert layer in listed[0]
    assert reply in listed[-1]
    assert (IPv6 in listed[0]) is case.startswith("IPv6")


def test_a_refusal_comes_back_as_an_icmp_error_of_the_node() -> None:
    last = packets("no endpoints", back=True)[-1]
    assert (last[ICMP].type, last[ICMP].code) == (3, 3)
    assert (last[IP].src, last[IP].dst) == ("10.244.2.1", "10.244.2.9")
    inside = last[ICMP].payload
    assert (inside.src, inside.dst, bytes(inside)[22:24]) == ("10.244.2.9", "10.96.1.1", (80).to_bytes(2, "big"))


def test_equal_answers_are_equal_bytes() -> None:
    assert capture(answer("IPv6 nodePort"), back=True) == capture(answer("IPv6 nodePort"), back=True)


def test_a_wire_has_two_ends() -> None:
    listed = packets("a nodePort from outside")
    assert listed[0][Ether].src == hardware_address("external/198.51.100.10/eth0")
    assert (listed[0][Ether].src, listed[0][Ether].dst) == (listed[1][Ether].src, listed[1][Ether].dst)
    assert SCTP not in listed[0]
    assert ICMPv6DestUnreach not in listed[0]
