"""Rule dumps of real nodes: `--ruleset NODE=FILE` stands in place of what would be compiled for that node."""

from __future__ import annotations

from pathlib import Path

from iptables_gen.dataplane import Dataplane
from iptables_gen.errors import RulesetSyntaxError
from netsim.cluster.model import Cluster
from netsim.errors import UsageError
from netsim.hosts.programs import ruleset_program
from netsim.packet.names import hint


def read_dump(word: str, cluster: Cluster) -> tuple[str, tuple[Dataplane, ...]]:
    """Return (node, programs) of `NODE=FILE`; raise UsageError for a word, node, file or text that is none.

    A file may hold the output of `iptables-save` or of `ip6tables-save`; the family is read off its rules.
    """
    node, equals, path = word.partition("=")
    node = node.removeprefix("node/")
    if not equals or not node or not path:
        raise UsageError(f"--ruleset {word!r}: write NODE=FILE, the file holding the node's iptables-save")
    names = [item.name for item in cluster.nodes]
    if node not in names:
        raise UsageError(f"--ruleset {word!r}: no such node {node}{hint(node, names)}; there are {', '.join(names)}")
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"--ruleset {path}: {error.strerror}") from error
    return node, (dump_program(text, path),)


def dump_program(text: str, file: str) -> Dataplane:
    """Return the program of a dump; raise UsageError with file:line:column for text that cannot be read."""
    from iptables_gen.xtables.text import guess_family

    if not any(line.startswith("*") for line in text.splitlines()):
        raise UsageError(f"{file}:1:1: not the output of iptables-save: it has no table (a line `*nat`)")
    try:
        return ruleset_program(text, file, guess_family(text))
    except RulesetSyntaxError as error:
        raise UsageError(str(error)) from error
