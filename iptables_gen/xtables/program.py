"""Chains in executable form, made when first walked: a step is a rule with what its evaluation needs at hand."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, cast

from iptables_gen.effects import RuleHit
from iptables_gen.values import Family
from iptables_gen.view import HostView, PacketView, Tri
from iptables_gen.xtables.ir import AnyRule, Chain, Match, Row, Style, Table, Target, chains_of
from iptables_gen.xtables.matches.chance import HashlimitMatch, LimitMatch, RecentMatch, StatisticMatch
from iptables_gen.xtables.matches.misc import CommentMatch, IpSets, NfacctMatch, SetMatch
from iptables_gen.xtables.spelling import builtins, extensions
from iptables_gen.xtables.targets.base import ActingTarget
from iptables_gen.xtables.targets.side import SideTarget
from iptables_gen.xtables.targets.verdicts import JumpTarget, OpaqueTarget
from iptables_gen.xtables.templates import clauses

_ALWAYS: Final = frozenset({CommentMatch, NfacctMatch})
"""Matches that never decide."""
_ORDERED: Final = frozenset({RecentMatch, LimitMatch, HashlimitMatch, StatisticMatch, SetMatch})
"""Matches that do more than look at the packet: the order of a rule's tests matters, or they are asked differently."""
_MOST: Final = 60_000
"""Chains kept in executable form; all are forgotten beyond that."""

ONE: Final = Fraction(1)


class BoundSet:
    """A `-m set` clause together with the ipsets it asks."""

    __slots__ = ("match", "sets")

    def __init__(self, match: SetMatch, sets: IpSets) -> None:
        self.match, self.sets = match, sets

    def render(self, style: Style) -> str:
        """Return the clause."""
        return self.match.render(style)

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet is in the set."""
        return self.match.ask(self.sets, packet)

    def reads(self) -> tuple[str, ...]:
        """Return `?`: the set decides."""
        return ("?",)


class Step:
    """One rule: `tests` in the kernel's order without those that always match and without `chance`.

    `chance` is the share of `-m statistic` (None without one). `inert`: matching changes nothing but counters and logs.
    `plain`: no test remembers or assumes anything. `reads`: what the target reads. `miss` is 1 - chance.
    A rule has a `jump`, or a target that acts, or neither.
    """

    __slots__ = ("acting", "chance", "goto", "hit", "inert", "jump", "miss", "plain", "reads", "rule", "tests")

    def __init__(self, rule: AnyRule, tests: tuple[Match, ...], target: Target | None, chance: Fraction | None) -> None:
        self.rule, self.tests, self.chance = rule, tests, chance
        self.miss = None if chance is None else 1 - chance
        jump = target if isinstance(target, JumpTarget) else None
        self.jump: str | None = jump.chain if jump else None
        self.goto = jump is not None and jump.goto
        # Every target but a jump acts; the protocol of `ir` says no more than what rendering needs.
        self.acting = None if jump or target is None else cast(ActingTarget, target)
        self.reads = self.acting.reads() if self.acting else ()
        self.inert = target is None or isinstance(target, SideTarget) or _harmless(target)
        self.plain = all(type(test) not in _ORDERED for test in tests)
        self.hit: RuleHit | None = None

    def hit_with(self, label: str, choice: Fraction) -> RuleHit:
        """Return the record of a match; the usual one is shared."""
        if choice is not ONE:
            return RuleHit(self.rule, label, choice)
        if self.hit is None or self.hit.verdict != label:
            self.hit = RuleHit(self.rule, label, ONE)
        return self.hit


def _harmless(target: Target) -> bool:
    return isinstance(target, OpaqueTarget) and target.harmless


def make_step(rule: AnyRule, family: Family, sets: IpSets | None) -> Step:
    """Return a rule in executable form."""
    matches, target = clauses(rule, family) if isinstance(rule, Row) else (rule.matches, rule.target)
    tests = tuple([one for one in matches if type(one) not in _ALWAYS])
    if all(type(test) not in _ORDERED for test in tests):
        return Step(rule, tests, target, None)
    return _ordered_step(rule, tests, target, sets)


def _ordered_step(rule: AnyRule, matches: tuple[Match, ...], target: Target | None, sets: IpSets | None) -> Step:
    chance: Fraction | None = None
    tests: list[Match] = []
    for one in (*builtins(matches), *extensions(matches)):
        if isinstance(one, StatisticMatch):
            chance = one.share if chance is None else chance * one.share
        else:
            tests.append(BoundSet(one, sets) if isinstance(one, SetMatch) and sets else one)
    return Step(rule, tuple(tests), target, chance)


class Codes:
    """The chains of one table, each made executable when asked for."""

    __slots__ = ("_codes", "_table", "chains", "family", "sets")

    def __init__(self, table: Table, family: Family, sets: IpSets | None) -> None:
        self._table, self.family, self.sets = table, family, sets
        self.chains: Mapping[str, Chain] = chains_of(table)
        self._codes: dict[str, tuple[Step, ...]] = {}

    def step(self, rule: AnyRule) -> Step:
        """Return one rule in executable form."""
        return make_step(rule, self.family, self.sets)

    def size(self, name: str) -> int:
        """Return the number of rules of a chain, 0 for a chain that is not there."""
        chain = self.chains.get(name)
        return len(chain.rules) if chain else 0

    def steps(self, name: str) -> tuple[Step, ...] | None:
        """Return a chain's steps, None for a chain that is not there."""
        found = self._codes.get(name)
        if found is not None:
            return found
        chain = self.chains.get(name)
        if chain is None:
            return None
        if len(self._codes) > _MOST:
            self._codes.clear()
        found = self._codes[name] = tuple([make_step(rule, self.family, self.sets) for rule in chain.rules])
        return found
