"""Running a packet through the base chains of nft tables: every way it may take, with exact weights.

Chains are made executable when a packet first enters them. `nat` chains end at a translation, as in the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from iptables_gen.dataplane import Hook, HookEntry, Mentions
from iptables_gen.effects import Accept, Assumed, Drop, Effect, Path, Remember, RuleHit, SetMark, Undetermined
from iptables_gen.nft.ir import Chain, Rule, Table
from iptables_gen.nft.literals import Style
from iptables_gen.nft.plans import Plan, key_function
from iptables_gen.nft.sets import Index
from iptables_gen.nft.statements import EFFECTLESS, Statement, numgen_of
from iptables_gen.nft.survey import Survey, survey
from iptables_gen.nft.walk import BREAK, UNKNOWN, Answer, Signal, Step, Walk
from iptables_gen.origin import Origin
from iptables_gen.view import HostView, PacketView

MAX_NUMBERS = 4096
"""A random number with more values than this is not enumerated: the rule is UNDETERMINED."""
MAX_JUMPS = 16
"""NFT_JUMP_STACK_SIZE of the kernel."""
_ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class RuleName:
    """A rule as a step names it; where a map element decided, the origin is the element's."""

    family: str
    table_name: str
    chain: str
    rule: Rule
    given: Origin | None = None

    @property
    def table(self) -> str:
        """Return `FAMILY TABLE`, as `nft monitor trace` names it."""
        return f"{self.family} {self.table_name}"

    @property
    def text(self) -> str:
        """Return the rule as `nft list` shows it."""
        return self.rule.render(Style.LIST)

    @property
    def origin(self) -> Origin | None:
        """Return the manifest field behind the rule or the element that decided."""
        return self.given or self.rule.origin


class _Ready:
    """A rule made executable: its steps, and what is needed when it draws a number."""

    __slots__ = ("fork_at", "name", "numbers", "round_robin", "share", "statements", "steps")

    def __init__(self, name: RuleName, steps: tuple[Step, ...], statements: tuple[Statement, ...]) -> None:
        self.name, self.steps, self.statements = name, steps, statements
        drawn = [(place, number) for place, s in enumerate(statements) if (number := numgen_of(s))]
        self.fork_at = drawn[0][0] if drawn else -1
        self.numbers = drawn[0][1].modulus if len(drawn) == 1 else 0
        self.round_robin = bool(drawn) and drawn[0][1].mode == "inc"
        self.share = Fraction(1, self.numbers or 1)


class Program:
    """One table made executable, lazily; read-only for its users."""

    __slots__ = ("_chains", "_table", "sets")

    def __init__(self, table: Table) -> None:
        self._table = table
        self.sets: Mapping[str, Index] = {name: found.index() for name, found in table.sets.items()}
        self._chains: dict[str, tuple[_Ready, ...]] = {}

    def timeout(self, name: str) -> int:
        """Return a set's default timeout in seconds, 0 when it has none."""
        found = self._table.sets.get(name)
        return found.timeout if found else 0

    def chain(self, name: str) -> tuple[_Ready, ...]:
        """Return a chain's rules ready to run; a chain that does not exist is empty."""
        ready = self._chains.get(name)
        if ready is None:
            found = self._table.chains.get(name)
            ready = tuple(self._ready(name, rule) for rule in found.rules) if found else ()
            self._chains[name] = ready
        return ready

    def _ready(self, chain: str, rule: Rule) -> _Ready:
        name = RuleName(self._table.family, self._table.name, chain, rule)
        return _Ready(name, tuple(s.prepare(self) for s in rule.statements), rule.statements)

    def walk(self, chain: Chain, packet: PacketView, host: HostView) -> tuple[tuple[Path, ...], bool]:
        """Return every way of a packet through a base chain, and whether no effect names the client itself."""
        policy = chain.base.policy if chain.base else "accept"
        ends: list[Path] = []
        walk = Walk(packet, host, packet.mark, [])
        end = Drop(policy=True) if policy == "drop" else Accept()
        _Run(self, end, ends).go(walk, ((self.chain(chain.name), 0),), _ONE)
        return tuple(ends), not any(isinstance(effect, Remember) for path in ends for effect in path.effects)


class BaseChain:
    """A base chain at its hook; surveyed and walked when first asked."""

    __slots__ = ("_chain", "_plan", "_program", "_survey", "_table")

    def __init__(self, program: Program, table: Table, chain: Chain) -> None:
        self._program, self._table, self._chain = program, table, chain
        self._survey: Survey | None = None
        self._plan: Plan | None = None

    @property
    def survey(self) -> Survey:
        """Return what the rules behind the chain read."""
        if self._survey is None:
            self._survey = survey(self._table, self._chain)
        return self._survey

    def run(self, packet: PacketView, host: HostView) -> tuple[Path, ...]:
        """Return every way of a packet through the chain; the weights sum to 1."""
        if self._plan is None:
            self._plan = Plan(key_function(self.survey), partial(self._program.walk, self._chain))
        return self._plan.run(packet, host)

    def mentions(self, side: str) -> Mentions | None:
        """Return the addresses that the rules tell apart in `src` or `dst`."""
        return self.survey.mentions(side)


Frames = tuple[tuple[tuple[_Ready, ...], int], ...]


class _Run:
    """One run: follows frames (chain, next rule), branching where a number is drawn."""

    __slots__ = ("_ends", "_policy", "_program")

    def __init__(self, program: Program, policy: Accept | Drop, ends: list[Path]) -> None:
        self._program, self._policy, self._ends = program, policy, ends

    def go(self, walk: Walk, frames: Frames, weight: Fraction) -> None:
        while frames:
            rules, place = frames[-1]
            if place >= len(rules):
                frames = frames[:-1]
                continue
            ready = rules[place]
            frames = (*frames[:-1], (rules, place + 1))
            if ready.fork_at >= 0:
                self._fork(ready, walk, frames, weight)
                return
            before = len(walk.effects)
            answer = _perform(ready, 0, len(ready.steps), walk)
            if answer is BREAK and len(walk.effects) == before:
                continue
            next_frames = self._follow(ready, answer, walk, frames, weight, before, _ONE)
            if next_frames is None:
                return
            frames = next_frames
        self._ends.append(Path(weight, self._policy, tuple(walk.effects)))

    def _follow(
        self, ready: _Ready, answer: Answer, walk: Walk, frames: Frames, weight: Fraction, before: int, choice: Fraction
    ) -> Frames | None:
        """Record the rule, and return where to go on; None when the path has ended."""
        if answer is UNKNOWN:
            self._ends.append(Path(weight, Undetermined(ready.name, _unknown_reason(ready)), tuple(walk.effects)))
            return None
        walk.effects.insert(before, _hit(ready, answer, walk, before, choice))
        if not isinstance(answer, Signal) or answer.kind == "continue":
            return frames
        if answer.kind == "end":
            verdict = answer.verdict or Accept()
            self._ends.append(Path(weight, verdict, tuple(walk.effects)))
            return None
        if answer.kind == "return":
            return frames[:-1]
        if len(frames) >= MAX_JUMPS:
            self._ends.append(Path(weight, Undetermined(ready.name, "jumps nest deeper than 16"), tuple(walk.effects)))
            return None
        kept = frames if answer.kind == "jump" else frames[:-1]
        return (*kept, (self._program.chain(answer.chain), 0))

    def _fork(self, ready: _Ready, walk: Walk, frames: Frames, weight: Fraction) -> None:
        first = _perform(ready, 0, ready.fork_at, walk)
        if first is BREAK:
            self.go(walk, frames, weight)
            return
        if first is UNKNOWN or not 0 < ready.numbers <= MAX_NUMBERS:
            self._ends.append(Path(weight, Undetermined(ready.name, _unknown_reason(ready)), tuple(walk.effects)))
            return
        if ready.round_robin:
            walk.effects.append(Assumed("ROUND_ROBIN", "a round-robin counter is taken for an even random choice"))
        for branch, answer, count in _branches(ready, walk):
            choice = ready.share * count
            share = weight * choice
            if answer is BREAK:
                self.go(branch, frames, share)
                continue
            following = self._follow(ready, answer, branch, frames, share, len(walk.effects), choice)
            if following is not None:
                self.go(branch, following, share)


def _branches(ready: _Ready, walk: Walk) -> list[tuple[Walk, Answer, int]]:
    """Return the different outcomes of the drawn number, each with how many numbers lead to it."""
    first, last = ready.fork_at, len(ready.steps)
    found: dict[object, tuple[Walk, Answer, int]] = {}
    for number in range(ready.numbers):
        branch = Walk(walk.packet, walk.host, walk.mark, walk.effects.copy(), number)
        answer = _perform(ready, first, last, branch)
        text = (answer.text, answer.chain) if isinstance(answer, Signal) else answer
        key = (text, branch.mark, tuple(branch.effects[len(walk.effects) :]))
        known = found.get(key)
        found[key] = (branch, answer, 1) if known is None else (known[0], known[1], known[2] + 1)
    return list(found.values())


def _perform(ready: _Ready, first: int, last: int, walk: Walk) -> Answer:
    """Run some steps of a rule; an UNKNOWN match counts only if no later match fails and something would follow."""
    steps = ready.steps
    for place in range(first, last):
        answer = steps[place](walk)
        if answer is None:
            continue
        return _unsure(ready, place, walk) if answer is UNKNOWN else answer
    return None


def _unsure(ready: _Ready, place: int, walk: Walk) -> Answer:
    if not isinstance(ready.statements[place], EFFECTLESS):
        return UNKNOWN
    for later in range(place + 1, len(ready.steps)):
        if later == ready.fork_at or not isinstance(ready.statements[later], EFFECTLESS):
            return UNKNOWN
        if ready.steps[later](walk) is BREAK:
            return BREAK
    return BREAK


def _unknown_reason(ready: _Ready) -> str:
    return f"the model cannot evaluate {ready.name.text!r}"


def _hit(ready: _Ready, answer: Answer, walk: Walk, before: int, choice: Fraction) -> RuleHit:
    name = ready.name
    if isinstance(answer, Signal):
        if answer.element is not None and answer.element.because is not None:
            name = RuleName(name.family, name.table_name, name.chain, name.rule, answer.element.origin)
        return RuleHit(name, answer.text, choice)
    return RuleHit(name, _effect_text(walk.effects[before:]), choice)


def _effect_text(effects: list[Effect]) -> str:
    match effects:
        case [*_, SetMark(value)]:
            return f"MARK {value:#x}"
        case [*_, Remember(table)]:
            return f"UPDATE @{table}"
        case _:
            return "CONTINUE"


_HOOKS = {hook.value.lower(): hook for hook in Hook}


def hook_entries(tables: Mapping[tuple[str, str], Table]) -> tuple[HookEntry, ...]:
    """Return the base chains of all tables as hook entries; ingress hooks of netdev tables are left out."""
    entries: list[HookEntry] = []
    for table in tables.values():
        program = Program(table)
        for chain in table.chains.values():
            base = chain.base
            hook = _HOOKS.get(base.hook) if base else None
            if base is None or hook is None:
                continue
            name = f"{table.family} {table.name}"
            at_hook = BaseChain(program, table, chain)
            entry = HookEntry(hook, base.priority, name, base.type == "nat", at_hook.run, chain.name, at_hook.mentions)
            entries.append(entry)
    return tuple(entries)
