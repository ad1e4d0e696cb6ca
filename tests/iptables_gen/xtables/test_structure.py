"""Rulesets as data: chains after their commands, merging, canonical form, explaining, hooks."""

from __future__ import annotations

import pytest

from iptables_gen.dataplane import Hook
from iptables_gen.origin import Origin
from iptables_gen.xtables.canonical import canonical
from iptables_gen.xtables.ir import Chain, Row, RowTemplate, Rule, Ruleset, Style, Table, chains_of, merge
from iptables_gen.xtables.text import guess_family, parse, render
from tests.iptables_gen.xtables.xtables_views import dataplane

TEXT = """*filter
:INPUT DROP [7:8]
:A - [0:0]
:B - [0:0]
-A INPUT -j A
-A A -m set --match-set S src -j B
-A B -j DROP
-X B
-N B
-F A
-A A -j RETURN
COMMIT
"""


def test_commands_are_obeyed_in_order() -> None:
    (table,) = parse(TEXT).tables
    chains = chains_of(table)
    assert {name: [rule.text for rule in chain.rules] for name, chain in chains.items()} == {
        "INPUT": ["-A INPUT -j A"],
        "A": ["-A A -j RETURN"],
        "B": [],
    }
    assert chains["INPUT"].policy == "DROP"


def test_a_dump_is_printed_sorted_by_chain() -> None:
    chains = "*nat\n:Z - [0:0]\n:OUTPUT ACCEPT [0:0]\n:PREROUTING ACCEPT [0:0]\n:A - [0:0]\n"
    text = f"{chains}-A Z -j A\n-A A\n-A OUTPUT -j Z\nCOMMIT\n"
    assert render(parse(text), Style.SAVE) == (
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:A - [0:0]\n:Z - [0:0]\n"
        "-A OUTPUT -j Z\n-A A\n-A Z -j A\nCOMMIT\n"
    )


def test_counters_are_kept() -> None:
    text = "*filter\n:INPUT ACCEPT [1:2]\n[3:4] -A INPUT -j DROP\nCOMMIT\n"
    assert render(parse(text), Style.SAVE) == text
    assert canonical(parse(text)) == "*filter\n:INPUT ACCEPT\n-A INPUT -j DROP\nCOMMIT\n"


def test_dispatch_chains_have_no_order_and_others_have() -> None:
    def ruleset(chain: str, *names: str) -> Ruleset:
        rules = [f"-A {chain} -j {name}" for name in names]
        last = f'-A {chain} -m comment --comment "this must be the last rule in this chain" -j A'
        return parse("\n".join(["*nat", f":{chain} -", *rules, last, "COMMIT"]))

    one, other = ("KUBE-SVC-A", "KUBE-SVC-B"), ("KUBE-SVC-B", "KUBE-SVC-A")
    assert canonical(ruleset("KUBE-SERVICES", *one)) == canonical(ruleset("KUBE-SERVICES", *other))
    assert canonical(ruleset("KUBE-SVC-X", *one)) != canonical(ruleset("KUBE-SVC-X", *other))
    assert canonical(ruleset("KUBE-SERVICES", *one)).split("\n")[-3].endswith("-j A")


def test_rulesets_loaded_one_after_another() -> None:
    one = parse("*filter\n:INPUT ACCEPT\n-A INPUT -j A\nCOMMIT\n*raw\nCOMMIT\n")
    other = parse("*nat\nCOMMIT\n*filter\n:INPUT DROP\n:A -\n-A INPUT -j DROP\n-A A\nCOMMIT\n")
    merged = merge(one, other)
    assert [table.name for table in merged.tables] == ["filter", "raw", "nat"]
    assert [line.name for line in merged.tables[0].chain_lines] == ["INPUT", "A"]
    assert chains_of(merged.tables[0])["INPUT"].policy == "ACCEPT"
    assert [rule.text for rule in chains_of(merged.tables[0])["INPUT"].rules] == ["-A INPUT -j A", "-A INPUT -j DROP"]
    assert merged.table("mangle") is None


def test_rows_know_their_chain_and_origin() -> None:
    template = RowTemplate("nat", "", "-A {0} -s {1} -j M", "-A {0} -s {1}/32 -j M")
    origin = Origin("Service", "ns", "name")
    row = Row(template, ("C", "10.0.0.1"), lambda: origin)
    assert (row.table, row.chain, row.text) == ("nat", "C", "-A C -s 10.0.0.1/32 -j M")
    assert row.render(Style.RESTORE) == "-A C -s 10.0.0.1 -j M"
    assert row.origin is origin
    assert row._replace(provenance=origin).origin is origin
    assert row._replace(provenance=None).origin is None
    assert Row(RowTemplate("nat", "D", "-A D", "-A D"), ()).chain == "D"
    ruleset = Ruleset(4, (Table("nat", (), (row, Rule("nat", "D"))),))
    assert render(ruleset, Style.RESTORE) == "*nat\n-A C -s 10.0.0.1 -j M\n-A D\nCOMMIT\n"
    assert chains_of(ruleset.tables[0])["C"] == Chain("C", None, (row,))


def test_explain_shows_a_chain_and_who_refers_to_it() -> None:
    plane = dataplane(TEXT.replace("-X B\n-N B\n-F A\n", ""))
    assert [rule.text for rule in plane.explain("B")] == ["-A B -j DROP", "-A A -m set --match-set S src -j B"]
    assert [rule.text for rule in plane.explain("S")] == ["-A A -m set --match-set S src -j B"]
    assert plane.explain("NOWHERE") == ()
    assert [rule.text for rule in plane.explain("A")][-1] == "-A INPUT -j A"


def test_hooks_and_their_priorities() -> None:
    chains = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
    blocks = []
    for table in ("raw", "mangle", "nat", "filter", "security"):
        blocks.append("\n".join([f"*{table}", *(f"-A {chain} -j LOG" for chain in chains), "COMMIT"]))
    found = {(one.table, one.hook, one.priority, one.nat) for one in dataplane("\n".join(blocks)).hooks()}
    kernel = {
        ("raw", -300, ("PREROUTING", "OUTPUT")), ("mangle", -150, chains), ("nat", -100, ("PREROUTING", "OUTPUT")),
        ("nat", 100, ("INPUT", "POSTROUTING")), ("filter", 0, ("INPUT", "FORWARD", "OUTPUT")),
        ("security", 50, ("INPUT", "FORWARD", "OUTPUT")),
    }  # fmt: skip
    assert found == {(t, Hook[name], p, t == "nat") for t, p, names in kernel for name in names}


def test_chains_that_do_nothing_are_not_hooked() -> None:
    plane = dataplane("*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A OUTPUT -j LOG\nCOMMIT\n")
    assert {one.hook for one in plane.hooks()} == {Hook.FORWARD, Hook.OUTPUT}
    assert plane.render().keys() == {"iptables.save"}
    assert dataplane("*filter\nCOMMIT\n", 6).render().keys() == {"ip6tables.save"}


@pytest.mark.parametrize(
    ("line", "family"),
    [
        ("-A A -s 10.0.0.1 -j DROP", 4),
        ('-A A -m comment --comment "a:b:c::1" -j DROP', 4),
        ("-A A -s fd00::1 -j DROP", 6),
        ("-A A ! -d ::1/128 -j DROP", 6),
        ("-A A -p tcp -j DNAT --to-destination [fd00::1]:80", 6),
        ("-A A -p tcp -j DNAT --to-destination 10.0.0.1:80", 4),
        ("-A A -p tcp -j DNAT --to-destination :80", 4),
        ("-A A -p ipv6-icmp -j DROP", 6),
        ("-A A -j REJECT --reject-with icmp6-port-unreachable", 6),
        ("-A A -j DROP", 4),
    ],
)
def test_the_family_is_guessed_from_what_rules_say(line: str, family: int) -> None:
    text = f"*filter\n{line}\nCOMMIT\n"
    assert guess_family(text) == family
    assert parse(text).family == family
    assert guess_family(f"# Generated by ip6tables-save\n{text}") == 6
