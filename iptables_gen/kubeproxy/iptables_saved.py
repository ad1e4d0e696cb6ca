"""The whole ruleset as `iptables-save` (nft variant 1.8.9) prints it after a full sync, as data and as text.

Tables come in the order in which kube-proxy made them, user chains sorted by name, rules grouped by chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from iptables_gen.kubeproxy.iptables import Sheet
from iptables_gen.kubeproxy.iptables_static import CANARY, jumps
from iptables_gen.xtables.ir import ChainLine, Row, Ruleset, Table

_BUILT_IN: Final = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
"""Chains of each table in the order in which a packet meets them; tables in the order in which they are printed."""


def saved_ruleset(written: Sheet) -> Ruleset:
    """Return what the kernel holds after the sync: the static jumps, the canaries and every written chain."""
    blocks = {table: (names, rows) for table, names, rows in written.blocks}
    return Ruleset(written.family, tuple(_saved(written, table, *blocks.get(table, ((), ()))) for table in _BUILT_IN))


def _saved(written: Sheet, table: str, names: Iterable[str], rows: Iterable[Row]) -> Table:
    built_in = _BUILT_IN[table]
    made = {CANARY, *names, *(("KUBE-FIREWALL",) if table == "filter" else ())}
    static = jumps(written.family, table)
    lines = (*(ChainLine(name, "ACCEPT") for name in built_in), *(ChainLine(name) for name in sorted(made)))
    return Table(table, lines, tuple(_by_chain([line.name for line in lines], (*static, *rows))))


def _by_chain(order: Iterable[str], rows: Iterable[Row]) -> list[Row]:
    grouped: dict[str, list[Row]] = {name: [] for name in order}
    for row in rows:
        grouped[row.chain].append(row)
    return [row for found in grouped.values() for row in found]


def save_text(ruleset: Ruleset) -> str:
    """Return the ruleset as text, counters zero, without comment lines."""
    parts: list[str] = []
    for table in ruleset.tables:
        parts.append("*" + table.name)
        parts += [f":{line.name} {line.policy or '-'} [0:0]" for line in table.chain_lines]
        parts += [row.text for row in table.commands if isinstance(row, Row)]
        parts.append("COMMIT")
    parts.append("")
    return "\n".join(parts)
