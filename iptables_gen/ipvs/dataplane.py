"""An IPVS program as a Dataplane: virtual servers, ipsets, bound addresses and the iptables rules that go with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from iptables_gen.dataplane import HookEntry
from iptables_gen.effects import RuleRef
from iptables_gen.ipvs.evaluate import TABLE, ServerName, hook_entries
from iptables_gen.ipvs.ir import Entry, IpSet, State, VirtualServer
from iptables_gen.ipvs.sets import HostSets
from iptables_gen.ipvs.text import render_addresses, render_servers, render_sets
from iptables_gen.origin import Origin
from iptables_gen.values import Family
from iptables_gen.xtables.ir import Ruleset, chains_of

if TYPE_CHECKING:
    from iptables_gen.xtables.evaluate import XtablesDataplane


@dataclass(frozen=True, slots=True)
class EntryName:
    """An entry of an ipset as `explain` names it; `chain` is the set's name."""

    chain: str
    entry: Entry

    @property
    def table(self) -> str:
        """Return `ipset`."""
        return "ipset"

    @property
    def text(self) -> str:
        """Return the line of `ipset save`."""
        return f"add {self.chain} {self.entry.text}"

    @property
    def origin(self) -> Origin | None:
        """Return the manifest field behind the entry."""
        return self.entry.because() if self.entry.because else None


class IpvsDataplane:
    """IPVS, ipset and iptables of one address family on one host.

    `bound_addresses` must be on an interface of the host (kube-proxy uses kube-ipvs0), else nothing is delivered to
    IPVS: the kernel asks it in INPUT and OUTPUT only.
    """

    def __init__(self, state: State, ruleset: Ruleset, restore: Callable[[], str]) -> None:
        self.state = state
        self.ruleset = ruleset
        self._restore = restore

    @property
    def family(self) -> Family:
        """Return 4 or 6."""
        return self.state.family

    @property
    def bound_addresses(self) -> tuple[str, ...]:
        """Return the addresses of kube-ipvs0, each a host address (/32 or /128)."""
        return self.state.addresses

    @cached_property
    def _tables(self) -> XtablesDataplane:
        from iptables_gen.xtables.evaluate import XtablesDataplane

        return XtablesDataplane(self.ruleset, sets=HostSets(self.state.sets))

    @cached_property
    def _hooks(self) -> tuple[HookEntry, ...]:
        return (*self._tables.hooks(), *hook_entries(self.state.servers, self.state.addresses))

    def hooks(self) -> tuple[HookEntry, ...]:
        """Return the iptables base chains and IPVS's own two hooks."""
        return self._hooks

    def render(self) -> Mapping[str, str]:
        """Return the five texts; the last three hold this family only, the command line joins both."""
        from iptables_gen.xtables.text import render

        tool = "iptables" if self.family == 4 else "ip6tables"
        return {
            f"{tool}.restore": self._restore(),
            f"{tool}.save": render(self.ruleset),
            "ipvsadm.save": render_servers(self.state.servers),
            "ipset.save": render_sets(self.state.sets),
            "kube-ipvs0.addresses": render_addresses(self.state.addresses),
        }

    def rules(self) -> Mapping[str, Mapping[str, Sequence[RuleRef]]]:
        """Return every rule, virtual server and set entry by table and chain."""
        tables: dict[str, Mapping[str, Sequence[RuleRef]]] = {
            table.name: {name: chain.rules for name, chain in chains_of(table).items()} for table in self.ruleset.tables
        }
        tables[TABLE] = {server.name: _server_rows(server) for server in self.state.servers}
        tables["ipset"] = {found.name: _set_rows(found) for found in self.state.sets}
        return tables

    def explain(self, name: str) -> tuple[RuleRef, ...]:
        """Return the lines of a chain, set or virtual server (`-t IP:PORT` or `IP:PORT`); () for an unknown name."""
        found: list[RuleRef] = list(self._tables.explain(name))
        for server in self.state.servers:
            if name == server.name or name == server.name.split()[-1]:
                found += _server_rows(server)
        for one in self.state.sets:
            if one.name == name:
                found += _set_rows(one)
        return tuple(found)


def _server_rows(server: VirtualServer) -> tuple[ServerName, ...]:
    return (ServerName(server), *(ServerName(server, real) for real in server.servers))


def _set_rows(found: IpSet) -> tuple[EntryName, ...]:
    return tuple(EntryName(found.name, entry) for entry in found.entries)


def bound_addresses(dataplane: object) -> tuple[str, ...]:
    """Return the addresses that a program binds to the host: those of ipvs mode, () for any other program."""
    return dataplane.bound_addresses if isinstance(dataplane, IpvsDataplane) else ()
