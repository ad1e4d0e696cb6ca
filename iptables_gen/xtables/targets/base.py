"""What a target does with a packet, and how targets read and print themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Protocol

from iptables_gen.dataplane import Hook
from iptables_gen.effects import Effect, Verdict
from iptables_gen.view import HostView, PacketView
from iptables_gen.xtables.ir import Style


class Flow(Enum):
    """Where the walk goes after a target that gave no verdict."""

    NEXT = "next rule"
    RETURN = "return"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a target may do: `label` is what a step shows, `share` its chance among the target's actions.

    `verdict` ends the walk; without it `flow` says what follows. `mark` is the packet's new mark.
    """

    label: str
    verdict: Verdict | None = None
    effects: tuple[Effect, ...] = ()
    flow: Flow = Flow.NEXT
    mark: int | None = None
    share: Fraction = Fraction(1)


class ActingTarget(Protocol):
    """A target that acts on packets (all but jumps)."""

    def render(self, style: Style) -> str:
        """Return the clause, starting with `-j`."""

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return what it may do; the shares sum to 1."""

    def reads(self) -> tuple[str, ...]:
        """Return the attributes of PacketView that decide what it does, `?` when the host does."""


def join(*parts: str) -> str:
    """Return the non-empty parts with single blanks between."""
    return " ".join(part for part in parts if part)
