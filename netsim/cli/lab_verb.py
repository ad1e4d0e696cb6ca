"""`netsim lab …`: the same cluster on the real kernel."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from netsim.cli.options import input_options, output_option, queries_option
from netsim.cli.proxy_flags import proxy_options

Verb = Callable[..., Any]
NAME = click.argument("name")


def in_its_vm(function: Verb) -> Verb:
    """Let a verb run inside the lab's virtual machine when it has one: there, the same command line is typed."""

    @functools.wraps(function)
    def verb(*args: Any, name: str, **params: Any) -> Any:
        from netsim.lab import state

        lab = state.peek(name)
        if lab is None or not lab.vm:
            return function(*args, name=name, **params)
        from netsim.lab import vm

        return vm.forward(lab, sys.argv[1:])

    return verb


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
            status = "Ready" if lab.ready else "Failed" if lab.failed else "Starting"
            status = f"{status} ({lab.vm})" if lab.vm else status
            rows.append((name, status, lab.mode, str(len(lab.namespaces)), str(lab.holder)))
    _print_rows(rows)


@command.command(name="ps")
@NAME
@in_its_vm
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
@in_its_vm
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
@click.option("--vm", type=click.Choice(["uml"]), help="Run it in user-mode Linux: ipvs where the kernel has none.")
@click.option("--keep", is_flag=True, help="Keep what came up when something fails, for inspection.")
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@input_options
@proxy_options
def up_command(name: str, **params: Any) -> None:
    """Bring a cluster up: one namespace a node and pod, bridges, routes, kube-proxy's rules, small servers."""
    from netsim.cli.lab_run import up

    up(name, params)


@command.command(name="apply")
@NAME
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@input_options
@in_its_vm
def apply_command(name: str, **params: Any) -> None:
    """Change a running lab to what the manifests say now; kube-proxy's flags stay."""
    from netsim.cli.lab_run import apply_lab

    apply_lab(name, params)


@command.command(name="verify")
@NAME
@click.option("--random", "count", type=int, default=0, metavar="N", help="Only N questions, chosen by --seed.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--rules", is_flag=True, help="Also compare the kernel's rule trace of one packet a question.")
@output_option("text", "json")
@queries_option
@click.option("-q", "--quiet", is_flag=True, help="No notes on stderr.")
@in_its_vm
def verify_command(name: str, **params: Any) -> int:
    """Send real packets in a lab and compare what happens with what the model says; exit 1 when they differ."""
    from netsim.cli.lab_verify import verify_lab

    return verify_lab(name, params)


@command.command(name="graph")
@NAME
@output_option("text", "dot", "svg")
@input_options
@proxy_options
@in_its_vm
def graph_command(name: str, **params: Any) -> None:
    """Draw a lab: nodes, bridges, pods, router, outside. With -f the lab that manifests would make."""
    from netsim.cli.lab_look import graph

    graph(name, params)


@command.command(name="capture")
@NAME
@click.argument("target")
@click.option("-w", "--write", default="", metavar="FILE.pcap", help="Write a pcap file (- is standard output).")
@click.option("--count", type=click.IntRange(min=0), default=0, metavar="N", help="End after N packets.")
@click.option("--seconds", type=click.FloatRange(min=0), default=0.0, metavar="S", help="End after S seconds.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of pod/NAME.")
@in_its_vm
def capture_command(name: str, target: str, **params: Any) -> None:
    """Show or record the packets of a pod, a node or the client outside, on all of its interfaces."""
    from netsim.cli.lab_look import capture

    capture(name, target, params)


@command.command(name="trace")
@NAME
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--via", metavar="node/NAME", help="The node at which a packet from outside arrives.")
@click.option("--protocol", metavar="PROTO", help="tcp (default) or udp; a suffix of TO (53/udp) says it too.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of names without one.")
@output_option("text", "json")
@in_its_vm
def trace_command(name: str, source: str, target: str, **params: Any) -> int:
    """Send one packet, show every rule that the kernel says it met beside the model's; exit 1 when they differ."""
    from netsim.cli.lab_look import trace

    return trace(name, source, target, params)
