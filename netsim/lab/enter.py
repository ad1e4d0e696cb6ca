"""Entering a lab: run a program in one of its namespaces, with the files that the kubelet would give the pod."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from netsim.errors import LabError, UsageError
from netsim.lab import kernel, state

MAX_HOSTNAME = 63
FILES = ("resolv.conf", "hosts")


def namespace_of(lab: state.LabState, word: str, default_namespace: str = "default") -> str:
    """Return the namespace that a word names: pod/NS/NAME, node/NAME, external, or a name that `lab ps` shows."""
    outside = [name for name in lab.namespaces if word == "external" and name.startswith("external/198.51.100.10")]
    candidates = (word, f"node/{word}", f"pod/{default_namespace}/{word.removeprefix('pod/')}")
    for candidate in (*candidates, *outside):
        if candidate in lab.namespaces:
            return candidate
    from difflib import get_close_matches

    near = get_close_matches(word, lab.namespaces, 1)
    raise UsageError(f"lab {lab.name} has no {word}" + (f" (did you mean {near[0]}?)" if near else ""))


def execute(lab: state.LabState, namespace: str, command: Sequence[str]) -> int:
    """Run a command inside and return its exit code (128 + signal when a signal ended it)."""
    # Inside a user namespace the state folder would be looked for where root keeps it.
    files = state.folder(lab.name) / "files" / namespace
    join(lab, namespace)
    child = os.fork()
    if child == 0:
        _become(files, hostname(namespace), command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def join(lab: state.LabState, namespace: str) -> None:
    """Move this process into a lab's network, mount and PID namespaces (the last for children only)."""
    base = f"/proc/{lab.holder}"
    try:
        network = os.open(f"{base}/fd/{lab.namespaces[namespace]}", os.O_RDONLY | os.O_CLOEXEC)
        others = [(os.open(f"{base}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in _spaces(lab)]
        for descriptor, kind in others:
            kernel.enter(descriptor, kind)
        kernel.enter(network)
    except OSError as error:
        raise LabError(f"cannot enter lab {lab.name}: {error}") from error


def _spaces(lab: state.LabState) -> tuple[tuple[str, int], ...]:
    inner = (("pid", kernel.CLONE_NEWPID), ("mnt", kernel.CLONE_NEWNS))
    return (("user", kernel.CLONE_NEWUSER), *inner) if lab.rootless else inner


def hostname(namespace: str) -> str:
    """Return the host name in a pod or on a node: its name, as the kubelet sets it; "" elsewhere."""
    kind, _, name = namespace.partition("/")
    return name.rpartition("/")[2][:MAX_HOSTNAME] if kind in ("pod", "node") else ""


def _become(files: Path, name: str, command: Sequence[str]) -> None:
    try:
        _own_files(files)
        if name:
            kernel.unshare(kernel.CLONE_NEWUTS)
            socket.sethostname(name)
        os.execvp(command[0], list(command))
    except OSError as error:
        os.write(2, f"netsim: {command[0]}: {error.strerror}\n".encode())
        os._exit(127)


def _own_files(folder: Path) -> None:
    """Show the pod's resolv.conf and hosts as /etc's, in a mount namespace of this process's own."""
    if not folder.is_dir():
        return
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    for name in FILES:
        target = os.path.realpath(f"/etc/{name}")
        if (folder / name).exists() and os.path.exists(target):
            kernel.mount(str(folder / name), target, "", kernel.MS_BIND)
