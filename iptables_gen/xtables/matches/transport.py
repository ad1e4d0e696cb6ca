"""Transport headers: `-m tcp|udp|udplite|sctp|dccp` with ports, `-m multiport`, `-m icmp`, `-m icmp6`.

Source:  iptables-extensions(8); kernel net/netfilter/xt_tcpudp.c, xt_multiport.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from iptables_gen.view import HostView, PacketView, Tri, tri
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.options import Options, comma_list, format_range, port_range, read_at, unsigned
from iptables_gen.xtables.words import WordError

ANY: Final = (0, 65535)
_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
_SYN: Final = (("FIN", "SYN", "RST", "ACK"), ("SYN",))
_PORT_OPTIONS: Final = {"--sport": 1, "--dport": 1, "--source-port": 1, "--destination-port": 1}
_PORTED: Final = ("tcp", "udp", "udplite", "sctp", "dccp")

Ports = tuple[int, int]
"""(low, high), both included."""


def _ports(options: Options, *names: str) -> tuple[Ports, bool]:
    found = next((name for name in names if options.flag(name)), "")
    return options.read(found, port_range, ANY), options.negated(found)


def _ports_text(flag: str, ports: Ports, negated: bool) -> str:
    if ports == ANY and not negated:
        return ""
    return f"{'! ' if negated else ''}{flag} {format_range(*ports)}"


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class PortMatch:
    """`-m PROTOCOL [!] --sport LOW:HIGH [!] --dport LOW:HIGH` of udp, udplite, sctp and dccp.

    A range of all ports, not negated, is as good as none and is not printed.
    `rest` are options the model does not know (sctp's chunk types, dccp's types): they make the outcome UNKNOWN.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = _PORT_OPTIONS | {"--chunk-types": 2, "--dccp-types": 1, "--dccp-option": 1}

    name: str
    sport: Ports = ANY
    dport: Ports = ANY
    not_sport: bool = False
    not_dport: bool = False
    rest: str = ""

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        sport, not_sport = _ports(options, "--sport", "--source-port")
        dport, not_dport = _ports(options, "--dport", "--destination-port")
        rest = [given for given in options.given.values() if given.name not in _PORT_OPTIONS]
        text = " ".join(_join("!" if given.negated else "", given.name, *given.values) for given in rest)
        return cls(name, sport, dport, not_sport, not_dport, text)

    def render(self, style: Style) -> str:
        """Return `-m NAME` and its options."""
        return _join(f"-m {self.name}", self.options_text(style))

    def options_text(self, style: Style) -> str:
        """Return the options alone (kube-proxy writes `-p` and `-d` between `-m` and them)."""
        return _join(
            _ports_text("--sport", self.sport, self.not_sport),
            _ports_text("--dport", self.dport, self.not_dport),
            self.rest,
        )

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether protocol and ports match."""
        if packet.protocol != self.name or not _in(packet.sport, self.sport, self.not_sport):
            return Tri.NO
        if not _in(packet.dport, self.dport, self.not_dport):
            return Tri.NO
        return Tri.UNKNOWN if self.rest else Tri.YES

    def reads(self) -> tuple[str, ...]:
        """Return protocol, and the ports that are asked for."""
        return _port_fields(self.sport, self.dport)


def _in(port: int, ports: Ports, negated: bool) -> bool:
    return (ports[0] <= port <= ports[1]) is not negated


def _port_fields(sport: Ports, dport: Ports) -> tuple[str, ...]:
    return ("protocol", *(("sport",) if sport != ANY else ()), *(("dport",) if dport != ANY else ()))


Flags = tuple[tuple[str, ...], tuple[str, ...]]
"""(mask, set) of `--tcp-flags`."""


@dataclass(frozen=True, slots=True)
class TcpMatch:
    """`-m tcp` with ports, `--tcp-flags MASK SET` and `--tcp-option N`; `--syn` is `FIN,SYN,RST,ACK SYN`.

    The flags of a packet that opens a connection are SYN alone; those of any other packet are not modelled.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = _PORT_OPTIONS | {"--tcp-flags": 2, "--syn": 0, "--tcp-option": 1}
    name: ClassVar[str] = "tcp"

    sport: Ports = ANY
    dport: Ports = ANY
    not_sport: bool = False
    not_dport: bool = False
    flags: Flags | None = None
    not_flags: bool = False
    option: int | None = None
    not_option: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        sport, not_sport = _ports(options, "--sport", "--source-port")
        dport, not_dport = _ports(options, "--dport", "--destination-port")
        option = options.read("--tcp-option", lambda text: unsigned(text, 8), None)
        flags, not_flags = _flags(options), options.negated("--tcp-flags", "--syn")
        return cls(sport, dport, not_sport, not_dport, flags, not_flags, option, options.negated("--tcp-option"))

    def render(self, style: Style) -> str:
        """Return `-m tcp` and its options."""
        return _join("-m tcp", self.options_text(style))

    def options_text(self, style: Style) -> str:
        """Return the options alone."""
        option = "" if self.option is None else f"{'! ' if self.not_option else ''}--tcp-option {self.option}"
        return _join(
            _ports_text("--sport", self.sport, self.not_sport),
            _ports_text("--dport", self.dport, self.not_dport),
            option,
            self._flags_text(style),
        )

    def _flags_text(self, style: Style) -> str:
        if self.flags is None:
            return ""
        bang = "! " if self.not_flags else ""
        if self.flags == _SYN and style is Style.RESTORE:
            return f"{bang}--syn"
        mask, wanted = (",".join(part) or "NONE" for part in self.flags)
        return f"{bang}--tcp-flags {mask} {wanted}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether protocol, ports and flags match."""
        if packet.protocol != "tcp" or not _in(packet.sport, self.sport, self.not_sport):
            return Tri.NO
        if not _in(packet.dport, self.dport, self.not_dport):
            return Tri.NO
        if self.option is not None:
            return Tri.UNKNOWN
        return Tri.YES if self.flags is None else self._flags_match(packet)

    def _flags_match(self, packet: PacketView) -> Tri:
        if packet.ct_state != "NEW" or self.flags is None:
            return Tri.UNKNOWN
        mask, wanted = self.flags
        found = ("SYN",) if "SYN" in mask else ()
        return tri((found == wanted) is not self.not_flags)

    def reads(self) -> tuple[str, ...]:
        """Return protocol, and what else is asked for."""
        fields = _port_fields(self.sport, self.dport)
        return fields if self.flags is None else (*fields, "ct_state")


def _flags(options: Options) -> Flags | None:
    if options.flag("--syn"):
        return _SYN
    if not options.flag("--tcp-flags"):
        return None
    given = options.need("--tcp-flags")
    try:
        mask, wanted = (_flag_set(value) for value in given.values)
    except ValueError as error:
        raise WordError(str(error), given.column) from error
    return mask, wanted


def _flag_set(text: str) -> tuple[str, ...]:
    if text.upper() == "ALL":
        return _FLAGS
    return () if text.upper() == "NONE" else comma_list(text, _FLAGS, "TCP flag")


@dataclass(frozen=True, slots=True)
class MultiportMatch:
    """`-m multiport [!] --sports|--dports|--ports LIST`: up to 15 ports or ranges; `--ports` is either end."""

    OPTIONS: ClassVar[Mapping[str, int]] = {
        "--sports": 1, "--source-ports": 1, "--dports": 1, "--destination-ports": 1, "--ports": 1,
    }  # fmt: skip

    end: str
    ports: tuple[Ports, ...]
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        given = options.need(*cls.OPTIONS)
        ends = {"--source-ports": "--sports", "--destination-ports": "--dports"}
        ports = read_at(given, lambda text: tuple(port_range(part) for part in text.split(",")))
        return cls(ends.get(given.name, given.name), ports, given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        ports = ",".join(format_range(*one) for one in self.ports)
        return f"-m multiport {'! ' if self.negated else ''}{self.end} {ports}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether a port of the packet is in the list."""
        if packet.protocol not in _PORTED:
            return Tri.NO
        ends = {"--sports": (packet.sport,), "--dports": (packet.dport,)}.get(self.end, (packet.sport, packet.dport))
        return tri(any(low <= port <= high for low, high in self.ports for port in ends) is not self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return protocol and the ports asked for."""
        return {"--sports": ("protocol", "sport"), "--dports": ("protocol", "dport")}.get(
            self.end, ("protocol", "sport", "dport")
        )


_ICMP: Final = {
    "any": "any", "echo-reply": "0", "pong": "0", "destination-unreachable": "3", "network-unreachable": "3/0",
    "host-unreachable": "3/1", "protocol-unreachable": "3/2", "port-unreachable": "3/3", "fragmentation-needed": "3/4",
    "source-route-failed": "3/5", "host-prohibited": "3/10", "communication-prohibited": "3/13", "source-quench": "4",
    "redirect": "5", "echo-request": "8", "ping": "8", "router-advertisement": "9", "router-solicitation": "10",
    "time-exceeded": "11", "ttl-exceeded": "11", "parameter-problem": "12", "timestamp-request": "13",
    "timestamp-reply": "14", "address-mask-request": "17", "address-mask-reply": "18", "255": "any",
}  # fmt: skip
_ICMP6: Final = {
    "destination-unreachable": "1", "no-route": "1/0", "communication-prohibited": "1/1", "address-unreachable": "1/3",
    "port-unreachable": "1/4", "packet-too-big": "2", "time-exceeded": "3", "ttl-exceeded": "3",
    "parameter-problem": "4", "bad-header": "4/0", "echo-request": "128", "ping": "128", "echo-reply": "129",
    "pong": "129", "router-solicitation": "133", "router-advertisement": "134", "neighbour-solicitation": "135",
    "neighbor-solicitation": "135", "neighbour-advertisement": "136", "neighbor-advertisement": "136",
    "redirect": "137",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class IcmpMatch:
    """`-m icmp [!] --icmp-type TYPE[/CODE]`, `-m icmp6 [!] --icmpv6-type TYPE[/CODE]`.

    A packet of the model has no ICMP type of its own: the one that opens a connection is an echo request.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--icmp-type": 1, "--icmpv6-type": 1}

    name: str
    type: str
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; names of types become numbers, as the kernel prints them."""
        given = options.need("--icmp-type" if name == "icmp" else "--icmpv6-type")
        return cls(name, read_at(given, _icmp_type if name == "icmp" else _icmp6_type), given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        option = "--icmp-type" if self.name == "icmp" else "--icmpv6-type"
        return f"-m {self.name} {'! ' if self.negated else ''}{option} {self.type}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet is an ICMP message of the type."""
        if packet.protocol != ("icmp" if self.name == "icmp" else "ipv6-icmp"):
            return Tri.NO
        if self.type == "any":
            return tri(not self.negated)
        if packet.ct_state != "NEW":
            return Tri.UNKNOWN
        echo = "8" if self.name == "icmp" else "128"
        return tri((self.type in (echo, f"{echo}/0")) is not self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return protocol and state."""
        return ("protocol", "ct_state")


def _icmp_type(text: str) -> str:
    return _type_number(_ICMP.get(text.lower(), text))


def _icmp6_type(text: str) -> str:
    return _type_number(_ICMP6.get(text.lower(), text))


def _type_number(text: str) -> str:
    if text == "any":
        return text
    kind, slash, code = text.partition("/")
    numbers = [unsigned(kind, 8), *([unsigned(code, 8)] if slash else [])]
    return "/".join(str(number) for number in numbers)
