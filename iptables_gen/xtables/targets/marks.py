"""MARK, CONNMARK, CT and NOTRACK.

Source:  iptables-extensions(8); kernel net/netfilter/xt_mark.c, xt_connmark.c, xt_CT.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from iptables_gen.dataplane import Hook
from iptables_gen.effects import NoTrack, SetMark
from iptables_gen.view import HostView, PacketView
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.matches.marks import connection_mark
from iptables_gen.xtables.options import Options, read_at, unsigned, value_and_mask
from iptables_gen.xtables.targets.base import Action, Flow, join
from iptables_gen.xtables.words import restore_string

FULL: Final = 0xFFFF_FFFF
_SETTERS: Final = ("--set-xmark", "--set-mark", "--and-mark", "--or-mark", "--xor-mark")


@dataclass(frozen=True, slots=True)
class Xmark:
    """One of `--set-xmark V/M --set-mark V/M --and-mark V --or-mark V --xor-mark V`: all are `mark & ~m ^ v`.

    `option` is the spelling; value and mask are as written (mask all ones where the option has none).
    """

    option: str
    value: int
    mask: int = FULL

    @property
    def xmark(self) -> tuple[int, int]:
        """Return (v, m) of `mark & ~m ^ v`."""
        return {
            "--set-mark": (self.value, self.value | self.mask),
            "--and-mark": (0, self.value ^ FULL),
            "--or-mark": (self.value, self.value),
            "--xor-mark": (self.value, 0),
        }.get(self.option, (self.value, self.mask))

    def apply(self, mark: int) -> int:
        """Return the new mark."""
        value, mask = self.xmark
        return mark & (mask ^ FULL) ^ value

    def render(self, style: Style) -> str:
        """Return the option as kube-proxy writes it (eight digits) or as the kernel's dump has it."""
        if style is Style.SAVE:
            value, mask = self.xmark
            return f"--set-xmark {value:#x}/{mask:#x}"
        tail = f"/{self.mask:#010x}" if self.option in ("--set-xmark", "--set-mark") else ""
        return f"{self.option} {self.value:#010x}{tail}"


def _xmark(options: Options) -> Xmark:
    given = options.need(*_SETTERS)
    if given.name in ("--set-xmark", "--set-mark"):
        return Xmark(given.name, *read_at(given, value_and_mask))
    return Xmark(given.name, read_at(given, unsigned))


@dataclass(frozen=True, slots=True)
class MarkTarget:
    """`-j MARK` with one of the options of `Xmark`."""

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys(_SETTERS, 1)

    change: Xmark

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        return cls(_xmark(options))

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-j MARK {self.change.render(style)}"

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return the new mark."""
        mark = self.change.apply(packet.mark)
        return (Action(f"MARK {mark:#x}", effects=(SetMark(mark),), mark=mark),)

    def reads(self) -> tuple[str, ...]:
        """Return the mark."""
        return ("mark",)


@dataclass(frozen=True, slots=True)
class ConnmarkTarget:
    """`-j CONNMARK`: change the connection's mark, save the packet's mark to it, or restore it from there.

    Units:   nfmask and ctmask are 32-bit masks of the packet's and the connection's mark.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys((*_SETTERS, "--mask", "--nfmask", "--ctmask"), 1) | {
        "--save-mark": 0,
        "--restore-mark": 0,
    }

    change: Xmark | None = None
    restore: bool = False
    nfmask: int = FULL
    ctmask: int = FULL

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; `--mask` is both masks."""
        if not options.flag("--save-mark") and not options.flag("--restore-mark"):
            return cls(_xmark(options))
        mask = options.read("--mask", unsigned, FULL)
        masks = options.read("--nfmask", unsigned, mask), options.read("--ctmask", unsigned, mask)
        return cls(None, options.flag("--restore-mark"), *masks)

    def render(self, style: Style) -> str:
        """Return the clause."""
        if self.change:
            return f"-j CONNMARK {self.change.render(style)}"
        what = "--restore-mark" if self.restore else "--save-mark"
        return f"-j CONNMARK {what} --nfmask {self.nfmask:#x} --ctmask {self.ctmask:#x}"

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return the restored mark; a change of the connection's mark alone goes on. UNKNOWN without `ct_mark`."""
        if not self.restore:
            return (Action("CONNMARK"),)
        found = connection_mark(packet)
        if found is None:
            return (Action("CONNMARK", flow=Flow.UNKNOWN),)
        mark = packet.mark & (self.nfmask ^ FULL) ^ (found & self.ctmask)
        return (Action(f"CONNMARK {mark:#x}", effects=(SetMark(mark),), mark=mark),)

    def reads(self) -> tuple[str, ...]:
        """Return the packet's marks."""
        return ("mark", "?") if self.restore else ()


_CT_ORDER: Final = (
    *("--notrack", "--helper", "--timeout", "--ctevents", "--expevents", "--zone-orig", "--zone-reply", "--zone"),
)


@dataclass(frozen=True, slots=True)
class CtTarget:
    """`-j CT [--notrack] [--zone N] …`, and `-j NOTRACK` (`name`), which is the same as `CT --notrack`.

    Zones, helpers, timeouts and events change nothing that the model looks at.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys(_CT_ORDER, 1) | {"--notrack": 0}

    name: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; options stand in the order of the kernel's dump."""
        found = ((option, options.given[option].values) for option in _CT_ORDER if options.flag(option))
        return cls(name, tuple((option, "".join(values)) for option, values in found))

    def render(self, style: Style) -> str:
        """Return the clause."""
        parts = (join(option, restore_string(value) if value else "") for option, value in self.options)
        return join(f"-j {self.name}", *parts)

    @property
    def untracks(self) -> bool:
        """Return whether packets are exempt from connection tracking."""
        return self.name == "NOTRACK" or ("--notrack", "") in self.options

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return the exemption, or nothing."""
        return (Action("NOTRACK", effects=(NoTrack(),)),) if self.untracks else (Action("CT"),)

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()
