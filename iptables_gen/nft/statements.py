"""Statements that change the packet, its connection or a set, and verdicts.

Source: nft(8) "STATEMENTS"; kernel net/netfilter/nft_nat.c, nft_masq.c, nft_dynset.c.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from iptables_gen.effects import Accept, Dnat, Masquerade, NoTrack, Reject, Remember, SetMark, Snat
from iptables_gen.nft.expressions import Constant, Ct, Meta, Numgen, Operand, Payload
from iptables_gen.nft.literals import Address, Number, Style
from iptables_gen.nft.matches import Counter, Harmless, Limit, Match, Opaque, Vmap, finder, numgen_in
from iptables_gen.nft.sets import AnonymousSet, Decision, SetReference, render_time
from iptables_gen.nft.walk import BREAK, UNKNOWN, Answer, Env, Signal, Step, Walk
from iptables_gen.values import format_endpoint, format_ip


@dataclass(frozen=True, slots=True)
class Assign:
    """`meta mark set EXPR`, `ct mark set EXPR`: a mark changes."""

    target: Meta | Ct
    value: Operand

    def render(self, style: Style) -> str:
        """Return `TARGET set VALUE`."""
        return f"{self.target.render(style)} set {self.value.render(style)}"

    def prepare(self, env: Env) -> Step:
        """Return a step that sets the packet's mark; other targets change nothing the model follows."""
        if self.target != Meta("mark"):
            return lambda walk: None
        read = self.value.prepare(env)

        def step(walk: Walk) -> Answer:
            value = read(walk)
            if not isinstance(value, int):
                return BREAK if value is None else UNKNOWN
            walk.mark = value
            walk.effects.append(SetMark(value))
            return None

        return step


@dataclass(frozen=True, slots=True)
class Lookup:
    """`KEY map { K : DATA , … }` as a value: the data found under the key."""

    key: Operand
    table: AnonymousSet | SetReference

    def render(self, style: Style) -> str:
        """Return the expression."""
        return f"{self.key.render(style)} map {self.table.render(style)}"


Target = Constant | Lookup


@dataclass(frozen=True, slots=True)
class Nat:
    """`dnat|snat [ip|ip6] [addr . port] to ADDRESS[:PORT] [FLAGS]`; ends the chain.

    `address` is a constant or a map; `port` a number, 0 when it is kept or comes with the map's data.
    A listing of nft 1.0.6 leaves out `addr . port`.
    """

    kind: str
    address: Target
    port: int = 0
    family: str = ""
    flags: tuple[str, ...] = ()
    concatenated: bool = field(default=False, compare=False)

    def render(self, style: Style) -> str:
        """Return the statement."""
        addr_port = " addr . port" if self.concatenated and style is Style.INPUT else ""
        family = f" {self.family}" if self.family else ""
        flags = f" {','.join(self.flags)}" if self.flags else ""
        return f"{self.kind}{family}{addr_port} to {self._target(style)}{flags}"

    def _target(self, style: Style) -> str:
        if self.port and isinstance(self.address, Constant):
            return format_endpoint(self.address.render(style), self.port)
        text = self.address.render(style)
        return f"{text}:{self.port}" if self.port else text

    def prepare(self, env: Env) -> Step:
        """Return a step that translates and accepts."""
        kind, port, address = self.kind, self.port, self.address
        if isinstance(address, Constant):
            literal = address.literal
            if not isinstance(literal, Address):
                return lambda walk: UNKNOWN
            return lambda walk: translate(walk, kind, literal.value, port)
        read, find = address.key.prepare(env), finder(address.table, address.key, env)

        def step(walk: Walk) -> Answer:
            element = find(walk, read(walk))
            if element is None or element is UNKNOWN:
                return BREAK if element is None else UNKNOWN
            target = _address_port(getattr(element, "data", None))
            return UNKNOWN if target is None else translate(walk, kind, target[0], target[1] or port)

        return step


def _address_port(data: object) -> tuple[int, int] | None:
    match data:
        case (Address() as address,):
            return address.value, 0
        case (Address() as address, Number(port)):
            return address.value, port
        case _:
            return None


def translate(walk: Walk, kind: str, address: int, port: int) -> Signal:
    """Add the translation to the walk and return the accepting signal."""
    where = format_ip(walk.packet.family, address)
    text = format_endpoint(where, port) if port else where
    walk.effects.append(Dnat(address, port or None) if kind == "dnat" else Snat(address, port or None))
    return Signal("end", f"{kind.upper()} {text}", "", Accept())


_MASQUERADE = Signal("end", "MASQUERADE", "", Accept())


@dataclass(frozen=True, slots=True)
class MasqueradeStatement:
    """`masquerade [to :PORT] [random|fully-random|persistent]`; ends the chain."""

    flags: tuple[str, ...] = ()
    to: str = ""

    def render(self, style: Style) -> str:
        """Return the statement."""
        to = f" to {self.to}" if self.to else ""
        return f"masquerade{to}" + (f" {','.join(self.flags)}" if self.flags else "")

    def prepare(self, env: Env) -> Step:
        """Return a step that masquerades and accepts."""
        effect = Masquerade("fully-random" in self.flags)

        def step(walk: Walk) -> Answer:
            walk.effects.append(effect)
            return _MASQUERADE

        return step


@dataclass(frozen=True, slots=True)
class Redirect:
    """`redirect [to :PORT]`: destination becomes the incoming interface's address, loopback for local packets."""

    port: int = 0
    flags: tuple[str, ...] = ()

    def render(self, style: Style) -> str:
        """Return the statement."""
        to = f" to :{self.port}" if self.port else ""
        return f"redirect{to}" + (f" {','.join(self.flags)}" if self.flags else "")

    def prepare(self, env: Env) -> Step:
        """Return a step that translates to the host itself and accepts."""
        port = self.port

        def step(walk: Walk) -> Answer:
            packet = walk.packet
            if not packet.in_interface:
                return translate(walk, "dnat", (127 << 24) + 1 if packet.family == 4 else 1, port)
            address = walk.host.primary_address(packet.family, packet.in_interface)
            return UNKNOWN if address is None else translate(walk, "dnat", address, port)

        return step


_REJECTS = {
    ("icmp", "port-unreachable"): "icmp-port-unreachable",
    ("icmpx", "port-unreachable"): "icmp-port-unreachable",
    ("icmpv6", "port-unreachable"): "icmp6-port-unreachable",
    ("icmpx", "admin-prohibited"): "icmp-admin-prohibited",
    ("tcp", "reset"): "tcp-reset",
}


@dataclass(frozen=True, slots=True)
class RejectStatement:
    """`reject [with icmp[x|v6] [type] CODE | with tcp reset]`."""

    protocol: str = ""
    code: str = ""

    def render(self, style: Style) -> str:
        """Return the statement."""
        if not self.protocol:
            return "reject"
        return f"reject with {self.protocol} {self.code}"

    def kind(self, family: int) -> str:
        """Return the answer as iptables spells it; without `with` it is a port unreachable of the family."""
        if not self.protocol:
            return "icmp-port-unreachable" if family == 4 else "icmp6-port-unreachable"
        prefix = "icmp" if family == 4 and self.protocol != "icmpv6" else "icmp6"
        default = f"{prefix}-{self.code}"
        return default if self.protocol != "tcp" else _REJECTS.get((self.protocol, self.code), default)

    def prepare(self, env: Env) -> Step:
        """Return a step that rejects."""
        signals = {f: Signal("end", "REJECT", "", Reject(self.kind(f))) for f in (4, 6)}
        return lambda walk: signals[walk.packet.family]


@dataclass(frozen=True, slots=True)
class UpdateSet:
    """`update|add|delete @SET { EXPR [timeout T] [: DATA] }`: the packet's field enters a dynamic set."""

    operation: str
    name: str
    key: Operand
    timeout: int = 0
    rest: str = ""

    def render(self, style: Style) -> str:
        """Return the statement."""
        timeout = f" timeout {render_time(self.timeout, style)}" if self.timeout else ""
        rest = f" {self.rest}" if self.rest else ""
        return f"{self.operation} @{self.name} {{ {self.key.render(style)}{timeout}{rest} }}"

    def prepare(self, env: Env) -> Step:
        """Return a step that remembers a single address; richer keys and deletions are UNKNOWN."""
        if self.operation == "delete" or self.rest or not isinstance(self.key, Payload):
            return lambda walk: UNKNOWN
        read, name = self.key.prepare(env), self.name
        seconds = self.timeout or env.timeout(self.name)

        def step(walk: Walk) -> Answer:
            address = read(walk)
            if not isinstance(address, int):
                return BREAK
            walk.effects.append(Remember(name, address, seconds))
            return None

        return step


@dataclass(frozen=True, slots=True)
class NoTrackStatement:
    """`notrack`: no connection tracking."""

    def render(self, style: Style) -> str:
        """Return `notrack`."""
        return "notrack"

    def prepare(self, env: Env) -> Step:
        """Return a step that exempts the packet."""

        def step(walk: Walk) -> Answer:
            walk.effects.append(NoTrack())
            return None

        return step


@dataclass(frozen=True, slots=True)
class VerdictStatement:
    """A verdict as a rule's last statement."""

    decision: Decision

    def render(self, style: Style) -> str:
        """Return the verdict."""
        return self.decision.render(style)

    def prepare(self, env: Env) -> Step:
        """Return a step that always answers the same."""
        signal = self.decision.signal()
        return lambda walk: signal


Statement = (
    Match
    | Vmap
    | Counter
    | Harmless
    | Limit
    | Opaque
    | Assign
    | Nat
    | MasqueradeStatement
    | Redirect
    | RejectStatement
    | UpdateSet
    | NoTrackStatement
    | VerdictStatement
)
EFFECTLESS = (Match, Counter, Harmless, Limit)


def numgen_of(statement: Statement) -> Numgen | None:
    """Return the random number a statement draws, if any."""
    match statement:
        case Match(left):
            return numgen_in(left)
        case Vmap(key) | UpdateSet(key=key):
            return numgen_in(key)
        case Nat(address=Lookup(key)):
            return numgen_in(key)
        case Assign(value=value):
            return numgen_in(value)
        case _:
            return None
