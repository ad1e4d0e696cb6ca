"""Constants of nft expressions: addresses, prefixes, intervals, numbers and words, text both ways.

Source: nft(8) "DATA TYPES"; spellings of listings observed on nft 1.0.6.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from iptables_gen.values import BITS, Family, format_ip, in_net, parse_ip, parse_net

PROTOCOLS: dict[int, str] = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp",
                             132: "sctp", 136: "udplite"}  # fmt: skip
PROTOCOL_NAMES: dict[str, str] = {"icmpv6": "ipv6-icmp"}
SERVICES: dict[str, int] = {"ssh": 22, "domain": 53, "http": 80, "ntp": 123, "https": 443}
_NUMERIC = frozenset({"inet_service", "mark", "integer", "ipv4_addr", "ipv6_addr"})
"""Datatypes of which no word is a value, but for the names of well-known ports."""
Constant = int | str
Test = Callable[[Constant], bool]


class Style(Enum):
    """Spelling: what kube-proxy writes to `nft -f -`, or what `nft list ruleset` prints."""

    INPUT = "input"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Address:
    """A plain IPv4 or IPv6 address in canonical text."""

    text: str

    @property
    def value(self) -> int:
        """Return the address as an unsigned integer."""
        return parse_ip(self.text)[1]

    def render(self, style: Style) -> str:
        """Return the address."""
        return self.text


@dataclass(frozen=True, slots=True)
class Prefix:
    """`ADDR/LEN`; a host prefix (/32, /128) is spelled as written in input and as the bare address in listings."""

    network: str
    length: int

    def render(self, style: Style) -> str:
        """Return `NETWORK/LENGTH`."""
        if style is Style.LIST and self.length == BITS[self.family]:
            return self.network
        return f"{self.network}/{self.length}"

    @property
    def family(self) -> Family:
        """Return 4 or 6."""
        return parse_ip(self.network)[0]

    @property
    def bounds(self) -> tuple[int, int]:
        """Return the first and last address as integers."""
        family, network, length = parse_net(f"{self.network}/{self.length}")
        return network, network + (1 << (BITS[family] - length)) - 1


@dataclass(frozen=True, slots=True)
class Number:
    """An unsigned integer; `hexadecimal` only keeps the spelling (eight digits) of input text."""

    value: int
    hexadecimal: bool = field(default=False, compare=False)

    def render(self, style: Style) -> str:
        """Return decimal, or `0x` and eight hex digits."""
        return f"{self.value:#010x}" if self.hexadecimal else str(self.value)


@dataclass(frozen=True, slots=True)
class Word:
    """A symbolic constant or name (`new`, `tcp`, `"eth0"`, `eth*`)."""

    text: str
    quoted: bool = field(default=False, compare=False)

    def render(self, style: Style) -> str:
        """Return the word, in quotes if it was read so."""
        return f'"{self.text}"' if self.quoted else self.text


@dataclass(frozen=True, slots=True)
class Interval:
    """`LOW-HIGH`, both included."""

    low: Address | Number
    high: Address | Number

    def render(self, style: Style) -> str:
        """Return `LOW-HIGH`."""
        return f"{self.low.render(style)}-{self.high.render(style)}"


Literal = Address | Prefix | Number | Word | Interval
_NUMBER = re.compile(r"(?:0x[0-9a-fA-F]+|[0-9]+)\Z")


def parse_literal(text: str) -> Literal:
    """Read one word of a rule as a constant; what is neither address nor number is a Word."""
    if text[:1] == '"':
        return Word(text.strip('"'), True)
    if _NUMBER.match(text):
        return Number(int(text, 0) if text[:2] == "0x" else int(text), text[:2] == "0x")
    if "/" in text and (prefix := _prefix(text)) is not None:
        return prefix
    if "-" in text and (interval := _interval(text)) is not None:
        return interval
    return _address(text) or Word(text)


def _address(text: str) -> Address | None:
    if not (text[:1].isdigit() or ":" in text):
        return None
    try:
        return Address(format_ip(*parse_ip(text)))
    except ValueError:
        return None


def _prefix(text: str) -> Prefix | None:
    try:
        family, network, length = parse_net(text)
    except ValueError:
        return None
    return Prefix(format_ip(family, network), length)


def _interval(text: str) -> Interval | None:
    low, _, high = text.partition("-")
    first, last = (parse_literal(part) if part else None for part in (low, high))
    if isinstance(first, Address | Number) and isinstance(last, Address | Number):
        return Interval(first, last)
    return None


def protocol_name(literal: Literal) -> str:
    """Return an inet_proto constant as PacketView names protocols."""
    if isinstance(literal, Number):
        return PROTOCOLS.get(literal.value, str(literal.value))
    text = literal.render(Style.INPUT)
    return PROTOCOL_NAMES.get(text, text)


def constant(literal: Literal, datatype: str) -> Constant | None:
    """Return the value of a constant as a packet field of the datatype has it; None for ranges and unknown words."""
    if datatype == "inet_proto":
        return protocol_name(literal)
    match literal:
        case Address() | Number():
            return literal.value
        case Word(text):
            return SERVICES.get(text) if datatype in _NUMERIC else text
        case Prefix() if literal.length == BITS[literal.family]:
            return literal.bounds[0]
        case _:
            return None


def test_of(literal: Literal, datatype: str) -> Test | None:
    """Return a predicate for one field against one constant; None when the model cannot read the constant."""
    match literal:
        case Prefix():
            family, network, length = parse_net(f"{literal.network}/{literal.length}")
            return lambda value: isinstance(value, int) and in_net(value, network, length, family)
        case Interval(low, high):
            return lambda value: isinstance(value, int) and low.value <= value <= high.value
        case Word(text) if text.endswith("*") and datatype == "ifname":
            return lambda value: isinstance(value, str) and value.startswith(text[:-1])
        case Word("*"):
            return lambda value: True
        case _:
            wanted = constant(literal, datatype)
            return None if wanted is None else lambda value: value == wanted
