"""Expressions: what a rule reads from the packet, the connection, the host or chance.

Each class renders itself and prepares itself into a reader; None read means the kernel's NFT_BREAK (the packet has no
such field), UNKNOWN that the model does not know.
Source: nft(8) "PAYLOAD EXPRESSIONS", "META EXPRESSIONS", "CONNTRACK EXPRESSIONS", "FIB EXPRESSIONS".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from iptables_gen.nft.literals import Literal, Number, Style, Word, constant
from iptables_gen.nft.walk import UNKNOWN, Env, Reader, Scalar, Value, Walk
from iptables_gen.view import PacketView

Field = Callable[[PacketView], Scalar | None]


def _of_family(family: int, read: Callable[[PacketView], Scalar]) -> Field:
    return lambda packet: read(packet) if packet.family == family else None


def _of_protocol(protocol: str, read: Callable[[PacketView], Scalar]) -> Field:
    return lambda packet: read(packet) if packet.protocol == protocol else None


def _src(packet: PacketView) -> int:
    return packet.src


def _dst(packet: PacketView) -> int:
    return packet.dst


def _protocol(packet: PacketView) -> str:
    return packet.protocol


def _port(side: str, protocols: tuple[str, ...]) -> Field:
    if side == "sport":
        return lambda packet: packet.sport if packet.protocol in protocols else None
    return lambda packet: packet.dport if packet.protocol in protocols else None


_PORTED = ("tcp", "udp", "sctp", "dccp", "udplite")
FIELDS: Mapping[tuple[str, str], tuple[str, Field]] = {
    ("ip", "saddr"): ("ipv4_addr", _of_family(4, _src)),
    ("ip", "daddr"): ("ipv4_addr", _of_family(4, _dst)),
    ("ip", "protocol"): ("inet_proto", _of_family(4, _protocol)),
    ("ip6", "saddr"): ("ipv6_addr", _of_family(6, _src)),
    ("ip6", "daddr"): ("ipv6_addr", _of_family(6, _dst)),
    ("ip6", "nexthdr"): ("inet_proto", _of_family(6, _protocol)),
    ("th", "sport"): ("inet_service", _port("sport", _PORTED)),
    ("th", "dport"): ("inet_service", _port("dport", _PORTED)),
    **{(p, s): ("inet_service", _port(s, (p,))) for p in _PORTED for s in ("sport", "dport")},
}
_HEADERS = {"ip": 4, "ip6": 6}
_TRANSPORT = {"icmpv6": "ipv6-icmp"}


@dataclass(frozen=True, slots=True)
class Payload:
    """`ip saddr`, `th dport`, `tcp flags` …: one header field."""

    header: str
    name: str

    @property
    def datatype(self) -> str:
        """Return the nft datatype of the field, "" when the model does not read it."""
        known = FIELDS.get((self.header, self.name))
        return known[0] if known else ""

    def render(self, style: Style) -> str:
        """Return `HEADER FIELD`."""
        return f"{self.header} {self.name}"

    def prepare(self, env: Env) -> Reader:
        """Return a reader; an unmodelled field is UNKNOWN for packets that have its header."""
        known = FIELDS.get((self.header, self.name))
        if known is not None:
            read = known[1]
            return lambda walk: read(walk.packet)
        if self.header in _HEADERS:
            family = _HEADERS[self.header]
            return lambda walk: UNKNOWN if walk.packet.family == family else None
        protocol = _TRANSPORT.get(self.header, self.header)
        return lambda walk: UNKNOWN if walk.packet.protocol == protocol else None


_META: Mapping[str, tuple[str, Callable[[Walk], Scalar]]] = {
    "mark": ("mark", lambda walk: walk.mark),
    "l4proto": ("inet_proto", lambda walk: walk.packet.protocol),
    "iifname": ("ifname", lambda walk: walk.packet.in_interface),
    "oifname": ("ifname", lambda walk: walk.packet.out_interface),
    "iif": ("ifname", lambda walk: walk.packet.in_interface),
    "oif": ("ifname", lambda walk: walk.packet.out_interface),
    "nfproto": ("nf_proto", lambda walk: "ipv4" if walk.packet.family == 4 else "ipv6"),
    "protocol": ("ether_type", lambda walk: "ip" if walk.packet.family == 4 else "ip6"),
}
BARE_META = frozenset({"mark", "iifname", "oifname", "iif", "oif", "skuid", "skgid", "iiftype", "oiftype", "nftrace"})


@dataclass(frozen=True, slots=True)
class Meta:
    """`meta mark`, `iifname` …: what the kernel knows of the packet besides its headers."""

    key: str

    @property
    def datatype(self) -> str:
        """Return the nft datatype, "" when the model does not know the key."""
        known = _META.get(self.key)
        return known[0] if known else ""

    def render(self, style: Style) -> str:
        """Return `meta KEY`; input says `mark`, listings `meta mark`; interface names never take `meta`."""
        bare = self.key in BARE_META and not (style is Style.LIST and self.key in ("mark", "nftrace", "skuid", "skgid"))
        return self.key if bare else f"meta {self.key}"

    def prepare(self, env: Env) -> Reader:
        """Return a reader of the key."""
        known = _META.get(self.key)
        return known[1] if known else _unknown


def _unknown(walk: Walk) -> Value:
    return UNKNOWN


@dataclass(frozen=True, slots=True)
class Ct:
    """`ct state`, `ct status` …: the packet's connection."""

    key: str

    @property
    def datatype(self) -> str:
        """Return `ct_state`, `ct_status` or ""."""
        return {"state": "ct_state", "status": "ct_status", "mark": "mark"}.get(self.key, "")

    def render(self, style: Style) -> str:
        """Return `ct KEY`."""
        return f"ct {self.key}"

    def prepare(self, env: Env) -> Reader:
        """Return a reader of the state in lower case; other keys are UNKNOWN (Match reads `ct status` itself)."""
        if self.key == "state":
            return lambda walk: walk.packet.ct_state.lower()
        return _unknown


@dataclass(frozen=True, slots=True)
class Fib:
    """`fib saddr type`, `fib daddr . iif type`: a route look-up."""

    keys: tuple[str, ...]
    result: str

    @property
    def datatype(self) -> str:
        """Return `fib_addrtype` for type look-ups."""
        return "fib_addrtype" if self.result == "type" else ""

    def render(self, style: Style) -> str:
        """Return `fib KEYS RESULT`."""
        return f"fib {' . '.join(self.keys)} {self.result}"

    def prepare(self, env: Env) -> Reader:
        """Return a reader of the address type in lower case; look-ups bound to an interface are UNKNOWN."""
        if self.result != "type" or self.keys not in (("saddr",), ("daddr",)):
            return _unknown
        if self.keys == ("saddr",):
            return lambda walk: walk.host.address_type(walk.packet.family, walk.packet.src).lower()
        return lambda walk: walk.host.address_type(walk.packet.family, walk.packet.dst).lower()


@dataclass(frozen=True, slots=True)
class Numgen:
    """`numgen random|inc mod N [offset M]`: one of N numbers, each as likely as the other."""

    mode: str
    modulus: int
    offset: int = 0

    @property
    def datatype(self) -> str:
        """Return `integer`."""
        return "integer"

    def render(self, style: Style) -> str:
        """Return the clause."""
        offset = f" offset {self.offset}" if self.offset else ""
        return f"numgen {self.mode} mod {self.modulus}{offset}"

    def prepare(self, env: Env) -> Reader:
        """Return a reader of the number that the walk has drawn."""
        offset = self.offset
        return lambda walk: walk.pick + offset


@dataclass(frozen=True, slots=True)
class Bitwise:
    """`EXPR and|or|xor NUMBER`; listings say `& | ^`."""

    left: Operand
    operator: str
    right: Number

    @property
    def datatype(self) -> str:
        """Return the datatype of the left side."""
        return self.left.datatype

    def render(self, style: Style) -> str:
        """Return `LEFT OPERATOR RIGHT`; a listing shows marks as eight hex digits."""
        sign = {"and": "&", "or": "|", "xor": "^"}[self.operator] if style is Style.LIST else self.operator
        right = render_constant(self.right, self.datatype, style)
        return f"{self.left.render(style)} {sign} {right}"

    def prepare(self, env: Env) -> Reader:
        """Return a reader of the combined integer."""
        read, right, operator = self.left.prepare(env), self.right.value, self.operator

        def combine(walk: Walk) -> Value:
            value = read(walk)
            if not isinstance(value, int):
                return value if value is None else UNKNOWN
            return value & right if operator == "and" else value | right if operator == "or" else value ^ right

        return combine


@dataclass(frozen=True, slots=True)
class Concat:
    """`EXPR . EXPR …`: a tuple of fields."""

    parts: tuple[Operand, ...]

    @property
    def datatype(self) -> str:
        """Return the datatypes joined as a set's type clause spells them."""
        return " . ".join(part.datatype for part in self.parts)

    def render(self, style: Style) -> str:
        """Return the parts joined by ` . `."""
        return " . ".join(part.render(style) for part in self.parts)

    def prepare(self, env: Env) -> Reader:
        """Return a reader of the tuple; one missing field breaks, one unknown field makes all UNKNOWN."""
        readers = tuple(part.prepare(env) for part in self.parts)

        def read_all(walk: Walk) -> Value:
            values = []
            for read in readers:
                value = read(walk)
                if value is None or value is UNKNOWN:
                    return value
                values.append(value)
            return tuple(values)  # type: ignore[arg-type]

        return read_all


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal used as a value (`meta mark set 0x1`, `dnat to 10.0.0.1`)."""

    literal: Literal
    datatype: str = field(default="", compare=False)

    def render(self, style: Style) -> str:
        """Return the literal."""
        return render_constant(self.literal, self.datatype, style)

    def prepare(self, env: Env) -> Reader:
        """Return a reader that always yields the value."""
        value = constant(self.literal, self.datatype)
        return (lambda walk: UNKNOWN) if value is None else (lambda walk: value)


Operand = Payload | Meta | Ct | Fib | Numgen | Bitwise | Concat | Constant


def render_constant(literal: Literal, datatype: str, style: Style) -> str:
    """Return a literal as its datatype is shown: in listings marks have eight hex digits, interface names quotes."""
    if style is Style.LIST and datatype == "mark" and isinstance(literal, Number):
        return f"{literal.value:#010x}"
    if style is Style.LIST and datatype == "ifname" and isinstance(literal, Word):
        return f'"{literal.text}"'
    return literal.render(style)
