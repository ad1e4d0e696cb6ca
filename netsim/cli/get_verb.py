"""`netsim get`: the cluster as modelled, after defaulting, allocation and the controllers' work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from netsim.cli.options import input_options, output_option
from netsim.cli.session import Session, open_session
from netsim.cli.terminal import say
from netsim.cluster.default_pods import Object
from netsim.cluster.observed import with_status
from netsim.cluster.resources import ALL, find_kind, is_namespaced, plural, resources
from netsim.errors import UsageError, printable


@click.command("get", short_help="Show the cluster as modelled, in kubectl's tables.")
@click.argument("kinds", metavar="KIND[,KIND]|KIND/NAME")
@click.argument("names", metavar="[NAME]…", nargs=-1)
@click.option("-A", "--all-namespaces", is_flag=True, help="List the objects of every namespace.")
@output_option("table", "wide", "yaml", "json", "name", default="table")
@input_options
def command(kinds: str, names: tuple[str, ...], all_namespaces: bool, output: str, **params: Any) -> int:
    """Show objects as the API server would store them and the controllers would make them.

    KIND is any kind of the input in kubectl's spelling: pods, svc, endpointslices, deploy … or `all`.
    """
    session = open_session(params)
    wanted = [wanted_kind(word, names, session) for word in kinds.split(",") if word]
    scope = None if all_namespaces else session.namespace
    found = [(kind, choose(resources(session.cluster, kind), scope, chosen, kind)) for kind, chosen in expand(wanted)]
    if output in ("table", "wide"):
        found = [(kind, [with_status(session.cluster, kind, item) for item in listed]) for kind, listed in found]
    click.echo(render(found, output, namespaces=all_namespaces), nl=False)
    return report_missing(found, expand(wanted), session)


def wanted_kind(word: str, names: Sequence[str], session: Session) -> tuple[str, tuple[str, ...]]:
    """Return (kind, names) of `KIND` or `KIND/NAME`; "all" stays. Raises UsageError for an unknown resource type."""
    kind_word, slash, name = word.partition("/")
    kind = "all" if kind_word == "all" else find_kind(kind_word, session.cluster)
    if not kind:
        raise UsageError(f'the server doesn\'t have a resource type "{kind_word}"')
    return kind, (*((name,) if slash else ()), *names)


def expand(wanted: Iterable[tuple[str, tuple[str, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return kinds with `all` spelled out."""
    return [
        pair for kind, names in wanted for pair in ([(k, names) for k in ALL] if kind == "all" else [(kind, names)])
    ]


def choose(items: Iterable[Object], namespace: str | None, names: Sequence[str], kind: str) -> list[Object]:
    """Return the objects of a namespace (None: of all) and, where names are given, of these names in their order."""
    scoped = [i for i in items if namespace is None or not is_namespaced(kind) or namespace_of(i) == namespace]
    return [item for name in names for item in scoped if name_of(item) == name] if names else scoped


def name_of(item: Mapping[str, Any]) -> str:
    """Return metadata.name."""
    return str(item.get("metadata", {}).get("name", ""))


def namespace_of(item: Mapping[str, Any]) -> str:
    """Return metadata.namespace, "" where there is none."""
    return str(item.get("metadata", {}).get("namespace", ""))


def render(found: Sequence[tuple[str, list[Object]]], output: str, *, namespaces: bool) -> str:
    """Return the listing: a `List` as JSON or YAML, names, or one table a kind."""
    if output in ("json", "yaml"):
        items = [item for _, listed in found for item in listed]
        return serialised({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {}}, output)
    if output == "name":
        return "".join(f"{printable(qualified(kind, item))}\n" for kind, listed in found for item in listed)
    return _tables(found, wide=output == "wide", namespaces=namespaces)


def serialised(data: Object, output: str) -> str:
    """Return JSON (indent 2) or YAML, keys sorted as kubectl sorts them."""
    if output == "json":
        return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    import yaml

    return str(yaml.safe_dump(data, sort_keys=True, default_flow_style=False, allow_unicode=True))


def qualified(kind: str, item: Mapping[str, Any]) -> str:
    """Return `kind.group/name` as `kubectl -o name` prints it."""
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    return f"{kind.lower()}{'.' if group else ''}{group}/{name_of(item)}"


def _tables(found: Sequence[tuple[str, list[Object]]], *, wide: bool, namespaces: bool) -> str:
    from netsim.report.kind_columns import columns_of
    from netsim.report.tables import table

    several = sum(bool(listed) for _, listed in found) > 1
    parts = []
    for kind, listed in found:
        if listed:
            shown = [_prefixed(kind, item) for item in listed] if several else listed
            parts.append(table(shown, columns_of(kind), wide=wide, namespaces=namespaces and is_namespaced(kind)))
    return "\n".join(parts)


def _prefixed(kind: str, item: Object) -> Object:
    return {**item, "metadata": {**item.get("metadata", {}), "name": qualified(kind, item)}}


def report_missing(
    found: Sequence[tuple[str, list[Object]]], wanted: Sequence[tuple[str, tuple[str, ...]]], session: Session
) -> int:
    """Say on stderr what was not found, in kubectl's words; return 1 when an object was asked for by name."""
    missing = [
        f'Error from server (NotFound): {plural(kind)} "{name}" not found'
        for (kind, names), (_, listed) in zip(wanted, found, strict=True)
        for name in names
        if name not in {name_of(item) for item in listed}
    ]
    for line in missing:
        say(line)
    if not missing and not any(listed for _, listed in found) and not session.quiet:
        say(f"No resources found in {session.namespace} namespace.")
    return 1 if missing else 0
