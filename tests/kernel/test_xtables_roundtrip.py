"""The real iptables-restore reads what we print, and iptables-save prints what we say it prints.

In network namespaces of the test's own, with the nft variant that this machine has.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iptables_gen.values import Family
from iptables_gen.xtables.canonical import canonical
from iptables_gen.xtables.ir import ChainLine, Rule, Ruleset, Style, Table
from iptables_gen.xtables.matches.addresses import Protocol
from iptables_gen.xtables.matches.misc import CommentMatch
from iptables_gen.xtables.targets.verdicts import VerdictTarget
from iptables_gen.xtables.text import parse, parse_rule, render
from tests.iptables_gen.xtables.rule_strategies import TEXT
from tests.iptables_gen.xtables.test_recorded import PAIRS
from tests.iptables_gen.xtables.test_samples import SAMPLES

pytestmark = pytest.mark.kernel

TOOLS: dict[Family, str] = {4: "iptables", 6: "ip6tables"}
ACCOUNTS = ("ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts", "abc")


class Namespace:
    """A network namespace with what rules may name: accounting objects and an ipset."""

    def __init__(self, name: str) -> None:
        self.name = name
        for account in ACCOUNTS:
            self.run("nfacct", "add", account)
        self.run("ipset", "create", "S", "hash:ip")
        self.run("ipset", "create", "S6", "hash:ip", "family", "inet6")

    def run(self, *words: str, text: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", self.name, *words]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    def load(self, text: str, family: Family, *words: str) -> str:
        """Load rules into empty tables and return what is saved then."""
        self.run("nft", "flush", "ruleset")
        self.run(f"{TOOLS[family]}-restore", *words, text=text)
        return self.run(f"{TOOLS[family]}-save").stdout


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    name = f"netsim-xt-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield Namespace(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


KUBE_PROXY = [pair for pair in PAIRS if "iptables" in pair[0].parent.name]


def name_of(pair: tuple[Path, Path, Family]) -> str:
    return f"{pair[0].parents[1].name} {pair[0].parent.name} IPv{pair[2]}"


ZEROED = re.compile(r"^(:\S+ \S+) \[\d+:\d+\]$", re.MULTILINE)


def with_chains(ruleset: Ruleset) -> Ruleset:
    """Return the ruleset with the built-in chains that the kernel has anyway."""
    kernel = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")}
    return Ruleset(
        ruleset.family,
        tuple(
            Table(one.name, (*(ChainLine(name, "ACCEPT") for name in kernel[one.name]), *one.chain_lines), one.commands)
            for one in ruleset.tables
        ),
    )


@pytest.mark.parametrize(
    ("restore", "save", "family"),
    [
        pytest.param(*pair, id=f"{pair[0].parents[1].name} {pair[0].parent.name} IPv{pair[2]}")
        for pair in KUBE_PROXY[::3]
    ],
)
def test_kube_proxys_input_is_saved_as_we_say(namespace: Namespace, restore: Path, save: Path, family: Family) -> None:
    ruleset = parse(restore.read_text(), str(restore), family)
    ours = render(with_chains(ruleset), Style.SAVE)
    kernel = namespace.load(render(ruleset, Style.RESTORE), family, "--noflush", "--counters")
    lines = [line for line in ZEROED.sub(r"\1 [0:0]", kernel).splitlines() if not line.startswith("#")]
    assert sorted(_blocks(lines)) == sorted(_blocks(ours.splitlines()))
    assert canonical(parse(kernel, family=family)) == canonical(with_chains(ruleset))


def _blocks(lines: list[str]) -> list[str]:
    return "\n".join(lines).split("COMMIT")


@pytest.mark.parametrize(
    ("restore", "save", "family"),
    [
        pytest.param(*pair, id=f"{pair[0].parents[1].name} {pair[0].parent.name} IPv{pair[2]}")
        for pair in KUBE_PROXY[::9]
    ],
)
def test_a_recorded_dump_can_be_loaded_and_saved_again(
    namespace: Namespace, restore: Path, save: Path, family: Family
) -> None:
    ours = parse(save.read_text(), str(save), family)
    kernel = namespace.load(render(ours, Style.SAVE), family)
    assert canonical(parse(kernel, family=family)) == canonical(ours)


@pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
def test_every_sample_is_saved_as_we_say_from_both_spellings(namespace: Namespace, family: Family) -> None:
    rules = [parse_rule(written, table, family) for kind, table, written, _ in SAMPLES if kind == family]
    rules = [rule for rule in rules if not _flaky(rule)]
    for style in (Style.RESTORE, Style.SAVE):
        namespace.run("nft", "flush", "ruleset")
        blocks = []
        for table in dict.fromkeys(rule.table for rule in rules):
            mine = [rule for rule in rules if rule.table == table]
            lines = [":FOO - [0:0]", ":BAR - [0:0]", *(rule.render(style) for rule in mine)]
            blocks.append("\n".join([f"*{table}", *lines, "COMMIT", ""]))
        kernel = parse(namespace.load("".join(blocks), family), family=family)
        for table in kernel.tables:
            got = sorted(rule.text for rule in table.commands if isinstance(rule, Rule))
            assert got == sorted(rule.text for rule in rules if rule.table == table.name)


def _flaky(rule: Rule) -> bool:
    """Whether a rule needs an object that another sample with the same name makes with other settings."""
    return "hashlimit" in rule.text


@given(comments=st.lists(TEXT, min_size=1, max_size=20))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_comments_reach_the_kernel_as_they_are(namespace: Namespace, comments: list[str]) -> None:
    kept = [comment for comment in comments if len(comment.encode()) < 256]
    rules = [Rule("filter", "FOO", (CommentMatch(comment),), VerdictTarget("ACCEPT")) for comment in kept]
    made = Ruleset(4, (Table("filter", (ChainLine("FOO"),), tuple(rules)),))
    for style in Style:
        kernel = parse(namespace.load(render(made, style), 4), family=4)
        found = [rule.matches for rule in kernel.tables[0].commands if isinstance(rule, Rule)]
        assert found == [rule.matches for rule in rules]


def test_protocols_are_named_as_the_kernel_names_them(namespace: Namespace) -> None:
    lines = [f"-A FOO -p {number}" for number in range(1, 256)]
    kernel = namespace.load("\n".join(["*filter", ":FOO -", *lines, "COMMIT", ""]), 4)
    found = [rule.matches for rule in parse(kernel, family=4).tables[0].commands if isinstance(rule, Rule)]
    assert found == [(Protocol.parse(str(number)),) for number in range(1, 256)]
    assert all(f"-A FOO {match.render(Style.SAVE)}" in kernel.split("\n") for (match,) in found)
