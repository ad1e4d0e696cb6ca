"""Packet: the headers and the bookkeeping that netfilter sees of one packet, frozen and cheap to change."""

from __future__ import annotations

from typing import NamedTuple

from iptables_gen.values import Family, format_endpoint, format_ip


class Packet(NamedTuple):
    """One packet at one place; satisfies `iptables_gen.view.PacketView`.

    Addresses are integers of `family`; protocol is the lower-case name; ports are 0 where the protocol has none;
    mark is an unsigned 32-bit integer. Copies are made by the methods below, which are several times faster than
    `_replace` (they are the innermost operation of a trace).
    """

    family: Family
    protocol: str
    src: int
    dst: int
    sport: int = 0
    dport: int = 0
    mark: int = 0
    in_interface: str = ""
    out_interface: str = ""
    ct_state: str = "NEW"
    ct_dnat: bool = False
    ct_snat: bool = False
    ipvs: bool = False
    original: tuple[int, int, int, int] | None = None
    """(src, sport, dst, dport) of the connection's first packet, None while nothing has translated it."""
    ct_reply: bool = False

    def at(self, in_interface: str, out_interface: str) -> Packet:
        """Return the packet as a hook with these interfaces sees it."""
        return _make((*self[:7], in_interface, out_interface, *self[9:]))

    def marked(self, mark: int) -> Packet:
        """Return the packet with another mark."""
        return _make((*self[:6], mark, *self[7:]))

    def towards(self, dst: int, dport: int) -> Packet:
        """Return the packet after a destination translation."""
        original = self.original or self.header
        return _make((*self[:3], dst, self.sport, dport, *self[6:10], True, *self[11:13], original, self.ct_reply))

    def sourced(self, src: int, sport: int) -> Packet:
        """Return the packet after a source translation."""
        original = self.original or self.header
        head = (self.family, self.protocol, src, self.dst, sport, self.dport)
        return _make((*head, *self[6:11], True, self.ipvs, original, self.ct_reply))

    def tracked(
        self,
        state: str,
        dnat: bool = False,
        snat: bool = False,
        original: tuple[int, int, int, int] | None = None,
        reply: bool = False,
    ) -> Packet:
        """Return the packet with what connection tracking knows of it."""
        return _make((*self[:9], state, dnat, snat, self.ipvs, original, reply))

    def by_ipvs(self) -> Packet:
        """Return the packet as handled by IPVS (`-m ipvs`)."""
        return _make((*self[:12], True, *self[13:]))

    def wire(self) -> Packet:
        """Return the packet as it is on the wire: no mark, no interface, no connection known."""
        return _make((*self[:6], *_BLANK))

    def reversed(self) -> Packet:
        """Return the answer to this packet, on the wire."""
        family, protocol, src, dst, sport, dport = self[:6]
        return _make((family, protocol, dst, src, dport, sport, *_BLANK))

    @property
    def header(self) -> tuple[int, int, int, int]:
        """Return (src, sport, dst, dport): what translation can change."""
        return self.src, self.sport, self.dst, self.dport

    # Optional attributes of a PacketView, for `-m conntrack --ctorigdst` and `-m ipvs --vaddr`.

    @property
    def ct_orig_src(self) -> int | None:
        """Return the source of the connection's first packet, None when it is the packet's own."""
        return None if self.original is None else self.original[0]

    @property
    def ct_orig_sport(self) -> int | None:
        """Return the source port of the connection's first packet, None when it is the packet's own."""
        return None if self.original is None else self.original[1]

    @property
    def ct_orig_dst(self) -> int | None:
        """Return the destination of the connection's first packet, None when it is the packet's own."""
        return None if self.original is None else self.original[2]

    @property
    def ct_orig_dport(self) -> int | None:
        """Return the destination port of the connection's first packet, None when it is the packet's own."""
        return None if self.original is None else self.original[3]

    @property
    def ipvs_vaddr(self) -> int | None:
        """Return the address of the IPVS virtual service that took the packet."""
        return self.ct_orig_dst if self.ipvs else None

    @property
    def ipvs_vport(self) -> int | None:
        """Return the port of the IPVS virtual service that took the packet."""
        return self.ct_orig_dport if self.ipvs else None

    @property
    def source_text(self) -> str:
        """Return `IP:PORT` of the source."""
        return format_endpoint(format_ip(self.family, self.src), self.sport)

    @property
    def destination_text(self) -> str:
        """Return `IP:PORT` of the destination."""
        return format_endpoint(format_ip(self.family, self.dst), self.dport)


_make = Packet._make
_BLANK = (0, "", "", "NEW", False, False, False, None, False)
