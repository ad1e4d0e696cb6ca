"""Hypothesis strategies for typed rules and rulesets."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

from hypothesis import strategies as st

from iptables_gen.values import BITS, Family, net_mask
from iptables_gen.xtables.ir import ChainLine, DeleteChain, Match, NewChain, Rule, Ruleset, Table, Target
from iptables_gen.xtables.matches import chance, conntrack, host, marks, misc, transport
from iptables_gen.xtables.matches.addresses import PROTOCOLS, Address, Fragment, Interface, Protocol
from iptables_gen.xtables.options import Given, Options
from iptables_gen.xtables.targets import marks as mark_targets
from iptables_gen.xtables.targets import nat, side, verdicts

NAMES = st.sampled_from(["A", "B", "CALI-X", "KUBE-SVC-ABCDEFGHIJKLMNOP", "f2b-sshd", "CNI_1", "a" * 28])
TEXT = st.text(st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="\x85\u2028\u2029"), max_size=60)
COMMENTS = st.one_of(
    TEXT,
    st.sampled_from(
        ['a "b" c', "it's", "\\", '\\"', "$(reboot)", "`id`", "-j DROP", "! -s", "#", "COMMIT", "*nat", ":A -"]
    ),
)
PORTS = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda pair: (min(pair), max(pair)))
U32 = st.integers(0, 0xFFFF_FFFF)
BOOL = st.booleans()


def values(family: Family) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << BITS[family]) - 1)


def pairs(family: Family) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(values(family), values(family)).map(lambda pair: (min(pair), max(pair)))


@st.composite
def address(draw: st.DrawFn, end: Any, family: Family) -> Address:
    mask = net_mask(family, draw(st.integers(0, BITS[family])))
    bare = mask == net_mask(family, BITS[family]) and draw(BOOL)
    return Address(end, family, draw(values(family)) & mask, mask, draw(BOOL), bare)


@st.composite
def builtins(draw: st.DrawFn, family: Family) -> list[Match]:
    made: list[Match] = []
    if draw(BOOL):
        made.append(draw(address("src", family)))
    if draw(BOOL):
        made.append(draw(address("dst", family)))
    if draw(BOOL):
        made.append(Interface("in", draw(st.sampled_from(["eth0", "cali+", "lo"])), draw(BOOL)))
    if draw(BOOL):
        made.append(Fragment(draw(BOOL)))
    return made


def interfaces() -> st.SearchStrategy[str]:
    return st.sampled_from(["eth0", "veth+", "a.b-c@d"])


def tcp() -> st.SearchStrategy[Match]:
    flags = st.lists(st.sampled_from(["FIN", "SYN", "RST", "PSH", "ACK", "URG"]), unique=True).map(_flag_order)
    return st.builds(
        transport.TcpMatch, PORTS, PORTS, st.just(False), st.just(False), st.none() | st.tuples(flags, flags)
    )


def _flag_order(flags: list[str]) -> tuple[str, ...]:
    return tuple(flag for flag in ("FIN", "SYN", "RST", "PSH", "ACK", "URG") if flag in flags)


def _subset(words: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), min_size=1, unique=True).map(",".join)


def _conntrack(family: Family, states: str, negated: bool) -> Match:
    options = Options(family)
    options.add(Given("--ctstate", (states,), negated, 1))
    return conntrack.ConntrackMatch.parse("conntrack", options)


def _addrtype(types: str, negated: bool) -> Match:
    options = Options(4)
    options.add(Given("--dst-type", (types,), negated, 1))
    return host.AddrtypeMatch.parse("addrtype", options)


def _recent(family: Family) -> st.SearchStrategy[Match]:
    actions = st.sampled_from(["--set", "--rcheck", "--update", "--remove"])
    tables = st.sampled_from(["DEFAULT", "KUBE-SEP-ABC"])
    numbers = (st.integers(0, 9999), st.integers(0, 20))
    return st.builds(
        chance.RecentMatch, actions, tables, st.just(family), values(family), *numbers, BOOL, BOOL, BOOL, BOOL
    )


@cache
def extension(family: Family) -> st.SearchStrategy[Match]:
    flags = st.sampled_from([("dst",), ("dst", "src"), ("src", "dst", "dst")])
    bridged = BOOL.map(lambda negated: (("--physdev-is-in", negated),))
    return st.one_of(
        st.builds(misc.CommentMatch, COMMENTS),
        st.builds(marks.MarkMatch, U32, U32, BOOL),
        st.builds(marks.ConnmarkMatch, U32, U32, BOOL),
        st.builds(_conntrack, st.just(family), _subset(conntrack.STATES), BOOL),
        st.builds(_addrtype, _subset(host.ADDRESS_TYPES), BOOL),
        st.builds(chance.StatisticMatch, st.integers(1, 2000).map(lambda n: Fraction(1, n)), negated=BOOL),
        st.builds(chance.StatisticMatch, st.integers(0, 10**9).map(lambda n: Fraction(n, 10**9)), negated=BOOL),
        st.builds(chance.StatisticMatch, every=st.integers(2, 99), packet=st.integers(0, 1), negated=BOOL),
        _recent(family),
        st.builds(chance.LimitMatch, st.sampled_from([10_000, 12_000_000, 864_000, 5000]), st.integers(1, 99)),
        st.builds(misc.NfacctMatch, st.sampled_from(["a", "a_b", "x/y"])),
        st.builds(misc.SetMatch, st.sampled_from(["S", "KUBE-6-X"]), flags, BOOL),
        st.builds(misc.IprangeMatch, st.just(family), pairs(family), st.none() | pairs(family), BOOL),
        st.builds(misc.LengthMatch, st.just(7), st.integers(7, 65535), BOOL),
        st.builds(host.PkttypeMatch, st.sampled_from(["unicast", "broadcast", "multicast"]), BOOL),
        st.builds(host.PhysdevMatch, bridged, st.just("") | interfaces(), st.just("")),
        st.builds(misc.OpaqueMatch, st.just("time"), st.sampled_from(["--kerneltz", '--datestart "a b"', ""])),
    )


def ranges(family: Family) -> st.SearchStrategy[nat.NatRange]:
    return st.one_of(
        st.builds(nat.NatRange, st.just(family), pairs(family), st.none() | PORTS),
        st.builds(nat.NatRange, st.just(family), st.none(), PORTS),
    )


@cache
def target(family: Family) -> st.SearchStrategy[Target | None]:
    kinds = ["icmp-port-unreachable", "tcp-reset"] if family == 4 else ["icmp6-port-unreachable", "tcp-reset"]
    setters = st.builds(mark_targets.Xmark, st.sampled_from(["--set-xmark", "--set-mark"]), U32, U32) | st.builds(
        mark_targets.Xmark, st.sampled_from(["--or-mark", "--and-mark", "--xor-mark"]), U32
    )
    flags = st.sampled_from([(), ("--random",), ("--persistent",), ("--random", "--persistent")])
    return st.one_of(
        st.none(),
        st.builds(verdicts.VerdictTarget, st.sampled_from(["ACCEPT", "DROP", "RETURN", "QUEUE"])),
        st.builds(verdicts.JumpTarget, NAMES, BOOL),
        st.builds(verdicts.RejectTarget, st.sampled_from(kinds), st.just(True)),
        st.just(verdicts.RejectTarget(kinds[0])),
        st.builds(nat.DnatTarget, ranges(family), flags),
        st.builds(nat.SnatTarget, ranges(family), flags),
        st.builds(nat.MasqueradeTarget, st.none() | PORTS, st.sampled_from([(), ("--random-fully",)])),
        st.builds(nat.RedirectTarget, st.just(family), st.none() | PORTS, st.sampled_from([(), ("--random",)])),
        st.builds(mark_targets.MarkTarget, setters),
        st.builds(mark_targets.ConnmarkTarget, setters),
        st.builds(mark_targets.ConnmarkTarget, st.none(), BOOL, U32, U32),
        st.builds(side.SideTarget, st.just("LOG"), TEXT.map(lambda text: (("--log-prefix", text),))),
        st.just(side.SideTarget("NFLOG", (("--nflog-group", "7"),))),
        st.builds(verdicts.OpaqueTarget, st.just("TPROXY"), st.sampled_from(["--on-port 80", '--x "a b"'])),
    )


@st.composite
def rule(draw: st.DrawFn, family: Family, table: str = "filter", chain: st.SearchStrategy[str] = NAMES) -> Rule:
    matches = draw(st.lists(extension(family), max_size=3))
    matches += draw(builtins(family))
    matches = draw(st.permutations(matches))
    protocol = draw(st.sampled_from(["", "tcp", "udp", "sctp", *PROTOCOLS.values()]))
    if protocol:
        matches = [*matches, Protocol(protocol, negated=False)]
    if protocol == "tcp" and draw(BOOL):
        matches.insert(draw(st.integers(0, len(matches))), draw(tcp()))
    if protocol in ("udp", "sctp") and draw(BOOL):
        matches.append(draw(st.builds(transport.PortMatch, st.just(protocol), PORTS, PORTS)))
    counters = draw(st.none() | st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)))
    return Rule(table, draw(chain), tuple(matches), draw(target(family)), counters=counters)


@st.composite
def ruleset(draw: st.DrawFn, family: Family) -> Ruleset:
    tables = []
    for name in draw(st.lists(st.sampled_from(["filter", "nat", "mangle", "raw"]), unique=True, min_size=1)):
        chains = draw(st.lists(NAMES, unique=True, min_size=1, max_size=4))
        commands: list[Any] = draw(st.lists(rule(family, name, st.sampled_from(chains)), max_size=4))
        commands += draw(st.lists(st.builds(DeleteChain, NAMES) | st.builds(NewChain, NAMES), max_size=2))
        lines = tuple(ChainLine(chain, draw(st.sampled_from([None, "ACCEPT", "DROP"]))) for chain in chains)
        tables.append(Table(name, lines, tuple(commands)))
    return Ruleset(family, tuple(tables))
