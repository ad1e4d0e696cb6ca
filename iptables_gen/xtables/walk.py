"""One packet through one base chain: every way it may take, with exact weights.

Source:  kernel net/ipv4/netfilter/ip_tables.c ipt_do_table(); iptables(8) on goto and RETURN.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from iptables_gen.dataplane import Hook
from iptables_gen.effects import Accept, Assumed, Drop, Effect, Path, Remember, RuleHit, Undetermined, Verdict
from iptables_gen.view import HostView, PacketView, Tri
from iptables_gen.xtables.ir import Match, Style
from iptables_gen.xtables.matches.chance import RecentMatch
from iptables_gen.xtables.program import ONE, Codes, Step
from iptables_gen.xtables.targets.base import Action, Flow

_DEEPEST: Final = 64
"""Chains that call each other deeper than this are a loop (the kernel refuses such rulesets)."""
_LONGEST: Final = 100_000
"""Rules looked at in one walk before it is given up."""
_MOST_OPEN: Final = 4
"""Unknown matches in a row whose two outcomes are compared before the answer is undetermined at once."""

POLICY: Final[Mapping[str, Verdict]] = {"ACCEPT": Accept(), "DROP": Drop(policy=True)}


class Frame(NamedTuple):
    """Where a walk stands: the next step, and the frame to come back to."""

    steps: tuple[Step, ...]
    at: int
    back: Frame | None
    depth: int


class State(NamedTuple):
    """One way through, so far. `pending` is the share of choices not made that no hit has shown yet."""

    frame: Frame | None
    packet: PacketView
    effects: tuple[Effect, ...]
    weight: Fraction
    pending: Fraction


class Marked:
    """A packet with another mark: later rules of a walk see what earlier ones set."""

    __slots__ = ("_packet", "mark")

    def __init__(self, packet: PacketView, mark: int) -> None:
        self._packet: PacketView = packet._packet if isinstance(packet, Marked) else packet
        self.mark = mark

    def __getattr__(self, name: str) -> Any:
        return getattr(self._packet, name)


@dataclass(slots=True)
class Walk:
    """A walk in progress: what it runs on, what it asked outside the packet (`asked`), and how far it has come."""

    codes: Codes
    views: Mapping[str, tuple[Step, ...]]
    host: HostView
    hook: Hook
    policy: Verdict
    asked: dict[Match, Tri] = field(default_factory=dict)
    cacheable: bool = True
    looked_at: int = 0


Item = State | Path


def walk(run: Walk, base: str, packet: PacketView) -> tuple[Path, ...]:
    """Return every way of a packet through a base chain, in the order of its rules; the weights sum to 1."""
    frame = Frame(_steps(run, base) or (), 0, None, 1)
    return tuple(_paths(run, [State(frame, packet, (), ONE, ONE)], 0))


def _steps(run: Walk, name: str) -> tuple[Step, ...] | None:
    found = run.views.get(name)
    return run.codes.steps(name) if found is None else found


def _paths(run: Walk, waiting: list[Item], unknowns: int) -> list[Path]:
    """Take every waiting state to its end; what was put there last comes first."""
    done: list[Path] = []
    while waiting:
        item: Item = waiting.pop()
        while isinstance(item, State):
            found = _next_match(run, item)
            if isinstance(found, Path):
                item = found
            elif found.unknown:
                done += _undecided(run, found.step, found.state, unknowns)
                break
            else:
                item = _matched(run, found.step, found.state, waiting)
        else:
            done.append(item)
    return done


class Met(NamedTuple):
    """A rule that matches, or may match; `state` stands behind it."""

    step: Step
    state: State
    unknown: bool = False


def _next_match(run: Walk, state: State) -> Met | Path:
    """Return the next rule that matches or may match, or the end of the base chain."""
    frame, packet, effects, weight, pending = state
    if frame is None:
        return Path(weight, run.policy, effects)
    steps, at, back, depth = frame
    host, first = run.host, at
    while True:
        while at == len(steps):
            if back is None:
                return Path(weight, run.policy, effects)
            run.looked_at += at - first
            steps, at, back, depth = back
            first = at
        step = steps[at]
        at += 1
        answer = Tri.YES
        if step.shape.plain and not step.shape.asks:
            for test in step.tests:
                found = test.matches(packet, host)
                if found is not Tri.YES:
                    answer = found
                    if found is Tri.NO:
                        break
        else:
            answer, effects = _asked(run, step, packet, effects)
        if answer is Tri.YES or (answer is Tri.UNKNOWN and not step.shape.inert):
            run.looked_at += at - first
            after = State(Frame(steps, at, back, depth), packet, effects, weight, pending)
            endless = run.looked_at > _LONGEST or depth > _DEEPEST
            return Met(step, after, endless or answer is Tri.UNKNOWN)


def _asked(run: Walk, step: Step, packet: PacketView, effects: tuple[Effect, ...]) -> tuple[Tri, tuple[Effect, ...]]:
    """Return whether the tests of a rule hold, and the effects with what they left behind."""
    answer = Tri.YES
    for test in step.tests:
        found = _ask(run, test, packet)
        if found is Tri.NO:
            return found, _assumed(step, test, effects)
        if found is Tri.UNKNOWN:
            answer = found
        else:
            effects = _left_behind(step, test, packet, effects)
    return answer, effects


def _ask(run: Walk, test: Match, packet: PacketView) -> Tri:
    """Return the answer of a test; one that asks more than the packet is asked once in a walk and noted."""
    if "?" not in test.reads():
        return test.matches(packet, run.host)
    known = run.asked.get(test)
    if known is None:
        known = run.asked[test] = test.matches(packet, run.host)
    return known


def _left_behind(step: Step, test: Match, packet: PacketView, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    if isinstance(test, RecentMatch) and test.remembers:
        return (*effects, Remember(test.table, test.seen(packet), test.seconds))
    return _assumed(step, test, effects)


def _assumed(step: Step, test: Match, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Return the effects with what was assumed about a rate, where that can change the outcome."""
    text: str | None = getattr(test, "assumes", None)
    if text is None or step.shape.inert:
        return effects
    return (*effects, Assumed("RATE_LIMIT", f"{text}: {test.render(Style.SAVE)}"))


def _matched(run: Walk, step: Step, state: State, waiting: list[Item]) -> Item:
    """Do what a matching rule does and return what goes on or ended; other choices wait."""
    if step.chance is not None:
        if not step.chance:
            return state
        if step.miss:
            waiting.append(_weighed(state, step.miss))
        state = _weighed(state, step.chance)
    if step.jump is not None:
        return _jumped(run, step, step.jump, state)
    if step.acting is None:
        return _going_on(state, step.hit_with("CONTINUE", state.pending))
    actions = step.acting.act(state.packet, run.host, run.hook)
    if step.shape.uncertain:
        run.cacheable = False
    waiting += [_acted(step, state, action) for action in reversed(actions[1:])]
    return _acted(step, state, actions[0])


def _weighed(state: State, share: Fraction) -> State:
    frame, packet, effects, weight, pending = state
    return State(frame, packet, effects, times(weight, share), times(pending, share))


def _going_on(state: State, hit: RuleHit) -> State:
    return State(state.frame, state.packet, (*state.effects, hit), state.weight, ONE)


def _jumped(run: Walk, step: Step, chain: str, state: State) -> Item:
    frame, packet, effects, weight, pending = state
    steps = _steps(run, chain)
    if steps is None:
        reason = f"chain {chain} is not in this ruleset"
        return Path(weight, Undetermined(step.rule, reason), effects)
    back, depth = (frame.back, frame.depth) if step.shape.goto and frame else (frame, frame.depth if frame else 0)
    hit = step.hit_with(f"{'GOTO' if step.shape.goto else 'JUMP'} {chain}", pending)
    return State(Frame(steps, 0, back, depth + 1), packet, (*effects, hit), weight, ONE)


def _acted(step: Step, state: State, action: Action) -> Item:
    frame, packet, effects, weight, pending = state
    if action.share is not ONE and action.share != 1:
        weight, pending = times(weight, action.share), times(pending, action.share)
    if action.flow is Flow.UNKNOWN:
        return Path(weight, Undetermined(step.rule, f"target {action.label} is not modelled"), effects)
    effects = (*effects, step.hit_with(action.label, pending), *action.effects)
    if action.verdict is not None:
        return Path(weight, action.verdict, effects)
    if action.flow is Flow.RETURN:
        return State(frame.back if frame else None, packet, effects, weight, ONE)
    if action.mark is not None:
        packet = cast(PacketView, Marked(packet, action.mark))
    return State(frame, packet, effects, weight, ONE)


def _undecided(run: Walk, step: Step, state: State, unknowns: int) -> list[Path]:
    """Return the paths after a rule that may match or not: both ways when they end alike, else undetermined."""
    if run.looked_at > _LONGEST or (state.frame is not None and state.frame.depth > _DEEPEST):
        return [Path(state.weight, Undetermined(step.rule, "chains call each other without end"), state.effects)]
    if unknowns < _MOST_OPEN:
        waiting: list[Item] = []
        first = _matched(run, step, state, waiting)
        matched = _paths(run, [*waiting, first], unknowns + 1)
        missed = _paths(run, [state], unknowns + 1)
        if _outcome(matched) == _outcome(missed):
            return missed
    unknown = [test.render(Style.SAVE) for test in step.tests if _ask(run, test, state.packet) is Tri.UNKNOWN]
    reason = f"the model cannot tell whether this matches: {', '.join(unknown)}"
    return [Path(state.weight, Undetermined(step.rule, reason), state.effects)]


def _outcome(paths: list[Path]) -> dict[Hashable, Fraction]:
    """Return the weight of every verdict with its effects, whatever rules led there."""
    found: dict[Hashable, Fraction] = {}
    for path in paths:
        kept = tuple(effect for effect in path.effects if not isinstance(effect, RuleHit))
        found[path.verdict, kept] = found.get((path.verdict, kept), Fraction(0)) + path.weight
    return found


def times(one: Fraction, other: Fraction) -> Fraction:
    """Return the product; products of shares repeat, so they are kept."""
    if one is ONE:
        return other
    if other is ONE:
        return one
    return _times(one.numerator, one.denominator, other.numerator, other.denominator)


@lru_cache(maxsize=1 << 14)
def _times(one: int, under: int, other: int, below: int) -> Fraction:
    return Fraction(one * other, under * below)
