"""Rule dumps of real nodes: `--ruleset NODE=FILE` stands in place of, or beside, what would be compiled for that node.

A dump with kube-proxy's chains replaces what netsim would compile and the CNI's rules it would assume; a dump without
them (a host firewall's, a CNI's) replaces only the latter. Rules that netsim would compile too get the origin they have
there; the others are explained by no manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from iptables_gen.dataplane import Dataplane
from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.origin import Origin
from iptables_gen.values import Family
from iptables_gen.xtables.ir import AnyRule, Command, Row, Rule, Ruleset, Style, Table
from netsim.cluster.model import Cluster
from netsim.errors import UsageError
from netsim.packet.names import hint

Dumps = dict[str, dict[Family, Ruleset]]
"""Rulesets of real nodes, by node and family."""


def read_dumps(words: tuple[str, ...], cluster: Cluster) -> Dumps:
    """Return the rulesets of all `NODE=FILE` words; raise UsageError for a word, node, file or text that is none.

    A file may hold the output of `iptables-save` or of `ip6tables-save`; the family is read off its rules.
    """
    found: Dumps = {}
    for word in words:
        node, path = _named(word, [item.name for item in cluster.nodes])
        ruleset = read_ruleset(path)
        if ruleset.family in found.setdefault(node, {}):
            raise UsageError(f"--ruleset {word!r}: node {node} has an IPv{ruleset.family} dump already")
        found[node][ruleset.family] = ruleset
    return found


def _named(word: str, names: list[str]) -> tuple[str, str]:
    node, equals, path = word.partition("=")
    node = node.removeprefix("node/")
    if not equals or not node or not path:
        raise UsageError(f"--ruleset {word!r}: write NODE=FILE, the file holding the node's iptables-save")
    if node not in names:
        raise UsageError(f"--ruleset {word!r}: no such node {node}{hint(node, names)}; there are {', '.join(names)}")
    return node, path


def read_ruleset(path: str) -> Ruleset:
    """Return the ruleset of a file; raise UsageError with file:line:column for text that cannot be read."""
    from iptables_gen.xtables.text import guess_family, parse

    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"--ruleset {path}: {error.strerror}") from error
    if not any(line.startswith("*") for line in text.splitlines()):
        raise UsageError(f"{path}:1:1: not the output of iptables-save: it has no table (a line `*nat`)")
    try:
        return parse(text, path, guess_family(text))
    except RulesetSyntaxError as error:
        raise UsageError(str(error)) from error


def has_proxy_rules(ruleset: Ruleset) -> bool:
    """Whether a dump holds what kube-proxy programs."""
    return any(line.name == "KUBE-SERVICES" for table in ruleset.tables for line in table.chain_lines)


def dump_program(ruleset: Ruleset, compiled: Callable[[], Dataplane]) -> Dataplane:
    """Return a dump as a program, its rules with the origin of the compiled rules that read the same."""
    from iptables_gen.xtables.evaluate import XtablesDataplane

    known = getattr(compiled(), "ruleset", None)
    return XtablesDataplane(explained(ruleset, known) if isinstance(known, Ruleset) else ruleset)


def explained(dump: Ruleset, compiled: Ruleset) -> Ruleset:
    """Return the dump with origins."""
    origins = {
        (table.name, _key(command)): command.origin
        for table in compiled.tables
        for command in table.commands
        if isinstance(command, Rule | Row)
    }
    return replace(dump, tables=tuple(_explained_table(table, origins) for table in dump.tables))


def _explained_table(table: Table, origins: dict[tuple[str, str], Origin | None]) -> Table:
    def with_origin(command: Command) -> Command:
        if not isinstance(command, Rule):
            return command
        return replace(command, origin=origins.get((table.name, _key(command))))

    return replace(table, commands=tuple(with_origin(command) for command in table.commands))


def _key(rule: AnyRule) -> str:
    """Return the save spelling without the accounting clause, which depends on the node's kernel."""
    text = rule.render(Style.SAVE)
    start = text.find(" -m nfacct --nfacct-name")
    end = text.find(" -j ", start)
    return text if start < 0 else text[:start] + text[end:]
