"""Trails of shared outcomes: the question is walked in full when somebody looks at its hosts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from netsim.trace.answer import Outcome
from netsim.trace.walk import Hop


class Retrace:
    """One question's full walk, made once and on demand; it must give the outcomes that were answered."""

    __slots__ = ("_expected", "_walk", "_walked")

    def __init__(self, walk: Callable[[], tuple[Outcome, ...]]) -> None:
        self._walk = walk
        self._expected: Callable[[], Sequence[Outcome]] = tuple
        self._walked: tuple[Outcome, ...] | None = None

    def expect(self, outcomes: Callable[[], Sequence[Outcome]]) -> None:
        """Take what makes the outcomes that the full walk must give.

        Not the answered ones themselves: their trails lead back here, and no cycle shall keep answers alive.
        """
        self._expected = outcomes

    def outcome(self, number: int) -> Outcome:
        """Return an outcome with its hosts."""
        if self._walked is None:
            self._walked = self._walk()
            shared = [outcome[:-1] for outcome in self._expected()]
            if shared != [outcome[:-1] for outcome in self._walked]:
                raise AssertionError(f"a shared walk differs from the full one: {shared}")
        return self._walked[number]


class Later(NamedTuple):
    """The trail of one outcome of a Retrace."""

    retrace: Retrace
    number: int

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Return the hosts on the way there."""
        return self.retrace.outcome(self.number).hops

    @property
    def back(self) -> tuple[Hop, ...]:
        """Return the hosts on the way of the answer."""
        return self.retrace.outcome(self.number).back
