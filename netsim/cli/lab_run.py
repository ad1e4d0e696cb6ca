"""What the lab verbs do: from manifests to a running lab, and from a running lab back to its cluster."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import orjson

from iptables_gen.kubeproxy.inputs import ProxyConfig
from netsim.cli.session import Session, build_options, open_session
from netsim.cli.terminal import say
from netsim.cluster.model import Cluster
from netsim.errors import LabError, printable
from netsim.hosts.network import Network
from netsim.lab import state
from netsim.lab.apply import write_file
from netsim.lab.codec import encode
from netsim.lab.ops import Operation

SYSTEM = ("kube-system", "ingress-nginx")
KEPT = ("namespace", "not_ready", "ready", "terminating", "phase", "strict_refs", "at")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A cluster ready to be brought up, or one that is up."""

    session: Session
    config: ProxyConfig
    network: Network


def prepare(params: Mapping[str, Any]) -> Prepared:
    """Load, build and compile what the options name."""
    from netsim.cli.proxy_flags import proxy_config
    from netsim.trace.setup import make_network

    session = with_controller(open_session(params), params)
    config, notes = proxy_config(params, session.cluster)
    session.note(notes)
    return Prepared(session, config, make_network(session.cluster, config))


def with_controller(session: Session, params: Mapping[str, Any]) -> Session:
    """Return the session with the controller that its Ingresses need, if the input has none."""
    from netsim.cluster.build import build
    from netsim.lab.assumed import assumed_controller
    from netsim.manifests.load import load

    manifests, notes = assumed_controller(session.cluster)
    if not manifests:
        return session
    session.note(notes)
    text = orjson.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    objects = (*session.loaded.objects, *load(("-",), stdin=io.BytesIO(text)).objects)
    cluster = build(objects, build_options(params))
    return replace(session, cluster=cluster, loaded=replace(session.loaded, objects=objects))


def up(name: str, params: Mapping[str, Any]) -> None:
    """Bring a lab up, or with --dry-run print how."""
    from netsim.lab.build import lab_hosts, plan_lab
    from netsim.lab.ops import describe

    prepared = prepare(params)
    operations = plan_lab(prepared.network, lab_hosts(prepared.network))
    if params["dry_run"]:
        click.echo("\n".join(printable(describe(operation)) for operation in operations))
        return
    with stages(f"bringing up {name}", spoken=params["verbose"]) as tell:
        if params["vm"]:
            lab = start_guest(name, prepared, params, tell)
        else:
            lab = start_here(name, prepared, params, operations, tell)
    click.echo(f"lab {name} is up: {len(lab.namespaces)} namespaces", err=True)
    click.echo(f"try: {example(name, prepared.network.cluster)}", err=True)


Tell = Callable[[str], None]


def start_here(
    name: str, prepared: Prepared, params: Mapping[str, Any], operations: tuple[Operation, ...], tell: Tell
) -> state.LabState:
    """Start a lab on this kernel."""
    from netsim.lab import holder
    from netsim.lab.health import LabHealth
    from netsim.lab.names import LabDns

    if prepared.config.mode == "ipvs":
        need_ipvs()
    rootless = params["rootless"] or os.geteuid() != 0
    inputs = tuple(os.path.abspath(path) for path in params["filenames"] if path != "-")
    dns, health = LabDns(prepared.network.cluster), LabHealth(prepared.network.cluster)

    def refresh(folder: Path) -> None:
        cluster = reopen(folder.name).network.cluster
        dns.change(cluster)
        health.change(cluster)

    starters = (("dns", dns.start), ("health", health.start))
    mode = prepared.config.mode
    plan = holder.Plan(name, operations, mode, rootless, inputs, starters, refresh, keep=params["keep"])
    try:
        return holder.start(plan, tell)
    finally:
        # Also of a lab that failed and is kept, so that the verbs which ask the model about it work.
        if state.folder(name).is_dir():
            keep(name, prepared.session, params, operations)


def need_ipvs() -> None:
    """Raise LabError on a kernel without IPVS."""
    if not os.path.exists("/proc/net/ip_vs"):
        raise LabError(
            "this kernel has no IPVS (module ip_vs is not loaded): load it with `modprobe ip_vs`, "
            "or let --vm uml run the lab in user-mode Linux (Debian package user-mode-linux)"
        )


def start_guest(name: str, prepared: Prepared, params: Mapping[str, Any], tell: Tell) -> state.LabState:
    """Start a lab in user-mode Linux."""
    from netsim.lab import holder, vm

    vm.check()
    files = tuple(kept_files(prepared.session, params).items())
    guest = vm.Guest((sys.executable, "-m", "netsim.cli.lab_guest", name), files)
    rootless = params["rootless"] or os.geteuid() != 0
    return holder.start(holder.Plan(name, (), prepared.config.mode, rootless, guest=guest), tell)


def start_kept(name: str, folder: Path, tell: Tell) -> state.LabState:
    """Start a lab from the files of another process's `kept_files`: the guest's half of `start_guest`."""
    from netsim.lab.build import lab_hosts, plan_lab

    params = {**kept_params(folder), "rootless": False, "keep": False}
    prepared = prepare(params)
    operations = plan_lab(prepared.network, lab_hosts(prepared.network))
    return start_here(name, prepared, params, operations, tell)


def example(name: str, cluster: Cluster) -> str:
    """Return a command that shows something in a lab: a pod asks a Service, or a shell where there is none."""
    pods = [
        pod for pod in cluster.pods if pod.ips and not pod.host_network and pod.ready and pod.namespace not in SYSTEM
    ]
    pod = next((f"pod/{pod.namespace}/{pod.name}" for pod in pods), "external")
    for service in cluster.services:
        ports = [port.port for port in service.ports if port.protocol == "TCP"]
        if ports and service.cluster_ips and service.cluster_ips[0] != "None" and service.namespace not in SYSTEM:
            port = "" if ports[0] == 80 else f":{ports[0]}"
            return f"netsim lab exec {name} {pod} -- curl -s http://{service.name}.{service.namespace}{port}/"
    return f"netsim lab exec {name} {pod}"


@contextmanager
def stages(text: str, *, spoken: bool) -> Iterator[Callable[[str], None]]:
    """Give a function that shows what the work is at: beside a spinner on a terminal, as lines with -v."""
    if spoken or not sys.stderr.isatty():
        yield say if spoken else _unheard
        return
    from rich.console import Console

    # The spinner's thread starts with the first stage, when the lab's process has been forked.
    status = Console(stderr=True).status(text)

    def tell(stage: str) -> None:
        status.start()
        status.update(f"{text}: {stage}")

    try:
        yield tell
    finally:
        status.stop()


def _unheard(stage: str) -> None:
    """Nobody waits at a terminal."""


def apply_lab(name: str, params: Mapping[str, Any]) -> None:
    """Change a running lab to what the manifests say now; only the difference is touched."""
    from netsim.lab import holder
    from netsim.lab.build import lab_hosts, plan_lab
    from netsim.lab.codec import decode
    from netsim.lab.conntrack import cleaning
    from netsim.lab.ops import CleanUdp, LoadRules, describe
    from netsim.lab.plan import numbers_of
    from netsim.lab.reconcile import reconcile

    lab = state.load(name)
    folder = state.folder(name)
    kept = orjson.loads((folder / "options.json").read_bytes())
    options = {**params, **{key: value for key, value in kept.items() if key.startswith("proxy_")}}
    prepared = prepare(options)
    old = decode(orjson.loads((folder / "plan.json").read_bytes()))
    new = plan_lab(prepared.network, lab_hosts(prepared.network), numbers_of(old))
    changed = reconcile(old, new)
    reloaded = dict.fromkeys(step.namespace for step in changed if isinstance(step, LoadRules))
    steps = (*changed, *cleaning(prepared.network.cluster, reloaded))
    if params["dry_run"]:
        click.echo("\n".join(printable(describe(step)) for step in steps))
        return
    if shutil.which("conntrack") is None and any(isinstance(step, CleanUdp) for step in steps):
        raise LabError("conntrack is not installed (Debian package conntrack): stale UDP flows could not be forgotten")
    keep(name, prepared.session, options, new)
    try:
        holder.send_operations(lab, steps, refresh=True)
    except LabError as error:
        raise LabError(f"{error}; the lab is half changed: `netsim lab down {name}`, then up again") from error
    click.echo(f"lab {name}: {len(steps)} operations", err=True)


def keep(name: str, session: Session, params: Mapping[str, Any], operations: Iterable[Operation]) -> None:
    """Keep manifests, options and plan of a lab beside it, for the verbs that ask the model about it or change it."""
    folder = state.folder(name)
    for file, text in kept_files(session, params).items():
        write_file(folder / file, text)
    write_file(folder / "plan.json", orjson.dumps(encode(operations)).decode())


def kept_files(session: Session, params: Mapping[str, Any]) -> dict[str, str]:
    """Return the input as files: the manifests as one List, and the options that change what is made of them."""
    items = [manifest.data for manifest in session.loaded.objects]
    options = {key: value for key, value in params.items() if key in KEPT or key.startswith("proxy_")}
    if options.get("proxy_config_file"):
        options["proxy_config_file"] = os.path.abspath(options["proxy_config_file"])
    return {
        "cluster.json": orjson.dumps({"apiVersion": "v1", "kind": "List", "items": items}).decode(),
        "options.json": orjson.dumps(options).decode(),
    }


def reopen(name: str) -> Prepared:
    """Return the cluster of a running lab, from what `keep` wrote."""
    try:
        return prepare(kept_params(state.folder(name)))
    except (OSError, ValueError) as error:
        raise LabError(f"lab {name} has no saved options: it did not come up completely") from error


def kept_params(folder: Path) -> dict[str, Any]:
    """Return the options that `kept_files` wrote, with the manifests beside them as input."""
    options = orjson.loads((folder / "options.json").read_bytes())
    return {**options, "filenames": (str(folder / "cluster.json"),), "quiet": True}
