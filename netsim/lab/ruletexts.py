"""The texts of the rules that a namespace holds, by chain, as the tools list them and in one spelling. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.values import Family

Texts = dict[tuple[Family, str, str], Sequence[str]]


def xtables_texts(saved: str, family: Family) -> Texts:
    """Return the rules of `iptables-save`'s text."""
    found: dict[tuple[Family, str, str], list[str]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            found.setdefault((family, table, line.split(" ", 2)[1]), []).append(plain_rule(line, table, family))
    return {**found}


def plain_rule(line: str, table: str, family: Family) -> str:
    """Return an iptables rule in the spelling that the model's rules have; one that cannot be read stays as it is."""
    from iptables_gen.xtables.ir import Style
    from iptables_gen.xtables.text import parse_rule

    try:
        return parse_rule(line, table, family).render(Style.SAVE)
    except RulesetSyntaxError:
        return line


def nft_texts(listed: str) -> Texts:
    """Return the rules of `nft list table`'s text, in the spelling that the model's rules have."""
    from iptables_gen.nft.literals import Style
    from iptables_gen.nft.text import parse

    families: Mapping[str, Family] = {"ip": 4, "ip6": 6}
    return {
        (families[table.family], table.name, chain.name): [rule.render(Style.LIST) for rule in chain.rules]
        for table in parse(listed).values()
        for chain in table.chains.values()
        if table.family in families
    }
