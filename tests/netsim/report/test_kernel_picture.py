"""`-o kernel`: lines in the shape of the kernel's tools, with every rule that the model says matched."""

from __future__ import annotations

import re

import pytest

from iptables_gen.xtables.text import parse_rule
from netsim.report.kernel_text import kernel_text, verdict_word
from netsim.trace.steps import steps_of
from tests.netsim.report.picture_cases import CASES, answer

# As `xtables-monitor --trace` (iptables 1.8.9) and `nft monitor trace` (1.0.6) printed them for a packet of their own.
PACKET = re.compile(r"^PACKET: (?:2|10) [0-9a-f]{8} (?:IN=\S+ )?(?:OUT=\S+ )?SRC=\S+ DST=\S+ .*SPORT=\d+ DPORT=\d+ .*$")
RULE = re.compile(r"^ TRACE: (?:2|10) [0-9a-f]{8} (\w+):([\w-]+):rule:\S+?:(\S+)  -[46] -t (\w+) (-A .*)$")
POLICY = re.compile(r"^ TRACE: (?:2|10) [0-9a-f]{8} \w+:[\w-]+:policy:(?:ACCEPT|DROP) $")
NFT = re.compile(
    r"^trace id [0-9a-f]{8} ip6? \S+ \S+ (?:packet: .* |rule (.*) \(verdict (.*)\)|policy \w+ (?:meta mark \S+ )?)$"
)
REAL = """\
PACKET: 2 c975fd40 OUT=lo SRC=10.9.9.9 DST=10.9.9.1 LEN=60 TOS=0x0 TTL=64 ID=5606 DF SPORT=46164 DPORT=80 SYN
 TRACE: 2 c975fd40 nat:OUTPUT:rule:0x4:JUMP:FOO  -4 -t nat -A OUTPUT -d 10.9.9.1/32 -j FOO
 TRACE: 2 c975fd40 nat:FOO:rule:0x5:CONTINUE  -4 -t nat -A FOO -j MARK --set-xmark 0x4000/0x4000
 TRACE: 2 c975fd40 nat:FOO:rule:0x6:GOTO:BAR  -4 -t nat -A FOO -p tcp -g BAR
 TRACE: 2 c975fd40 nat:BAR:rule:0x7:ACCEPT  -4 -t nat -A BAR -p tcp -j DNAT --to-destination 10.9.9.9:99
 TRACE: 2 c975fd40 nat:POSTROUTING:policy:ACCEPT
trace id c975fd40 ip t c rule jump d (verdict jump d)
trace id c975fd40 ip t c policy accept meta mark 0x00004000
"""
"""Lines that the tools printed, the blank at the end of some taken off."""


@pytest.mark.parametrize("line", REAL.splitlines())
def test_the_shapes_are_those_of_the_real_tools(line: str) -> None:
    assert any(shape.match(text) for shape in (PACKET, RULE, POLICY, NFT) for text in (line, line + " "))


ALL = pytest.mark.parametrize("case", CASES)


@ALL
def test_every_line_has_the_shape_of_the_kernels_tools(case: str) -> None:
    for line in kernel_text(answer(case), back=True).splitlines():
        shapes = (PACKET, RULE, POLICY, NFT)
        assert line.startswith("# ") or any(shape.match(line) for shape in shapes), line


@ALL
def test_the_rules_are_those_of_the_steps_in_order(case: str) -> None:
    found = answer(case)
    text = kernel_text(found)
    printed = [m[5] if m.re is RULE else m[1] for m in map(rule_of, text.splitlines()) if m and m[m.re.groups]]
    hops = [hop for outcome in found.outcomes for hop in outcome.hops]
    met = [s.rule.text for hop in hops for s in steps_of(hop) if s.rule is not None and s.table != "ipvs"]
    assert printed == met


def rule_of(line: str) -> re.Match[str] | None:
    return RULE.match(line) or NFT.match(line)


def test_iptables_rules_are_read_back() -> None:
    for line in kernel_text(answer("a nodePort from outside")).splitlines():
        match = RULE.match(line)
        if match:
            assert (match[1], match[2]) == (match[4], match[5].split()[1])
            assert parse_rule(match[5], match[1]).text == match[5]


def test_a_packet_comes_before_each_base_chain_with_its_mark_and_interfaces() -> None:
    lines = kernel_text(answer("a nodePort from outside")).splitlines()
    packets = [line for line in lines if PACKET.match(line)][:3]
    assert packets == [
        "PACKET: 2 00000003 IN=eth0 SRC=198.51.100.10 DST=192.168.10.1 TTL=63 SPORT=40000 DPORT=30080 SYN ",
        "PACKET: 2 00000003 IN=eth0 OUT=cni0 SRC=198.51.100.10 DST=10.244.1.10 TTL=63 SPORT=40000 DPORT=8080 SYN "
        "MARK=0x4000 ",
        "PACKET: 2 00000003 OUT=cni0 SRC=198.51.100.10 DST=10.244.1.10 TTL=63 SPORT=40000 DPORT=8080 SYN MARK=0x4000 ",
    ]


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        ("JUMP KUBE-SERVICES", "JUMP:KUBE-SERVICES"),
        ("GOTO external-X", "GOTO:external-X"),
        ("MARK 0x4000", "CONTINUE"),
        ("DNAT 10.0.0.1:80", "ACCEPT"),
        ("MASQUERADE", "ACCEPT"),
        ("REJECT icmp-port-unreachable", "DROP"),
        ("DROP", "DROP"),
        ("RETURN", "RETURN"),
    ],
)
def test_verdicts_are_the_kernels(verdict: str, word: str) -> None:
    assert verdict_word(verdict, ":") == word


def test_policy_lines_are_left_out_where_a_rule_decided() -> None:
    text = kernel_text(answer("no endpoints"))
    assert "filter:KUBE-SERVICES:rule:0x0:DROP" in text
    assert "filter:FORWARD:policy" not in text


def test_ipvs_and_routing_are_comments() -> None:
    text = kernel_text(answer("a nodePort from outside, ipvs"))
    assert re.search(r"^# ipvs IPVS 10\.244\.1\.10:8080$", text, re.MULTILINE)
    assert "# OUTPUT route: rerouted: 10.244.1.0/24 dev cni0" in text
