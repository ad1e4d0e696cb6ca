"""`netsim lab …`: the same cluster on the real kernel."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from netsim.cli.options import input_options
from netsim.cli.proxy_flags import proxy_options

NAME = click.argument("name")


@click.group(name="lab")
def command() -> None:
    """Bring the cluster up as network namespaces with the kernel's rules."""


@command.command(name="ls")
def ls_command() -> None:
    """List labs."""
    from netsim.lab import state

    rows = [("NAME", "STATUS", "MODE", "NAMESPACES", "HOLDER")]
    for name, lab in state.labs():
        if lab is None or not lab.alive:
            rows.append((name, "Dead", lab.mode if lab else "-", "0", "-"))
        else:
            status = "Ready" if lab.ready else "Starting"
            rows.append((name, status, lab.mode, str(len(lab.namespaces)), str(lab.holder)))
    _print_rows(rows)


@command.command(name="ps")
@NAME
def ps_command(name: str) -> None:
    """List the namespaces of a lab, and the process id through which to enter them."""
    from netsim.lab import state

    lab = state.load(name)
    rows = [("NAMESPACE", "ENTER")]
    rows += [(space, f"nsenter --net=/proc/{lab.holder}/fd/{fd}") for space, fd in sorted(lab.namespaces.items())]
    _print_rows(rows)


@command.command(name="down")
@NAME
def down_command(name: str) -> None:
    """Remove a lab, also what a crash left of it; no lab of that name is not an error."""
    from netsim.lab import state

    if not state.remove(name):
        click.echo(f"no lab {name}", err=True)


@command.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of pod/NAME.")
@NAME
@click.argument("target")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def exec_command(namespace: str, name: str, target: str, words: tuple[str, ...]) -> None:
    """Run a command in a pod, on a node or as the client outside: netsim lab exec NAME pod/NS/POD -- CMD …."""
    from netsim.lab import enter, state

    lab = state.load(name)
    words = words[1:] if words[:1] == ("--",) else words
    where = enter.namespace_of(lab, target, namespace)
    sys.exit(enter.execute(lab, where, words or ("sh",)))


def _print_rows(rows: list[Any]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command(name="up")
@NAME
@click.option("--rootless", is_flag=True, help="Inside a user namespace; chosen by itself when not root.")
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@input_options
@proxy_options
def up_command(name: str, **params: Any) -> None:
    """Bring a cluster up: one namespace a node and pod, bridges, routes, kube-proxy's rules, small servers."""
    from netsim.cli.proxy_flags import proxy_config
    from netsim.cli.session import open_session
    from netsim.cli.terminal import progress
    from netsim.lab import holder
    from netsim.lab.build import lab_hosts, plan_lab
    from netsim.lab.ops import describe
    from netsim.trace.setup import make_network

    session = open_session(params)
    config, notes = proxy_config(params, session.cluster)
    session.note(notes)
    network = make_network(session.cluster, config)
    operations = plan_lab(network, lab_hosts(network))
    if params["dry_run"]:
        click.echo("\n".join(describe(operation) for operation in operations))
        return
    rootless = params["rootless"] or os.geteuid() != 0
    inputs = tuple(os.path.abspath(path) for path in params["filenames"] if path != "-")
    with progress(f"bringing up {name}"):
        lab = holder.start(holder.Plan(name, operations, config.mode, rootless, inputs))
    click.echo(
        f"lab {name} is up: {len(lab.namespaces)} namespaces; netsim lab exec {name} pod/NS/NAME -- CMD", err=True
    )
