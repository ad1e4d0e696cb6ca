"""The clauses that need no `-m`: `-s -d -i -o -p -f`.

Source:  iptables(8); kernel net/ipv4/netfilter/ip_tables.c ip_packet_match().
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Self

from iptables_gen.values import BITS, Family, format_ip, net_mask, parse_ip
from iptables_gen.view import HostView, PacketView, Tri, tri
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.options import address

PROTOCOLS: Final = {
    1: "icmp", 2: "igmp", 3: "ggp", 4: "ipencap", 5: "st", 6: "tcp", 8: "egp", 9: "igp", 12: "pup", 17: "udp",
    20: "hmp", 22: "xns-idp", 27: "rdp", 29: "iso-tp4", 33: "dccp", 36: "xtp", 37: "ddp", 38: "idpr-cmtp", 41: "ipv6",
    43: "ipv6-route", 44: "ipv6-frag", 45: "idrp", 46: "rsvp", 47: "gre", 50: "esp", 51: "ah", 57: "skip",
    58: "ipv6-icmp", 59: "ipv6-nonxt", 60: "ipv6-opts", 73: "rspf", 81: "vmtp", 88: "eigrp", 89: "ospf", 93: "ax.25",
    94: "ipip", 97: "etherip", 98: "encap", 103: "pim", 108: "ipcomp", 112: "vrrp", 115: "l2tp", 124: "isis",
    132: "sctp", 133: "fc", 135: "mobility-header", 136: "udplite", 137: "mpls-in-ip", 138: "manet", 139: "hip",
    140: "shim6", 141: "wesp", 142: "rohc", 143: "ethernet",
}  # fmt: skip
"""Names that `iptables-save` prints for protocol numbers (observed on 1.8.9 with Debian's /etc/protocols)."""

_NUMBERS: Final = {name: number for number, name in PROTOCOLS.items()} | {
    "icmpv6": 58, "ipv6-mh": 135, "mh": 135, "all": 0,
}  # fmt: skip


def protocol_name(text: str) -> str:
    """Return a protocol as `iptables-save` prints it: the name if it has one, else the number; "all" for 0.

    Raises:  ValueError for neither a known name nor 0 to 255.
    """
    number = int(text) if text.isdecimal() else _NUMBERS.get(text.lower(), -1)
    if not 0 <= number <= 255:
        raise ValueError(f"unknown protocol {text!r}")
    return PROTOCOLS.get(number, str(number)) if number else "all"


def protocol_number(name: str) -> int:
    """Return the number of a protocol name (or of a number as text)."""
    return int(name) if name.isdecimal() else _NUMBERS[name]


@dataclass(frozen=True, slots=True)
class Address:
    """`[!] -s NET` or `[!] -d NET`: matches when `address & mask == network`.

    Units:   address and mask are unsigned integers of the family's width; the mask may have holes.
    `bare`:  written without a mask (kube-proxy does for single addresses); the kernel prints /32 or /128.
    """

    end: Literal["src", "dst"]
    family: Family
    address: int
    mask: int
    negated: bool = False
    bare: bool = False

    @classmethod
    def parse(cls, end: Literal["src", "dst"], text: str, family: Family, negated: bool = False) -> Self:
        """Return the clause of `ADDR`, `ADDR/LEN` or `ADDR/MASK`.

        Raises:  ValueError for anything else; host names are not looked up.
        """
        plain, slash, length = text.partition("/")
        if family == 4 and slash and plain.count(".") < 3:
            plain += ".0" * (3 - plain.count("."))
        value = address(plain, family)
        mask = _mask(length, family) if slash else net_mask(family, BITS[family])
        return cls(end, family, value & mask, mask, negated, not slash)

    @property
    def single(self) -> bool:
        """Return whether exactly one address is meant."""
        return self.mask == net_mask(self.family, BITS[self.family])

    def render(self, style: Style) -> str:
        """Return the clause; SAVE leaves out a network that holds everything."""
        if style is Style.SAVE and not self.mask and not self.negated:
            return ""
        flag = "-s" if self.end == "src" else "-d"
        tail = "" if self.bare and style is Style.RESTORE else "/" + _mask_text(self.mask, self.family)
        return f"{'! ' if self.negated else ''}{flag} {format_ip(self.family, self.address)}{tail}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet's address lies in the network."""
        value = packet.src if self.end == "src" else packet.dst
        return Tri.YES if (value & self.mask == self.address) is not self.negated else Tri.NO

    def reads(self) -> tuple[str, ...]:
        """Return the packet's field."""
        return (self.end,)


def _mask(text: str, family: Family) -> int:
    bits = BITS[family]
    if text.isdecimal():
        if int(text) > bits:
            raise ValueError(f"prefix length {text} is over {bits}")
        return net_mask(family, int(text))
    found, mask = parse_ip(text)
    if found != family:
        raise ValueError(f"{text!r} is not an IPv{family} mask")
    return mask


def _mask_text(mask: int, family: Family) -> str:
    prefix = mask.bit_count()
    return str(prefix) if mask == net_mask(family, prefix) else format_ip(family, mask)


@dataclass(frozen=True, slots=True)
class Interface:
    """`[!] -i NAME` or `[!] -o NAME`; a final `+` matches any name that begins so."""

    end: Literal["in", "out"]
    name: str
    negated: bool = False

    @classmethod
    def parse(cls, end: Literal["in", "out"], text: str, negated: bool = False) -> Self:
        """Return the clause.

        Raises:  ValueError for a name the kernel cannot have (empty, over 15 bytes, blank or `/`).
        """
        size = len(text.encode("utf-8", "surrogateescape"))
        if not 0 < size < 16 or "/" in text or any(c.isspace() for c in text):
            raise ValueError(f"{text!r} is not an interface name")
        return cls(end, text, negated)

    def render(self, style: Style) -> str:
        """Return the clause; SAVE leaves out `+` alone."""
        if style is Style.SAVE and self.name == "+" and not self.negated:
            return ""
        return f"{'! ' if self.negated else ''}{'-i' if self.end == 'in' else '-o'} {self.name}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet's interface has the name."""
        found = packet.in_interface if self.end == "in" else packet.out_interface
        same = found.startswith(self.name[:-1]) if self.name.endswith("+") else found == self.name
        return tri(same is not self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return the packet's field."""
        return ("in_interface",) if self.end == "in" else ("out_interface",)


@dataclass(frozen=True, slots=True)
class Protocol:
    """`[!] -p NAME`; "all" matches every protocol."""

    name: str
    negated: bool = False

    @classmethod
    def parse(cls, text: str, negated: bool = False) -> Self:
        """Return the clause; a number becomes the name that `iptables-save` prints.

        Raises:  ValueError for an unknown name, and for `! -p all`, which could never match.
        """
        name = protocol_name(text)
        if name == "all" and negated:
            raise ValueError("a rule for no protocol never matches")
        return cls(name, negated)

    def render(self, style: Style) -> str:
        """Return the clause; SAVE leaves out "all"."""
        if style is Style.SAVE and self.name == "all":
            return ""
        return f"{'! ' if self.negated else ''}-p {self.name}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet is of the protocol."""
        if self.name == "all":
            return Tri.YES
        return tri((packet.protocol == self.name) is not self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return the packet's field."""
        return ("protocol",)


@dataclass(frozen=True, slots=True)
class Fragment:
    """`[!] -f`: second and further fragments. The model's packets are whole (conntrack defragments)."""

    negated: bool = False

    def render(self, style: Style) -> str:
        """Return the clause."""
        return "! -f" if self.negated else "-f"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return NO, or YES when negated."""
        return tri(self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return nothing: no field decides."""
        return ()


Builtin = Address | Interface | Protocol | Fragment


def save_order(clause: Builtin) -> int:
    """Return the place of a clause before the matches, as `iptables-save` prints them: `-s -d -i -o -p -f`."""
    if isinstance(clause, Address):
        return 0 if clause.end == "src" else 1
    if isinstance(clause, Interface):
        return 2 if clause.end == "in" else 3
    return 4 if isinstance(clause, Protocol) else 5
