"""Targets that decide where the packet goes: ACCEPT, DROP, RETURN, REJECT, QUEUE, jumps; and targets not modelled.

Source:  iptables(8), iptables-extensions(8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from iptables_gen.dataplane import Hook
from iptables_gen.effects import Accept, Drop, Reject
from iptables_gen.values import Family
from iptables_gen.view import HostView, PacketView
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.options import Options, read_at
from iptables_gen.xtables.targets.base import Action, Flow, join

_ACCEPT: Final = (Action("ACCEPT", Accept()),)
_DROP: Final = (Action("DROP", Drop()),)
_RETURN: Final = (Action("RETURN", flow=Flow.RETURN),)


@dataclass(frozen=True, slots=True)
class VerdictTarget:
    """`-j ACCEPT`, `-j DROP`, `-j RETURN`, `-j QUEUE`."""

    OPTIONS: ClassVar[Mapping[str, int]] = {}

    name: str

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        return cls(name)

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-j {self.name}"

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return the verdict; a packet queued to a program is out of the model's sight."""
        known = {"ACCEPT": _ACCEPT, "DROP": _DROP, "RETURN": _RETURN}
        return known.get(self.name) or (Action(self.name, flow=Flow.UNKNOWN),)

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class JumpTarget:
    """`-j CHAIN`: come back after its last rule. `-g CHAIN` (`goto`): come back to where this chain was called."""

    chain: str
    goto: bool = False

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"{'-g' if self.goto else '-j'} {self.chain}"

    @property
    def label(self) -> str:
        """Return what a step shows."""
        return f"{'GOTO' if self.goto else 'JUMP'} {self.chain}"

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


_REJECT4: Final = {
    "icmp-net-unreachable": "net-unreach", "icmp-host-unreachable": "host-unreach",
    "icmp-proto-unreachable": "proto-unreach", "icmp-port-unreachable": "port-unreach",
    "icmp-net-prohibited": "net-prohib", "icmp-host-prohibited": "host-prohib", "tcp-reset": "tcp-rst",
    "icmp-admin-prohibited": "admin-prohib",
}  # fmt: skip
_REJECT6: Final = {
    "icmp6-no-route": "no-route", "icmp6-adm-prohibited": "adm-prohibited", "icmp6-addr-unreachable": "addr-unreach",
    "icmp6-port-unreachable": "port-unreach", "tcp-reset": "tcp-reset", "icmp6-policy-fail": "policy-fail",
    "icmp6-reject-route": "reject-route",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RejectTarget:
    """`-j REJECT [--reject-with KIND]`: an error goes back. kube-proxy names no kind: the family's port-unreachable.

    `spelled`: the kind was written; the kernel's dump always has it.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--reject-with": 1}

    kind: str
    spelled: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; short names become the ones the kernel's dump has."""
        if not options.flag("--reject-with"):
            return cls("icmp-port-unreachable" if options.family == 4 else "icmp6-port-unreachable")
        given = options.need("--reject-with")
        return cls(read_at(given, lambda text: _reject_kind(text, options.family)), True)

    def render(self, style: Style) -> str:
        """Return the clause."""
        return join("-j REJECT", f"--reject-with {self.kind}" if self.spelled or style is Style.SAVE else "")

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return the verdict."""
        return (Action("REJECT", Reject(self.kind)),)

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


def _reject_kind(text: str, family: Family) -> str:
    kinds = _REJECT4 if family == 4 else _REJECT6
    for kind, short in kinds.items():
        if text in (kind, short):
            return kind
    raise ValueError(f"{text!r} is not a kind of rejection")


_HARMLESS: Final = frozenset(
    [
        "AUDIT",
        "CLASSIFY",
        "CONNSECMARK",
        "DSCP",
        "ECN",
        "HL",
        "IDLETIMER",
        "LED",
        "RATEEST",
        "SECMARK",
        "SET",
        "TCPOPTSTRIP",
        "TEE",
        "TOS",
        "TTL",
        "ULOG",
    ]
)
"""Targets that let the packet go on and change nothing that the model looks at."""


@dataclass(frozen=True, slots=True)
class OpaqueTarget:
    """A target the model does not know, kept word for word. Reached by a packet, it makes the answer undetermined.

    Some are known to let the packet go on (`harmless`), and do.
    """

    name: str
    text: str = ""

    @property
    def harmless(self) -> bool:
        """Return whether the packet goes on unchanged as far as the model can see."""
        return self.name in _HARMLESS

    def render(self, style: Style) -> str:
        """Return the clause."""
        return join(f"-j {self.name}", self.text)

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return CONTINUE for a harmless target, else an unknown outcome."""
        return (Action(self.name, flow=Flow.NEXT if self.harmless else Flow.UNKNOWN),)

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()
