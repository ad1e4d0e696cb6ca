"""What a packet meets in nft tables: verdicts, effects, exact shares, and what stays undetermined."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.effects import (
    Accept,
    Assumed,
    Dnat,
    Drop,
    Masquerade,
    Path,
    Reject,
    Remember,
    RuleHit,
    SetMark,
    Snat,
    Undetermined,
)
from iptables_gen.nft.dataplane import NftDataplane
from iptables_gen.nft.text import parse
from tests.iptables_gen.nft.nft_views import FakeHost, FakePacket, ip, packet


def run(
    rules: str,
    given: FakePacket,
    host: FakeHost | None = None,
    *,
    more: str = "",
    policy: str = "accept",
    kind: str = "filter",
) -> tuple[Path, ...]:
    family = "ip" if given.family == 4 else "ip6"
    base = f"type {kind} hook prerouting priority 0 ; policy {policy} ;"
    text = f"table {family} t {{\n{more}\nchain base {{ {base}\n{rules}\n}}\n}}\n"
    [entry] = NftDataplane(given.family, tables=parse(text)).hooks()
    return entry.run(given, host or FakeHost())


def verdict_of(rules: str, given: FakePacket, host: FakeHost | None = None, *, more: str = "") -> object:
    [path] = run(rules, given, host, more=more)
    assert path.weight == 1
    return path.verdict


SETS = """
set few { type ipv4_addr ; elements = { 10.0.0.1, 10.0.0.2 } ; }
set nets { type ipv4_addr . inet_service ; flags interval ; elements = { 10.0.0.0/8 . 80-90 } ; }
set names { type ifname ; elements = { "lo", "veth*" } ; }
map to { type ipv4_addr . inet_proto . inet_service : verdict
elements = { 10.0.0.1 . tcp . 80 : goto end, 10.0.0.2 . tcp . 80 : drop } ; }
chain end { reject
}
"""


@pytest.mark.parametrize(
    ("rule", "given", "matches"),
    [
        pytest.param("ip saddr 10.0.0.0/8", packet(), True, id="in-prefix"),
        pytest.param("ip saddr != 10.0.0.0/8", packet(), False, id="not-in-prefix"),
        pytest.param("ip daddr @few", packet(), True, id="in-set"),
        pytest.param("ip daddr != @few", packet(), False, id="not-in-set"),
        pytest.param("ip daddr . th dport @nets", packet(dport=85), True, id="in-range-of-concatenation"),
        pytest.param("ip daddr . th dport @nets", packet(dport=91), False, id="beyond-range-of-concatenation"),
        pytest.param("ip daddr { 10.0.0.7-10.0.0.9 }", packet(dst="10.0.0.8"), True, id="in-interval"),
        pytest.param("tcp dport 80", packet(), True, id="tcp-port"),
        pytest.param("udp dport 80", packet(), False, id="other-protocol"),
        pytest.param("udp dport != 80", packet(), False, id="a-missing-header-breaks-even-negated"),
        pytest.param("th dport 80", packet(protocol="udp"), True, id="any-transport"),
        pytest.param("th dport 80", packet(protocol="icmp"), False, id="no-ports"),
        pytest.param("meta l4proto 6", packet(), True, id="protocol-by-number"),
        pytest.param("meta l4proto { tcp, udp }", packet(), True, id="protocol-in-set"),
        pytest.param("ip protocol icmp", packet(protocol="icmp"), True, id="ip-protocol"),
        pytest.param("ip6 saddr fd00::/8", packet("fd00::1", "fd00::2"), True, id="ipv6"),
        pytest.param("ip6 saddr fd00::/8", packet(), False, id="ipv6-field-of-an-ipv4-packet"),
        pytest.param("meta nfproto ipv4", packet(), True, id="nfproto"),
        pytest.param("meta mark 0x10", packet(mark=16), True, id="mark"),
        pytest.param("meta mark & 0xf0 == 0x10", packet(mark=0x1F), True, id="masked-mark"),
        pytest.param("mark and 0x4000 != 0", packet(), False, id="mark-bit-clear"),
        pytest.param("meta mark != 0x00000000/1", packet(mark=1 << 31), True, id="highest-bit"),
        pytest.param("meta mark 0x01000000/8", packet(mark=0x01FFFFFF), True, id="leading-bits"),
        pytest.param("meta mark < 5", packet(mark=4), True, id="mark-below"),
        pytest.param('iifname "eth0"', packet(in_interface="eth0"), True, id="interface"),
        pytest.param('iifname "eth*"', packet(in_interface="eth0"), True, id="interface-wildcard"),
        pytest.param("iifname @names", packet(in_interface="veth7"), True, id="interface-wildcard-in-set"),
        pytest.param("iifname @names", packet(in_interface="eth0"), False, id="interface-not-in-set"),
        pytest.param("ct state new", packet(), True, id="new"),
        pytest.param("ct state established,related", packet(), False, id="not-established"),
        pytest.param("ct state { new, invalid }", packet(), True, id="state-in-set"),
        pytest.param("ct status dnat", packet(ct_dnat=True), True, id="translated"),
        pytest.param("ct status dnat", packet(), False, id="not-translated"),
        pytest.param("ct status != snat", packet(), True, id="source-not-translated"),
        pytest.param("ip daddr 10.0.0.1 tcp dport { 22, 80 }", packet(), True, id="two-matches"),
        pytest.param("tcp dport http", packet(), True, id="port-by-name"),
    ],
)
def test_matches(rule: str, given: FakePacket, matches: bool) -> None:
    more = SETS if given.family == 4 else ""
    assert verdict_of(f"{rule} drop", given, more=more) == (Drop() if matches else Accept())


@pytest.mark.parametrize(
    ("rules", "given", "wanted"),
    [
        pytest.param("ip daddr . meta l4proto . th dport vmap @to", packet(), Reject(), id="goto-by-map"),
        pytest.param("ip daddr . meta l4proto . th dport vmap @to", packet(dst="10.0.0.2"), Drop(), id="drop-by-map"),
        pytest.param("ip daddr vmap { 10.0.0.9 : drop }\naccept", packet(), Accept(), id="not-in-map-goes-on"),
        pytest.param("tcp dport vmap { 1-1000 : drop }", packet(), Drop(), id="range-in-a-map"),
        pytest.param("jump end\naccept", packet(), Reject(), id="jump"),
        pytest.param("jump nowhere\ndrop", packet(), Drop(), id="a-chain-that-is-not-there-is-empty"),
        pytest.param("return\ndrop", packet(), Accept(), id="return-in-a-base-chain-is-the-policy"),
        pytest.param("continue\ndrop", packet(), Drop(), id="continue"),
        pytest.param("counter\nlog\ndrop", packet(), Drop(), id="counters-and-logs-do-nothing"),
        pytest.param("reject with tcp reset", packet(), Reject("tcp-reset"), id="reset"),
        pytest.param("reject with icmpx admin-prohibited", packet(), Reject("icmp-admin-prohibited"), id="prohibited"),
        pytest.param("reject", packet("fd00::1", "fd00::2"), Reject("icmp6-port-unreachable"), id="reject-ipv6"),
    ],
)
def test_verdicts(rules: str, given: FakePacket, wanted: object) -> None:
    more = SETS if given.family == 4 else ""
    assert verdict_of(rules, given, more=more) == wanted


def test_goto_does_not_come_back_but_jump_does() -> None:
    chains = "chain sub { counter\n}\n"
    assert verdict_of("jump sub\ndrop", packet(), more=chains) == Drop()
    assert verdict_of("goto sub\ndrop", packet(), more=chains) == Accept()


def test_a_policy_drops_what_no_rule_decides() -> None:
    [path] = run("tcp dport 81 accept", packet(), policy="drop")
    assert path.verdict == Drop(policy=True)


def test_a_later_rule_sees_the_mark_that_an_earlier_one_set() -> None:
    [path] = run("mark set mark or 0x4000\nmark and 0x4000 != 0 mark set mark xor 0x4000 masquerade", packet(mark=1))
    assert [e for e in path.effects if isinstance(e, SetMark)] == [SetMark(0x4001), SetMark(1)]
    assert path.effects[-1] == Masquerade()
    assert [e.verdict for e in path.effects if isinstance(e, RuleHit)] == ["MARK 0x4001", "MASQUERADE"]


@pytest.mark.parametrize(
    ("rule", "effect"),
    [
        pytest.param("dnat to 10.1.1.1:8080", Dnat(ip("10.1.1.1"), 8080), id="dnat-with-port"),
        pytest.param("dnat to 10.1.1.1", Dnat(ip("10.1.1.1"), None), id="dnat-keeps-the-port"),
        pytest.param("snat to 10.1.1.1", Snat(ip("10.1.1.1")), id="snat"),
        pytest.param("masquerade fully-random", Masquerade(True), id="masquerade"),
        pytest.param("redirect to :81", Dnat(ip("127.0.0.1"), 81), id="redirect-of-a-local-packet"),
        pytest.param("dnat to ip daddr map { 10.0.0.1 : 10.1.1.1 }", Dnat(ip("10.1.1.1"), None), id="dnat-by-map"),
        pytest.param("add @seen { ip saddr timeout 1m }", Remember("seen", ip("10.0.0.9"), 60), id="remember"),
    ],
)
def test_effects(rule: str, effect: object) -> None:
    [path] = run(rule, packet(), kind="nat")
    assert path.effects[-1] == effect
    assert path.verdict == Accept()


def test_a_redirect_of_a_packet_from_outside_goes_to_the_interface_it_came_in_by() -> None:
    [path] = run("redirect", packet(in_interface="eth0"), kind="nat")
    assert path.effects[-1] == Dnat(ip("192.0.2.1"), None)


def test_a_random_choice_is_every_endpoint_with_its_exact_share() -> None:
    choices = ", ".join(f"{n} : 10.1.1.{n} . 80" for n in range(3))
    paths = run(f"dnat ip to numgen random mod 3 map {{ {choices} }}", packet(), kind="nat")
    assert [path.weight for path in paths] == [Fraction(1, 3)] * 3
    assert [path.effects[-1] for path in paths] == [Dnat(ip(f"10.1.1.{n}"), 80) for n in range(3)]
    assert all(isinstance(p.effects[0], RuleHit) and p.effects[0].choice == Fraction(1, 3) for p in paths)


def test_numbers_that_lead_to_the_same_end_are_one_path() -> None:
    paths = run("numgen random mod 100 < 30 drop", packet())
    assert {(type(path.verdict), path.weight) for path in paths} == {(Drop, Fraction(3, 10)), (Accept, Fraction(7, 10))}


def test_two_choices_one_after_the_other_multiply() -> None:
    paths = run("numgen random mod 2 vmap { 0 : drop }\nnumgen random mod 3 vmap { 1 : drop }", packet())
    shares = sorted((type(path.verdict).__name__, path.weight) for path in paths)
    assert shares == [("Accept", Fraction(1, 3)), ("Drop", Fraction(1, 6)), ("Drop", Fraction(1, 2))]


def test_a_round_robin_counter_is_an_even_choice_and_says_so() -> None:
    paths = run("numgen inc mod 2 vmap { 0 : accept, 1 : drop }", packet())
    assert [path.weight for path in paths] == [Fraction(1, 2)] * 2
    assert all(any(isinstance(e, Assumed) and e.code == "ROUND_ROBIN" for e in p.effects) for p in paths)


@given(st.integers(1, 40), st.lists(st.integers(0, 39), max_size=10, unique=True), st.integers(0, 45))
def test_weights_always_sum_to_one(modulus: int, present: list[int], below: int) -> None:
    elements = ", ".join(f"{n} : 10.1.1.{n} . 80" for n in present) or "99 : 10.1.1.1 . 80"
    draw = f"numgen random mod {modulus}"
    rules = f"{draw} < {below} mark set 0x1\ndnat ip to {draw} map {{ {elements} }}"
    paths = run(rules, packet(), kind="nat")
    assert sum(path.weight for path in paths) == 1
    hit = sum(path.weight for path in paths if any(isinstance(e, Dnat) for e in path.effects))
    assert hit == Fraction(len([n for n in present if n < modulus]), modulus)


AFFINITY = "set sticky { type ipv4_addr ; flags dynamic,timeout ; timeout 10s ; }\n"


@pytest.mark.parametrize(
    ("age", "known"),
    [
        pytest.param(None, False, id="never-seen"),
        pytest.param(9.9, True, id="young"),
        pytest.param(10.0, False, id="timed-out"),
    ],
)
def test_a_dynamic_set_holds_whom_the_host_remembers(age: float | None, known: bool) -> None:
    ages = {} if age is None else {("sticky", ip("10.0.0.9")): age}
    verdict = verdict_of("ip saddr @sticky drop", packet(), FakeHost(ages=ages), more=AFFINITY)
    assert verdict == (Drop() if known else Accept())


def test_an_update_uses_the_timeout_of_its_set() -> None:
    [path] = run("update @sticky { ip saddr }", packet(), more=AFFINITY)
    assert path.effects[-1] == Remember("sticky", ip("10.0.0.9"), 10)


def test_a_listed_element_of_a_dynamic_set_is_in_it() -> None:
    more = "set s { type ipv4_addr ; flags dynamic,timeout ; timeout 1h ; elements = { 10.0.0.9 expires 30m } ; }\n"
    assert verdict_of("ip saddr @s drop", packet(), more=more) == Drop()


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        pytest.param("meta skuid 1000 drop", Undetermined, id="an-unknown-match-that-would-decide"),
        pytest.param("meta skuid 1000 tcp dport 81 drop", Accept, id="a-later-match-fails-anyway"),
        pytest.param("meta skuid 1000 counter", Accept, id="nothing-depends-on-it"),
        pytest.param("tcp dport 81 meta skuid 1000 drop", Accept, id="an-earlier-match-fails"),
        pytest.param("ip daddr @nosuch drop", Undetermined, id="a-set-that-is-not-there"),
        pytest.param("tproxy to :80", Undetermined, id="an-unknown-statement"),
        pytest.param("meta mark nonsense drop", Undetermined, id="a-word-that-is-no-mark"),
        pytest.param("limit rate 1/second accept\ndrop", Undetermined, id="a-rate-limit"),
        pytest.param("numgen random mod 100000 < 5 drop", Undetermined, id="too-many-numbers"),
        pytest.param("fib saddr . iif oif missing drop", Undetermined, id="a-route-look-up-of-another-kind"),
        pytest.param("icmp type echo-request drop", Accept, id="another-protocol"),
        pytest.param("ip ttl 1 drop", Undetermined, id="a-field-that-is-not-modelled"),
        pytest.param("jump base", Undetermined, id="an-endless-jump"),
        pytest.param("drop\nmeta skuid 1 accept", Drop, id="decided-before"),
    ],
)
def test_what_is_not_known_is_never_guessed(rules: str, wanted: type) -> None:
    verdict = verdict_of(rules, packet())
    assert isinstance(verdict, wanted)
    if isinstance(verdict, Undetermined):
        assert verdict.rule.chain == "base"
        assert verdict.rule.table == "ip t"


def test_address_types_are_asked_of_the_host() -> None:
    host = FakeHost(local=frozenset({ip("10.0.0.1")}))
    assert verdict_of("fib daddr type local drop", packet(), host) == Drop()
    assert verdict_of("fib saddr type local drop", packet(), host) == Accept()
    assert verdict_of("fib daddr type != local drop", packet(), host) == Accept()


def test_inet_tables_serve_both_families_and_other_families_none() -> None:
    text = (
        "table inet a { chain c { type filter hook input priority 0; drop\n} }\n" + text_of("ip6") + text_of("netdev")
    )
    for family, expected in ((4, 1), (6, 2)):
        assert len(NftDataplane(family, tables=parse(text)).hooks()) == expected  # type: ignore[arg-type]


def text_of(family: str) -> str:
    return f"table {family} x {{ chain c {{ type filter hook input priority 0; accept\n}} }}\n"


def test_explain_finds_the_rules_of_a_chain_and_those_that_lead_to_it() -> None:
    base = "chain base { type filter hook input priority 0;\njump end\nip saddr @few drop\n}"
    text = f"table ip t {{\n{SETS}\n{base}\n}}\n"
    program = NftDataplane(4, tables=parse(text))
    assert [ref.text for ref in program.explain("end")] == ["reject", "jump end", "10.0.0.1 . tcp . 80 : goto end"]
    assert [ref.text for ref in program.explain("@few")] == ["10.0.0.1", "10.0.0.2", "ip saddr @few drop"]
    assert program.explain("nothing") == ()
