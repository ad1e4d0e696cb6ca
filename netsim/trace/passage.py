"""Passage: one way through one host, from where a packet enters to where it leaves, is delivered or is lost.

A passage holds only what the rules decided (translations, the way out, the rules that matched), never the packet's own
addresses where nothing translated them: packets that no rule of the host tells apart share their passages.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from iptables_gen.dataplane import Hook
from iptables_gen.effects import Assumed, Path, Remember, RuleRef
from netsim.hosts.model import Route
from netsim.packet.packet import Packet
from netsim.trace.machine import Entry

ONE = Fraction(1)


class Sent(NamedTuple):
    """The packet leaves on an interface; gateway None: to its destination, on link.

    `bridged`: it stays on the bridge it came in on, port to port.
    """

    interface: str
    gateway: int | None = None
    bridged: bool = False


class Delivered(NamedTuple):
    """The packet reaches the sockets of this host."""


class Lost(NamedTuple):
    """Silence. `rule` is the rule that dropped it, if a rule did; disposition DROPPED, NO_ROUTE or LOOP."""

    code: str
    rule: RuleRef | None = None
    disposition: str = "DROPPED"
    detail: str = ""


class Refused(NamedTuple):
    """An error goes back, from netfilter or from the host."""

    code: str
    rule: RuleRef | None = None
    kind: str = "icmp-port-unreachable"


class Unknown(NamedTuple):
    """A rule that the model does not know would decide."""

    rule: RuleRef
    reason: str


End = Sent | Delivered | Lost | Refused | Unknown


class Event(NamedTuple):
    """One thing that happened at a hook: a base chain that was run, a routing decision, connection tracking."""

    hook: Hook
    entry: Entry | None
    path: Path | None
    route: Route | None = None
    text: str = ""


class Nat(NamedTuple):
    """What the connection's translations are: explicit new values, None where kept; who translated the source."""

    dst: int | None = None
    dport: int | None = None
    src: int | None = None
    sport: int | None = None
    snat_by: str = ""

    @property
    def dnat(self) -> bool:
        """Whether the destination is translated."""
        return self.dst is not None or self.dport is not None


class Passage(NamedTuple):
    """One way through a host; weights of all passages of one packet sum to 1."""

    weight: Fraction
    end: End
    nat: Nat = Nat()
    events: tuple[Event, ...] = ()
    remembers: tuple[Remember, ...] = ()
    assumed: tuple[Assumed, ...] = ()
    out_interface: str = ""
    tracked: bool = True
    """False for a frame that a bridge passes on without calling iptables."""

    def applied(self, packet: Packet) -> Packet:
        """Return the packet as it leaves the host."""
        nat = self.nat
        family, protocol, src, dst, sport, dport = packet[:6]
        return Packet(
            family,
            protocol,
            src if nat.src is None else nat.src,
            dst if nat.dst is None else nat.dst,
            sport if nat.sport is None else nat.sport,
            dport if nat.dport is None else nat.dport,
        )
