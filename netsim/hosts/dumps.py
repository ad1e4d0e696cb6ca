"""Rule dumps of real nodes: `--ruleset NODE=FILE` stands in place of, or beside, what would be compiled for that node.

A node may have several files: iptables-save, nft list ruleset (text or JSON), ipvsadm -Sn, ipset save and the addresses
of kube-ipvs0 (`dump_parts`).

A dump with kube-proxy's chains replaces what netsim would compile and the CNI's rules it would assume; a dump without
them (a host firewall's, a CNI's) replaces only the latter. Rules that netsim would compile too get the origin they have
there; the others are explained by no manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from iptables_gen.dataplane import Dataplane
from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.origin import Origin
from iptables_gen.values import Family
from iptables_gen.xtables.ir import AnyRule, Command, Row, Rule, Ruleset, Style, Table
from iptables_gen.xtables.text import guess_family, parse
from netsim.cluster.model import Cluster
from netsim.errors import UsageError
from netsim.hosts.dump_parts import Dump, joined, kind_of, programs_of, read_part
from netsim.packet.names import hint

Dumps = dict[str, dict[Family, Ruleset | Dump]]
"""What was dumped of real nodes, by node and family; iptables rules alone are a plain Ruleset."""


def read_dumps(words: tuple[str, ...], cluster: Cluster) -> Dumps:
    """Return the rulesets of all `NODE=FILE` words; raise UsageError for a word, node, file or text that is none.

    The kind and the family of a file are read off its content; a node may have one file of each kind.
    """
    found: Dumps = {}
    for word in words:
        node, path = _named(word, [item.name for item in cluster.nodes])
        for family, part in read_file(path):
            known = found.setdefault(node, {}).get(family)
            together = part if known is None else joined(_as_dump(known), _as_dump(part))
            if together is None:
                raise UsageError(f"--ruleset {word!r}: node {node} has such an IPv{family} dump already")
            found[node][family] = together
    return found


def _as_dump(part: Ruleset | Dump) -> Dump:
    return part if isinstance(part, Dump) else Dump(part.family, part)


def read_file(path: str) -> Iterator[tuple[Family, Ruleset | Dump]]:
    """Yield what a file holds, by family; raise UsageError with file:line:column for text that cannot be read."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"--ruleset {path}: {error.strerror}") from error
    kind = kind_of(text)
    if kind is None:
        raise UsageError(f"{path}:1:1: not the output of iptables-save, nft, ipvsadm -Sn, ipset save or ip addr")
    try:
        if kind == "iptables":
            ruleset = parse(text, path, guess_family(text))
            yield ruleset.family, ruleset
        else:
            yield from ((part.family, part) for part in read_part(kind, text, path))
    except RulesetSyntaxError as error:
        raise UsageError(str(error)) from error


def _named(word: str, names: list[str]) -> tuple[str, str]:
    node, equals, path = word.partition("=")
    node = node.removeprefix("node/")
    if not equals or not node or not path:
        raise UsageError(f"--ruleset {word!r}: write NODE=FILE, the file holding the node's rules")
    if node not in names:
        raise UsageError(f"--ruleset {word!r}: no such node {node}{hint(node, names)}; there are {', '.join(names)}")
    return node, path


def has_proxy_rules(dump: Ruleset | Dump) -> bool:
    """Whether a dump holds what kube-proxy programs."""
    if isinstance(dump, Dump):
        return dump.proxied or (dump.ruleset is not None and has_proxy_rules(dump.ruleset))
    return any(line.name == "KUBE-SERVICES" for table in dump.tables for line in table.chain_lines)


def dump_program(ruleset: Ruleset, compiled: Callable[[], Dataplane]) -> Dataplane:
    """Return a dump as a program, its rules with the origin of the compiled rules that read the same."""
    from iptables_gen.xtables.evaluate import XtablesDataplane

    known = getattr(compiled(), "ruleset", None)
    return XtablesDataplane(explained(ruleset, known) if isinstance(known, Ruleset) else ruleset)


def dump_programs(dump: Ruleset | Dump, compiled: Callable[[], Dataplane]) -> Iterator[Dataplane]:
    """Yield the programs of a dump: one for each rule language in it."""
    if isinstance(dump, Ruleset):
        yield dump_program(dump, compiled)
        return
    program = compiled()
    known = getattr(program, "ruleset", None)
    if dump.ruleset is not None and isinstance(known, Ruleset):
        dump = replace(dump, ruleset=explained(dump.ruleset, known))
    yield from programs_of(dump, program)


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
