"""`netsim explain NAME|RULE`: a chain, set or rule back to Service, field and manifest line."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from iptables_gen.values import Family
from netsim.cli.options import input_options, output_option, queries_option
from netsim.cli.proxy_flags import proxy_options

if TYPE_CHECKING:
    from netsim.hosts.network import NodePrograms
    from netsim.hosts.programs import RuleSource
    from netsim.notes import Note
    from netsim.report.explain import Explanation

FAMILIES: tuple[Family, ...] = (4, 6)
QUERY_KEYS = frozenset(("name", "node"))


@click.command("explain", short_help="Name the Service, field and manifest line behind a chain, set or rule.")
@click.argument("name", metavar="NAME|RULE", required=False)
@click.option("--node", default="", metavar="NODE", help="The node to look at; without it the first one that has it.")
@click.option(
    "--ruleset",
    "rulesets",
    multiple=True,
    metavar="NODE=DUMP",
    help="Rules of a real node: iptables-save, nft list ruleset, ipvsadm -Sn, ipset save.",
)
@queries_option
@output_option("text", "json")
@input_options
@proxy_options
def command(name: str | None, queries: str, output: str, **params: Any) -> int:
    """Print the rules of NAME (a chain, an nft set or map, an ipset, an IPVS server) and of those that refer to it.

    Each comes with the object, field and file:line that it was made for. A rule's own text will do, as a dump or
    `netsim compile` spells it, as one word; its -A may be left out. Keys of a query are `name` and `node`.
    """
    from netsim.cli.queries import answer_queries
    from netsim.errors import UsageError
    from netsim.report.explain import explain_json, explain_text

    if bool(name) == bool(queries):
        raise UsageError("name a chain, set or rule: netsim explain -f DIR NAME (or --queries FILE)")
    rules = load_rules(params)
    if queries:
        return answer_queries(queries, lambda query: _answer(query, rules), QUERY_KEYS, quiet=params["quiet"])
    wanted, chosen, found = rules.look_up(name or "", params["node"])
    if output == "json":
        document = explain_json(wanted, chosen, rules.mode, found, rules.notes)
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(explain_text(wanted, chosen, rules.mode, found), nl=False)
    return 0


@dataclass(frozen=True, slots=True)
class LoadedRules:
    """The rules of every node, compiled when asked for; `dumped` are the nodes with a dump."""

    source: RuleSource
    mode: str
    nodes: tuple[str, ...]
    dumped: tuple[str, ...]
    notes: tuple[Note, ...]

    def look_up(self, name: str, node: str) -> tuple[str, str, list[Explanation]]:
        """Return (name, node, explanations) of the first node that has the name; UsageError when none has."""
        from netsim.cli.compile_verb import no_collector

        wanted = " ".join(name.split())
        with no_collector():
            return wanted, *look_up(self.source, _nodes(node, self.nodes, self.dumped), wanted)


def load_rules(params: Mapping[str, Any]) -> LoadedRules:
    """Load the input; notes and warnings go to stderr."""
    from netsim.cli.compile_verb import no_collector
    from netsim.cli.proxy_flags import proxy_config
    from netsim.cli.session import open_session
    from netsim.hosts.cni import cni_settings
    from netsim.hosts.dumps import read_dumps
    from netsim.hosts.programs import RuleSource

    with no_collector():
        session = open_session(params)
        config, notes = proxy_config(params, session.cluster)
        session.note(notes)
        dumps = read_dumps(params["rulesets"], session.cluster)
        cni = cni_settings(session.cluster, config.cluster_cidrs)
        source = RuleSource(session.cluster, config, cni, dumps)
    nodes = tuple(node.name for node in session.cluster.nodes)
    return LoadedRules(source, config.mode, nodes, tuple(dumps), (*session.notes, *notes, *cni.notes))


def _answer(query: Mapping[str, Any], rules: LoadedRules) -> Mapping[str, Any]:
    from netsim.errors import UsageError
    from netsim.report.explain import explain_json

    name, node = query.get("name"), query.get("node") or ""
    if not isinstance(name, str) or not isinstance(node, str) or not name.strip():
        raise UsageError('"name" must be that of a chain or set, or the text of a rule; "node" that of a node')
    wanted, chosen, found = rules.look_up(name, node)
    return explain_json(wanted, chosen, rules.mode, found, rules.notes)


def _nodes(given: str, known: Sequence[str], dumped: Sequence[str]) -> list[str]:
    """Return the nodes to look at, in order: those with a dump first; raise UsageError for a node that is none."""
    from netsim.errors import UsageError
    from netsim.packet.names import hint

    name = given.removeprefix("node/")
    if name and name not in known:
        raise UsageError(f"--node {name}: no such node{hint(name, known)}; there are {', '.join(known)}")
    return [name] if name else list(dict.fromkeys((*dumped, *known)))


def look_up(source: Any, nodes: Sequence[str], name: str) -> tuple[str, list[Explanation]]:
    """Return (node, explanations) of the first node that has the name; raise UsageError when none has."""
    from netsim.errors import UsageError
    from netsim.report.explain import explanations

    spelt = {family: spellings(name, family) for family in FAMILIES}
    programs: NodePrograms | None = None
    for node in nodes:
        programs = source(node)
        found = list(explanations(programs.dataplanes, name, spelt))
        if found:
            return node, found
    raise UsageError(_unknown(name, nodes, programs))


def _unknown(name: str, nodes: Sequence[str], programs: NodePrograms | None) -> str:
    from netsim.packet.names import hint
    from netsim.report.explain import names

    where = f"on node/{nodes[0]}" if len(nodes) == 1 else f"on any of {len(nodes)} nodes"
    if " " in name:
        return f"explain {name!r}: no such rule {where}"
    near = hint(name, names(programs.dataplanes)) if programs else ""
    return f"explain {name!r}: no chain, set, server or rule of this name {where}{near}"


_DECORATION = re.compile(r"^\[\d+:\d+\] |^(?:ip6?tables )?-t \w+ | # handle \d+$")


def spellings(name: str, family: Family) -> Collection[str]:
    """Return the ways in which a rule's text may be listed: as given, without counters or handle, in save spelling."""
    from iptables_gen.errors import RulesetSyntaxError
    from iptables_gen.xtables.text import parse_rule

    bare = _DECORATION.sub("", name)
    rule = f"-A {bare}" if " -" in bare and not bare.startswith("-") else bare
    found = {name, bare, rule}
    if rule.startswith("-A "):
        with contextlib.suppress(RulesetSyntaxError):
            found.add(parse_rule(rule, "nat", family).text)
    return found
