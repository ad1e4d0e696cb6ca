"""Machine: a Host made executable: hooks sorted by priority, addresses and routes indexed. Answers `HostView`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from iptables_gen.dataplane import Hook, HookEntry
from iptables_gen.values import Family
from netsim.hosts.model import Host, Interface, Listener, Route
from netsim.trace.routing import RouteTable, pick_source

LOOPBACK_NET = 127
Affinities = Mapping[tuple[str, str, Family, int], float]
"""(host, table, family, client) -> seconds since the client entered the table."""


class Entry(NamedTuple):
    """A hook entry, whose program it is (`kube-proxy`, `cni`, `dump`), and which translation it may make."""

    entry: HookEntry
    label: str
    translates: str
    """`dst` or `src` for nat chains, else ""."""


class Machine:
    """One host, ready to run. Everything is computed from the Host on first use and never changes."""

    __slots__ = ("_broadcasts", "_entries", "_listeners", "_local", "_tables", "host", "interfaces", "name")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name = host.name
        self.interfaces = {interface.name: interface for interface in host.interfaces}
        self._local = {
            family: frozenset(a.value for i in host.interfaces for a in i.addresses if a.family == family)
            for family in (4, 6)
        }
        self._broadcasts = frozenset(_broadcasts(host))
        self._tables: dict[Family, RouteTable] = {}
        self._entries: dict[tuple[Hook, Family], tuple[Entry, ...]] = {}
        self._listeners: dict[tuple[str, int], list[Listener]] | None = None

    @property
    def has_programs(self) -> bool:
        """Whether any rule program is loaded, and so whether connections are tracked."""
        return bool(self.host.dataplanes)

    def sysctl(self, name: str) -> bool:
        """Whether a sysctl of the host is set to something but 0."""
        return self.host.sysctls.get(name, "0") != "0"

    def entries(self, hook: Hook, family: Family) -> tuple[Entry, ...]:
        """Return the base chains at a hook in the order netfilter runs them."""
        key = (hook, family)
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = self._sorted(hook, family)
        return found

    def _sorted(self, hook: Hook, family: Family) -> tuple[Entry, ...]:
        kind = "dst" if hook in (Hook.PREROUTING, Hook.OUTPUT) else "src"
        listed = [
            Entry(entry, loaded.label, kind if entry.nat else "")
            for loaded in self.host.dataplanes
            if loaded.program.family == family
            for entry in loaded.program.hooks()
            if entry.hook is hook
        ]
        return tuple(sorted(listed, key=lambda item: item.entry.priority))

    def is_local(self, family: Family, address: int) -> bool:
        """Whether the host's local routing table has an address (all of 127.0.0.0/8 is local)."""
        return address in self._local[family] or (family == 4 and address >> 24 == LOOPBACK_NET)

    def route(self, family: Family, address: int) -> Route | None:
        """Return the unicast route to an address."""
        table = self._tables.get(family)
        if table is None:
            table = self._tables[family] = RouteTable(family, self.host.routes)
        return table.find(address)

    def source_for(self, family: Family, route: Route, dst: int) -> int | None:
        """Return the address a process gets that dials *dst* without binding."""
        if route.source is not None:
            return route.source
        interface = self.interfaces.get(route.interface)
        return pick_source(family, interface, self.host.interfaces, dst if route.gateway is None else route.gateway)

    def listener(self, protocol: str, family: Family, address: int, port: int) -> Listener | None:
        """Return the socket that takes a packet, None when nothing listens."""
        if self._listeners is None:
            self._listeners = _by_port(self.host.listeners)
        for found in self._listeners.get((protocol, port), ()):
            if found.address is None or (found.family == family and found.address == address):
                return found
        return None

    # iptables_gen.view.HostView

    def address_type(self, family: Family, address: int) -> str:
        """Return the type that a routing lookup gives an address (`-m addrtype`, `fib … type`)."""
        if self.is_local(family, address):
            return "LOCAL"
        if address == 0:
            return "UNSPEC"
        if family == 6:
            return "MULTICAST" if address >> 120 == 0xFF else "UNICAST"
        if address >> 28 == 0xE:
            return "MULTICAST"
        return "BROADCAST" if address in self._broadcasts else "UNICAST"

    def primary_address(self, family: Family, interface: str) -> int | None:
        """Return the address MASQUERADE takes on an interface when the next hop does not decide."""
        return pick_source(family, self.interfaces.get(interface), self.host.interfaces, 0)

    def affinity_age(self, table: str, family: Family, address: int) -> float | None:
        """Return None: a client that dials for the first time is in no affinity table."""
        return None


class RememberingView:
    """A machine whose affinity tables hold what earlier connections of a sequence left there."""

    __slots__ = ("_ages", "_machine")

    def __init__(self, machine: Machine, ages: Affinities) -> None:
        self._machine = machine
        self._ages = ages

    def address_type(self, family: Family, address: int) -> str:
        """Return what the machine says."""
        return self._machine.address_type(family, address)

    def primary_address(self, family: Family, interface: str) -> int | None:
        """Return what the machine says."""
        return self._machine.primary_address(family, interface)

    def affinity_age(self, table: str, family: Family, address: int) -> float | None:
        """Return seconds since the client entered the table, None if it never did."""
        return self._ages.get((self._machine.name, table, family, address))


def _broadcasts(host: Host) -> Iterator[int]:
    yield 0xFFFFFFFF
    for interface in host.interfaces:
        for address in interface.addresses:
            if address.family == 4 and address.prefix < 31:
                yield address.value | ((1 << (32 - address.prefix)) - 1)


def _by_port(listeners: Iterable[Listener]) -> dict[tuple[str, int], list[Listener]]:
    found: dict[tuple[str, int], list[Listener]] = {}
    for listener in listeners:
        found.setdefault((listener.protocol, listener.port), []).append(listener)
    return found


def segment_of(machine: Machine, interface: str) -> str:
    """Return the layer-2 network an interface plugs into, "" for none."""
    link: Interface | None = machine.interfaces.get(interface)
    return link.segment if link else ""
