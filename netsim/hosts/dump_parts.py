"""What a dump of a real node may hold beside iptables rules: nft tables, IPVS servers, ipsets and bound addresses.

The kind of a file is told by its content: `iptables-save`, `nft list ruleset` (text or JSON), `ipvsadm -Sn`,
`ipset save`, `ip -o addr show dev kube-ipvs0`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from iptables_gen.dataplane import Dataplane
from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.ipvs.ir import IpSet, State, VirtualServer
from iptables_gen.nft.ir import Rule, Table, Tables
from iptables_gen.nft.literals import Style
from iptables_gen.nft.sets import Because, Element
from iptables_gen.values import Family, parse_ip
from iptables_gen.xtables.ir import Ruleset

Kind = Literal["iptables", "nft", "nft-json", "ipvsadm", "ipset", "addresses"]
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("nft-json", r'\A\s*\{'),
    ("iptables", r"^\*\w+\s*$"),
    ("nft", r"^\s*(table|add table|flush ruleset)\b"),
    ("ipset", r"^create \S+ (hash|bitmap|list):"),
    ("ipvsadm", r"^-[Aa] (-t|-u|-f|--\S+) "),
    ("addresses", r"\binet6? [0-9a-fA-F.:]+/\d+ "),
)  # fmt: skip


def kind_of(text: str) -> Kind | None:
    """Return what a dump's text is, None for none of the known kinds."""
    return next((kind for kind, pattern in _PATTERNS if re.search(pattern, text, re.MULTILINE)), None)


@dataclass(frozen=True, slots=True)
class Dump:
    """What was dumped of one family on one node."""

    family: Family
    ruleset: Ruleset | None = None
    tables: Tables = field(default_factory=dict)
    servers: tuple[VirtualServer, ...] = ()
    sets: tuple[IpSet, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def proxied(self) -> bool:
        """Whether it holds what kube-proxy programs."""
        return bool(self.servers) or any(_is_proxy(table) for table in self.tables.values())

    @property
    def bound(self) -> tuple[str, ...]:
        """Return the addresses of kube-ipvs0: as dumped, else those of kube-proxy's set of them."""
        names = ("KUBE-IPVS-IPS", "KUBE-6-IPVS-IPS")
        return self.addresses or tuple(e.address for s in self.sets if s.name in names for e in s.entries)


def _is_proxy(table: Table) -> bool:
    return table.name == "kube-proxy" or "KUBE-SERVICES" in table.chains


def read_part(kind: Kind, text: str, path: str) -> Iterator[Dump]:
    """Yield what a text other than iptables-save holds, for each family; raise RulesetSyntaxError."""
    match kind:
        case "nft" | "nft-json":
            tables = _tables(kind, text, path)
            for family, word in ((4, "ip"), (6, "ip6")):
                mine = {key: table for key, table in tables.items() if key[0] in (word, "inet")}
                if mine:
                    yield Dump(family, tables=mine)  # type: ignore[arg-type]
        case "ipvsadm":
            from iptables_gen.ipvs.text import parse_servers

            servers = parse_servers(text, path)
            for family in (4, 6):
                own = tuple(s for s in servers if not s.address or parse_ip(s.address)[0] == family)
                if own:
                    yield Dump(family, servers=own)  # type: ignore[arg-type]
        case "ipset":
            from iptables_gen.ipvs.text import parse_sets

            # bitmap:port sets belong to no family: kube-proxy names those of IPv6 KUBE-6-….
            for family, sets in _by_family(parse_sets(text, path)).items():
                yield Dump(family, sets=sets)
        case _:
            from iptables_gen.ipvs.text import parse_addresses

            found = parse_addresses(text, path)
            for family in (4, 6):
                held = tuple(a for a in found if parse_ip(a)[0] == family)
                if held:
                    yield Dump(family, addresses=held)  # type: ignore[arg-type]


def _tables(kind: Kind, text: str, path: str) -> Tables:
    from iptables_gen.nft.jsontext import parse_json
    from iptables_gen.nft.text import parse

    if kind == "nft":
        return parse(text, path)
    try:
        return parse_json(json.loads(text), path)
    except json.JSONDecodeError as error:
        raise RulesetSyntaxError(error.msg, file=path, line=error.lineno, column=error.colno) from error
    except (RecursionError, ValueError) as error:
        raise RulesetSyntaxError(f"cannot be read as JSON: {error}", file=path) from error


def _by_family(sets: Iterable[IpSet]) -> dict[Family, tuple[IpSet, ...]]:
    found: dict[Family, tuple[IpSet, ...]] = {}
    for one in sets:
        family: Family = 6 if one.family == 6 or one.name.startswith("KUBE-6-") else 4
        found[family] = (*found.get(family, ()), replace(one, family=family))
    return found


def joined(first: Dump, second: Dump) -> Dump | None:
    """Return two dumps of one family as one, None when both hold the same kind of thing."""
    parts = ("ruleset", "tables", "servers", "sets", "addresses")
    if any(getattr(first, part) and getattr(second, part) for part in parts):
        return None
    return replace(first, **{part: getattr(second, part) for part in parts if getattr(second, part)})


def programs_of(dump: Dump, compiled: Dataplane | None) -> Iterator[Dataplane]:
    """Yield the programs a dump makes; rules that read as compiled ones get their origins."""
    from iptables_gen.xtables.evaluate import XtablesDataplane

    if dump.tables:
        from iptables_gen.nft.dataplane import NftDataplane

        known = compiled if isinstance(compiled, NftDataplane) else None
        yield NftDataplane(dump.family, tables=_explained(dump.tables, known.tables) if known else dump.tables)
    if dump.servers or dump.sets:
        from iptables_gen.ipvs.dataplane import IpvsDataplane

        known_servers = compiled.state.servers if isinstance(compiled, IpvsDataplane) else ()
        servers = tuple(_explained_server(server, known_servers) for server in dump.servers)
        state = State(dump.family, servers, dump.sets, dump.bound)
        yield IpvsDataplane(state, dump.ruleset or Ruleset(dump.family), lambda: "")
    elif dump.ruleset is not None:
        yield XtablesDataplane(dump.ruleset)


def _explained_server(server: VirtualServer, known: Iterable[VirtualServer]) -> VirtualServer:
    twin = next((one for one in known if one.name == server.name), None)
    if twin is None:
        return server
    reasons = {real.key: real.because for real in twin.servers}
    reals = tuple(real._replace(because=reasons.get(real.key)) for real in server.servers)
    return replace(server, because=twin.because, servers=reals)


def _explained(tables: Mapping[tuple[str, str], Table], known: Mapping[tuple[str, str], Table]) -> Tables:
    return {key: _explained_table(table, known[key]) if key in known else table for key, table in tables.items()}


def _explained_table(table: Table, known: Table) -> Table:
    rules = {(c.name, r.render(Style.LIST)): r.because for c in known.chains.values() for r in c.rules}
    elements = {(s.name, e.render(Style.LIST)): e.because for s in known.sets.values() for e in s.elements}
    chains = {
        name: replace(
            chain, rules=tuple(_with_rule(rule, rules.get((name, rule.render(Style.LIST)))) for rule in chain.rules)
        )
        for name, chain in table.chains.items()
    }
    sets = {
        name: replace(
            one, elements=tuple(_with_element(e, elements.get((name, e.render(Style.LIST)))) for e in one.elements)
        )
        for name, one in table.sets.items()
    }
    return replace(table, chains=chains, sets=sets)


def _with_rule(rule: Rule, because: Because | None) -> Rule:
    return rule if because is None else replace(rule, because=because)


def _with_element(element: Element, because: Because | None) -> Element:
    return element if because is None else replace(element, because=because)
