"""The words of `eval`: verdicts, effects, packets and hosts."""

from __future__ import annotations

import pytest

from iptables_gen.effects import (
    Accept,
    Assumed,
    Dnat,
    Drop,
    Effect,
    IpvsNoServer,
    IpvsSend,
    Masquerade,
    NoTrack,
    Reject,
    Remember,
    RuleHit,
    SetMark,
    Snat,
    Undetermined,
    Verdict,
)
from iptables_gen.evaluation import DumpHost, Seen, effect_text, verdict_text
from iptables_gen.values import parse_ip
from iptables_gen.xtables.ir import Rule
from iptables_gen.xtables.text import parse_rule

RULE: Rule = parse_rule("-A FOO -j DROP")


@pytest.mark.parametrize(
    ("verdict", "want"),
    [
        (Accept(), "ACCEPT"),
        (Drop(), "DROP"),
        (Drop(policy=True), "DROP (policy)"),
        (Reject("tcp-reset"), "REJECT (tcp-reset)"),
        (Undetermined(RULE, "why"), "UNDETERMINED (why; filter: -A FOO -j DROP)"),
        (IpvsSend(1, 80, "TCP 10.0.0.1:80"), "IPVS TCP 10.0.0.1:80"),
        (IpvsNoServer("TCP 10.0.0.1:80"), "IPVS without server TCP 10.0.0.1:80"),
    ],
)
def test_verdicts(verdict: Verdict, want: str) -> None:
    assert verdict_text(verdict) == want


@pytest.mark.parametrize(
    ("effect", "want"),
    [
        (RuleHit(RULE, "DROP"), "filter: -A FOO -j DROP  => DROP"),
        (SetMark(0x4000), "mark becomes 0x4000"),
        (Dnat(0x0A000001, 80), "destination becomes 10.0.0.1:80"),
        (Dnat(0x0A000001, None), "destination becomes 10.0.0.1"),
        (Dnat(None, 80), "destination becomes port 80"),
        (Snat(0x0A000001), "source becomes 10.0.0.1"),
        (Snat(0x0A000001, 5), "source becomes 10.0.0.1:5"),
        (Masquerade(), "source becomes the address of the outgoing interface"),
        (Remember("T", 0x0A000001, 10), "10.0.0.1 is remembered in T"),
        (NoTrack(), "not tracked"),
        (Assumed("CODE", "a thing"), "assumed (CODE): a thing"),
    ],
)
def test_effects(effect: Effect, want: str) -> None:
    assert effect_text(effect, 4) == want


def test_packets_are_written_as_they_are_read() -> None:
    assert str(Seen(4, "icmp", 1, 2)) == "icmp 0.0.0.1 > 0.0.0.2"
    assert str(Seen(6, "tcp", 1, 2, 3, 4, mark=5)) == "tcp [::1]:3 > [::2]:4 mark 0x5"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("192.168.10.1", "LOCAL"),
        ("192.168.10.2", "UNICAST"),
        ("127.0.0.53", "LOCAL"),
        ("224.0.0.1", "MULTICAST"),
        ("255.255.255.255", "BROADCAST"),
        ("0.0.0.0", "UNSPEC"),
        ("::1", "LOCAL"),
        ("::", "UNSPEC"),
        ("ff02::1", "MULTICAST"),
        ("fd00::1", "LOCAL"),
        ("fd00::2", "UNICAST"),
    ],
)
def test_types_of_addresses(address: str, kind: str) -> None:
    host = DumpHost.of(["eth0=192.168.10.1/24", "fd00::1"])
    assert host.address_type(*parse_ip(address)) == kind


def test_the_address_of_an_interface() -> None:
    host = DumpHost.of(["eth0=192.168.10.1/24", "192.168.10.9"])
    assert host.primary_address(4, "eth0") == parse_ip("192.168.10.1")[1]
    assert host.primary_address(6, "eth0") is None
    assert host.primary_address(4, "eth1") is None
    assert host.affinity_age("T", 4, 1) is None
