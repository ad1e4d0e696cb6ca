"""A chain, set, virtual server or rule explained: its rules, who refers to it, and the manifest line behind each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iptables_gen.effects import RuleRef
from iptables_gen.values import Family
from iptables_gen.xtables.ir import Ruleset, chains_of
from netsim.errors import printable
from netsim.hosts.model import LabelledDataplane
from netsim.notes import Note

MOST_REFERENCES = 20
UNEXPLAINED = {
    "kube-proxy": "kube-proxy's own, made for no object",
    "cni": "the CNI's own, made for no object",
    "dump": "no manifest explains this rule",
}
"""What is said of a rule without an object, by whose program it is."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one program on one node holds under a name. `rule`: the name was a rule's text, `rules` is that rule."""

    program: str
    family: Family
    rules: tuple[RuleRef, ...]
    references: tuple[RuleRef, ...]
    rule: bool = False


def explanations(
    loaded: Iterable[LabelledDataplane], name: str, spellings: Mapping[Family, Collection[str]]
) -> Iterator[Explanation]:
    """Yield what each program of a node knows under a name (chain, set, virtual server) or the text of a rule.

    `spellings`: other ways to write the same rule, by family.
    """
    for label, program in loaded:
        found = list({(ref.table, ref.chain, ref.text): ref for ref in program.explain(name)}.values())
        if found and not any(ref.text == name for ref in found):
            own = [ref for ref in found if _named(ref.chain, name)]
            others = [ref for ref in found if not _named(ref.chain, name)]
            yield Explanation(label, program.family, tuple(own), tuple(others))
        elif equal := tuple(ref for ref in rows(program) if ref.text in spellings[program.family]):
            yield Explanation(label, program.family, equal, (), rule=True)
        elif any(_named(chain, name) for chains in tables_of(program).values() for chain in chains):
            yield Explanation(label, program.family, (), ())


def _named(chain: str, name: str) -> bool:
    """Whether a chain has a name; virtual servers are named with and without their protocol, sets with a leading @."""
    return chain in (name, name.removeprefix("@")) or chain.endswith(f" {name}")


def rows(program: object) -> Iterator[RuleRef]:
    """Yield every rule of a program; nothing for a program that cannot list its rules."""
    for chains in tables_of(program).values():
        for listed in chains.values():
            yield from listed


def names(loaded: Iterable[LabelledDataplane]) -> list[str]:
    """Return the names of all chains, sets and virtual servers."""
    return sorted({name for _, program in loaded for chains in tables_of(program).values() for name in chains})


def tables_of(program: object) -> Mapping[str, Mapping[str, Sequence[RuleRef]]]:
    """Return a program's rules by table and chain; a dump's are read off its ruleset."""
    inner = getattr(program, "program", program)
    if hasattr(inner, "rules"):
        found: Mapping[str, Mapping[str, Sequence[RuleRef]]] = inner.rules()
        return found
    ruleset = getattr(inner, "ruleset", None)
    if not isinstance(ruleset, Ruleset):
        return {}
    return {table.name: {name: chain.rules for name, chain in chains_of(table).items()} for table in ruleset.tables}


def explain_json(
    name: str, node: str, mode: str, found: Sequence[Explanation], notes: Sequence[Note]
) -> dict[str, Any]:
    """Return the explanations as plain data (`netsim.explain/v1`)."""
    return {
        "schema": "netsim.explain/v1",
        "id": None,
        "name": name,
        "node": node,
        "proxyMode": mode,
        "programs": [
            {
                "program": item.program,
                "family": f"ipv{item.family}",
                "rules": [row_json(ref) for ref in item.rules],
                "references": [row_json(ref) for ref in item.references],
            }
            for item in found
        ],
        "notes": [note.as_json() for note in notes],
    }


def row_json(ref: RuleRef) -> dict[str, Any]:
    """Return one rule."""
    origin = ref.origin
    return {
        "table": ref.table,
        "chain": ref.chain,
        "text": ref.text,
        "origin": None if origin is None else origin.as_json(),
    }


def explain_text(name: str, node: str, mode: str, found: Sequence[Explanation]) -> str:
    """Return the explanations for a terminal."""
    lines = [line for item in found for line in (*_text_of(name, node, mode, item), "")]
    return "\n".join(printable(line) for line in lines[:-1]) + "\n"


def _text_of(name: str, node: str, mode: str, item: Explanation) -> Iterator[str]:
    whose = f"kube-proxy mode {mode}" if item.program == "kube-proxy" else item.program
    tables = ", ".join(dict.fromkeys(ref.table for ref in item.rules))
    where = f"on {node}, IPv{item.family}, {whose}"
    if item.rule:
        yield f"rule of {', '.join(dict.fromkeys(f'{ref.table} {ref.chain}' for ref in item.rules))} {where}"
    else:
        yield f"{name}{f' in {tables}' if tables else ''} {where}: {_count(len(item.rules), 'rule')}"
    for ref in item.rules:
        yield from _lines(ref, item.program)
    if item.references:
        yield f"referred to by {_count(len(item.references), 'rule')}"
    for ref in item.references[:MOST_REFERENCES]:
        yield from _lines(ref, item.program, chain=True)
    if len(item.references) > MOST_REFERENCES:
        yield f"  and {len(item.references) - MOST_REFERENCES} more (-o json has all)"


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _lines(ref: RuleRef, program: str, *, chain: bool = False) -> Iterator[str]:
    yield f"  {f'{ref.table} {ref.chain}: ' if chain and not ref.text.startswith('-A ') else ''}{ref.text}"
    yield f"      {origin_text(ref, program)}"


def origin_text(ref: RuleRef, program: str) -> str:
    """Return `Kind ns/name field (file:line)` behind a rule, or why there is none."""
    origin = ref.origin
    return str(origin) if origin is not None and origin.kind else UNEXPLAINED.get(program, UNEXPLAINED["dump"])
