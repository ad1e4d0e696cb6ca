"""The state of one packet inside one base chain, and what a statement can answer.

Statements and expressions are prepared once into closures over this state; nothing here outlives a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, Protocol

from iptables_gen.effects import Effect, Verdict
from iptables_gen.view import HostView, PacketView

if TYPE_CHECKING:
    from iptables_gen.nft.sets import Element


class Mark(Enum):
    """Special values of an expression or answers of a statement."""

    UNKNOWN = "unknown"
    BREAK = "break"


UNKNOWN: Final = Mark.UNKNOWN
BREAK: Final = Mark.BREAK
Scalar = int | str
Value = Scalar | tuple[Scalar, ...] | Literal[Mark.UNKNOWN] | None


class Walk:
    """Mutable state of a run: the packet, its mark as set so far, the random number drawn, effects so far."""

    __slots__ = ("effects", "host", "mark", "packet", "pick")

    def __init__(self, packet: PacketView, host: HostView, mark: int, effects: list[Effect], pick: int = 0) -> None:
        self.packet, self.host, self.mark, self.effects, self.pick = packet, host, mark, effects, pick


@dataclass(frozen=True, slots=True)
class Signal:
    """What a statement decides: where evaluation goes on, or the verdict that ends it.

    `text` is the step's verdict; `element` the map element that decided (its origin explains the step better than
    the rule's).
    """

    kind: Literal["jump", "goto", "return", "continue", "end"]
    text: str
    chain: str = ""
    verdict: Verdict | None = None
    element: Element | None = None


Answer = Signal | Mark | None
Step = Callable[[Walk], Answer]
Reader = Callable[[Walk], Value]


class Lookup(Protocol):
    """A set or map made ready for look-ups."""

    def find(self, walk: Walk, key: Value) -> Element | Literal[Mark.UNKNOWN] | None:
        """Return the element that holds a key, None when there is none, UNKNOWN when the model cannot tell."""


class Env(Protocol):
    """The table a rule lives in, as preparation needs it."""

    @property
    def sets(self) -> Mapping[str, Lookup]:
        """Named sets and maps."""

    def timeout(self, name: str) -> int:
        """Return a set's default timeout in seconds, 0 when it has none."""
