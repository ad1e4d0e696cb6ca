"""Packet: cheap copies that change what they say and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netsim.packet.packet import Packet

ADDRESSES = st.integers(0, 2**32 - 1)
PORTS = st.integers(0, 65535)
PACKETS = st.builds(
    Packet,
    family=st.just(4),
    protocol=st.sampled_from(["tcp", "udp", "sctp"]),
    src=ADDRESSES,
    dst=ADDRESSES,
    sport=PORTS,
    dport=PORTS,
    mark=st.integers(0, 2**32 - 1),
    in_interface=st.sampled_from(["", "eth0"]),
    out_interface=st.sampled_from(["", "cni0"]),
    ct_state=st.sampled_from(["NEW", "ESTABLISHED"]),
    ct_dnat=st.booleans(),
    ct_snat=st.booleans(),
    ipvs=st.booleans(),
    original=st.none(),
    ct_reply=st.just(False),
)


@given(PACKETS, ADDRESSES, PORTS)
def test_each_copy_equals_the_slow_replacement(packet: Packet, address: int, port: int) -> None:
    original = packet.original or packet.header
    assert packet.at("a", "b") == packet._replace(in_interface="a", out_interface="b")
    assert packet.marked(7) == packet._replace(mark=7)
    assert packet.towards(address, port) == packet._replace(dst=address, dport=port, ct_dnat=True, original=original)
    assert packet.sourced(address, port) == packet._replace(src=address, sport=port, ct_snat=True, original=original)
    assert packet.tracked("NEW", True, False) == packet._replace(ct_state="NEW", ct_dnat=True, ct_snat=False)
    assert packet.by_ipvs() == packet._replace(ipvs=True)


@given(PACKETS)
def test_the_answer_to_an_answer_is_the_packet_itself(packet: Packet) -> None:
    assert packet.reversed().reversed() == packet.wire()
    assert packet.reversed().header == (packet.dst, packet.dport, packet.src, packet.sport)


@given(PACKETS, ADDRESSES, PORTS)
def test_translating_back_is_the_identity(packet: Packet, address: int, port: int) -> None:
    there = packet.towards(address, port)
    assert there.towards(packet.dst, packet.dport).header == packet.header
    assert there.ct_orig_dst == packet.dst
    assert there.sourced(address, port).ct_orig_src == packet.src
