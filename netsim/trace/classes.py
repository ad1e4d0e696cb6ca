"""Classes of addresses: what no rule of a host and no routing decision tells apart may share one walk."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from iptables_gen.dataplane import Hook, Mentions
from iptables_gen.values import Family
from netsim.trace.machine import Machine


class Classes:
    """The classes of one family on one machine; None mentions make every address a class of its own.

    `answering`: classes of addresses that only ever come as the source of an answer, once it is translated back.
    """

    __slots__ = ("_family", "_known", "_machine", "_networks", "_singles", "exact")

    def __init__(self, machine: Machine, family: Family, *, answering: bool = False) -> None:
        self._machine = machine
        self._family = family
        self._known: dict[int, Hashable] = {}
        found = list(_mentions(machine, family, answering=answering))
        self.exact = any(mentions is None for mentions in found)
        listed = [mentions for mentions in found if mentions is not None]
        # Tables are shared between hooks: the same frozen set comes several times.
        self._singles = tuple({id(m.singles): m.singles for m in listed if m.singles}.values())
        self._networks = tuple(dict.fromkeys(network for m in listed for network in m.networks))

    def of(self, address: int) -> Hashable:
        """Return the class of an address that a packet goes to, or that an answer comes from."""
        found = self._known.get(address)
        if found is None:
            found = self._known[address] = self._find(address)
        return found

    def _find(self, address: int) -> Hashable:
        if self.exact or any(address in singles for singles in self._singles):
            return address
        machine, family = self._machine, self._family
        route = machine.route(family, address)
        shape = None if route is None else (route.interface, route.gateway, route.source, route.blackhole)
        inside = tuple([address & mask == network for mask, network in self._networks])
        return machine.address_type(family, address), shape, inside


def _mentions(machine: Machine, family: Family, *, answering: bool) -> Iterable[Mentions | None]:
    """Yield what rules tell apart: destinations everywhere; sources where packets of known connections are asked."""
    for hook in Hook:
        for item in machine.entries(hook, family):
            ask = item.entry.mentions
            if not answering:
                yield None if ask is None else ask("dst")
            if not item.translates:
                yield None if ask is None else ask("src")
