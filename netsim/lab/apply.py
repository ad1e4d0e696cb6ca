"""Executes operations with the kernel. Runs in the holder; network namespaces are descriptors in a `Spaces`."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from netsim.errors import LabError
from netsim.lab import kernel, links
from netsim.lab.conntrack import delete_command, stale
from netsim.lab.ops import (
    MAIN,
    AddAddress,
    AddRoute,
    AddRule,
    CleanUdp,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    DropNamespace,
    EndSpawn,
    LoadRules,
    MakeAccounting,
    MakeBridge,
    MakeNamespace,
    MakeVeth,
    Operation,
    Serve,
    SetSysctl,
    Spawn,
    StopServe,
    WriteFile,
)

LOOPBACK = 1
STARTING, ENDING = 5.0, 2.0
PACKAGES = {
    "iptables-restore": "iptables",
    "ip6tables-restore": "iptables",
    "nft": "nftables",
    "ipset": "ipset",
    "ipvsadm": "ipvsadm",
    "nfacct": "nfacct",
    "nginx": "nginx-light",
    "conntrack": "conntrack",
}


MODULES = {
    "net.bridge.": "br_netfilter",
    "net.ipv4.vs.": "ip_vs",
    "net.netfilter.": "nf_conntrack",
    "net.ipv6.": "ipv6",
}


@dataclass(slots=True)
class Spaces:
    """The network namespaces of a lab by name, and the processes it runs. Mutable: it is the holder's own state."""

    folder: Path
    home: int
    namespaces: dict[str, int] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def go(self, namespace: str) -> None:
        """Move the calling thread into a namespace."""
        kernel.enter(self.namespaces[namespace])


BATCHED = (MakeBridge, MakeVeth, AddAddress, AddRoute, AddRule, DeleteRoute, DeleteAddress, DeleteLink)
ServeFunction = Callable[[Serve | StopServe], None]


def apply(operations: Iterable[Operation], spaces: Spaces, serve: ServeFunction) -> None:
    """Execute operations in order; LabError names the first one that fails. Ends in the home namespace."""
    try:
        for (namespace, rtnetlink), group in groupby(operations, key=_batch_key):
            if rtnetlink:
                spaces.go(namespace)
                links.send([m for op in group for m in _messages(op, spaces)], f"links of {namespace}")
            else:
                for operation in group:
                    _one(operation, spaces, serve)
    finally:
        kernel.enter(spaces.home)


def _batch_key(operation: Operation) -> tuple[str, bool]:
    """Adjacent link operations of one namespace travel in one send; a veth's peer end is set up by the next address."""
    if isinstance(operation, WriteFile):
        return "", False
    return operation.namespace, isinstance(operation, BATCHED)


def _messages(operation: Operation, spaces: Spaces) -> Iterator[bytes]:
    match operation:
        case MakeBridge(_, name, index, kind):
            yield links.new_bridge(name, index, kind if kind == "bridge" or links.has_dummies() else "bridge")
        case MakeVeth(_, name, index, peer_namespace, peer, peer_index, master, hairpin):
            yield links.new_veth(name, index, peer, peer_index, spaces.namespaces[peer_namespace], master)
            if hairpin:
                yield links.hairpin(index)
        case AddAddress(_, _, index, address, prefix):
            yield links.link_up(index)
            yield links.add_address(index, address, prefix)
        case AddRoute(_, destination, via, _, index, kind, onlink, table):
            yield links.route(destination, via, index, kind, onlink=onlink, table=table)
        case AddRule(_, family, interface, table):
            yield links.rule(family, interface, table)
        case DeleteRoute(_, destination, via, index, table):
            # A virtual address may have been routed elsewhere since (`lab verify` moves it from node to node).
            given = (via, index) if table == MAIN else ("", 0)
            yield links.route(destination, *given, delete=True, table=table)
        case DeleteAddress(_, _, index, address, prefix):
            yield links.delete_address(index, address, prefix)
        case DeleteLink(_, _, index):
            yield links.delete_link(index)
        case _:
            raise AssertionError(operation)


def _one(operation: Operation, spaces: Spaces, serve: ServeFunction) -> None:
    match operation:
        case MakeNamespace(namespace):
            spaces.namespaces[namespace] = kernel.new_network()
            links.send([links.link_up(LOOPBACK)], f"loopback of {namespace}")
        case DropNamespace(namespace):
            os.close(spaces.namespaces.pop(namespace))
        case SetSysctl(namespace, name, value):
            spaces.go(namespace)
            _write_sysctl(name, value)
        case MakeAccounting(namespace, name):
            spaces.go(namespace)
            run(("nfacct", "add", name), "", namespace)
        case LoadRules(namespace, command, text):
            spaces.go(namespace)
            run(command, text, namespace)
        case WriteFile(path, text):
            write_file(inside(spaces.folder, path), text)
        case Serve(namespace) | StopServe(namespace):
            spaces.go(namespace)
            serve(operation)
        case Spawn(namespace, command, label):
            spaces.go(namespace)
            spaces.children[label] = _start(tuple(word.replace("{state}", str(spaces.folder)) for word in command))
        case CleanUdp(namespace):
            spaces.go(namespace)
            _clean_udp(operation)
        case EndSpawn(_, label):
            _end(spaces.children.pop(label, None))
        case _:
            raise AssertionError(operation)


def _clean_udp(operation: CleanUdp) -> None:
    for family in ("ipv4", "ipv6"):
        listing = run(("conntrack", "-L", "-p", "udp", "-f", family), "", operation.namespace)
        for flow in stale(listing, operation):
            # A flow that has ended meanwhile is no error.
            subprocess.run(delete_command(flow), capture_output=True, check=False)


def _write_sysctl(name: str, value: str) -> None:
    path = "/proc/sys/" + name.replace(".", "/")
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        module = next((module for prefix, module in MODULES.items() if name.startswith(prefix)), "")
        hint = f"; the kernel module {module} is needed" if module and isinstance(error, FileNotFoundError) else ""
        raise LabError(f"sysctl {name}={value}: {error.strerror}{hint}") from error


def run(command: tuple[str, ...], text: str, namespace: str) -> str:
    """Run a program to its end in the current namespace and return its output; LabError carries what it said."""
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    except FileNotFoundError as error:
        package = PACKAGES.get(command[0], command[0])
        raise LabError(f"{command[0]} is not installed (Debian package {package})") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise LabError(f"{namespace}: {' '.join(command)}: {said[0] if said else f'exit code {done.returncode}'}")
    return done.stdout.decode(errors="replace")


def _start(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        package = PACKAGES.get(command[0], command[0])
        raise LabError(f"{command[0]} is not installed (Debian package {package})") from error


def _end(child: subprocess.Popen[bytes] | None) -> None:
    if child is None:
        return
    child.terminate()
    try:
        child.wait(ENDING)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def await_listener(spawn: Spawn, spaces: Spaces) -> None:
    """Return when something listens where a spawned program should; LabError with its last words when it ended."""
    spaces.go(spawn.namespace)
    deadline = time.monotonic() + STARTING
    family = socket.AF_INET6 if ":" in spawn.address else socket.AF_INET
    while time.monotonic() < deadline:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            if tried.connect_ex((spawn.address, spawn.port)) == 0:
                return
        child = spaces.children[spawn.label]
        if child.poll() is not None:
            raise LabError(f"{spawn.label}: ended with {child.returncode}: {_last_words(spaces.folder)}")
        time.sleep(0.005)
    raise LabError(f"{spawn.label}: nothing listens on {spawn.address}:{spawn.port} after {STARTING:.0f} s")


def _last_words(folder: Path) -> str:
    try:
        return (folder / "log").read_text(errors="replace").strip().rpartition("\n")[2]
    except OSError:
        return ""


def inside(folder: Path, path: str) -> Path:
    """Return a path below a folder; LabError for one that would leave it (names of objects are anybody's words)."""
    if ".." in path.split("/") or path.startswith("/") or "\0" in path:
        raise LabError(f"{path!r} is no name for a file of the lab")
    return folder / path


def write_file(path: Path, text: str) -> None:
    """Write a file of the state folder, atomically, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)
