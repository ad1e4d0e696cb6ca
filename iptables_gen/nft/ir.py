"""Rules, chains, tables and the commands of a transaction.

A transaction is what `nft -f` reads, in order; `apply` makes the tables it leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal as Choice

from iptables_gen.nft.literals import Style
from iptables_gen.nft.sets import Because, Element, SetDefinition
from iptables_gen.nft.statements import Statement
from iptables_gen.origin import Origin

Verb = Choice["add", "create", "insert", "delete", "destroy", "flush"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `because` makes its origin when asked."""

    statements: tuple[Statement, ...]
    comment: str = ""
    because: Because | None = field(default=None, compare=False, repr=False)

    @property
    def origin(self) -> Origin | None:
        """Return the manifest field that made the rule."""
        return self.because() if self.because else None

    def render(self, style: Style) -> str:
        """Return the rule without its chain."""
        text = " ".join([statement.render(style) for statement in self.statements])
        return f'{text} comment "{self.comment}"'.lstrip() if self.comment else text


PRIORITIES: Mapping[str, int] = {
    "raw": -300,
    "mangle": -150,
    "dstnat": -100,
    "filter": 0,
    "security": 50,
    "srcnat": 100,
}
_NAMES = {number: name for name, number in PRIORITIES.items()}
_NAMED_HOOKS: Mapping[str, frozenset[str]] = {
    "dstnat": frozenset({"prerouting"}),
    "srcnat": frozenset({"postrouting"}),
}


@dataclass(frozen=True, slots=True)
class Base:
    """What makes a chain a base chain: `type T hook H priority P; policy X;`."""

    type: str
    hook: str
    priority: int
    policy: str = "accept"
    device: str = ""

    def render(self, style: Style) -> str:
        """Return the clause; listings name the priority where the hook has a name for it and show the policy."""
        if style is Style.INPUT:
            policy = f" ; policy {self.policy}" if self.policy != "accept" else ""
            return f"type {self.type} hook {self.hook} priority {self.priority}{policy} ;"
        device = f' device "{self.device}"' if self.device else ""
        priority = priority_name(self.priority, self.hook)
        return f"type {self.type} hook {self.hook}{device} priority {priority}; policy {self.policy};"


def priority_name(priority: int, hook: str) -> str:
    """Return a priority as nft 1.0.6 lists it: `dstnat - 10`, `filter`, or the number where the hook has no name."""
    for name, number in PRIORITIES.items():
        distance = priority - number
        if abs(distance) > 10 or hook not in _NAMED_HOOKS.get(name, frozenset({hook})):
            continue
        return name if not distance else f"{name} {'+' if distance > 0 else '-'} {abs(distance)}"
    return str(priority)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain with its rules; `base` only for base chains."""

    name: str
    base: Base | None = None
    comment: str = ""
    rules: tuple[Rule, ...] = ()
    because: Because | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """One table: chains and sets (maps too) by name, in order of creation. `opaque` keeps unknown objects' text."""

    family: str
    name: str
    comment: str = ""
    chains: Mapping[str, Chain] = field(default_factory=dict)
    sets: Mapping[str, SetDefinition] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Elements:
    """Elements to add to, or delete from, a named set or map."""

    name: str
    word: str
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class ChainRule:
    """A rule to append to, or insert at the head of, a chain."""

    chain: str
    rule: Rule


Thing = Chain | SetDefinition | Elements | ChainRule | None


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a transaction: verb, the table it works on, and the object (None: the table itself).

    delete and flush use the name of the object only; `comment` is a new table's.
    """

    verb: Verb
    family: str
    table: str
    thing: Thing = None
    comment: str = ""


Tables = dict[tuple[str, str], Table]


class _Draft:
    """A table under construction."""

    __slots__ = ("chains", "comment", "rules", "set_elements", "sets")

    def __init__(self, comment: str) -> None:
        self.comment = comment
        self.chains: dict[str, Chain] = {}
        self.rules: dict[str, list[Rule]] = {}
        self.sets: dict[str, SetDefinition] = {}
        self.set_elements: dict[str, list[Element]] = {}

    def finish(self, family: str, name: str) -> Table:
        chains = {n: replace(c, rules=tuple(self.rules[n])) for n, c in self.chains.items()}
        sets = {n: replace(s, elements=tuple(self.set_elements[n])) for n, s in self.sets.items()}
        return Table(family, name, self.comment, chains, sets)


def apply(commands: Iterable[Command]) -> Tables:
    """Return the tables that a transaction leaves behind, starting from nothing.

    Raises: KeyError when a command names a table, chain or set that does not exist.
    """
    drafts: dict[tuple[str, str], _Draft] = {}
    for command in commands:
        key = (command.family, command.table)
        if command.thing is None:
            _apply_table(drafts, key, command)
        else:
            _apply_thing(drafts[key], command.verb, command.thing)
    return {key: draft.finish(*key) for key, draft in drafts.items()}


def _apply_table(drafts: dict[tuple[str, str], _Draft], key: tuple[str, str], command: Command) -> None:
    if command.verb in ("delete", "destroy"):
        drafts.pop(key, None)
    elif command.verb == "flush":
        for rules in drafts[key].rules.values():
            rules.clear()
    elif key not in drafts:
        drafts[key] = _Draft(command.comment)


def _apply_thing(draft: _Draft, verb: Verb, thing: Chain | SetDefinition | Elements | ChainRule) -> None:
    match thing:
        case ChainRule(chain, rule):
            rules = draft.rules[chain]
            rules.insert(0, rule) if verb == "insert" else rules.append(rule)
        case Elements(name, _, elements):
            present = draft.set_elements[name]
            if verb == "add":
                present.extend(elements)
            else:
                gone = {element.key for element in elements}
                present[:] = [element for element in present if element.key not in gone]
        case Chain():
            _apply_chain(draft, verb, thing)
        case SetDefinition():
            _apply_set(draft, verb, thing)


def _apply_chain(draft: _Draft, verb: Verb, chain: Chain) -> None:
    if verb == "flush":
        draft.rules[chain.name].clear()
    elif verb in ("delete", "destroy"):
        del draft.chains[chain.name], draft.rules[chain.name]
    elif chain.name not in draft.chains:
        draft.chains[chain.name] = chain
        draft.rules[chain.name] = list(chain.rules)


def _apply_set(draft: _Draft, verb: Verb, definition: SetDefinition) -> None:
    if verb == "flush":
        draft.set_elements[definition.name].clear()
    elif verb in ("delete", "destroy"):
        del draft.sets[definition.name], draft.set_elements[definition.name]
    elif definition.name not in draft.sets:
        draft.sets[definition.name] = definition
        draft.set_elements[definition.name] = list(definition.elements)
