"""`-m mark` and `-m connmark`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from iptables_gen.view import HostView, PacketView, Tri, tri
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.options import Options, read_at, value_and_mask


def mark_text(value: int, mask: int, style: Style) -> str:
    """Return `VALUE/MASK`, or VALUE alone when the mask is full; kube-proxy writes eight digits."""
    digits = "#010x" if style is Style.RESTORE else "#x"
    return format(value, digits) if mask == 0xFFFF_FFFF else f"{value:{digits}}/{mask:{digits}}"


@dataclass(frozen=True, slots=True)
class MarkMatch:
    """`-m mark [!] --mark VALUE/MASK`: matches when `packet.mark & mask == value`.

    Units:   value and mask are unsigned 32-bit ints; style says how they are spelled.
    Source:  iptables-extensions(8) "mark"; kernel net/netfilter/xt_mark.c.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--mark": 1}

    value: int
    mask: int = 0xFFFF_FFFF
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        given = options.need("--mark")
        return cls(*read_at(given, value_and_mask), given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-m mark {'! ' if self.negated else ''}--mark {mark_text(self.value, self.mask, style)}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the mark matches."""
        return Tri.YES if (packet.mark & self.mask == self.value) is not self.negated else Tri.NO

    def reads(self) -> tuple[str, ...]:
        """Return the mark."""
        return ("mark",)


@dataclass(frozen=True, slots=True)
class ConnmarkMatch:
    """`-m connmark [!] --mark VALUE/MASK`: the mark of the connection.

    A packet view may carry `ct_mark`; without it the mark of a new connection is 0, of any other UNKNOWN.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--mark": 1}

    value: int
    mask: int = 0xFFFF_FFFF
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        given = options.need("--mark")
        return cls(*read_at(given, value_and_mask), given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-m connmark {'! ' if self.negated else ''}--mark {mark_text(self.value, self.mask, style)}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the connection's mark matches."""
        mark = connection_mark(packet)
        if mark is None:
            return Tri.UNKNOWN
        return tri((mark & self.mask == self.value) is not self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return `?`: a field that packets need not have."""
        return ("?",)


def connection_mark(packet: PacketView) -> int | None:
    """Return the mark of the packet's connection, None when it is not known."""
    found: int | None = getattr(packet, "ct_mark", None)
    return 0 if found is None and packet.ct_state == "NEW" else found
