"""An nft program as a Dataplane: kube-proxy's transaction, or a dump of a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iptables_gen.dataplane import HookEntry
from iptables_gen.nft.evaluate import RuleName, hook_entries
from iptables_gen.nft.ir import Command, Table, Tables, apply
from iptables_gen.nft.literals import Style
from iptables_gen.nft.matches import Vmap
from iptables_gen.nft.sets import Decision, Element, SetDefinition
from iptables_gen.nft.statements import VerdictStatement
from iptables_gen.nft.text import render_commands, render_tables
from iptables_gen.origin import Origin
from iptables_gen.values import Family


@dataclass(frozen=True, slots=True)
class ElementName:
    """A set or map element as `explain` names it; `chain` is the set's name."""

    table: str
    chain: str
    element: Element

    @property
    def text(self) -> str:
        """Return the element as nft lists it."""
        return self.element.render(Style.LIST)

    @property
    def origin(self) -> Origin | None:
        """Return the manifest field behind the element."""
        return self.element.origin


@dataclass(frozen=True, slots=True)
class ObjectName:
    """A chain or set itself, as `explain` names it."""

    table: str
    chain: str
    text: str
    origin: Origin | None


class NftDataplane:
    """nft tables of one address family on one host (tables of family `inet` serve both).

    `commands` is the transaction that makes the tables; a dump has none and renders as a listing.
    """

    def __init__(self, family: Family, *, commands: tuple[Command, ...] = (), tables: Tables | None = None) -> None:
        self._family: Family = family
        self.commands = commands
        self._given = tables
        self._tables: Tables | None = None
        self._hooks: tuple[HookEntry, ...] | None = None

    @property
    def family(self) -> Family:
        """Return 4 or 6."""
        return self._family

    @property
    def tables(self) -> Mapping[tuple[str, str], Table]:
        """Return the tables of this family and of `inet`, by (family, name)."""
        if self._tables is None:
            mine = ("ip" if self._family == 4 else "ip6", "inet")
            made = self._given if self._given is not None else apply(self.commands)
            self._tables = {key: table for key, table in made.items() if key[0] in mine}
        return self._tables

    def hooks(self) -> tuple[HookEntry, ...]:
        """Return the base chains; made once."""
        if self._hooks is None:
            self._hooks = hook_entries(self.tables)
        return self._hooks

    def render(self) -> Mapping[str, str]:
        """Return `ip.nft` or `ip6.nft`: the transaction, or a dump's listing."""
        name = "ip.nft" if self._family == 4 else "ip6.nft"
        return {name: render_commands(self.commands) if self.commands else render_tables(self.tables.values())}

    def rules(self) -> Mapping[str, Mapping[str, tuple[RuleName | ElementName, ...]]]:
        """Return every rule and element by table (`ip kube-proxy`) and chain, set or map."""
        return {f"{t.family} {t.name}": _rows_of(t) for t in self.tables.values()}

    def explain(self, name: str) -> tuple[RuleName | ElementName | ObjectName, ...]:
        """Return the rules or elements of a chain, set or map, and what refers to it; () for an unknown name.

        A leading `@` of a set's name is allowed; so is the text of one rule.
        """
        wanted = name.removeprefix("@")
        found: list[RuleName | ElementName | ObjectName] = []
        for table in self.tables.values():
            rows = _rows_of(table)
            found += rows.get(wanted, ())
            if wanted in rows and not rows[wanted]:
                found.append(_object_name(table, wanted))
            found += [row for rows_of in rows.values() for row in rows_of if _refers(row, wanted) or row.text == name]
        return tuple(found)


def _rows_of(table: Table) -> dict[str, tuple[RuleName | ElementName, ...]]:
    where = f"{table.family} {table.name}"
    rows: dict[str, tuple[RuleName | ElementName, ...]] = {}
    for chain in table.chains.values():
        rows[chain.name] = tuple(RuleName(table.family, table.name, chain.name, rule) for rule in chain.rules)
    for found in table.sets.values():
        rows[found.name] = tuple(ElementName(where, found.name, element) for element in found.elements)
    return rows


def _object_name(table: Table, name: str) -> ObjectName:
    thing: SetDefinition | object = table.sets.get(name) or table.chains[name]
    because = getattr(thing, "because", None)
    word = thing.word if isinstance(thing, SetDefinition) else "chain"
    return ObjectName(f"{table.family} {table.name}", name, f"{word} {name}", because() if because else None)


def _refers(row: RuleName | ElementName, name: str) -> bool:
    if isinstance(row, ElementName):
        data = row.element.data
        return isinstance(data, Decision) and data.chain == name
    return any(_statement_refers(statement, name) for statement in row.rule.statements)


def _statement_refers(statement: object, name: str) -> bool:
    match statement:
        case VerdictStatement(decision):
            return decision.chain == name
        case Vmap(table=table) if elements := getattr(table, "elements", ()):
            return any(isinstance(e.data, Decision) and e.data.chain == name for e in elements)
        case _:
            render = getattr(statement, "render", None)
            return render is not None and f"@{name}" in render(Style.LIST).split()
