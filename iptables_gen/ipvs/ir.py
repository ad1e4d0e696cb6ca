"""Virtual servers, real servers and ipsets, each with its text both ways in `text`.

Addresses are canonical text, ports ints, protocols lower case ("tcp", "udp", "sctp").
Source: ipvsadm(8), ipset(8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from iptables_gen.origin import Origin
from iptables_gen.values import Family, format_endpoint

Because = Callable[[], Origin]
SERVICE_OPTION = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
"""How ipvsadm names a virtual server of a protocol."""
FORWARDING = {"m": "-m", "g": "-g", "i": "-i"}
"""Masquerading, gatewaying (direct routing), tunnelling."""


class RealServer(NamedTuple):
    """One server behind a virtual server. method: `m` masquerading, `g` direct routing, `i` tunnel."""

    address: str
    port: int
    weight: int = 1
    method: str = "m"
    because: Because | None = None

    @property
    def key(self) -> str:
        """Return `IP:PORT`, brackets around IPv6."""
        return format_endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """An address IPVS answers for. `persistent` in seconds, 0 for none; `flags` as `-b` takes them (`mh-port`).

    fwmark is non-zero for `-f MARK` services, whose protocol, address and port are empty. `one_packet` is `-o`.
    """

    protocol: str
    address: str
    port: int
    scheduler: str
    persistent: int = 0
    flags: tuple[str, ...] = ()
    servers: tuple[RealServer, ...] = ()
    fwmark: int = 0
    netmask: str = ""
    one_packet: bool = False
    because: Because | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Return `-t IP:PORT`, `-u …`, `--sctp-service …` or `-f MARK`."""
        if self.fwmark:
            return f"-f {self.fwmark}"
        return f"{SERVICE_OPTION[self.protocol]} {format_endpoint(self.address, self.port)}"


class Entry(NamedTuple):
    """One entry of an ipset; which parts are set is the set type's choice.

    `second` is the third part of hash:ip,port,ip (an address) and hash:ip,port,net (a network).
    """

    address: str = ""
    protocol: str = ""
    port: int = 0
    second: str = ""
    because: Because | None = None

    @property
    def text(self) -> str:
        """Return the entry as ipset prints it."""
        if not self.address:
            return str(self.port)
        if not self.protocol:
            return self.address
        last = f",{self.second}" if self.second else ""
        return f"{self.address},{self.protocol}:{self.port}{last}"


@dataclass(frozen=True, slots=True)
class IpSet:
    """A named set: type as ipset spells it (`hash:ip,port`), header options as `ipset save` prints them."""

    name: str
    type: str
    family: Family
    entries: tuple[Entry, ...] = ()
    options: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """All that IPVS and ipset hold for one family, and the addresses bound to kube-ipvs0."""

    family: Family
    servers: tuple[VirtualServer, ...] = ()
    sets: tuple[IpSet, ...] = ()
    addresses: tuple[str, ...] = ()
