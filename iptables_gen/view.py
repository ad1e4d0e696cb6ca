"""What netfilter can see: the packet, the host it is on, and three truth values."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from iptables_gen.values import Family


class Tri(Enum):
    """Outcome of a match. UNKNOWN is what a match that the model does not know evaluates to."""

    NO = 0
    YES = 1
    UNKNOWN = 2

    def __bool__(self) -> bool:
        raise TypeError("a Tri is not a bool: compare with Tri.YES")

    def inverted(self, negated: bool) -> Tri:
        """Return the negation when *negated*; UNKNOWN stays UNKNOWN."""
        if not negated or self is Tri.UNKNOWN:
            return self
        return Tri.NO if self is Tri.YES else Tri.YES


def tri(value: bool) -> Tri:
    """Return YES or NO."""
    return Tri.YES if value else Tri.NO


class PacketView(Protocol):
    """One packet as a hook sees it.

    protocol is the lower-case /etc/protocols name ("tcp", "udp", "sctp", "icmp", "ipv6-icmp") or a number as text.
    Ports are 0 where the protocol has none. Interface names are "" where the hook has none.
    ct_state is NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED; ct_dnat/ct_snat: the connection is translated.
    ipvs: the packet was handled by IPVS on this host (`-m ipvs`, skb->ipvs_property).
    """

    @property
    def family(self) -> Family: ...
    @property
    def protocol(self) -> str: ...
    @property
    def src(self) -> int: ...
    @property
    def dst(self) -> int: ...
    @property
    def sport(self) -> int: ...
    @property
    def dport(self) -> int: ...
    @property
    def mark(self) -> int: ...
    @property
    def in_interface(self) -> str: ...
    @property
    def out_interface(self) -> str: ...
    @property
    def ct_state(self) -> str: ...
    @property
    def ct_dnat(self) -> bool: ...
    @property
    def ct_snat(self) -> bool: ...
    @property
    def ipvs(self) -> bool: ...


class HostView(Protocol):
    """What rules ask of the host they run on."""

    def address_type(self, family: Family, address: int) -> str:
        """Return LOCAL, UNICAST, BROADCAST, MULTICAST or UNSPEC (`-m addrtype`, nft `fib … type`)."""

    def primary_address(self, family: Family, interface: str) -> int | None:
        """Return the address MASQUERADE would take on an interface, None if it has none."""

    def affinity_age(self, table: str, family: Family, address: int) -> float | None:
        """Return seconds since *address* entered an affinity table (`recent`, nft set, ipvs), None if never."""
