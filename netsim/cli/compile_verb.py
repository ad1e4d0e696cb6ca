"""`netsim compile`: what kube-proxy on a node would program in a full sync, or an ingress controller's nginx.conf."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from iptables_gen.errors import CompileError
from iptables_gen.kubeproxy.inputs import Mode, ProxyConfig
from iptables_gen.kubeproxy.program import Program
from iptables_gen.values import Family
from netsim.cli.options import input_options
from netsim.cli.outdir import Write, stage_files
from netsim.cli.proxy_flags import proxy_config, proxy_options
from netsim.cli.session import Session, open_session
from netsim.cli.terminal import progress
from netsim.errors import UsageError
from netsim.notes import Note

OUTPUTS: Mapping[Mode, Mapping[str, tuple[str, str]]] = {
    "iptables": {
        "restore": ("iptables.restore", "ip6tables.restore"),
        "save": ("iptables.save", "ip6tables.save"),
    },
    "nftables": {"nft": ("ip.nft", "ip6.nft")},
    "ipvs": {
        "restore": ("iptables.restore", "ip6tables.restore"),
        "save": ("iptables.save", "ip6tables.save"),
        "ipvsadm": ("ipvsadm.save", "ipvsadm.save"),
        "ipset": ("ipset.save", "ipset.save"),
        "addresses": ("kube-ipvs0.addresses", "kube-ipvs0.addresses"),
    },
}
"""Per mode: output format -> file names (IPv4, IPv6); the first format is the default."""

SHARED = frozenset(("ipvsadm.save", "ipset.save", "kube-ipvs0.addresses"))
"""Files that hold both families."""

FAMILIES: Mapping[str, Family] = {"ipv4": 4, "ipv6": 6}
_FORMATS = ("restore", "save", "json", "nft", "ipvsadm", "ipset", "addresses")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to compile: a family on a node."""

    node: str
    family: Family


@click.command("compile")
@input_options
@click.option(
    "--node", default="", metavar="NODE", help="The node whose rules are made; may be left out with one node."
)
@click.option(
    "--family",
    type=click.Choice(list(FAMILIES)),
    multiple=True,
    help="Address family; default ipv4, with --out-dir both.",
)
@click.option(
    "--out-dir", default="", metavar="DIR", help="Write DIR/NODE/… for every node and family instead of stdout."
)
@click.option("--no-nfacct", is_flag=True, help="As on a kernel without nfacct: no counting clauses.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(_FORMATS),
    help="iptables: restore (default), save; nftables: nft; ipvs: restore, save, ipvsadm, ipset, addresses; any: json.",
)
@click.option("--ingress", is_flag=True, help="Compile the nginx.conf of an ingress class instead.")
@click.option("--class", "ingress_class", default="", metavar="CLASS", help="The ingress class, with --ingress.")
@proxy_options
def command(**params: Any) -> int:
    """Print the rules that kube-proxy on a node would program, full sync."""
    if params["ingress_class"] and not params["ingress"]:
        raise UsageError("--class needs --ingress")
    with no_collector():
        session = open_session(params)
        if params["ingress"]:
            from netsim.cli.compile_ingress import print_or_write

            return print_or_write(session, params)
        return _compile(session, params)


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cyclic garbage collector from walking millions of objects that all live until the end."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            # What is alive now lives until the process ends: a last walk over all of it would find nothing.
            gc.freeze()
            gc.enable()


def _compile(session: Session, params: Mapping[str, Any]) -> int:
    config, notes = proxy_config(params, session.cluster, nfacct=not params["no_nfacct"])
    session.note(notes)
    output = _output(params["output"], config.mode)
    units = _units(session, params, output)
    with progress("compiling"):
        if params["out_dir"]:
            _write_all(session, units, config, params["out_dir"])
        elif output == "json":
            _print_json(session, units, config, (*session.notes, *notes))
        else:
            _print_text(session, units[0], config, output)
    return 0


def _output(given: str | None, mode: Mode) -> str:
    formats = OUTPUTS[mode]
    if given is None:
        return next(iter(formats))
    if given != "json" and given not in formats:
        raise UsageError(f"-o {given}: mode {mode} has {', '.join(formats)} and json")
    return given


def _units(session: Session, params: Mapping[str, Any], output: str) -> list[Unit]:
    """Return what to compile; stdout takes one node and one family only, as it is one program's input."""
    several = bool(params["out_dir"]) or output == "json"
    known = [node.name for node in session.cluster.nodes]
    nodes = [params["node"]] if params["node"] else known
    if params["node"] and params["node"] not in known:
        raise UsageError(f"node/{params['node']}: no such node (there are {', '.join(known)})")
    if not nodes:
        raise UsageError("no node in the input has a name")
    families = [FAMILIES[name] for name in dict.fromkeys(params["family"])]
    if not several and (len(nodes) > 1 or len(families) > 1):
        what = f"{len(nodes)} nodes" if len(nodes) > 1 else "two families"
        raise UsageError(f"{what}: choose one (--node NODE, --family FAMILY), or use --out-dir or -o json")
    both = bool(params["out_dir"]) or len(nodes) > 1
    return [Unit(node, family) for node in nodes for family in families or ([4, 6] if both else [4])]


def compile_unit(session: Session, unit: Unit, config: ProxyConfig) -> Program:
    """Return the program of one family on one node; raise UsageError when no rule can be made from the input."""
    from iptables_gen.kubeproxy.inputs import named_addresses_only
    from iptables_gen.kubeproxy.program import program
    from netsim.cluster.proxy import proxy_input

    try:
        return program(named_addresses_only(proxy_input(session.cluster, unit.node, unit.family, config)))
    except CompileError as error:
        raise UsageError(str(error)) from error


def _print_text(session: Session, unit: Unit, config: ProxyConfig, output: str) -> None:
    name = OUTPUTS[config.mode][output][0 if unit.family == 4 else 1]
    text = compile_unit(session, unit, config).render()[name]
    for start in range(0, len(text), _CHUNK):
        sys.stdout.write(text[start : start + _CHUNK])
    sys.stdout.flush()


def _print_json(session: Session, units: Sequence[Unit], config: ProxyConfig, notes: Sequence[Note]) -> None:
    import orjson

    answers = [as_json(compile_unit(session, unit, config), unit.node, config.mode, notes) for unit in units]
    answer = answers[0] if len(answers) == 1 else answers
    sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def as_json(compiled: Program, node: str, mode: Mode, notes: Sequence[Note]) -> dict[str, Any]:
    """Return the contract's `netsim.compile/v1` object of one family on one node."""
    return {
        "schema": "netsim.compile/v1",
        "node": node,
        "family": f"ipv{compiled.family}",
        "mode": mode,
        "tables": [
            {
                "table": table,
                "chains": [
                    {"name": name, "rules": [{"text": rule.text, "origin": _origin(rule.origin)} for rule in rules]}
                    for name, rules in chains.items()
                ],
            }
            for table, chains in compiled.rules().items()
        ],
        "notes": [note.as_json() for note in dict.fromkeys(notes)],
    }


def _origin(origin: Any) -> dict[str, object] | None:
    return origin.as_json() if origin is not None else None


def _write_all(session: Session, units: Sequence[Unit], config: ProxyConfig, directory: str) -> None:
    with stage_files(directory) as write:
        for node in dict.fromkeys(unit.node for unit in units):
            _write_node(session, [unit for unit in units if unit.node == node], config, write)


def _write_node(session: Session, units: Sequence[Unit], config: ProxyConfig, write: Write) -> None:
    """Write the files of one node; what both families share (ipvs) is one file, IPv4 first."""
    shared: dict[str, str] = {}
    for unit in units:
        for name, text in compile_unit(session, unit, config).render().items():
            if name in SHARED:
                shared[name] = shared.get(name, "") + text
            else:
                write((unit.node, name), text)
    for name, text in shared.items():
        write((units[0].node, name), text)
