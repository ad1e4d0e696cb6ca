"""Laws over any rule: what is printed reads back, and printing again changes nothing."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.values import Family
from iptables_gen.xtables.canonical import canonical
from iptables_gen.xtables.evaluate import XtablesDataplane
from iptables_gen.xtables.ir import Rule, Ruleset, Style
from iptables_gen.xtables.probability import read_probability, restore_digits, save_digits
from iptables_gen.xtables.text import parse, parse_rule, render
from tests.iptables_gen.xtables.rule_strategies import COMMENTS, rule, ruleset
from tests.iptables_gen.xtables.xtables_views import HOST, packet

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


def with_counters(found: Rule, text: str) -> str:
    return f"[{found.counters[0]}:{found.counters[1]}] {text}" if found.counters else text


@FAMILIES
@given(st.data())
@settings(max_examples=150)
def test_a_rule_in_restore_style_reads_back_equal(family: Family, data: st.DataObject) -> None:
    made = data.draw(rule(family))
    text = with_counters(made, made.render(Style.RESTORE))
    assert parse_rule(text, made.table, family) == made
    assert "\n" not in text


@FAMILIES
@given(st.data())
@settings(max_examples=150)
def test_a_rule_in_save_style_reads_back_to_the_same_text(family: Family, data: st.DataObject) -> None:
    made = data.draw(rule(family))
    saved = made.render(Style.SAVE)
    again = parse_rule(saved, made.table, family)
    assert again.render(Style.SAVE) == saved
    assert parse_rule(again.render(Style.RESTORE), made.table, family).render(Style.SAVE) == saved


@FAMILIES
@given(st.data())
@settings(max_examples=60)
def test_a_ruleset_reads_back_equal(family: Family, data: st.DataObject) -> None:
    made: Ruleset = data.draw(ruleset(family))
    assert parse(render(made, Style.RESTORE), family=family) == made


@FAMILIES
@given(st.data())
@settings(max_examples=60)
def test_the_canonical_form_survives_a_dump(family: Family, data: st.DataObject) -> None:
    made: Ruleset = data.draw(ruleset(family))
    dump = render(made, Style.SAVE)
    assert canonical(parse(dump, family=family)) == canonical(parse(render(made, Style.RESTORE), family=family))
    assert render(parse(dump, family=family), Style.SAVE) == dump


@given(COMMENTS)
def test_a_comment_never_becomes_anything_else(comment: str) -> None:
    for style in Style:
        text = parse_rule("-A FOO -m comment --comment x -j DROP").render(style)
        made = parse_rule(text)
        hostile = Rule("filter", "FOO", (type(made.matches[0])(comment),), made.target)  # type: ignore[call-arg]
        lines = f"*filter\n:FOO - [0:0]\n{hostile.render(style)}\nCOMMIT\n"
        (table,) = parse(lines, family=4).tables
        assert table.commands == (hostile,)


def refusal(text: str) -> RulesetSyntaxError | None:
    """Return why a text is refused, None when it is read."""
    try:
        parse(text, "file")
    except RulesetSyntaxError as error:
        return error
    return None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    for candidate in (text, f"*filter\n{text}\nCOMMIT\n", f"*filter\n-A FOO {text}\nCOMMIT\n"):
        found = refusal(candidate)
        if found:
            assert found.line >= 1
            assert found.column >= 1
            assert str(found).startswith(f"file:{found.line}:{found.column}: ")


WORDS = """-A -s -d -p -m -j -g -i ! --dport --comment tcp 10.0.0.1 FOO " mark --mark 0x1/ [::1]:80 --to-destination
DNAT recent --rcheck - -- 80:70 , statistic --mode random --probability 0.5 icmp set --match-set"""


@given(st.lists(st.sampled_from(WORDS.split()), max_size=12))
@settings(max_examples=300)
def test_any_words_are_read_or_refused_with_their_place(words: list[str]) -> None:
    line = " ".join(["-A", "FOO", *words])
    text = f"*filter\n{line}\n"
    found = refusal(text)
    if found:
        assert 1 <= found.column <= len(line) + 1
    else:
        assert parse(render(parse(text), Style.RESTORE)) == parse(text)


@FAMILIES
@given(st.data())
@settings(max_examples=60)
def test_weights_sum_to_one(family: Family, data: st.DataObject) -> None:
    rules = data.draw(st.lists(rule(family, "nat", st.sampled_from(["PREROUTING", "A", "B"])), min_size=1, max_size=6))
    lines = [made.render(Style.RESTORE) for made in rules]
    text = "\n".join(["*nat", ":PREROUTING ACCEPT", ":A -", ":B -", *lines, "-A PREROUTING -j A", "COMMIT"])
    ends = ("10.0.0.1", "10.0.0.2") if family == 4 else ("fd00::1", "fd00::2")
    for base in XtablesDataplane(parse(text, family=family)).hooks():
        for protocol in ("tcp", "udp"):
            paths = base.run(packet(*ends, protocol=protocol), HOST)
            assert sum(path.weight for path in paths) == 1
            assert base.run(packet(*ends, protocol=protocol), HOST) == paths


@given(st.integers(1, 40_000))
def test_every_equal_share_survives_both_programs(count: int) -> None:
    share = Fraction(1, count)
    assert read_probability(f"{1 / count:.10f}") == share
    assert read_probability(restore_digits(share)) == share
    assert read_probability(save_digits(share)) == share
