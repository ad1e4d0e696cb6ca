"""Classes of addresses: what no rule of a host and no routing decision tells apart may share one walk."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Literal, assert_never

from iptables_gen.dataplane import Hook, Mentions
from iptables_gen.values import Family
from netsim.trace.machine import Machine

Role = Literal["server", "dialled", "client"]
"""What an address is to a host: where requests go and answers come from; what an answer comes from once it is
translated back; what asks, before the host has routed its first packet."""


class Classes:
    """The classes of one family and role on one machine, as small numbers.

    `exact`: rules may tell any two addresses apart, so that each is a class of its own.
    """

    __slots__ = ("_family", "_known", "_machine", "_networks", "_numbers", "_singles", "exact")

    def __init__(self, machine: Machine, family: Family, role: Role) -> None:
        self._machine = machine
        self._family = family
        self._known: dict[int, int] = {}
        self._numbers: dict[Hashable, int] = {}
        found = list(_mentions(machine, family, role))
        self.exact = any(mentions is None for mentions in found)
        listed = [mentions for mentions in found if mentions is not None]
        # Tables are shared between hooks: the same frozen set comes several times.
        self._singles = tuple({id(m.singles): m.singles for m in listed if m.singles}.values())
        self._networks = tuple(dict.fromkeys(network for m in listed for network in m.networks))

    def of(self, address: int) -> int:
        """Return the class of an address."""
        found = self._known.get(address)
        if found is None:
            alike = self._alike(address)
            found = self._known[address] = self._numbers.setdefault(alike, len(self._numbers))
        return found

    def _alike(self, address: int) -> Hashable:
        if self.exact or any(address in singles for singles in self._singles):
            return address
        machine, family = self._machine, self._family
        route = machine.route(family, address)
        shape = None if route is None else (route.interface, route.gateway, route.source, route.blackhole)
        inside = tuple([address & mask == network for mask, network in self._networks])
        return machine.address_type(family, address), shape, inside


def _mentions(machine: Machine, family: Family, role: Role) -> Iterable[Mentions | None]:
    """Yield what rules tell apart in the fields that an address of a role can stand in.

    Answers of known connections are not asked by nat chains.
    """
    for hook in Hook:
        for item in machine.entries(hook, family):
            ask, nat = item.entry.mentions, bool(item.translates)
            fields: tuple[str, ...]
            match role:
                case "server":
                    fields = ("dst",) if nat else ("dst", "src")
                case "dialled":
                    fields = () if nat else ("src",)
                case "client":
                    fields = ("src",) if hook in (Hook.PREROUTING, Hook.INPUT) else ()
                case _:
                    assert_never(role)
            yield from (None if ask is None else ask(field) for field in fields)
