"""Address translation: DNAT, SNAT, MASQUERADE, REDIRECT, NETMAP.

Source:  iptables-extensions(8); kernel net/netfilter/xt_nat.c, xt_MASQUERADE.c, xt_REDIRECT.c, xt_NETMAP.c.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final, Self

from iptables_gen.dataplane import Hook
from iptables_gen.effects import Accept, Dnat, Effect, Masquerade, Snat
from iptables_gen.values import BITS, Family, format_ip, net_mask
from iptables_gen.view import HostView, PacketView
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.options import Options, address, address_range, format_range, read_at, unsigned
from iptables_gen.xtables.targets.base import Action, Flow, join

_MOST: Final = 256
"""Ranges wider than this are not enumerated: the outcome is undetermined."""

_ACCEPT: Final = Accept()
_RANDOM: Final = ("--random", "--random-fully", "--persistent")


@dataclass(frozen=True, slots=True)
class NatRange:
    """`[ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]`, IPv6 addresses in brackets when there is a port."""

    family: Family
    addresses: tuple[int, int] | None = None
    ports: tuple[int, int] | None = None
    base: int | None = None

    @classmethod
    def parse(cls, text: str, family: Family) -> Self:
        """Return the range.

        Raises:  ValueError for anything else.
        """
        body, ports = text, ""
        if family == 4 and "-" not in text and "/" not in text:
            return cls._single(text)
        if family == 4:
            body, _, ports = text.partition(":")
        elif text.startswith("["):
            body, bracket, ports = text[1:].partition("]")
            if not bracket or (ports and not ports.startswith(":")):
                raise ValueError(f"{text!r} is not ADDRESS or [ADDRESS]:PORT")
            ports = ports[1:]
        elif text.startswith(":") and text[1:2].isdigit() and text.count(":") == 1:
            body, ports = "", text[1:]
        span, slash, base = ports.partition("/")
        found = (address_range(body, family) if body else None), (_ports(span) if span else None)
        if found == (None, None):
            raise ValueError(f"{text!r} names neither address nor port")
        return cls(family, *found, unsigned(base, 16) if slash else None)

    @classmethod
    def _single(cls, text: str) -> Self:
        """Return the range of `ADDRESS`, `ADDRESS:PORT` or `:PORT` of IPv4."""
        body, colon, ports = text.partition(":")
        if not text or (colon and not ports):
            raise ValueError(f"{text!r} names neither address nor port")
        number = unsigned(ports, 16) if colon else 0
        value = address(body, 4) if body else 0
        return cls(4, (value, value) if body else None, (number, number) if colon else None)

    def render(self) -> str:
        """Return the text."""
        body = "-".join(format_ip(self.family, value) for value in dict.fromkeys(self.addresses or ()))
        if self.ports is None:
            return body
        tail = format_range(*self.ports, "-") + ("" if self.base is None else f"/{self.base}")
        return f"[{body}]:{tail}" if self.family == 6 and body else f"{body}:{tail}"

    @property
    def single(self) -> tuple[int | None, int | None] | None:
        """Return (address, port) when there is no choice; a None part is kept."""
        address, port = self.addresses, self.ports
        if (address and address[0] != address[1]) or (port and port[0] != port[1]):
            return None
        return address[0] if address else None, port[0] if port else None

    def choices(self, port: int, keep_port: bool) -> list[tuple[int | None, int | None]] | None:
        """Return every (address, port) it may give a packet whose port is *port*; None when they are too many.

        A port within the range is kept unless the range is to be shuffled.
        """
        addresses = _span(self.addresses)
        ports = _span(self.ports)
        if self.ports and self.base is not None:
            first, last = self.ports
            ports = [first + (port - self.base) % (last - first + 1)]
        elif self.ports and keep_port and self.ports[0] <= port <= self.ports[1]:
            ports = [port]
        if addresses is None or ports is None or len(addresses) * len(ports) > _MOST:
            return None
        return [(one, other) for one in addresses for other in ports]


def _span(ends: tuple[int, int] | None) -> list[int | None] | None:
    if ends is None:
        return [None]
    return list(range(ends[0], ends[1] + 1)) if ends[1] - ends[0] < _MOST else None


def _ports(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    found = unsigned(low, 16), unsigned(high if dash else low, 16)
    if found[0] > found[1]:
        raise ValueError(f"port range {text!r} is backwards")
    return found


def _random_flags(options: Options) -> tuple[str, ...]:
    return tuple(flag for flag in _RANDOM if options.flag(flag))


@dataclass(frozen=True, slots=True)
class DnatTarget:
    """`-j DNAT --to-destination RANGE [--random] [--persistent]`; `range` None: no option, the packet goes on."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--to-destination": 1, "--random": 0, "--persistent": 0}

    range: NatRange | None
    flags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        if not options.flag("--to-destination"):
            return cls(None, _random_flags(options))
        given = options.need("--to-destination")
        return cls(read_at(given, lambda text: NatRange.parse(text, options.family)), _random_flags(options))

    def render(self, style: Style) -> str:
        """Return the clause."""
        to = f"--to-destination {self.range.render()}" if self.range else ""
        return join("-j DNAT", to, *self.flags)

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return a translation for every address and port of the range."""
        if self.range is None:
            return (Action("DNAT", Accept()),)
        single = self.range.single
        if single:
            return (Action(f"DNAT {_shown(self.range.family, *single)}", _ACCEPT, (Dnat(*single),)),)
        choices = self.range.choices(packet.dport, "--random" not in self.flags)
        if choices is None:
            return (Action("DNAT", flow=Flow.UNKNOWN),)
        share = Fraction(1, len(choices))
        return tuple(
            Action(f"DNAT {_shown(self.range.family, *one)}", Accept(), (Dnat(*one),), share=share) for one in choices
        )

    def reads(self) -> tuple[str, ...]:
        """Return the port when a range may keep it."""
        return ("dport",) if self.range and self.range.ports and self.range.ports[0] != self.range.ports[1] else ()


def _shown(family: Family, address: int | None, port: int | None) -> str:
    if address is None:
        body = ""
    elif family == 4:
        body = socket.inet_ntop(socket.AF_INET, address.to_bytes(4, "big"))
    else:
        body = format_ip(family, address)
    if port is None:
        return body
    return f"[{body}]:{port}" if ":" in body else f"{body}:{port}"


@dataclass(frozen=True, slots=True)
class SnatTarget:
    """`-j SNAT --to-source RANGE [--random] [--random-fully] [--persistent]`."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--to-source": 1, "--random": 0, "--random-fully": 0, "--persistent": 0}

    range: NatRange
    flags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        given = options.need("--to-source")
        return cls(read_at(given, lambda text: NatRange.parse(text, options.family)), _random_flags(options))

    def render(self, style: Style) -> str:
        """Return the clause."""
        return join(f"-j SNAT --to-source {self.range.render()}", *self.flags)

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return a translation for every address; a port from a range is the kernel's choice (None)."""
        ends = self.range.addresses or (packet.src, packet.src)
        if ends[1] - ends[0] >= _MOST:
            return (Action("SNAT", flow=Flow.UNKNOWN),)
        ports = self.range.ports
        port = ports[0] if ports and ports[0] == ports[1] else None
        share = Fraction(1, ends[1] - ends[0] + 1)
        return tuple(
            Action(f"SNAT {_shown(self.range.family, one, port)}", Accept(), (Snat(one, port),), share=share)
            for one in range(ends[0], ends[1] + 1)
        )

    def reads(self) -> tuple[str, ...]:
        """Return the source when it is kept."""
        return () if self.range.addresses else ("src",)


@dataclass(frozen=True, slots=True)
class MasqueradeTarget:
    """`-j MASQUERADE [--to-ports LOW-HIGH] [--random] [--random-fully]`: the address of the outgoing interface."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--to-ports": 1, "--random": 0, "--random-fully": 0}

    ports: tuple[int, int] | None = None
    flags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        return cls(options.read("--to-ports", _ports, None), _random_flags(options))

    def render(self, style: Style) -> str:
        """Return the clause."""
        return join("-j MASQUERADE", f"--to-ports {format_range(*self.ports, '-')}" if self.ports else "", *self.flags)

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return the translation."""
        effects: tuple[Effect, ...] = (Masquerade("--random-fully" in self.flags),)
        return (Action("MASQUERADE", Accept(), effects),)

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class RedirectTarget:
    """`-j REDIRECT [--to-ports LOW-HIGH] [--random]`: to this host, on the address of the incoming interface.

    A local process is redirected to the loopback address.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--to-ports": 1, "--random": 0}

    family: Family
    ports: tuple[int, int] | None = None
    flags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        return cls(options.family, options.read("--to-ports", _ports, None), _random_flags(options))

    def render(self, style: Style) -> str:
        """Return the clause."""
        return join("-j REDIRECT", f"--to-ports {format_range(*self.ports, '-')}" if self.ports else "", *self.flags)

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return a translation for every port; without an address on the interface the kernel drops the packet."""
        loopback = 0x7F00_0001 if self.family == 4 else 1
        to = loopback if hook is Hook.OUTPUT else host.primary_address(self.family, packet.in_interface)
        if to is None:
            return (Action("REDIRECT", flow=Flow.UNKNOWN),)
        choices = NatRange(self.family, (to, to), self.ports).choices(packet.dport, "--random" not in self.flags)
        if choices is None:
            return (Action("REDIRECT", flow=Flow.UNKNOWN),)
        share = Fraction(1, len(choices))
        return tuple(
            Action(f"REDIRECT {_shown(self.family, *one)}", Accept(), (Dnat(*one),), share=share) for one in choices
        )

    def reads(self) -> tuple[str, ...]:
        """Return the interface, the port when a range may keep it, and `?`: the host knows its addresses."""
        return ("?", "in_interface", "dport") if self.ports else ("?", "in_interface")


@dataclass(frozen=True, slots=True)
class NetmapTarget:
    """`-j NETMAP --to NET`: the network part of the address is replaced, the host part kept."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--to": 1}

    family: Family
    network: int
    mask: int

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        family = options.family
        plain, slash, length = options.need("--to").values[0].partition("/")
        bits = BITS[family]
        prefix = read_at(options.need("--to"), lambda _: unsigned(length, 8) if slash else bits)
        mask = net_mask(family, min(prefix, bits))
        return cls(family, read_at(options.need("--to"), lambda _: address(plain, family)) & mask, mask)

    def render(self, style: Style) -> str:
        """Return the clause."""
        prefix = self.mask.bit_count()
        tail = f"/{prefix}" if prefix < BITS[self.family] else ""
        return f"-j NETMAP --to {format_ip(self.family, self.network)}{tail}"

    def act(self, packet: PacketView, host: HostView, hook: Hook) -> tuple[Action, ...]:
        """Return the translation of the destination, or of the source in POSTROUTING and INPUT."""
        source = hook in (Hook.POSTROUTING, Hook.INPUT)
        full = net_mask(self.family, BITS[self.family])
        new = self.network | ((packet.src if source else packet.dst) & (full ^ self.mask))
        effect: Effect = Snat(new) if source else Dnat(new, None)
        return (Action(f"NETMAP {format_ip(self.family, new)}", Accept(), (effect,)),)

    def reads(self) -> tuple[str, ...]:
        """Return both addresses."""
        return ("src", "dst")
