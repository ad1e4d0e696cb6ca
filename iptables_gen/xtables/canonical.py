"""One form for rulesets that differ only where kube-proxy's own order is random.

kube-proxy walks its Services in random order: entries of the dispatch chains are sorted, with the rule that "must be
the last" kept last; the order inside every other chain stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from iptables_gen.xtables.ir import Ruleset, Style, Table, chains_of

DISPATCH: Final = frozenset({"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"})
"""One entry for each Service port; first and only match by construction."""

_LAST: Final = "must be the last rule"


def canonical(ruleset: Ruleset) -> str:
    """Return a text in save spelling, without counters, equal for two rulesets that mean the same.

    Tables, chains and the rules of dispatch chains are sorted.
    """
    tables = sorted(ruleset.tables, key=lambda table: table.name)
    return "".join(line + "\n" for table in tables for line in _table(table))


def _table(table: Table) -> Iterable[str]:
    chains = sorted(chains_of(table).values(), key=lambda chain: chain.name)
    yield f"*{table.name}"
    yield from (f":{chain.name} {chain.policy or '-'}" for chain in chains)
    for chain in chains:
        texts = [rule.render(Style.SAVE) for rule in chain.rules]
        yield from _sorted_entries(texts) if chain.name in DISPATCH else texts
    yield "COMMIT"


def _sorted_entries(texts: list[str]) -> list[str]:
    return sorted(texts, key=lambda text: (_LAST in text, text))
