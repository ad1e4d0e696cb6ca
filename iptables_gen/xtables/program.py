"""Chains in executable form, made when first walked: a step is a rule with what its evaluation needs at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple, cast

from iptables_gen.effects import RuleHit
from iptables_gen.values import Family
from iptables_gen.view import HostView, PacketView, Tri
from iptables_gen.xtables.ir import AnyRule, Chain, Match, Row, RowTemplate, Rule, Style, Table, Target, chains_of
from iptables_gen.xtables.matches.addresses import Address, save_order
from iptables_gen.xtables.matches.chance import HashlimitMatch, LimitMatch, RecentMatch, StatisticMatch
from iptables_gen.xtables.matches.misc import CommentMatch, IpSets, NfacctMatch, SetMatch
from iptables_gen.xtables.matches.transport import PortMatch, TcpMatch
from iptables_gen.xtables.spelling import BUILTINS, builtins, extensions
from iptables_gen.xtables.targets.base import ActingTarget
from iptables_gen.xtables.targets.nat import DnatTarget
from iptables_gen.xtables.targets.side import SideTarget
from iptables_gen.xtables.targets.verdicts import JumpTarget, OpaqueTarget
from iptables_gen.xtables.templates import Args, needs_reading, typed, typed_template

_ALWAYS: Final = frozenset({CommentMatch, NfacctMatch})
"""Matches that never decide."""
_NOTING: Final = frozenset({RecentMatch, LimitMatch, HashlimitMatch})
"""Matches that leave an effect behind: a rule's tests must be asked in the kernel's order."""
_MOST: Final = 60_000
"""Chains kept in executable form; all are forgotten beyond that."""

ONE: Final = Fraction(1)


@lru_cache(maxsize=1 << 12)
def rest_of(numerator: int, denominator: int) -> Fraction:
    """Return 1 minus a share."""
    return 1 - Fraction(numerator, denominator)


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


class Shape(NamedTuple):
    """What rules of one kind have in common.

    `reads`: attributes of PacketView that tests and target read, but for addresses; `?` for anything else.
    `asks`: a test reads more than the packet. `plain`: no test remembers or assumes anything.
    `inert`: matching changes nothing but counters and logs. `uncertain`: the target reads more than the packet.
    """

    reads: frozenset[str]
    asks: bool
    plain: bool
    inert: bool
    uncertain: bool
    goto: bool


class Step:
    """One rule: `tests` in the kernel's order without those that always match and without `chance`.

    `addresses` are those of the tests that ask for an address. `chance` is the share of `-m statistic` (None without
    one), `miss` the rest. A rule has a `jump`, or a target that acts, or neither.
    """

    __slots__ = ("acting", "addresses", "chance", "hit", "jump", "miss", "rule", "shape", "tests")

    def __init__(
        self,
        rule: AnyRule,
        tests: tuple[Match, ...],
        addresses: tuple[Address, ...],
        chance: Fraction | None,
        jump: str | None,
        acting: ActingTarget | None,
        shape: Shape,
    ) -> None:
        self.rule, self.tests, self.addresses, self.shape = rule, tests, addresses, shape
        self.chance, self.jump, self.acting = chance, jump, acting
        self.miss = None if chance is None else rest_of(chance.numerator, chance.denominator)
        self.hit: RuleHit | None = None

    def hit_with(self, label: str, choice: Fraction) -> RuleHit:
        """Return the record of a match; the usual one is shared."""
        if choice is not ONE:
            return RuleHit(self.rule, label, choice)
        if self.hit is None or self.hit.verdict != label:
            self.hit = RuleHit(self.rule, label, ONE)
        return self.hit


def _step(rule: AnyRule, matches: tuple[Match, ...], target: Target | None, sets: IpSets | None) -> Step:
    chance: Fraction | None = None
    tests: list[Match] = []
    for one in (*builtins(matches), *extensions(matches)):
        if isinstance(one, StatisticMatch):
            chance = one.share if chance is None else chance * one.share
        elif type(one) not in _ALWAYS:
            tests.append(BoundSet(one, sets) if isinstance(one, SetMatch) and sets else one)
    jump = target if isinstance(target, JumpTarget) else None
    addresses = tuple([test for test in tests if isinstance(test, Address)])
    return Step(
        rule, tuple(tests), addresses, chance, jump.chain if jump else None, make_acting(target), _shape(tests, target)
    )


def make_acting(target: Target | None) -> ActingTarget | None:
    """Return a target as one that acts; None for a jump and for no target."""
    # Every target but a jump acts; the protocol of `ir` says no more than what rendering needs.
    return None if target is None or isinstance(target, JumpTarget) else cast(ActingTarget, target)


def _shape(tests: list[Match], target: Target | None) -> Shape:
    acting = make_acting(target)
    wanted = acting.reads() if acting else ()
    reads = {field for test in tests if not isinstance(test, Address) for field in test.reads()}
    harmless = isinstance(target, OpaqueTarget) and target.harmless
    return Shape(
        frozenset({*reads, *wanted}),
        asks="?" in reads,
        plain=all(type(test) not in _NOTING for test in tests),
        inert=target is None or isinstance(target, SideTarget) or harmless,
        uncertain="?" in wanted,
        goto=isinstance(target, JumpTarget) and target.goto,
    )


class StepTemplate(NamedTuple):
    """How rows of one template become steps; `words` are the arguments that fill more than comments.

    `tests` are fixed or made from the arguments; `fixed` is the whole of them when none is made.
    """

    words: tuple[int, ...]
    tests: tuple[Match | Make, ...]
    fixed: tuple[Match, ...] | None
    chance: Make | None
    jump: str | None
    jump_argument: int | None
    acting: ActingTarget | None
    target: Callable[[Args], Target | None] | None
    shape: Shape

    def step(self, row: Row) -> Step | None:
        """Return a row in executable form; None when it has to be read word by word."""
        args = row.args
        for index in self.words:
            if needs_reading(args[index]):
                return None
        tests = self.fixed
        if tests is None:
            tests = tuple([one(args) if callable(one) else one for one in self.tests])
        addresses = tuple([test for test in tests if isinstance(test, Address)]) if tests else ()
        chance = cast(StatisticMatch, self.chance(args)).share if self.chance else None
        jump = self.jump if self.jump_argument is None else args[self.jump_argument]
        acting = self.acting
        if self.target is not None:
            acting = make_acting(self.target(args))
            if acting is not None and acting.reads():
                return None
        return Step(row, tests, addresses, chance, jump, acting, self.shape)


Make = Callable[[Args], Match]

_UNIFORM: Final = (Address, TcpMatch, PortMatch, RecentMatch, StatisticMatch)
"""Matches that read the same of every packet whatever arguments fill them."""


def step_template(template: RowTemplate, sample: Row, family: Family) -> StepTemplate | None:
    """Return how a template's rows become steps, *sample* being one of them; None when they are read one by one."""
    rule = typed(sample, family)
    slots, target = typed_template(template, family)[:2]
    pairs = sorted(zip(slots, rule.matches, strict=True), key=lambda pair: _place(pair[1]))
    if any(
        isinstance(one, SetMatch) or not (slot.fixed or isinstance(one, (*_UNIFORM, CommentMatch)))
        for slot, one in pairs
    ):
        return None
    chances = [slot.make for slot, one in pairs if isinstance(one, StatisticMatch)]
    kept = [(slot, one) for slot, one in pairs if not isinstance(one, (StatisticMatch, *_ALWAYS))]
    if len(chances) > 1 or (isinstance(rule.target, JumpTarget) and target.fixed is None and target.jump is None):
        return None
    jump = rule.target.chain if isinstance(rule.target, JumpTarget) else None
    made = target.make if target.fixed is None and not jump and rule.target else None
    if made and not isinstance(rule.target, DnatTarget):
        return None
    tests = tuple([slot.fixed or slot.make for slot, _ in kept])
    fixed = tuple([one for _, one in kept]) if all(slot.fixed for slot, _ in kept) else None
    words = typed_template(template, family).words
    shape = _shape([one for _, one in kept], rule.target)
    chance = chances[0] if chances else None
    return StepTemplate(words, tests, fixed, chance, jump, target.jump, make_acting(rule.target), made, shape)


def _place(clause: Match) -> int:
    return save_order(clause) if isinstance(clause, BUILTINS) else len(BUILTINS) + 2


class Codes:
    """The chains of one table, each made executable when asked for."""

    __slots__ = ("_codes", "_templates", "chains", "family", "sets")

    def __init__(self, table: Table, family: Family, sets: IpSets | None) -> None:
        self.family, self.sets = family, sets
        self.chains: Mapping[str, Chain] = chains_of(table)
        self._codes: dict[str, tuple[Step, ...]] = {}
        self._templates: dict[int, StepTemplate | None] = {}

    def step(self, rule: AnyRule) -> Step:
        """Return one rule in executable form."""
        if isinstance(rule, Rule):
            return _step(rule, rule.matches, rule.target, self.sets)
        # The rows of the table keep their templates alive, so an id names one template.
        key = id(rule.template)
        if key not in self._templates:
            self._templates[key] = step_template(rule.template, rule, self.family)
        maker = self._templates[key]
        made = maker.step(rule) if maker else None
        if made is not None:
            return made
        found = typed(rule, self.family)
        return _step(rule, found.matches, found.target, self.sets)

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
        found = self._codes[name] = tuple([self.step(rule) for rule in chain.rules])
        return found
