"""comment, nfacct, set, ipvs, iprange, length, ttl, hl, u32, and whatever the model does not know (`OpaqueMatch`).

Source:  iptables-extensions(8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final, Protocol, Self

from iptables_gen.values import BITS, Family, format_ip, net_mask
from iptables_gen.view import HostView, PacketView, Tri, tri
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.matches.addresses import protocol_name, protocol_number
from iptables_gen.xtables.options import (
    Options,
    address,
    address_range,
    format_range,
    number_range,
    read_at,
    unsigned,
)
from iptables_gen.xtables.words import WordError, refuse_control, restore_string, save_string


def _bang(negated: bool) -> str:
    return "! " if negated else ""


@dataclass(frozen=True, slots=True)
class CommentMatch:
    """`-m comment --comment TEXT`: up to 255 bytes; always matches."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--comment": 1}

    text: str

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause.

        Raises:  WordError for more than 255 bytes and for control characters.
        """
        given = options.need("--comment")
        return cls(read_at(given, _comment))

    def render(self, style: Style) -> str:
        """Return the clause."""
        quote = save_string if style is Style.SAVE else restore_string
        return f"-m comment --comment {quote(self.text)}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return YES."""
        return Tri.YES

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


def _comment(text: str) -> str:
    if len(text.encode("utf-8", "surrogateescape")) > 255:
        raise ValueError("a comment has at most 255 bytes")
    refuse_control(text)
    return text


@dataclass(frozen=True, slots=True)
class NfacctMatch:
    """`-m nfacct --nfacct-name NAME`: counts; always matches. The kernel's dump has two blanks before the name."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--nfacct-name": 1}

    name: str

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        return cls(options.need("--nfacct-name").values[0])

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-m nfacct --nfacct-name {' ' if style is Style.SAVE else ''}{restore_string(self.name)}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return YES."""
        return Tri.YES

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


class IpSets(Protocol):
    """Who knows what the ipsets hold."""

    def contains(self, name: str, flags: tuple[str, ...], packet: PacketView) -> Tri:
        """Return whether the packet's parts (`src` or `dst`, as *flags* says) are in the set; UNKNOWN without a set."""


@dataclass(frozen=True, slots=True)
class SetMatch:
    """`-m set [!] --match-set NAME FLAGS`: FLAGS is a list of src and dst, one for each dimension of the set.

    The evaluator asks its own ipsets; a host view may carry `ipsets`; without either the answer is UNKNOWN.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {
        "--match-set": 2, "--return-nomatch": 0, "--update-counters": 0, "--update-subcounters": 0, "--packets-eq": 1,
        "--packets-lt": 1, "--packets-gt": 1, "--bytes-eq": 1, "--bytes-lt": 1, "--bytes-gt": 1,
    }  # fmt: skip

    name: str
    flags: tuple[str, ...]
    negated: bool = False
    rest: str = ""

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        given = options.need("--match-set")
        flags = tuple(given.values[1].split(","))
        if any(flag not in ("src", "dst") for flag in flags):
            raise WordError(f"{given.values[1]!r} is not a list of src and dst", given.column)
        rest = [one for one in options.given.values() if one is not given]
        text = " ".join(" ".join((f"{_bang(one.negated)}{one.name}", *one.values)) for one in rest)
        return cls(given.values[0], flags, given.negated, text)

    def render(self, style: Style) -> str:
        """Return the clause."""
        tail = f" {self.rest}" if self.rest else ""
        return f"-m set {_bang(self.negated)}--match-set {restore_string(self.name)} {','.join(self.flags)}{tail}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet is in the set."""
        return self.ask(getattr(host, "ipsets", None), packet)

    def ask(self, sets: IpSets | None, packet: PacketView) -> Tri:
        """Return whether the packet is in the set that *sets* holds."""
        if sets is None or self.rest:
            return Tri.UNKNOWN
        return sets.contains(self.name, self.flags, packet).inverted(self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return `?`: the set decides."""
        return ("?",)


_IPVS_ORDER: Final = ("--ipvs", "--vproto", "--vaddr", "--vport", "--vdir", "--vmethod", "--vportctl")


@dataclass(frozen=True, slots=True)
class IpvsMatch:
    """`-m ipvs [!] --ipvs [!] --vaddr NET [!] --vproto P [!] --vport N …`: the packet belongs to an IPVS connection.

    A packet view may carry `ipvs_vaddr` and `ipvs_vport`; without them the virtual address of a packet IPVS handled is
    UNKNOWN. A packet IPVS did not handle matches only `! --ipvs`.
    Source:  kernel net/netfilter/xt_ipvs.c.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys(_IPVS_ORDER, 1) | {"--ipvs": 0}

    conditions: tuple[tuple[str, str, bool], ...]
    family: Family

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; conditions are (option, value, negated) in written order."""
        options.need(*_IPVS_ORDER)
        found = []
        for given in options.given.values():
            read = partial(_ipvs_value, given.name, family=options.family)
            found.append((given.name, read_at(given, read) if given.values else "", given.negated))
        return cls(tuple(found), options.family)

    def render(self, style: Style) -> str:
        """Return the clause; the kernel's dump has an order of its own, and the protocol's number."""
        found = self.conditions
        if style is Style.SAVE:
            number = {option: str(protocol_number(value)) for option, value, _ in found if option == "--vproto"}
            found = tuple((option, number.get(option, value), negated) for option, value, negated in found)
            found = tuple(sorted(found, key=lambda one: _IPVS_ORDER.index(one[0])))
        parts = (f"{_bang(negated)}{option} {value}".rstrip() for option, value, negated in found)
        return "-m ipvs " + " ".join(parts)

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether IPVS handled the packet and its virtual service is as asked."""
        if ("--ipvs", "", True) in self.conditions:
            return tri(not packet.ipvs)
        if not packet.ipvs:
            return Tri.NO
        answer = Tri.YES
        for option, value, negated in self.conditions:
            found = self._holds(option, value, packet).inverted(negated)
            if found is Tri.NO:
                return Tri.NO
            answer = found if answer is Tri.YES else answer
        return answer

    def _holds(self, option: str, value: str, packet: PacketView) -> Tri:
        if option == "--ipvs":
            return Tri.YES
        if option == "--vproto":
            return tri(packet.protocol == value)
        known: int | None = getattr(packet, {"--vaddr": "ipvs_vaddr", "--vport": "ipvs_vport"}.get(option, ""), None)
        if known is None:
            return Tri.UNKNOWN
        if option == "--vport":
            return tri(known == int(value))
        network, mask = _vaddr(value, self.family)
        return tri(known & mask == network)

    def reads(self) -> tuple[str, ...]:
        """Return `?`: fields that packets need not have."""
        return ("?",)


def _ipvs_value(option: str, text: str, family: Family) -> str:
    if option == "--vaddr":
        network, mask = _vaddr(text, family)
        prefix = mask.bit_count()
        return format_ip(family, network) + (f"/{prefix}" if prefix < BITS[family] else "")
    if option == "--vproto":
        return protocol_name(text)
    return str(unsigned(text, 16)) if option in ("--vport", "--vportctl") else text.upper()


def _vaddr(text: str, family: Family) -> tuple[int, int]:
    plain, slash, length = text.partition("/")
    prefix = unsigned(length, 8) if slash else BITS[family]
    if prefix > BITS[family]:
        raise ValueError(f"prefix length {prefix} is over {BITS[family]}")
    mask = net_mask(family, prefix)
    return address(plain, family) & mask, mask


@dataclass(frozen=True, slots=True)
class IprangeMatch:
    """`-m iprange [!] --src-range A-B [!] --dst-range A-B`."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--src-range": 1, "--dst-range": 1}

    family: Family
    source: tuple[int, int] | None = None
    destination: tuple[int, int] | None = None
    not_source: bool = False
    not_destination: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        options.need("--src-range", "--dst-range")
        family = options.family
        return cls(
            family,
            options.read("--src-range", lambda text: address_range(text, family), None),
            options.read("--dst-range", lambda text: address_range(text, family), None),
            options.negated("--src-range"),
            options.negated("--dst-range"),
        )

    def render(self, style: Style) -> str:
        """Return the clause."""
        parts = ["-m iprange"]
        for option, found, negated in (
            ("--src-range", self.source, self.not_source),
            ("--dst-range", self.destination, self.not_destination),
        ):
            if found:
                ends = "-".join(format_ip(self.family, value) for value in found)
                parts.append(f"{_bang(negated)}{option} {ends}")
        return " ".join(parts)

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether both addresses are in their ranges."""
        if self.source and (self.source[0] <= packet.src <= self.source[1]) is self.not_source:
            return Tri.NO
        if self.destination and (self.destination[0] <= packet.dst <= self.destination[1]) is self.not_destination:
            return Tri.NO
        return Tri.YES

    def reads(self) -> tuple[str, ...]:
        """Return `?`: as good as the addresses themselves, and one answer for all of a range."""
        return ("?",)


@dataclass(frozen=True, slots=True)
class LengthMatch:
    """`-m length [!] --length LOW:HIGH`: bytes of the packet. Packets of the model have no length: UNKNOWN."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--length": 1}

    low: int
    high: int
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        given = options.need("--length")
        return cls(*read_at(given, lambda text: number_range(text, 16)), given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-m length {_bang(self.negated)}--length {format_range(self.low, self.high)}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return UNKNOWN, or what a range of all lengths says."""
        return tri(not self.negated) if (self.low, self.high) == (0, 65535) else Tri.UNKNOWN

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class TtlMatch:
    """`-m ttl [!] --ttl-eq N`, `--ttl-lt N`, `--ttl-gt N`; `-m hl` is the same of IPv6. Not modelled: UNKNOWN."""

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys(
        ("--ttl-eq", "--ttl-lt", "--ttl-gt", "--ttl", "--hl-eq", "--hl-lt", "--hl-gt", "--hl"), 1
    )

    option: str
    value: int
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        given = options.need(*(option for option in cls.OPTIONS if option.startswith(f"--{name}")))
        option = f"{given.name}-eq" if given.name in ("--ttl", "--hl") else given.name
        return cls(option, read_at(given, lambda text: unsigned(text, 8)), given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        name = self.option[2:].partition("-")[0]
        return f"-m {name} {_bang(self.negated)}{self.option} {self.value}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return UNKNOWN."""
        return Tri.UNKNOWN

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class OpaqueMatch:
    """A match the model does not know, kept word for word; UNKNOWN."""

    name: str
    text: str = ""

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-m {self.name} {self.text}".rstrip()

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return UNKNOWN."""
        return Tri.UNKNOWN

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()
