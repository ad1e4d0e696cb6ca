"""Matches that ask the host or the packet's surroundings: addrtype, physdev, rpfilter, socket, owner, mac, pkttype.

Source:  iptables-extensions(8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from iptables_gen.view import HostView, PacketView, Tri, tri
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.options import Options, comma_list, format_range, unsigned
from iptables_gen.xtables.words import WordError

ADDRESS_TYPES: Final = (
    "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT",
    "THROW", "NAT", "XRESOLVE",
)  # fmt: skip


def _bang(negated: bool) -> str:
    return "! " if negated else ""


@dataclass(frozen=True, slots=True)
class AddrtypeMatch:
    """`-m addrtype [!] --src-type LIST [!] --dst-type LIST [--limit-iface-in|--limit-iface-out]`.

    The limit restricts the question to addresses of the packet's interface; the host view answers for the whole host,
    so a limited LOCAL that the host has is UNKNOWN.
    Source:  kernel net/netfilter/xt_addrtype.c.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {
        "--src-type": 1,
        "--dst-type": 1,
        "--limit-iface-in": 0,
        "--limit-iface-out": 0,
    }

    source: tuple[str, ...] = ()
    destination: tuple[str, ...] = ()
    not_source: bool = False
    not_destination: bool = False
    limit: str = ""

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        options.need("--src-type", "--dst-type")
        return cls(
            options.read("--src-type", _types, ()),
            options.read("--dst-type", _types, ()),
            options.negated("--src-type"),
            options.negated("--dst-type"),
            next((flag for flag in ("--limit-iface-in", "--limit-iface-out") if options.flag(flag)), ""),
        )

    def render(self, style: Style) -> str:
        """Return the clause."""
        parts = ["-m addrtype"]
        if self.source:
            parts.append(f"{_bang(self.not_source)}--src-type {','.join(self.source)}")
        if self.destination:
            parts.append(f"{_bang(self.not_destination)}--dst-type {','.join(self.destination)}")
        return " ".join([*parts, self.limit] if self.limit else parts)

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the types of the packet's addresses are in the lists."""
        answer = Tri.YES
        for wanted, negated, value in (
            (self.source, self.not_source, packet.src),
            (self.destination, self.not_destination, packet.dst),
        ):
            found = self._type_in(wanted, host.address_type(packet.family, value)) if wanted else Tri.YES
            found = found.inverted(negated and bool(wanted))
            if found is Tri.NO:
                return Tri.NO
            answer = found if answer is Tri.YES else answer
        return answer

    def _type_in(self, wanted: tuple[str, ...], found: str) -> Tri:
        if self.limit and "LOCAL" in (found, *wanted) and found == "LOCAL":
            return Tri.UNKNOWN
        return tri(found in wanted)

    def reads(self) -> tuple[str, ...]:
        """Return `?`: the host decides."""
        return ("?",)


def _types(text: str) -> tuple[str, ...]:
    return comma_list(text, ADDRESS_TYPES, "address type")


_PHYSDEV_FLAGS: Final = ("--physdev-is-in", "--physdev-is-out", "--physdev-is-bridged")


@dataclass(frozen=True, slots=True)
class PhysdevMatch:
    """`-m physdev`: the bridge port by which a bridged packet came (or will leave).

    A packet view may carry `physdev_in` and `physdev_out`, the names of the bridge ports; "" or absent means none.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--physdev-in": 1, "--physdev-out": 1} | dict.fromkeys(_PHYSDEV_FLAGS, 0)

    flags: tuple[tuple[str, bool], ...] = ()
    port_in: str = ""
    port_out: str = ""
    not_in: bool = False
    not_out: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; flags are (option, negated)."""
        options.need(*cls.OPTIONS)
        return cls(
            tuple((flag, options.negated(flag)) for flag in _PHYSDEV_FLAGS if options.flag(flag)),
            options.text("--physdev-in") or "",
            options.text("--physdev-out") or "",
            options.negated("--physdev-in"),
            options.negated("--physdev-out"),
        )

    def render(self, style: Style) -> str:
        """Return the clause in the order of the kernel's dump: what is asked of `in`, of `out`, bridged."""
        named = dict(self.flags)
        parts = ["-m physdev"]
        for flag, option, port, negated in (
            ("--physdev-is-in", "--physdev-in", self.port_in, self.not_in),
            ("--physdev-is-out", "--physdev-out", self.port_out, self.not_out),
        ):
            parts += [_bang(named[flag]) + flag] if flag in named else []
            parts += [f"{_bang(negated)}{option} {port}"] if port else []
        last = "--physdev-is-bridged"
        return " ".join([*parts, _bang(named[last]) + last] if last in named else parts)

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet's bridge ports are as asked."""
        come, leave = getattr(packet, "physdev_in", ""), getattr(packet, "physdev_out", "")
        found = {
            "--physdev-is-in": bool(come),
            "--physdev-is-out": bool(leave),
            "--physdev-is-bridged": bool(come and leave),
        }
        if any(found[flag] is negated for flag, negated in self.flags):
            return Tri.NO
        wrong = _wrong_port(self.port_in, come, self.not_in) or _wrong_port(self.port_out, leave, self.not_out)
        return tri(not wrong)

    def reads(self) -> tuple[str, ...]:
        """Return `?`: fields that packets need not have."""
        return ("?",)


def _wrong_port(wanted: str, found: str, negated: bool) -> bool:
    if not wanted:
        return False
    same = found.startswith(wanted[:-1]) if wanted.endswith("+") else found == wanted
    return same is negated


@dataclass(frozen=True, slots=True)
class FlagsMatch:
    """`-m rpfilter` and `-m socket`: flags only. What they ask (routes back, open sockets) is not modelled: UNKNOWN."""

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys(
        (
            *("--loose", "--validmark", "--accept-local", "--invert"),
            *("--transparent", "--nowildcard", "--restore-skmark"),
        ),
        0,
    )

    name: str
    flags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; flags stand in the order of the kernel's dump."""
        return cls(name, tuple(flag for flag in cls.OPTIONS if options.flag(flag)))

    def render(self, style: Style) -> str:
        """Return the clause."""
        return " ".join((f"-m {self.name}", *self.flags))

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return UNKNOWN."""
        return Tri.UNKNOWN

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class OwnerMatch:
    """`-m owner [!] --uid-owner LOW-HIGH [!] --gid-owner LOW-HIGH [!] --socket-exists`: the socket of a local process.

    UNKNOWN, unless the packet came in by an interface: then it has no owner and only negated conditions hold.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {
        "--uid-owner": 1,
        "--gid-owner": 1,
        "--socket-exists": 0,
        "--suppl-groups": 0,
    }

    uid: tuple[int, int] | None = None
    gid: tuple[int, int] | None = None
    not_uid: bool = False
    not_gid: bool = False
    socket: bool = False
    not_socket: bool = False
    groups: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; user and group names are refused, the kernel's dump has numbers."""
        options.need(*cls.OPTIONS)
        return cls(
            options.read("--uid-owner", _id_range, None),
            options.read("--gid-owner", _id_range, None),
            options.negated("--uid-owner"),
            options.negated("--gid-owner"),
            options.flag("--socket-exists"),
            options.negated("--socket-exists"),
            options.flag("--suppl-groups"),
        )

    def render(self, style: Style) -> str:
        """Return the clause."""
        parts = ["-m owner"]
        parts += [f"{_bang(self.not_socket)}--socket-exists"] if self.socket else []
        parts += [f"{_bang(self.not_uid)}--uid-owner {format_range(*self.uid, '-')}"] if self.uid else []
        parts += [f"{_bang(self.not_gid)}--gid-owner {format_range(*self.gid, '-')}"] if self.gid else []
        return " ".join([*parts, "--suppl-groups"] if self.groups else parts)

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return NO for a forwarded packet asked for an owner, else UNKNOWN."""
        wanted = (self.uid and not self.not_uid) or (self.gid and not self.not_gid) or self.socket
        return Tri.NO if packet.in_interface and wanted and not self.not_socket else Tri.UNKNOWN

    def reads(self) -> tuple[str, ...]:
        """Return the incoming interface."""
        return ("in_interface",)


def _id_range(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    return unsigned(low), unsigned(high if dash else low)


_MAC: Final = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")


@dataclass(frozen=True, slots=True)
class MacMatch:
    """`-m mac [!] --mac-source ADDRESS`. Packets of the model have no Ethernet source: UNKNOWN."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--mac-source": 1}

    address: str
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; the address in lower case, two digits each."""
        given = options.need("--mac-source")
        if not _MAC.fullmatch(given.values[0]):
            raise WordError(f"{given.values[0]!r} is not an Ethernet address", given.column)
        return cls(":".join(part.zfill(2) for part in given.values[0].lower().split(":")), given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-m mac {_bang(self.negated)}--mac-source {self.address}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return UNKNOWN."""
        return Tri.UNKNOWN

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class PkttypeMatch:
    """`-m pkttype [!] --pkt-type unicast|broadcast|multicast`: how the link layer addressed the packet.

    The model's packets are unicast unless their destination is a broadcast or multicast address.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--pkt-type": 1}

    type: str
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; `host` is another word for unicast."""
        given = options.need("--pkt-type")
        word = {"host": "unicast", "bcast": "broadcast", "mcast": "multicast"}.get(
            given.values[0].lower(), given.values[0].lower()
        )
        if word not in ("unicast", "broadcast", "multicast"):
            raise WordError(f"{given.values[0]!r} is not a packet type", given.column)
        return cls(word, given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-m pkttype {_bang(self.negated)}--pkt-type {self.type}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet is of the type."""
        found = host.address_type(packet.family, packet.dst).lower()
        kind = found if found in ("broadcast", "multicast") else "unicast"
        return tri((kind == self.type) is not self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return `?`: the host decides."""
        return ("?",)
