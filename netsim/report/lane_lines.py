"""Steps of a trace as the lines of a picture: one line a thing that happened, with the rules behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal, TypeVar

from iptables_gen.origin import Origin
from iptables_gen.values import format_endpoint, format_ip
from netsim.packet.packet import Packet
from netsim.report.trace_text import telling
from netsim.trace.steps import Step, steps_of
from netsim.trace.walk import Hop

K = TypeVar("K")
Detail = Literal["minimal", "summary", "full"]
Kind = Literal["jump", "mark", "dnat", "snat", "drop", "accept", "kernel", "other"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened at a hook. `share`: the probability that it does; `steps`: the rules behind it."""

    kind: Kind
    effect: str
    chain: str
    share: Fraction
    steps: tuple[Step, ...]

    @property
    def origin(self) -> Origin | None:
        """Return the manifest field behind the last rule that has one."""
        found = [step.origin for step in self.steps if step.origin is not None and step.origin.kind]
        return found[-1] if found else None

    @property
    def unexplained(self) -> bool:
        """Whether the rules come from a dump and no manifest explains them."""
        rules = [step for step in self.steps if step.rule is not None]
        return bool(rules) and all(step.program == "dump" and step.origin is None for step in rules)


def lines_of(hop: Hop, *, detail: Detail) -> Iterator[tuple[str, Line]]:
    """Yield (hook, line) of what happened on a host, in order; shares are 1 until outcomes are laid together."""
    if detail == "minimal":
        return
    steps = [step for step in steps_of(hop, full=True) if detail == "full" or _worth(step)]
    index = 0
    while index < len(steps):
        step = steps[index]
        following = steps[index + 1] if index + 1 < len(steps) else None
        if following is not None and detail != "full" and _leads_to_dnat(step, following):
            yield step.hook, _line(following, (step, following))
            index += 2
        else:
            yield step.hook, _line(step, (step,))
            index += 1


def _worth(step: Step) -> bool:
    """Whether a step is drawn by default: what the text shows, and translations undone by connection tracking."""
    if step.rule is None:
        if step.verdict.startswith("CONNTRACK"):
            return step.before.header != step.after.header
        # The end of a base chain is worth a line only when no rule said it before.
        return step.verdict in ("DROP (policy)", "IPVS no server") or step.verdict.startswith("UNDETERMINED")
    return telling(step) or step.verdict.startswith("IPVS ")


def _leads_to_dnat(step: Step, following: Step) -> bool:
    """Whether a random choice fell on the chain whose first matching rule translates: one line says both."""
    target = step.verdict.partition(" ")[2] if step.choice != "1" else ""
    return target != "" and target == following.chain and _kind(following) == "dnat"


def _line(step: Step, steps: tuple[Step, ...]) -> Line:
    return Line(_kind(step), effect_of(step), step.chain if step.rule is not None else "", Fraction(1), steps)


def _kind(step: Step) -> Kind:
    before, after, word = step.before, step.after, step.verdict.split(" ", 1)[0].upper()
    if step.rule is None and step.verdict.startswith(("CONNTRACK", "ROUTE")):
        return "kernel"
    if (before.dst, before.dport) != (after.dst, after.dport) or (word == "IPVS" and step.rule is not None):
        return "dnat"
    if before.src != after.src or before.sport != after.sport or word in ("MASQUERADE", "SNAT"):
        return "snat"
    if word in ("DROP", "REJECT", "UNDETERMINED"):
        return "drop"
    if word == "MARK":
        return "mark"
    if word in ("JUMP", "GOTO"):
        return "jump"
    return "accept" if word == "ACCEPT" else "other"


def effect_of(step: Step) -> str:
    """Return what a step did, in few words: `DNAT ⇒ 10.244.1.5:8080`, `mark 0x4000`, `→ KUBE-SVC-…`."""
    word, _, rest = step.verdict.partition(" ")
    match _kind(step):
        case "dnat":
            return f"IPVS ⇒ {rest}" if word == "IPVS" else f"DNAT ⇒ {step.after.destination_text}"
        case "snat":
            return f"{word} ⇒ {format_ip(step.after.family, step.after.src)}"
        case "mark":
            return f"mark {step.after.mark:#x}"
        case "jump":
            return f"→ {rest}"
        case "kernel":
            return "; ".join(changes(step.before, step.after)) or step.text or step.verdict
        case _:
            return step.verdict


def changes(before: Packet, after: Packet) -> tuple[str, ...]:
    """Return what changed in the header, one text a field: `dst ⇒ …`, `src ⇒ …`, `mark 0x4000`."""
    found = []
    if (before.dst, before.dport) != (after.dst, after.dport):
        found.append(f"dst ⇒ {after.destination_text}")
    if (before.src, before.sport) != (after.src, after.sport):
        # The kernel may choose another source port; the model keeps it, and only a port that a rule set is said.
        port = format_endpoint(format_ip(after.family, after.src), after.sport)
        found.append(f"src ⇒ {port if before.sport != after.sport else format_ip(after.family, after.src)}")
    return tuple(found)


def line_of(file: str, line: int) -> str:
    """Return `FILE:LINE`, without a line for objects that are in no file."""
    return f"{file}:{line}" if line else file


def beneath(line: Line) -> str:
    """Return what is written small below an effect: the chain and where it comes from."""
    if line.unexplained:
        return f"{line.chain} · no manifest explains it"
    origin = line.origin
    if origin is None:
        return line.chain or "connection tracking" if line.kind == "kernel" else line.chain
    where = origin.where
    place = line_of(where[0].rsplit("/", 1)[-1], where[1]) if where else f"{origin.kind} {origin.name}"
    return f"{line.chain} · {place}"


@dataclass(frozen=True, slots=True)
class HookBox:
    """What happened at one hook of one host, of all outcomes that come by."""

    hook: str
    lines: tuple[Line, ...]


def merged(ways: Sequence[tuple[Fraction, Sequence[tuple[str, Line]]]]) -> tuple[HookBox, ...]:
    """Lay the lines of several outcomes together: equal ones once, with the sum of their weights, in a common order."""
    hooks: dict[str, list[tuple[Fraction, list[Line]]]] = {}
    for share, way in ways:
        for hook in dict.fromkeys(hook for hook, _ in way):
            hooks.setdefault(hook, []).append((share, [line for at, line in way if at == hook]))
    order = in_one_order([list(dict.fromkeys(hook for hook, _ in way)) for _, way in ways])
    return tuple(HookBox(hook, _merged_lines(hooks[hook])) for hook in order)


def _merged_lines(ways: Sequence[tuple[Fraction, Sequence[Line]]]) -> tuple[Line, ...]:
    found: dict[tuple[object, ...], Line] = {}
    keyed = [(share, _keys(lines), lines) for share, lines in ways]
    for share, keys, lines in keyed:
        for key, line in zip(keys, lines, strict=True):
            known = found.get(key)
            total = share if known is None else known.share + share
            found[key] = Line(line.kind, line.effect, line.chain, total, line.steps if known is None else known.steps)
    return tuple(found[key] for key in in_one_order([keys for _, keys, _ in keyed]))


def _keys(lines: Sequence[Line]) -> list[tuple[object, ...]]:
    """Return what makes a line the same in two outcomes; a line that comes twice in one outcome counts as two."""
    seen: dict[tuple[object, ...], int] = {}
    keys: list[tuple[object, ...]] = []
    for line in lines:
        # Two translations that connection tracking undoes alike are one line, whatever they undo.
        texts = tuple("" if step.rule is None else step.rule.text for step in line.steps)
        key = (line.kind, line.effect, line.chain, texts)
        seen[key] = seen.get(key, 0) + 1
        keys.append((*key, seen[key]))
    return keys


def in_one_order(ways: Sequence[Sequence[K]]) -> list[K]:
    """Return the members of several sequences once each, each sequence's own order kept where they agree.

    Of what may come next, what follows the last member in some sequence comes first: branches stay together.
    """
    before: dict[K, set[K]] = {key: set() for way in ways for key in way}
    after: dict[K, set[K]] = {key: set() for key in before}
    for way in ways:
        for left, right in pairwise(way):
            before[right].add(left)
            after[left].add(right)
    order: list[K] = []
    waiting = list(before)
    while waiting:
        # Sequences that disagree leave nothing free: then the one that was seen first goes on.
        free = [key for key in waiting if not before[key]] or waiting[:1]
        following = after[order[-1]] if order else set()
        chosen = next((key for key in free if key in following), free[0])
        waiting.remove(chosen)
        order.append(chosen)
        for key in after[chosen]:
            before[key].discard(chosen)
    return order
