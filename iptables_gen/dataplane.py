"""The seam between rule languages and whoever executes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from iptables_gen.effects import Path, RuleRef
from iptables_gen.values import Family
from iptables_gen.view import HostView, PacketView


class Hook(Enum):
    """The five netfilter hooks of a network namespace, in the man pages' spelling."""

    PREROUTING = "PREROUTING"
    INPUT = "INPUT"
    FORWARD = "FORWARD"
    OUTPUT = "OUTPUT"
    POSTROUTING = "POSTROUTING"


class Priority:
    """Priorities of include/uapi/linux/netfilter_ipv4.h; lower runs first."""

    RAW = -300
    CONNTRACK = -200
    MANGLE = -150
    DSTNAT = -100
    FILTER = 0
    SECURITY = 50
    SRCNAT = 100


class Mentions(NamedTuple):
    """The addresses that the rules of a base chain tell apart in one field, `src` or `dst`.

    Two packets that differ only in that field, in addresses outside `singles` that lie in the same `networks`
    (mask, network) and that the host gives the same address type, take the same paths when no client is remembered.
    That is said of packets whose source and destination differ: what only concerns a packet sent to its own source
    (the hairpin sets of nftables and ipvs mode) is not mentioned.
    """

    singles: frozenset[int] = frozenset()
    networks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class HookEntry:
    """One base chain: where it hooks, and how to run it.

    `nat` entries see only the first packet of a connection that has no translation of their kind yet (the engine obeys
    this). `run` is pure; the weights of its paths sum to 1. `mentions` says which addresses of a field its rules tell
    apart (a superset will do), None when that cannot be said; it lets the engine share work between packets.
    """

    hook: Hook
    priority: int
    table: str
    nat: bool
    run: Callable[[PacketView, HostView], tuple[Path, ...]]
    label: str = ""
    mentions: Callable[[str], Mentions | None] | None = None


class Dataplane(Protocol):
    """The rules of one program (kube-proxy's, a CNI's, a dump's) for one address family on one host."""

    @property
    def family(self) -> Family: ...

    def hooks(self) -> tuple[HookEntry, ...]:
        """Return the base chains, unordered."""

    def render(self) -> Mapping[str, str]:
        """Return the text that loads the program, by file name of the command line contract (`iptables.restore` …)."""

    def explain(self, name: str) -> tuple[RuleRef, ...]:
        """Return the rules of a chain, set or map, and those that refer to it; () for an unknown name."""
