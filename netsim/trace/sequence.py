"""Sequences of connections: what one leaves in affinity tables decides where the next goes.

A trace by itself is always of a client that nobody remembers; state is carried only here, explicitly.
"""

from __future__ import annotations

from collections.abc import Callable

from iptables_gen.values import Family
from netsim.trace.answer import Answer, Outcome
from netsim.trace.query import TraceQuery
from netsim.trace.tracer import Tracer

Choose = Callable[[Answer], Outcome]


def likeliest(answer: Answer) -> Outcome:
    """Return the outcome with the greatest probability, the first of equals."""
    return max(answer.outcomes, key=lambda outcome: outcome.probability)


class Sequence:
    """Connections made one after another, with a clock that only `wait` moves."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._entered: dict[tuple[str, str, Family, int], float] = {}
        self._now = 0.0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def connect(self, query: TraceQuery, choose: Choose = likeliest) -> tuple[Answer, Outcome]:
        """Trace a connection; of its outcomes *choose* says which one happens, and its affinity is remembered."""
        ages = {key: self._now - entered for key, entered in self._entered.items()}
        answer = self._tracer.trace(query, ages)
        happened = choose(answer)
        for hop in happened.hops:
            for item in hop.passage.remembers:
                self._entered[hop.machine.name, item.table, hop.packet.family, item.address] = self._now
        return answer, happened
