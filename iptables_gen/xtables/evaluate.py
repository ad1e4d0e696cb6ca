"""The rules of iptables as a dataplane: base chains at their hooks, evaluated on packets."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from functools import cached_property, partial
from operator import attrgetter
from typing import Final

from iptables_gen.dataplane import Hook, HookEntry, Mentions, Priority
from iptables_gen.effects import Path
from iptables_gen.values import Family
from iptables_gen.view import HostView, PacketView
from iptables_gen.xtables.dispatch import FIELDS, Dispatch, find_dispatch
from iptables_gen.xtables.ir import AnyRule, Row, Ruleset, Style, Table
from iptables_gen.xtables.matches.misc import IpSets
from iptables_gen.xtables.mentions import mentions_of
from iptables_gen.xtables.plans import Branch, Paths, Plan, make_plan
from iptables_gen.xtables.program import Codes
from iptables_gen.xtables.text import render
from iptables_gen.xtables.walk import POLICY, Walk, walk

_HOOKS: Final[Mapping[str, Mapping[str, int]]] = {
    "raw": {"PREROUTING": Priority.RAW, "OUTPUT": Priority.RAW},
    "mangle": dict.fromkeys(("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"), Priority.MANGLE),
    "nat": {
        "PREROUTING": Priority.DSTNAT,
        "INPUT": Priority.SRCNAT,
        "OUTPUT": Priority.DSTNAT,
        "POSTROUTING": Priority.SRCNAT,
    },
    "filter": dict.fromkeys(("INPUT", "FORWARD", "OUTPUT"), Priority.FILTER),
    "security": dict.fromkeys(("INPUT", "FORWARD", "OUTPUT"), Priority.SECURITY),
}
"""Built-in chains by table, with the priorities at which the kernel registers them."""

_MOST_PLANS: Final = 50_000
_MOST_CLASSES: Final = 200_000
"""What a base chain remembers before it forgets everything."""


class BaseChain:
    """One built-in chain: `run` is pure, what it remembers only saves time."""

    def __init__(self, codes: Codes, name: str, hook: Hook, policy: str) -> None:
        self._codes, self.name, self.hook, self._policy = codes, name, hook, POLICY[policy]
        self._plans: dict[Hashable, Plan] = {}
        self._by_values: dict[Hashable, Plan] = {}
        self._remembered = 0

    @cached_property
    def _dispatch(self) -> dict[str, Dispatch]:
        return find_dispatch(self._codes, self.name)

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        used = {field for one in self._dispatch.values() for field in one.fields}
        return tuple(field for field in FIELDS if field in used)

    @cached_property
    def _known(self) -> tuple[frozenset[object], ...]:
        chains = self._dispatch.values()
        return tuple(frozenset().union(*(one.known(field) for one in chains)) for field in self._fields)

    @cached_property
    def _values(self) -> attrgetter[object]:
        return attrgetter(*self._fields)

    def run(self, packet: PacketView, host: HostView) -> Paths:
        """Return every way the packet may take through the chain; the weights sum to 1."""
        plan = self._plan(packet)
        key = plan.key(packet)
        found = plan.memo.get(key)
        while isinstance(found, Branch):
            found = found.children.get(found.read(packet, host))
        return self._walk(plan, key, packet, host) if found is None else found

    def _plan(self, packet: PacketView) -> Plan:
        if not self._fields:
            return self._plans.get(()) or self._new_plan((), ())
        values = self._values(packet)
        found = self._by_values.get(values)
        if found is None:
            if len(self._by_values) > _MOST_CLASSES:
                self._by_values.clear()
            found = self._by_values[values] = self._plan_for(values if len(self._fields) > 1 else (values,))
        return found

    def _plan_for(self, values: object) -> Plan:
        assert isinstance(values, tuple)
        key = tuple([value if value in known else None for value, known in zip(values, self._known, strict=True)])
        return self._plans.get(key) or self._new_plan(key, self._fields)

    def _new_plan(self, key: tuple[object, ...], fields: tuple[str, ...]) -> Plan:
        if len(self._plans) > _MOST_PLANS:
            self._plans.clear()
            self._by_values.clear()
        packet = {field: value for field, value in zip(fields, key, strict=True) if value is not None}
        views = {name: one.select(packet) for name, one in self._dispatch.items()}
        plan = self._plans[key] = make_plan(self._codes, self.name, views, frozenset(packet))
        return plan

    def _walk(self, plan: Plan, key: Hashable, packet: PacketView, host: HostView) -> Paths:
        state = Walk(self._codes, plan.views, host, self.hook, self._policy)
        paths = walk(state, self.name, packet)
        if state.cacheable:
            self._remember(plan, key, state, paths)
        return paths

    def _remember(self, plan: Plan, key: Hashable, state: Walk, paths: tuple[Path, ...]) -> None:
        self._remembered += 1
        if self._remembered > _MOST_CLASSES:
            self._plans.clear()
            self._by_values.clear()
            self._remembered = 0
        branches: dict[Hashable, object] = plan.memo  # type: ignore[assignment]
        for test, answer in state.asked.items():
            found = branches.get(key)
            if not isinstance(found, Branch):
                found = branches[key] = Branch(test.matches)
            branches, key = found.children, answer  # type: ignore[assignment]
        branches[key] = paths


class XtablesDataplane:
    """A ruleset at its hooks. `sets` answers `-m set`; without it the host view is asked for `ipsets`."""

    def __init__(self, ruleset: Ruleset, *, sets: IpSets | None = None, label: str = "") -> None:
        self.ruleset, self._sets, self._label = ruleset, sets, label
        self._mentioned: dict[tuple[str, str], Mentions | None] = {}

    @property
    def family(self) -> Family:
        """Return 4 or 6."""
        return self.ruleset.family

    @cached_property
    def _codes(self) -> Mapping[str, Codes]:
        return {table.name: Codes(table, self.family, self._sets) for table in self.ruleset.tables}

    @cached_property
    def _entries(self) -> tuple[HookEntry, ...]:
        return tuple(entry for table in self.ruleset.tables for entry in self._of_table(table))

    def _of_table(self, table: Table) -> list[HookEntry]:
        codes = self._codes[table.name]
        found = []
        for name, priority in _HOOKS.get(table.name, {}).items():
            chain = codes.chains.get(name)
            if chain is None or (not chain.rules and chain.policy != "DROP"):
                continue
            base = BaseChain(codes, name, Hook[name], chain.policy or "ACCEPT")
            nat, mentions = table.name == "nat", partial(self._mentions, table.name)
            found.append(HookEntry(Hook[name], priority, table.name, nat, base.run, self._label, mentions))
        return found

    def _mentions(self, table: str, field: str) -> Mentions | None:
        """Return what the whole table tells apart: every chain may be reached from the base chain."""
        if (table, field) not in self._mentioned:
            self._mentioned[table, field] = mentions_of(self._codes[table], field)
        return self._mentioned[table, field]

    def hooks(self) -> tuple[HookEntry, ...]:
        """Return the built-in chains that do anything: those with rules, or with policy DROP."""
        return self._entries

    def render(self) -> Mapping[str, str]:
        """Return the ruleset as `iptables.save` or `ip6tables.save`."""
        name = "iptables.save" if self.family == 4 else "ip6tables.save"
        return {name: render(self.ruleset, Style.SAVE)}

    def explain(self, name: str) -> tuple[AnyRule, ...]:
        """Return the rules of a chain (in every table), then those that jump to it or ask a set of that name."""
        own = [rule for codes in self._codes.values() for rule in getattr(codes.chains.get(name), "rules", ())]
        refers = partial(_refers, name, re.compile(rf" (?:-[jg]|--match-set) {re.escape(name)}(?: |$)"))
        others = (command for table in self.ruleset.tables for command in table.commands)
        return (*own, *(rule for rule in others if isinstance(rule, AnyRule) and refers(rule)))


def _refers(name: str, pattern: re.Pattern[str], rule: AnyRule) -> bool:
    # Most rows of a large ruleset name other chains: looking at the arguments is cheaper than making their text.
    if isinstance(rule, Row) and name not in rule.args and name not in rule.template.restore:
        return False
    return pattern.search(rule.text) is not None
