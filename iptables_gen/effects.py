"""What evaluating a rule program yields: weighted paths of effects, each ending in a verdict.

Evaluators never change a packet: they return every way the packet may take through one hook entry. Inside a walk
they keep track of the mark themselves (a later rule sees what an earlier rule of the same walk set). The trace
engine applies the effects, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from iptables_gen.origin import Origin


class RuleRef(Protocol):
    """A rule as a step names it; text is the save spelling of its language and may be rendered on demand."""

    @property
    def table(self) -> str: ...
    @property
    def chain(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def origin(self) -> Origin | None: ...


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule matched.

    `verdict` is what it did: `JUMP X`, `GOTO X`, `RETURN`, `CONTINUE`, `MARK 0x4000`, `DNAT …`, `DROP` ….
    `choice` is this path's share of a random choice made here (1 when nothing was random): the product of all
    choices of a path is its weight.
    """

    rule: RuleRef
    verdict: str
    choice: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class SetMark:
    """The packet's mark becomes `value`."""

    value: int


@dataclass(frozen=True, slots=True)
class Dnat:
    """Destination translation; a None part is kept."""

    address: int | None
    port: int | None


@dataclass(frozen=True, slots=True)
class Snat:
    """Source translation to a given address; `port` None lets the kernel choose."""

    address: int
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Source translation to the address of the outgoing interface."""

    fully_random: bool = False


@dataclass(frozen=True, slots=True)
class Remember:
    """A client address enters an affinity table: `recent --set`, nft `update @set`, an ipvs persistence template."""

    table: str
    address: int
    seconds: int
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class NoTrack:
    """The packet is exempt from connection tracking (raw table)."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """Something uncertain that the walk assumed; becomes a note of the answer (code, sentence)."""

    code: str
    text: str


Effect = RuleHit | SetMark | Dnat | Snat | Masquerade | Remember | NoTrack | Assumed


@dataclass(frozen=True, slots=True)
class Accept:
    """The packet goes on: ACCEPT, or the end of the base chain under policy ACCEPT."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Silence. `policy` when no rule but the chain's policy dropped it."""

    policy: bool = False


@dataclass(frozen=True, slots=True)
class Reject:
    """An error goes back; `kind` as iptables spells it: icmp-port-unreachable, tcp-reset …."""

    kind: str = "icmp-port-unreachable"


@dataclass(frozen=True, slots=True)
class Undetermined:
    """A match or target that the model does not know would decide; `rule` names it."""

    rule: RuleRef
    reason: str


@dataclass(frozen=True, slots=True)
class IpvsSend:
    """IPVS took the packet: it leaves through LOCAL_OUT and POSTROUTING with this destination (masquerading NAT)."""

    address: int
    port: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class IpvsNoServer:
    """An IPVS virtual service matched but has no usable real server: the kernel answers with a port unreachable."""

    label: str = ""


Verdict = Accept | Drop | Reject | Undetermined | IpvsSend | IpvsNoServer


@dataclass(frozen=True, slots=True)
class Path:
    """One way through one hook entry. Weights of all paths of a run sum to 1."""

    weight: Fraction
    verdict: Verdict
    effects: tuple[Effect, ...] = field(default=())


NOTHING_HAPPENS: tuple[Path, ...] = (Path(Fraction(1), Accept()),)
