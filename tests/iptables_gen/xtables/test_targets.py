"""What each target does with a packet."""

from __future__ import annotations

from fractions import Fraction

import pytest

from iptables_gen.dataplane import Hook
from iptables_gen.effects import Accept, Dnat, Drop, Effect, Masquerade, NoTrack, Reject, SetMark, Snat, Verdict
from iptables_gen.values import Family, parse_ip
from iptables_gen.xtables.program import make_acting
from iptables_gen.xtables.targets.base import Action, Flow
from iptables_gen.xtables.text import parse_rule
from tests.iptables_gen.xtables.xtables_views import HOST, Host, Seen, packet

ONE = 0x0A000001
SIX = parse_ip("fd00::1")[1]


def actions(
    target: str, seen: Seen | None = None, hook: Hook = Hook.PREROUTING, host: Host = HOST
) -> tuple[Action, ...]:
    seen = seen or packet()
    acting = make_acting(parse_rule(f"-A FOO -p tcp -j {target}", family=seen.family).target)
    assert acting is not None
    return acting.act(seen, host, hook)


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        ("ACCEPT", Accept()),
        ("DROP", Drop()),
        ("REJECT", Reject("icmp-port-unreachable")),
        ("REJECT --reject-with tcp-reset", Reject("tcp-reset")),
        ("REJECT --reject-with admin-prohib", Reject("icmp-admin-prohibited")),
    ],
)
def test_verdicts(target: str, verdict: Verdict) -> None:
    assert [action.verdict for action in actions(target)] == [verdict]


def test_reject_of_ipv6_has_its_own_kind() -> None:
    assert actions("REJECT", packet("fd00::1", "fd00::2"))[0].verdict == Reject("icmp6-port-unreachable")


@pytest.mark.parametrize(
    ("target", "effect", "label"),
    [
        ("DNAT --to-destination 10.0.0.1:8080", Dnat(ONE, 8080), "DNAT 10.0.0.1:8080"),
        ("DNAT --to-destination 10.0.0.1", Dnat(ONE, None), "DNAT 10.0.0.1"),
        ("DNAT --to-destination :8080", Dnat(None, 8080), "DNAT :8080"),
        ("DNAT --to-destination :80-90", Dnat(None, 80), "DNAT :80"),
        ("DNAT --to-destination 10.0.0.1:8080-8090/80", Dnat(ONE, 8080), "DNAT 10.0.0.1:8080"),
        ("SNAT --to-source 10.0.0.1", Snat(ONE), "SNAT 10.0.0.1"),
        ("SNAT --to-source 10.0.0.1:5", Snat(ONE, 5), "SNAT 10.0.0.1:5"),
        ("SNAT --to-source 10.0.0.1:5-9", Snat(ONE), "SNAT 10.0.0.1"),
        ("MASQUERADE", Masquerade(), "MASQUERADE"),
        ("MASQUERADE --random-fully", Masquerade(True), "MASQUERADE"),
        ("NETMAP --to 10.1.0.0/16", Dnat(0x0A01000A, None), "NETMAP 10.1.0.10"),
    ],
)
def test_translations(target: str, effect: Effect, label: str) -> None:
    found = actions(target)
    assert [(action.effects, action.label, action.verdict) for action in found] == [((effect,), label, Accept())]


def test_ipv6_translations() -> None:
    seen = packet("fd00::9", "fd00::2")
    assert actions("DNAT --to-destination [fd00::1]:80", seen)[0].effects == (Dnat(SIX, 80),)
    assert actions("DNAT --to-destination fd00::1", seen)[0].effects == (Dnat(SIX, None),)
    assert actions("DNAT --to-destination [fd00::1]:80", seen)[0].label == "DNAT [fd00::1]:80"


def test_netmap_maps_the_source_on_the_way_out() -> None:
    found = actions("NETMAP --to 10.1.0.0/16", hook=Hook.POSTROUTING)
    assert found[0].effects == (Snat(parse_ip("10.1.1.9")[1]),)


@pytest.mark.parametrize(
    ("target", "count"),
    [
        ("DNAT --to-destination 10.0.0.1-10.0.0.4", 4),
        ("DNAT --to-destination 10.0.0.1-10.0.0.4:8080-8081", 8),
        ("SNAT --to-source 10.0.0.1-10.0.0.3", 3),
        ("DNAT --to-destination 10.0.0.1:80-83 --random", 4),
    ],
)
def test_ranges_are_chosen_from_evenly(target: str, count: int) -> None:
    found = actions(target)
    assert [action.share for action in found] == [Fraction(1, count)] * count
    assert len({action.effects for action in found}) == count


@pytest.mark.parametrize(
    "target",
    [
        "DNAT --to-destination 10.0.0.0-10.255.255.255",
        "SNAT --to-source 10.0.0.0-10.255.255.255",
        "DNAT --to-destination :1-65535 --random",
        "QUEUE",
        "NFQUEUE --queue-num 5",
        "TPROXY --on-port 80",
        "REDIRECT --to-ports 80",
    ],
)
def test_outcomes_the_model_cannot_tell(target: str) -> None:
    assert [action.flow for action in actions(target)] == [Flow.UNKNOWN]


@pytest.mark.parametrize(
    ("family", "hook", "address"),
    [
        pytest.param(4, Hook.OUTPUT, "127.0.0.1", id="a process is sent to loopback"),
        pytest.param(6, Hook.OUTPUT, "::1", id="also with IPv6"),
        pytest.param(4, Hook.PREROUTING, "192.168.10.1", id="others to the interface's address"),
    ],
)
def test_redirect(family: Family, hook: Hook, address: str) -> None:
    ends = ("10.0.0.5", "10.0.0.6") if family == 4 else ("fd00::5", "fd00::6")
    host = Host(addresses={"eth0": "192.168.10.1"})
    found = actions("REDIRECT --to-ports 8080", packet(*ends, in_interface="eth0"), hook, host)
    assert [action.effects for action in found] == [(Dnat(parse_ip(address)[1], 8080),)]


@pytest.mark.parametrize(
    ("target", "before", "after"),
    [
        ("MARK --set-mark 5", 0x30, 5),
        ("MARK --set-mark 0x10/0xf0", 0xAB, 0x1B),
        ("MARK --set-xmark 0x10/0xf0", 0xAB, 0x1B),
        ("MARK --set-xmark 0x4000/0x0", 0x4001, 1),
        ("MARK --or-mark 0x4000", 1, 0x4001),
        ("MARK --xor-mark 0x4000", 0x4001, 1),
        ("MARK --and-mark 0xff", 0x1234, 0x34),
        ("CONNMARK --restore-mark", 5, 0),
        ("CONNMARK --restore-mark --nfmask 0xf0 --ctmask 0xf0", 0xAB, 0x0B),
    ],
)
def test_marks(target: str, before: int, after: int) -> None:
    found = actions(target, packet(mark=before))
    assert [(action.mark, action.effects, action.flow) for action in found] == [(after, (SetMark(after),), Flow.NEXT)]


def test_a_connections_mark_is_restored_when_it_is_known() -> None:
    assert actions("CONNMARK --restore-mark", packet(ct_mark=7))[0].mark == 7
    assert actions("CONNMARK --restore-mark", packet(ct_state="ESTABLISHED"))[0].flow is Flow.UNKNOWN


@pytest.mark.parametrize("target", ["CT --notrack", "NOTRACK"])
def test_untracked(target: str) -> None:
    assert actions(target)[0].effects == (NoTrack(),)


@pytest.mark.parametrize(
    "target",
    ["LOG", "NFLOG", "TRACE", "TCPMSS --clamp-mss-to-pmtu", "CHECKSUM --checksum-fill", "CT --zone 5",
     "CONNMARK --save-mark", "AUDIT --type accept", "TTL --ttl-set 5", "SET --add-set S src"],
)  # fmt: skip
def test_targets_that_let_the_packet_go_on(target: str) -> None:
    assert [(action.verdict, action.flow, action.effects, action.mark) for action in actions(target)] == [
        (None, Flow.NEXT, (), None)
    ]


def test_return() -> None:
    assert actions("RETURN")[0].flow is Flow.RETURN
