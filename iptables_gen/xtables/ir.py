"""Rulesets of iptables and ip6tables as data: tables, chain lines, and commands in the order they are written.

A command is a typed `Rule`, a `Row` (the same rule as template and arguments, for compilers that make hundreds of
thousands of them), or one of the chain commands of restore input. Both kinds of rule satisfy `effects.RuleRef`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from iptables_gen.origin import Origin
from iptables_gen.values import Family
from iptables_gen.view import HostView, PacketView, Tri


class Style(Enum):
    """How a rule is spelled: kube-proxy's restore input, or what `iptables-save` (nft variant, 1.8.9) prints."""

    RESTORE = "restore"
    SAVE = "save"


class Match(Protocol):
    """One clause of a rule: `-s …`, `-p …`, or `-m NAME` with its options."""

    def render(self, style: Style) -> str:
        """Return the clause, without leading or trailing blanks; "" when the style leaves it out."""

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the clause matches; UNKNOWN when the model cannot say."""

    def reads(self) -> tuple[str, ...]:
        """Return the attributes of PacketView that decide; `?` stands for anything else (the host, sets, …)."""


class Target(Protocol):
    """What a matching rule does: `-j …` or `-g …`."""

    def render(self, style: Style) -> str:
        """Return the clause, starting with `-j` or `-g`."""


Counters = tuple[int, int]
"""(packets, bytes)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    `matches` are in written order; SAVE style moves `-s -d -i -o -p` to the front, as the kernel's dump has them.
    """

    table: str
    chain: str
    matches: tuple[Match, ...] = ()
    target: Target | None = None
    origin: Origin | None = field(default=None, compare=False)
    counters: Counters | None = None

    @property
    def text(self) -> str:
        """Return the save spelling, `-A CHAIN …`."""
        return self.render(Style.SAVE)

    def render(self, style: Style) -> str:
        """Return `-A CHAIN …` in a style, without counters."""
        from iptables_gen.xtables.spelling import render_rule

        return render_rule(self, style)


Provenance = Origin | Callable[[], Origin | None] | None
"""Where a row comes from: known, or found on demand."""


@dataclass(frozen=True, slots=True)
class RowTemplate:
    """A shape of rule. `restore` and `save` are whole lines `-A CHAIN …` with the holes `{0}`, `{1}`, … of str.format.

    Each argument fills holes inside one word, or one whole quoted comment (see `words.quoted`).
    `chain` is the literal name of the chain; "" when the chain's name is argument 0.
    """

    table: str
    chain: str
    restore: str
    save: str


class Row(NamedTuple):
    """A rule as template and arguments; `text.typed(row, family)` makes the `Rule`.

    >>> jump = RowTemplate("nat", "", "-A {0} -s {1} -j KUBE-MARK-MASQ", "-A {0} -s {1}/32 -j KUBE-MARK-MASQ")
    >>> Row(jump, ("KUBE-SEP-A", "10.0.0.1")).text
    '-A KUBE-SEP-A -s 10.0.0.1/32 -j KUBE-MARK-MASQ'
    """

    template: RowTemplate
    args: tuple[str, ...]
    provenance: Provenance = None

    @property
    def table(self) -> str:
        """Return the table's name."""
        return self.template.table

    @property
    def chain(self) -> str:
        """Return the chain's name."""
        return self.template.chain or self.args[0]

    @property
    def text(self) -> str:
        """Return the save spelling, `-A CHAIN …`."""
        return self.template.save.format(*self.args)

    @property
    def origin(self) -> Origin | None:
        """Return the origin, made on demand."""
        source = self.provenance
        return source if source is None or isinstance(source, Origin) else source()

    def render(self, style: Style) -> str:
        """Return `-A CHAIN …` in a style."""
        template = self.template
        return (template.restore if style is Style.RESTORE else template.save).format(*self.args)


AnyRule = Rule | Row


@dataclass(frozen=True, slots=True)
class ChainLine:
    """`:NAME POLICY [packets:bytes]`: makes (and with restore flushes) a chain; `policy` is None for `-`."""

    name: str
    policy: str | None = None
    counters: Counters | None = (0, 0)


@dataclass(frozen=True, slots=True)
class NewChain:
    """`-N NAME` of restore input."""

    name: str


@dataclass(frozen=True, slots=True)
class FlushChain:
    """`-F NAME` of restore input."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteChain:
    """`-X NAME` of restore input: kube-proxy removes stale chains so."""

    name: str


Command = Rule | Row | NewChain | FlushChain | DeleteChain


@dataclass(frozen=True, slots=True)
class Table:
    """One `*NAME … COMMIT` block: chain lines, then commands, both in written order."""

    name: str
    chain_lines: tuple[ChainLine, ...] = ()
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All tables of one family, in written order (a dump prints them in the order they were made)."""

    family: Family
    tables: tuple[Table, ...] = ()

    def table(self, name: str) -> Table | None:
        """Return a table by name."""
        return next((table for table in self.tables if table.name == name), None)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain with its rules, in order; `policy` is None for a user chain."""

    name: str
    policy: str | None
    rules: tuple[AnyRule, ...] = ()


def chains_of(table: Table) -> Mapping[str, Chain]:
    """Return the chains of a table after all its commands, in the order they are first named."""
    policies: dict[str, str | None] = {line.name: line.policy for line in table.chain_lines}
    rules: dict[str, list[AnyRule]] = {name: [] for name in policies}
    for command in table.commands:
        if isinstance(command, (Rule, Row)):
            rules.setdefault(command.chain, []).append(command)
        elif isinstance(command, DeleteChain):
            rules.pop(command.name, None)
        else:
            rules[command.name] = []
    return {name: Chain(name, policies.get(name), tuple(found)) for name, found in rules.items()}


def merge(*rulesets: Ruleset) -> Ruleset:
    """Return the ruleset that holds the tables of all, loaded one after another without flushing (`--noflush`).

    Rules of an earlier ruleset come before those of a later one in the same chain.
    """
    names = dict.fromkeys(table.name for ruleset in rulesets for table in ruleset.tables)
    tables = [[ruleset.table(name) for ruleset in rulesets] for name in names]
    return Ruleset(rulesets[0].family, tuple(_merged(t for t in same if t is not None) for same in tables))


def _merged(tables: Iterable[Table]) -> Table:
    found = list(tables)
    lines: dict[str, ChainLine] = {}
    for table in found:
        for line in table.chain_lines:
            lines.setdefault(line.name, line)
    return Table(found[0].name, tuple(lines.values()), tuple(c for table in found for c in table.commands))
