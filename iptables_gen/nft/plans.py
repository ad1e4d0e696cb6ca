"""What a base chain does to all packets that look alike to it: walked once, then remembered.

A packet's class is the values of the fields that some rule reads, each address reduced to what the rules and the host
tell apart. Walks that ask the host for a client's age, or that make it remember one, are never remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import attrgetter

from iptables_gen.dataplane import Mentions
from iptables_gen.effects import Path
from iptables_gen.nft.survey import UNKNOWN_READ, Survey
from iptables_gen.values import Family
from iptables_gen.view import HostView, PacketView

Paths = tuple[Path, ...]
KeyOf = Callable[[PacketView, HostView], Hashable]
MOST = 60_000
"""Classes remembered for one base chain; all are forgotten beyond that."""


class Curious:
    """A host that notes whether it was asked for the age of a client."""

    __slots__ = ("_host", "asked")

    def __init__(self, host: HostView) -> None:
        self._host, self.asked = host, False

    def address_type(self, family: Family, address: int) -> str:
        """Return what the host says."""
        return self._host.address_type(family, address)

    def primary_address(self, family: Family, interface: str) -> int | None:
        """Return what the host says."""
        return self._host.primary_address(family, interface)

    def affinity_age(self, table: str, family: Family, address: int) -> float | None:
        """Return what the host says, and note the question."""
        self.asked = True
        return self._host.affinity_age(table, family, address)


def key_function(found: Survey) -> KeyOf | None:
    """Return the function from a packet to its class; None when packets cannot be classed."""
    if UNKNOWN_READ in found.fields:
        return None
    fields = tuple(sorted(found.fields - {"src", "dst"}))
    read: Callable[[PacketView], Hashable] = attrgetter(*fields) if fields else _nothing
    classify = {side: _classifier(found, side) for side in ("src", "dst")}
    key = _joined(read, classify["src"], classify["dst"], frozenset(found.typed))
    return _with_hairpins(key) if found.hairpins else key


def _with_hairpins(key: KeyOf) -> KeyOf:
    """Return the key with a packet's address where it goes to its own source."""
    return lambda packet, host: (key(packet, host), packet.src if packet.src == packet.dst else None)


def _classifier(found: Survey, side: str) -> Callable[[int], int] | None:
    """Return a function from an address to its class, None when no rule asks for the address itself."""
    told = found.mentions(side)
    return _same if told is None else _class_of(told)


def _class_of(told: Mentions) -> Callable[[int], int] | None:
    singles, networks = told.singles, told.networks
    if not singles and not networks:
        return None

    def classify(value: int) -> int:
        if value in singles:
            return -1 - value
        bits = 0
        for mask, network in networks:
            bits = bits << 1 | (value & mask == network)
        return bits

    return classify


def _same(value: int) -> int:
    return value


def _nothing(packet: PacketView) -> None:
    return None


def _zero(value: int) -> int:
    return 0


def _joined(
    read: Callable[[PacketView], Hashable],
    src: Callable[[int], int] | None,
    dst: Callable[[int], int] | None,
    typed: frozenset[str],
) -> KeyOf:
    first, second = src or _zero, dst or _zero
    if not typed:
        if src is None and dst is None:
            return lambda packet, host: read(packet)
        return lambda packet, host: (read(packet), first(packet.src), second(packet.dst))

    def with_types(packet: PacketView, host: HostView) -> Hashable:
        family = packet.family
        source = host.address_type(family, packet.src) if "src" in typed else ""
        target = host.address_type(family, packet.dst) if "dst" in typed else ""
        return read(packet), first(packet.src), second(packet.dst), source, target

    return with_types


class Plan:
    """One base chain with its memory. `walk` is the full evaluation; `pure` says whether its paths name no client."""

    __slots__ = ("_key", "_memo", "_walk")

    def __init__(self, key: KeyOf | None, walk: Callable[[PacketView, HostView], tuple[Paths, bool]]) -> None:
        self._key, self._walk = key, walk
        self._memo: dict[Hashable, Paths | None] = {}

    def run(self, packet: PacketView, host: HostView) -> Paths:
        """Return the paths; equal classes get the same object."""
        if self._key is None:
            return self._walk(packet, host)[0]
        key = self._key(packet, host)
        found = self._memo.get(key)
        if found is not None:
            return found
        if key in self._memo:
            return self._walk(packet, host)[0]
        curious = Curious(host)
        paths, pure = self._walk(packet, curious)
        if len(self._memo) >= MOST:
            self._memo.clear()
        self._memo[key] = paths if pure and not curious.asked else None
        return paths
