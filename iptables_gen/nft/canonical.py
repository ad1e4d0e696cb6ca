"""One text for all rulesets that do the same: what the kernel and nft are free to reorder or respell is settled.

Sets, maps and chains are sorted by name, elements sorted, single-element sets and mergeable networks as the kernel
keeps them (the listing spelling). The order of rules in a chain is kept: it means something.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from iptables_gen.nft.ir import Chain, Rule, Table
from iptables_gen.nft.literals import Style
from iptables_gen.nft.matches import Counter
from iptables_gen.nft.sets import SetDefinition
from iptables_gen.nft.text import render_tables


def canonical(tables: Iterable[Table]) -> str:
    """Return the canonical listing of tables; equal for a transaction and for what the kernel lists after it."""
    return render_tables(sorted(map(_table, tables), key=lambda table: (table.family, table.name)))


def _table(table: Table) -> Table:
    chains = {name: _chain(table.chains[name]) for name in sorted(table.chains)}
    sets = {name: _set(table.sets[name]) for name in sorted(table.sets)}
    return replace(table, chains=chains, sets=sets)


def _chain(chain: Chain) -> Chain:
    return replace(chain, rules=tuple(map(_rule, chain.rules)))


def _rule(rule: Rule) -> Rule:
    """Counters say what has passed, not what will happen."""
    statements = tuple(replace(s, packets=0, octets=0) if isinstance(s, Counter) else s for s in rule.statements)
    return replace(rule, statements=statements)


def _set(definition: SetDefinition) -> SetDefinition:
    elements = tuple(sorted(definition.elements, key=lambda element: element.render(Style.LIST)))
    usual = definition.size == DEFAULT_DYNAMIC_SIZE and "dynamic" in definition.flags
    size = 0 if usual else definition.size
    return replace(definition, elements=elements, size=size)


DEFAULT_DYNAMIC_SIZE = 65535
"""What the kernel takes for the size of a dynamic set that names none."""
