"""nft text both ways: what rulesets of nodes hold, what is kept verbatim, and what is refused with its place."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.nft.canonical import canonical
from iptables_gen.nft.ir import Base, Chain, ChainRule, Command, Rule, apply, priority_name
from iptables_gen.nft.lexer import Words, tokens
from iptables_gen.nft.literals import Address, Interval, Number, Prefix, Style, Word, parse_literal
from iptables_gen.nft.matches import Match, Opaque
from iptables_gen.nft.rules import parse_rule
from iptables_gen.nft.sets import AnonymousSet, Element, merged, parse_time, render_time
from iptables_gen.nft.statements import VerdictStatement
from iptables_gen.nft.text import parse, parse_commands, render_commands, render_tables


def rule_of(text: str) -> Rule:
    return parse_rule(Words(list(tokens(text)), text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("ct state established,related accept", id="several-connection-states"),
        pytest.param("ct state { new, untracked } counter packets 0 bytes 0 drop", id="states-in-a-set"),
        pytest.param("ct state != invalid return", id="negated-state"),
        pytest.param('iifname "eth0" oifname != "cni*" jump forward-out', id="interface-names-and-wildcards"),
        pytest.param("tcp dport { 22, 80, 8000-8999 } accept", id="ports-and-a-range"),
        pytest.param("ip saddr 10.0.0.0/8 ip daddr != 10.1.2.3 goto other", id="prefix-and-address"),
        pytest.param("ip6 daddr fd00::/8 meta l4proto { tcp, udp } return", id="ipv6-prefix"),
        pytest.param("ip daddr . tcp dport { 10.0.0.1 . 80, 10.0.0.2 . 443 } drop", id="concatenation-in-a-set"),
        pytest.param("udp dport 53 dnat to 10.0.0.1:5353", id="dnat-with-port"),
        pytest.param("dnat to 10.0.0.1", id="dnat-without-port"),
        pytest.param("dnat ip6 to [fd00::1]:80", id="dnat-to-ipv6"),
        pytest.param("snat to 192.0.2.1 fully-random,persistent", id="snat-with-flags"),
        pytest.param("masquerade random", id="masquerade-random"),
        pytest.param("tcp dport 80 redirect to :8080", id="redirect"),
        pytest.param("numgen random mod 100 < 30 drop", id="a-share-by-comparison"),
        pytest.param("numgen inc mod 2 offset 10 vmap { 10 : accept, 11 : goto b }", id="round-robin-with-offset"),
        pytest.param("meta mark & 0x000000ff == 0x00000001 accept", id="masked-mark"),
        pytest.param("meta mark set meta mark | 0x00004000", id="mark-set"),
        pytest.param("meta mark 0x01000000/8 accept", id="leading-bits-of-a-mark"),
        pytest.param("meta mark != 0x00000000/1 drop", id="highest-bit-of-a-mark"),
        pytest.param("ct mark set meta mark", id="connection-mark-from-mark"),
        pytest.param("fib saddr . iif oif missing drop", id="reverse-path-check"),
        pytest.param("reject with tcp reset", id="tcp-reset"),
        pytest.param("reject with icmpx admin-prohibited", id="admin-prohibited"),
        pytest.param('log prefix "dropped: " level info drop', id="log-with-prefix"),
        pytest.param("limit rate 10/second burst 5 packets accept", id="rate-limit"),
        pytest.param("limit rate over 1/minute drop", id="rate-limit-over"),
        pytest.param("add @seen { ip saddr timeout 1m } accept", id="dynamic-set-with-timeout"),
        pytest.param("icmp type echo-request accept", id="icmp-type"),
        pytest.param('ip saddr 10.0.0.1 drop comment "why"', id="comment"),
        pytest.param("notrack", id="notrack"),
        pytest.param('xt match "comment" accept', id="iptables-nft-comment"),
    ],
)
def test_a_listed_rule_is_printed_as_it_was_read(text: str) -> None:
    rule = rule_of(text)
    assert rule.render(Style.LIST) == text
    assert rule_of(rule.render(Style.INPUT)) == rule


@pytest.mark.parametrize(
    ("text", "kept", "comment"),
    [
        pytest.param("tcp flags syn / fin,syn accept", "tcp flags syn / fin,syn accept", "", id="flags-with-mask"),
        pytest.param('ip saddr 10.0.0.1 tproxy to :80 comment "x"', "tproxy to :80", "x", id="unknown-statement"),
        pytest.param(
            "jhash ip saddr mod 2 vmap { 0 : drop }", "jhash ip saddr mod 2 vmap { 0 : drop }", "", id="jhash"
        ),
        pytest.param("ct original saddr 10.0.0.1 drop", "ct original saddr 10.0.0.1 drop", "", id="ct-direction"),
        pytest.param("queue to 0", "queue to 0", "", id="queue"),
    ],
)
def test_what_is_not_known_survives_verbatim(text: str, kept: str, comment: str) -> None:
    rule = rule_of(text)
    assert rule.statements[-1] == Opaque(kept)
    assert rule.comment == comment
    assert rule.render(Style.LIST) == text


LISTING = """table inet filter {
	flags dormant
	set blocked {
		typeof ip saddr . tcp dport
		flags interval
		auto-merge
		elements = { 10.0.0.1 . 80,
			10.0.0.0/8 . 443 comment "net" }
	}

	map verdicts {
		type ifname : verdict
		elements = { "eth0" : jump inbound,
			"veth*" : accept }
	}

	chain inbound {
		comment "from outside"
		type filter hook input priority filter - 5; policy drop;
		ct state established accept # handle 12
	}
}
"""  # fmt: skip


def test_a_listing_is_read_with_sets_maps_policies_and_comments() -> None:
    [table] = parse(LISTING).values()
    chain = table.chains["inbound"]
    assert chain.base == Base("filter", "input", -5, "drop")
    assert chain.comment == "from outside"
    assert table.flags == ("dormant",)
    assert table.sets["blocked"].key_types == ("ipv4_addr", "inet_service")
    assert table.sets["blocked"].elements[1] == Element((Prefix("10.0.0.0", 8), Number(443)), None, "net")
    assert [e.key for e in table.sets["verdicts"].elements] == [(Word("eth0"),), (Word("veth*"),)]
    assert parse(render_tables([table])) == {("inet", "filter"): table}


def test_objects_that_are_not_known_are_kept_in_the_listing() -> None:
    text = "table ip t {\n\tcounter seen {\n\t\tpackets 1 bytes 2\n\t}\n\n\tchain c {\n\t\taccept\n\t}\n}\n"
    [table] = parse(text).values()
    assert table.opaque == ("\tcounter seen { packets 1 bytes 2 }",)
    assert list(table.chains) == ["c"]


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        pytest.param("table ip t {\n\tchain c {\n", 2, 11, "expected '}'", id="chain-never-closed"),
        pytest.param("add chain ip t c\n", 1, 16, "names ('ip', 't')", id="chain-in-no-table"),
        pytest.param("add table ip t\nad chain ip t c\n", 2, 1, "unknown command 'ad'", id="misspelt-verb"),
        pytest.param("add wall ip t c\n", 1, 5, "unknown object 'wall'", id="unknown-object"),
        pytest.param("table ip t {\n set s {\n  kind x\n }\n}", 3, 3, "unknown clause 'kind'", id="unknown-clause"),
        pytest.param(
            "add chain ip t c { type filter hook input priority high ; }", 1, 52, "is not a priority", id="priority"
        ),
        pytest.param("add element ip t s { 1.1.1.1 2.2.2.2 }", 1, 30, "expected ','", id="comma-missing"),
    ],
)
def test_a_mistake_is_reported_with_its_place(text: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(RulesetSyntaxError) as caught:
        parse(text, "node.nft")
    assert problem in str(caught.value)
    assert caught.value.line == line
    assert abs(caught.value.column - column) <= 2
    assert str(caught.value).startswith(f"node.nft:{line}:")


def test_flushing_the_ruleset_forgets_what_came_before() -> None:
    assert list(parse("table ip a {\n}\nadd table ip b\nflush ruleset\ntable ip c {\n}\n")) == [("ip", "c")]


@given(st.text(alphabet=string.printable, max_size=80))
def test_no_text_raises_anything_but_a_syntax_error(text: str) -> None:
    try:
        parse(text)
        parse("table ip t { chain c {\n" + text + "\n} }")
    except RulesetSyntaxError:
        pass


RULE_WORDS = "ip saddr daddr tcp dport vmap { } , : . accept drop jump goto 10.0.0.1 80 @s mark set or 0x1 comment !="
WORDS = st.sampled_from(RULE_WORDS.split())


@given(st.lists(WORDS, max_size=12))
def test_any_words_of_a_rule_are_printed_so_that_they_read_the_same(words: list[str]) -> None:
    try:
        rule = rule_of(" ".join(words))
    except RulesetSyntaxError:
        return
    for style in Style:
        try:
            again = rule_of(rule.render(style))
        except RulesetSyntaxError:
            continue
        assert again.render(style) == rule.render(style)


def test_commands_apply_in_order_and_print_as_they_were_read() -> None:
    text = (
        "add table ip t\nadd chain ip t a\nadd rule ip t a accept\nflush chain ip t a\nadd rule ip t a drop\n"
        "insert rule ip t a return\nadd set ip t s { type ipv4_addr ; }\nadd element ip t s { 10.0.0.1 , 10.0.0.2 }\n"
        "delete element ip t s { 10.0.0.1 }\nadd chain ip t b\ndelete chain ip t b\n"
    )
    commands = parse_commands(text)
    assert render_commands(commands) == text
    [table] = apply(commands).values()
    assert [rule.render(Style.LIST) for rule in table.chains["a"].rules] == ["return", "drop"]
    assert [element.key for element in table.sets["s"].elements] == [(Address("10.0.0.2"),)]
    assert list(table.chains) == ["a"]


@pytest.mark.parametrize(
    ("priority", "hook", "name"),
    [
        pytest.param(-110, "prerouting", "dstnat - 10", id="below-dstnat"),
        pytest.param(-110, "output", "-110", id="no-dstnat-in-output"),
        pytest.param(-100, "output", "-100", id="nat-output"),
        pytest.param(0, "forward", "filter", id="filter"),
        pytest.param(5, "input", "filter + 5", id="above-filter"),
        pytest.param(100, "postrouting", "srcnat", id="srcnat"),
        pytest.param(-90, "prerouting", "dstnat + 10", id="above-dstnat"),
    ],
)
def test_priorities_are_listed_by_name_where_the_hook_has_one(priority: int, hook: str, name: str) -> None:
    assert priority_name(priority, hook) == name
    [command] = parse_commands(f"add chain ip t c {{ type filter hook {hook} priority {name} ; }}")
    assert isinstance(command.thing, Chain)
    assert command.thing.base is not None
    assert command.thing.base.priority == priority


def set_of(*words: str) -> AnonymousSet:
    return AnonymousSet(tuple(Element((parse_literal(word),)) for word in words))


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        pytest.param(("198.51.100.0/24", "10.20.0.0/16"), "{ 10.20.0.0/16, 198.51.100.0/24 }", id="sorted"),
        pytest.param(
            ("192.168.10.0/24", "198.51.100.7/32", "203.0.113.18", "203.0.113.19"),
            "{ 192.168.10.0/24, 198.51.100.7, 203.0.113.18/31 }",
            id="neighbours-become-a-prefix",
        ),
        pytest.param(("10.0.0.0/8", "10.1.0.0/16"), "10.0.0.0/8", id="one-inside-the-other"),
        pytest.param(("10.0.0.0/8",), "10.0.0.0/8", id="a-single-element-needs-no-braces"),
        pytest.param(("10.0.0.1", "10.0.0.0/31", "10.0.0.2"), "10.0.0.0-10.0.0.2", id="a-range-that-is-no-prefix"),
        pytest.param(("10.0.0.2", "10.0.0.1"), "{ 10.0.0.2, 10.0.0.1 }", id="plain-addresses-stay"),
    ],
)
def test_a_constant_set_is_listed_as_the_kernel_stores_it(words: tuple[str, ...], listed: str) -> None:
    assert set_of(*words).render(Style.LIST) == listed


NETWORKS = st.builds(
    lambda value, length: Prefix(*_masked(value, length)), st.integers(0, (1 << 32) - 1), st.integers(4, 32)
)


def _masked(value: int, length: int) -> tuple[str, int]:
    prefix = parse_literal(f"{Address_text(value)}/{length}")
    assert isinstance(prefix, Prefix)
    return prefix.network, prefix.length


def Address_text(value: int) -> str:
    from iptables_gen.values import format_ip

    return format_ip(4, value)


@given(st.lists(NETWORKS, min_size=1, max_size=6), st.integers(0, (1 << 32) - 1))
def test_merging_networks_never_changes_what_they_hold(networks: list[Prefix], address: int) -> None:
    def holds(elements: tuple[Element, ...]) -> bool:
        return any(low <= address <= high for low, high in map(_bounds, elements))

    elements = tuple(Element((network,)) for network in networks)
    assert holds(merged(elements)) == holds(elements)
    for low, high in map(_bounds, elements):
        assert any(a <= low and high <= b for a, b in map(_bounds, merged(elements)))


def _bounds(element: Element) -> tuple[int, int]:
    match element.key[0]:
        case Prefix() as prefix:
            return prefix.bounds
        case Interval(low, high):
            return low.value, high.value
        case Address() as address:
            return address.value, address.value
        case other:
            raise AssertionError(other)


@given(st.integers(1, 10**7))
def test_times_read_back_in_both_spellings(seconds: int) -> None:
    for style in Style:
        assert parse_time(render_time(seconds, style)) == seconds


def test_a_rule_of_known_words_holds_no_opaque_statement() -> None:
    rule = rule_of("ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin masquerade fully-random")
    assert [type(statement).__name__ for statement in rule.statements] == ["Match", "Match", "MasqueradeStatement"]
    assert isinstance(rule.statements[0], Match)
    command = Command(
        "add", "ip", "t", ChainRule("c", Rule((VerdictStatement(rule_of("drop").statements[0].decision),)))
    )  # type: ignore[union-attr]
    assert render_commands([command]) == "add rule ip t c drop\n"


def test_canonical_text_settles_order_spelling_and_counters() -> None:
    first = (
        "add table ip t\nadd chain ip t b\nadd chain ip t a\nadd set ip t s { type ipv4_addr ; }\n"
        "add element ip t s { 10.0.0.2 }\nadd element ip t s { 10.0.0.1 }\n"
        "add rule ip t a ip saddr { 10.0.0.0/24 , 10.0.1.0/24 } counter mark set mark or 0x1\n"
    )
    second = (
        "table ip t {\n set s {\n type ipv4_addr\n elements = { 10.0.0.1, 10.0.0.2 }\n }\n chain a {\n"
        " ip saddr 10.0.0.0/23 counter packets 7 bytes 99 meta mark set meta mark | 0x00000001\n }\n chain b {\n }\n}\n"
    )
    assert canonical(parse(first).values()) == canonical(parse(second).values())
    assert canonical(parse(first.replace("0x1", "0x2")).values()) != canonical(parse(second).values())
