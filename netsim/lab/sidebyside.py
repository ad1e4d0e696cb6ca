"""The model's steps beside the kernel's: which agree, and what only one side says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from iptables_gen.values import parse_ip
from netsim.lab.oracle import KernelStep
from netsim.lab.tracing import Age, Traced
from netsim.lab.verify import observation_words, outcome_words
from netsim.trace.answer import Answer, Outcome
from netsim.trace.machine import Affinities
from netsim.trace.steps import steps_of

Side = Literal["both", "kernel", "model"]
Steps = tuple[tuple[str, tuple[KernelStep, ...]], ...]
ENDS = {"ACCEPT": "ACCEPT", "DROP": "DROP", "REJECT": "DROP", "RETURN": "RETURN"}
TRANSLATIONS = ("DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP")


class Line(NamedTuple):
    """One step of one side or of both."""

    side: Side
    step: KernelStep


class Comparison(NamedTuple):
    """One packet: what happened, the outcome of the model that is nearest, and the steps side by side by node."""

    observed: str
    predicted: str
    nodes: tuple[tuple[str, tuple[Line, ...]], ...]

    @property
    def agrees(self) -> bool:
        """Whether the model predicts this outcome with exactly the kernel's steps."""
        return self.observed == self.predicted and all(line.side == "both" for _, lines in self.nodes for line in lines)

    @property
    def taken(self) -> int:
        """Return how many steps the kernel took."""
        return sum(line.side != "model" for _, lines in self.nodes for line in lines)


def compare_steps(traced: Traced, answer: Answer) -> Comparison:
    """Lay a packet's trace beside the outcome that fits it best."""
    observed = observation_words(traced.observation)
    ranked = [(outcome_words(o) == observed, model_steps(o), outcome_words(o)) for o in answer.outcomes]
    scored = max(ranked, key=lambda item: (item[1] == traced.steps, item[0], _likeness(item[1], traced.steps)))
    return Comparison(observed, scored[2], _beside(traced.steps, scored[1]))


def model_steps(outcome: Outcome) -> Steps:
    """Return the rules that an outcome's packet matches on its way there, by node in order of arrival."""
    found: dict[str, list[KernelStep]] = {}
    for hop in outcome.hops:
        if hop.machine.host.kind == "node":
            node = f"node/{hop.machine.name}"
            for step in steps_of(hop):
                if step.rule is not None:
                    word = kernel_verdict(step.verdict)
                    found.setdefault(node, []).append(KernelStep(step.table, step.chain, step.rule.text, word))
    return tuple(sorted((node, tuple(listed)) for node, listed in found.items()))


def kernel_verdict(words: str) -> str:
    """Return a model step's verdict as the kernel reports it: translations accept, REJECT drops, marks go on."""
    first, _, rest = words.partition(" ")
    upper = first.upper()
    if upper in ("JUMP", "GOTO"):
        return f"{upper} {rest}"
    return "ACCEPT" if upper in TRANSLATIONS else ENDS.get(upper, "CONTINUE")


def ages_of(remembered: Sequence[Age]) -> Affinities:
    """Return what affinity tables held as the tracer takes it, every client just seen."""
    return {(node, table, parse_ip(ip)[0], parse_ip(ip)[1]): 0.0 for node, table, _, ip in remembered}


def _likeness(model: Steps, kernel: Steps) -> int:
    theirs = {(node, step) for node, listed in kernel for step in listed}
    ours = {(node, step) for node, listed in model for step in listed}
    return len(theirs & ours) - len(theirs ^ ours)


def _beside(kernel: Steps, model: Steps) -> tuple[tuple[str, tuple[Line, ...]], ...]:
    theirs, ours = dict(kernel), dict(model)
    return tuple(
        (node, tuple(_lines(theirs.get(node, ()), ours.get(node, ())))) for node in dict.fromkeys((*theirs, *ours))
    )


def _lines(kernel: Sequence[KernelStep], model: Sequence[KernelStep]) -> list[Line]:
    found: list[Line] = []
    for kind, a, b, c, d in SequenceMatcher(None, kernel, model, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [Line("both", step) for step in kernel[a:b]]
        else:
            found += [Line("kernel", step) for step in kernel[a:b]] + [Line("model", step) for step in model[c:d]]
    return found
