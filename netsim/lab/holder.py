"""The holder: first process of a PID namespace, owner of a lab's network namespaces, server of its small servers.

Life: `start` forks it; it applies the plan, says `ready` on the report pipe and waits for one byte on the lifeline.
When the lifeline closes without that byte (the starter failed or was killed), it ends, and the kernel removes all.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from netsim.errors import LabError
from netsim.lab import kernel, state, vm
from netsim.lab.apply import Spaces, apply, await_listener
from netsim.lab.codec import decode, encode
from netsim.lab.ops import Operation, Serve, Spawn, StopServe, stage_of
from netsim.lab.servers import close_server, open_socket, start_echo

COMMIT = b"+"
MAX_REQUEST = 1 << 28
Starter = Callable[[Serve, socket.socket], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a holder is started with.

    `guest`: run it in a virtual machine instead, with the operations made there.
    `starters` serve the kinds of Serve other than echo. `refresh` is called with the state folder when the cluster in
    it has changed.
    """

    name: str
    operations: tuple[Operation, ...]
    mode: str = "iptables"
    rootless: bool = False
    inputs: tuple[str, ...] = ()
    starters: tuple[tuple[str, Starter], ...] = ()
    refresh: Callable[[Path], None] = lambda folder: None
    keep: bool = False
    guest: vm.Guest | None = None


def start(plan: Plan, tell: Callable[[str], None] = lambda stage: None) -> state.LabState:
    """Start a lab and return its state when it is ready; `tell` hears what it is at.

    Raises:  LabError when it fails; nothing is left behind then, unless the plan says to keep what came up.
    """
    folder = state.claim(plan.name)
    lifeline_read, lifeline_write = os.pipe2(os.O_CLOEXEC)
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    middle = os.fork()
    if middle == 0:
        os.close(lifeline_write)
        os.close(report_read)
        _middle(plan, folder, lifeline_read, report_write)
    os.close(lifeline_read)
    os.close(report_write)
    try:
        os.waitpid(middle, 0)
        failure = _wait_ready(report_read, tell)
        started = state.load(plan.name)
        os.write(lifeline_write, COMMIT)
    except BaseException:
        state.remove(plan.name)
        raise
    finally:
        os.close(lifeline_write)
        os.close(report_read)
    if failure:
        raise LabError(f"{failure}; what came up is kept for inspection: `netsim lab down {plan.name}` removes it")
    return started


def _wait_ready(report: int, tell: Callable[[str], None]) -> str:
    """Return "" when the lab is ready, the failure when it failed and is kept; LabError when it failed."""
    with os.fdopen(os.dup(report), encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            if "stage" in message:
                tell(message["stage"])
            if message.get("ready"):
                return str(message.get("failed", ""))
            if "error" in message:
                raise LabError(message["error"])
    raise LabError("the lab's process ended without a word: see `dmesg`, or too little memory?")


def _middle(plan: Plan, folder: Path, lifeline: int, report: int) -> None:
    """Make the namespaces that only children enter, fork the holder, leave its id for `lab down`, and end."""
    try:
        os.setsid()
        if plan.rootless:
            uid, gid = os.getuid(), os.getgid()
            kernel.unshare(kernel.CLONE_NEWUSER)
            kernel.map_root(uid, gid)
        kernel.unshare(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS)
        pid = os.fork()
        if pid == 0:
            _holder(plan, folder, lifeline, report)
        (folder / "holder").write_text(f"{pid} {state.start_time(pid)}\n")
    except OSError as error:
        _report(report, {"error": _unable(error, rootless=plan.rootless)})
    finally:
        os._exit(0)


def _unable(error: OSError, *, rootless: bool) -> str:
    without = (
        "this machine does not let this user make user namespaces (sysctls user.max_user_namespaces, "
        "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns); root needs none"
    )
    hint = without if rootless else "the capability CAP_SYS_ADMIN is needed, or --rootless"
    return f"cannot make namespaces: {error}; {hint}"


def _report(descriptor: int, message: dict[str, object]) -> None:
    os.write(descriptor, json.dumps(message).encode() + b"\n")


def _holder(plan: Plan, folder: Path, lifeline: int, report: int) -> None:
    """Run the holder to the end of its life; never returns."""
    code = 1
    try:
        pid = int(os.readlink("/proc/self"))
        _isolate(folder)
        threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
        home = kernel.new_network()
        spaces = Spaces(folder, home)
        started = state.LabState(plan.name, pid, _own_start_time(), plan.mode, plan.rootless, inputs=plan.inputs)
        if plan.guest is None:
            asyncio.run(_serve(plan, spaces, started, report))
        else:
            asyncio.run(vm.serve(plan.guest, spaces, started, lambda message: _report(report, message)))
        code = 0
    except (LabError, OSError) as error:
        _report(report, {"error": str(error)})
    except BaseException as error:
        _report(report, {"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(code)


def _isolate(folder: Path) -> None:
    """Cut the holder off: private mounts, its own /proc, no terminal, a log file; leave shared folders."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    log = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir("/")
    # Programs of the lab must not wait for, or write, the host's lock file.
    os.environ["XTABLES_LOCKFILE"] = str(folder / "xtables.lock")
    # Inside a user namespace this process is root, and would look for state where root keeps it.
    os.environ["NETSIM_STATE"] = str(folder.parent)


def _own_start_time() -> int:
    return state.start_time(int(os.readlink("/proc/self")))


def _watch(lifeline: int) -> None:
    """End the process when the lifeline closes before the commit byte arrives."""
    if os.read(lifeline, 1) != COMMIT:
        os._exit(1)


async def _serve(plan: Plan, spaces: Spaces, started: state.LabState, report: int) -> None:
    keeper = Keeper(spaces, dict(plan.starters), plan.refresh)
    failed = await _bring_up(keeper, plan, report)
    kernel.mount("proc", "/proc", "proc")
    path = state.control_path(spaces.folder)
    control = await asyncio.start_unix_server(keeper.control, path=path, limit=MAX_REQUEST)
    keeper.state = replace(started, ready=not failed, failed=failed, namespaces=dict(spaces.namespaces))
    state.save(keeper.state)
    _report(report, {"ready": True, "failed": failed})
    os.close(report)
    async with control:
        await _reap(spaces)


async def _bring_up(keeper: Keeper, plan: Plan, report: int) -> str:
    """Execute the plan, saying what it is at; return "", or why it failed when what came up is to be kept."""
    try:
        for stage, operations in groupby(plan.operations, key=stage_of):
            _report(report, {"stage": stage})
            await keeper.apply(tuple(operations))
    except LabError as error:
        if not plan.keep:
            raise
        return str(error)
    return ""


async def _reap(spaces: Spaces) -> None:
    """Collect ended children for ever: the first process of a PID namespace inherits every orphan."""
    while True:
        await asyncio.sleep(1.0)
        for child in spaces.children.values():
            child.poll()


class Keeper:
    """The holder's running state: namespaces, servers, and the control socket's answers."""

    def __init__(self, spaces: Spaces, starters: dict[str, Starter], refresh: Callable[[Path], None]) -> None:
        self.spaces = spaces
        self.refresh = refresh
        self.starters: dict[str, Starter] = {"echo": start_echo, **starters}
        self.servers: dict[tuple[str, str, int, str], object] = {}
        self.state: state.LabState | None = None

    async def apply(self, operations: Sequence[Operation]) -> None:
        """Execute operations, then start the servers whose sockets they opened."""
        opened: list[tuple[Serve, socket.socket]] = []

        def serve_or_stop(operation: Serve | StopServe) -> None:
            if isinstance(operation, Serve):
                opened.append((operation, open_socket(operation)))
            else:
                close_server(self.servers.pop(_key(operation), None))

        apply(operations, self.spaces, serve_or_stop)
        for operation in operations:
            if isinstance(operation, Spawn) and operation.port:
                await_listener(operation, self.spaces)
        kernel.enter(self.spaces.home)
        for serve, listener in opened:
            self.servers[_key(serve)] = await self.starters.get(serve.kind, start_echo)(serve, listener)

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request of the control socket: {"apply": [operations], "refresh": whether the cluster changed}."""
        try:
            reply = await self._answer(json.loads(await reader.readline()))
        except Exception as error:
            # Whatever one request does wrong, the lab lives on.
            reply = {"error": str(error) or type(error).__name__}
        writer.write(json.dumps(reply).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def _answer(self, request: dict[str, Any]) -> dict[str, object]:
        await self.apply(decode(request.get("apply", [])))
        if request.get("refresh"):
            self.refresh(self.spaces.folder)
        if self.state is not None:
            self.state = replace(self.state, namespaces=dict(self.spaces.namespaces))
            state.save(self.state)
        return {"ok": True}


def _key(operation: Serve | StopServe) -> tuple[str, str, int, str]:
    return operation.namespace, operation.address, operation.port, operation.protocol


def send_operations(lab: state.LabState, operations: Sequence[Operation], *, refresh: bool = False) -> None:
    """Let a running lab execute further operations; LabError when one fails.

    refresh: what the state folder says of the cluster has changed.
    """
    message = json.dumps({"apply": encode(operations), "refresh": refresh})
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(state.control_path(state.folder(lab.name)))
        channel.sendall(message.encode() + b"\n")
        with channel.makefile(encoding="utf-8") as lines:
            reply = json.loads(lines.readline() or "{}")
    if not reply.get("ok"):
        raise LabError(str(reply.get("error") or "the lab's process did not answer"))
