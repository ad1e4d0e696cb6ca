"""Targets with which the packet goes on as it is: LOG, NFLOG, TRACE, TCPMSS, CHECKSUM.

Source:  iptables-extensions(8). Options print in the order of the kernel's dump, defaults left out (observed on 1.8.9).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from iptables_gen.dataplane import Hook
from iptables_gen.view import HostView, PacketView
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.options import Options, unsigned
from iptables_gen.xtables.targets.base import Action, join
from iptables_gen.xtables.words import WordError, quoted, restore_string, save_string

LOG_LEVELS: Final = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")

OPTIONS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "LOG": {
            "--log-prefix": 1, "--log-level": 1, "--log-tcp-sequence": 0, "--log-tcp-options": 0,
            "--log-ip-options": 0, "--log-uid": 0, "--log-macdecode": 0,
        },
        "NFLOG": {
            "--nflog-prefix": 1, "--nflog-group": 1, "--nflog-range": 1, "--nflog-size": 1, "--nflog-threshold": 1,
        },
        "TRACE": {},
        "TCPMSS": {"--clamp-mss-to-pmtu": 0, "--set-mss": 1},
        "CHECKSUM": {"--checksum-fill": 0},
    }
)  # fmt: skip
"""Options by target, in the order of the dump."""

_DEFAULTS: Final = {"--log-level": "4", "--nflog-group": "0", "--nflog-threshold": "1"}
_NUMBERS: Final = ("--nflog-group", "--nflog-range", "--nflog-size", "--nflog-threshold", "--set-mss")


@dataclass(frozen=True, slots=True)
class SideTarget:
    """A target that leaves the packet alone: its options are kept as (option, value), values as the dump has them."""

    name: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        found = []
        for option, values in OPTIONS[name].items():
            if not options.flag(option):
                continue
            value = _value(options, option) if values else ""
            if _DEFAULTS.get(option) != value:
                found.append((option, value))
        return cls(name, tuple(found))

    def render(self, style: Style) -> str:
        """Return the clause."""
        return join(f"-j {self.name}", *(join(option, self._shown(option, style)) for option, _ in self.options))

    def _shown(self, option: str, style: Style) -> str:
        value = dict(self.options)[option]
        if option.endswith("-prefix"):
            return (save_string if style is Style.SAVE else restore_string)(value) if value else quoted(value)
        return value

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return that the packet goes on."""
        return (Action(self.name),)

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


def _value(options: Options, option: str) -> str:
    given = options.need(option)
    text = given.values[0]
    if option == "--log-level":
        return options.read(option, _log_level, "4")
    if option in _NUMBERS:
        return str(options.read(option, unsigned, 0))
    if any(ord(character) < 32 for character in text):
        raise WordError("control characters cannot stand in a prefix", given.column)
    return text


def _log_level(text: str) -> str:
    names = {"panic": 0, "err": 3, "warn": 4} | {name: level for level, name in enumerate(LOG_LEVELS)}
    level = names[text.lower()] if text.lower() in names else unsigned(text, 8)
    if level > 7:
        raise ValueError(f"log level {text} is not from 0 to 7")
    return str(level)
