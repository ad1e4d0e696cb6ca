"""Remembered walks answer as fresh ones, and addresses that a chain does not mention make no difference to it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.dataplane import HookEntry
from iptables_gen.effects import Remember
from iptables_gen.kubeproxy.nftables import compile_input
from iptables_gen.nft.dataplane import NftDataplane
from iptables_gen.nft.text import parse
from iptables_gen.values import in_net
from tests.iptables_gen.kubeproxy.recorded_modes import inputs_of
from tests.iptables_gen.nft.nft_views import FakeHost, FakePacket, ip, packet

CASES = ("099-kitchen-sink", "045-lb-source-ranges-node", "037-affinity-etp-local", "105-nodeport-addresses-all")
VIRTUAL = "10.96.0.10 10.96.12.1 10.96.12.2 10.96.12.5 10.96.3.14 203.0.113.99 203.0.113.18 198.51.100.77"
OTHERS = "192.168.10.1 10.244.1.2 10.244.1.5 10.244.2.5 10.244.1.20 127.0.0.1 8.8.8.8 10.96.200.200 192.168.10.77"
KNOWN = f"{VIRTUAL} {OTHERS} 198.51.100.7".split()
PORTS = (53, 80, 443, 7070, 8080, 8443, 30080, 31080, 4321)

ADDRESSES = st.sampled_from(KNOWN)
PACKETS = st.builds(
    FakePacket,
    protocol=st.sampled_from(["tcp", "udp", "icmp"]),
    src=ADDRESSES.map(ip),
    dst=ADDRESSES.map(ip),
    dport=st.sampled_from(PORTS),
    mark=st.sampled_from([0, 0x4000]),
    ct_state=st.sampled_from(["NEW", "ESTABLISHED"]),
    ct_dnat=st.booleans(),
)
HOST = FakeHost(local=frozenset({ip("192.168.10.1"), ip("127.0.0.1")}))


@lru_cache(maxsize=8)
def remembering(case: str) -> tuple[HookEntry, ...]:
    return compile_input(inputs_of(case, "nftables", "node-1")[0]).hooks()


@given(st.sampled_from(CASES), st.lists(PACKETS, min_size=1, max_size=8))
def test_a_remembered_walk_is_the_walk(case: str, packets: list[FakePacket]) -> None:
    fresh = compile_input(inputs_of(case, "nftables", "node-1")[0])
    for one in packets:
        for entry, again in zip(remembering(case), fresh.hooks(), strict=True):
            assert entry.run(one, HOST) == again.run(one, HOST)
            assert sum(path.weight for path in entry.run(one, HOST)) == 1


@given(st.sampled_from(CASES[:2]), PACKETS, ADDRESSES.map(ip), st.sampled_from(["src", "dst"]))
def test_addresses_that_no_rule_tells_apart_take_the_same_paths(
    case: str, one: FakePacket, other: int, side: str
) -> None:
    for entry in remembering(case):
        assert entry.mentions is not None
        told = entry.mentions(side)
        assert told is not None
        mine = getattr(one, side)
        alike = all((mine & mask == net) == (other & mask == net) for mask, net in told.networks)
        same_type = HOST.address_type(4, mine) == HOST.address_type(4, other)
        changed = replace(one, src=other) if side == "src" else replace(one, dst=other)
        if one.src == one.dst or changed.src == changed.dst:
            continue
        if mine not in told.singles and other not in told.singles and alike and same_type:
            first, second = entry.run(one, HOST), entry.run(changed, HOST)
            # The paths of a client with session affinity name the client.
            assert first is second or any(isinstance(e, Remember) for path in first for e in path.effects)


def test_a_client_that_is_remembered_is_asked_for_every_time() -> None:
    text = (
        "table ip t {\nset s { type ipv4_addr ; flags dynamic,timeout ; timeout 10s ; }\n"
        "chain b { type filter hook input priority 0;\nip saddr @s drop\nupdate @s { ip saddr }\n} }"
    )
    [entry] = NftDataplane(4, tables=parse(text)).hooks()
    unknown = entry.run(packet(), FakeHost())
    assert len(entry.run(packet(), FakeHost(ages={("s", ip("10.0.0.9")): 1.0}))[0].effects) == 1
    assert entry.run(packet(), FakeHost()) == unknown
    assert entry.run(packet("10.0.0.7"), FakeHost()) != unknown


def test_networks_are_mentioned_with_their_masks() -> None:
    text = "table ip t { chain b { type filter hook input priority 0;\nip saddr { 10.0.0.0/8, 192.0.2.1 } drop\n} }"
    [entry] = NftDataplane(4, tables=parse(text)).hooks()
    assert entry.mentions is not None
    told = entry.mentions("src")
    assert told is not None
    assert told.singles == {ip("192.0.2.1")}
    assert told.networks == ((0xFF000000, ip("10.0.0.0")),)
    assert in_net(ip("10.1.1.1"), ip("10.0.0.0"), 8, 4)
