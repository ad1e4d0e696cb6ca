"""Routing as the kernel does it: longest prefix first, source selection, and what a route refuses.

Source: Documentation/networking/ip-sysctl.rst, net/ipv4/route.c, net/ipv4/devinet.c inet_select_addr(),
net/ipv6/addrconf.c ipv6_dev_get_saddr() (RFC 6724).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from iptables_gen.values import BITS, Family
from netsim.hosts.model import Address, Interface, Route

FEW = 4
"""Prefix lengths that are tried faster than a remembered answer is found among very many."""


class RouteTable:
    """The unicast routes of one family, looked up by longest prefix; answers of long tables are remembered."""

    __slots__ = ("_bits", "_by_prefix", "_known")

    def __init__(self, family: Family, routes: Iterable[Route]) -> None:
        by_prefix: dict[int, dict[int, Route]] = {}
        for route in routes:
            if route.family == family:
                shift = BITS[family] - route.prefix
                by_prefix.setdefault(route.prefix, {}).setdefault(route.network >> shift, route)
        self._bits = BITS[family]
        self._by_prefix = sorted(by_prefix.items(), reverse=True)
        self._known: dict[int, Route | None] = {}

    def find(self, address: int) -> Route | None:
        """Return the route to an address, None when there is none at all."""
        if len(self._by_prefix) <= FEW:
            return self._search(address)
        try:
            return self._known[address]
        except KeyError:
            found = self._known[address] = self._search(address)
            return found

    def _search(self, address: int) -> Route | None:
        for prefix, networks in self._by_prefix:
            found = networks.get(address >> (self._bits - prefix))
            if found is not None:
                return found
        return None


def pick_source(
    family: Family, interface: Interface | None, interfaces: Sequence[Interface], next_hop: int
) -> int | None:
    """Return the source address that the kernel chooses on an interface towards a next hop; None if it has none."""
    own = _usable(family, interface)
    if not own:
        # inet_select_addr(): without an address on the device, the first of any other device will do.
        own = [address for link in interfaces for address in _usable(family, link)]
    if not own:
        return None
    if family == 6:
        return max(own, key=lambda address: _common_bits(address.value, next_hop)).value
    matching = [a for a in own if a.value >> (32 - a.prefix) == next_hop >> (32 - a.prefix)]
    return (matching or own)[0].value


def _usable(family: Family, interface: Interface | None) -> list[Address]:
    addresses = interface.addresses if interface else ()
    return [address for address in addresses if address.family == family and not address.scope_host]


def _common_bits(a: int, b: int) -> int:
    return 128 - (a ^ b).bit_length()
