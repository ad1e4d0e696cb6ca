"""A lab inside user-mode Linux: a kernel with IPVS anywhere, as an ordinary process.

The holder boots `linux.uml` on the host's file system and speaks JSON lines with an agent in the guest over the
console. Requests are netsim's own command lines; the guest runs them. The guest writes nowhere but its own /run, a
tmpfs. When the holder ends, the PID namespace ends, and the kernel with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netsim.errors import LabError
from netsim.lab import kernel, state
from netsim.lab.apply import Spaces, write_file
from netsim.lab.vm_init import UML_MODULES

PROGRAM, PACKAGE = "linux.uml", "user-mode-linux"
MEMORY = "512M"
MARK = b"@netsim "
LIMIT = 1 << 26
INIT = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 {environment}
cd /
exec {agent}
"""
KEPT = ("PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL")


@dataclass(frozen=True, slots=True)
class Guest:
    """What runs in the guest: the agent's command line, and the files that it finds in /run/outer.

    The state folder's name is added to the command line.
    """

    agent: tuple[str, ...]
    files: tuple[tuple[str, str], ...]


def check() -> None:
    """Raise LabError when this machine cannot boot user-mode Linux."""
    if shutil.which(PROGRAM) is None:
        raise LabError(f"{PROGRAM} is not installed (Debian package {PACKAGE})")
    if not Path(UML_MODULES).is_dir():
        raise LabError(f"{UML_MODULES} is missing (Debian package {PACKAGE})")
    for tool, package in (
        ("modprobe", "kmod"),
        ("iptables-legacy", "iptables"),
        ("ipvsadm", "ipvsadm"),
        ("ipset", "ipset"),
    ):
        if shutil.which(tool) is None:
            raise LabError(f"{tool} is not installed (Debian package {package})")


def init_script(agent: Sequence[str], environment: dict[str, str]) -> str:
    """Return the guest's first program."""
    pairs = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    return INIT.format(environment=pairs, agent=shlex.join(agent))


def boot_command(script: Path) -> tuple[str, ...]:
    """Return the command line that boots the guest."""
    root = ("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw")
    return (PROGRAM, f"mem={MEMORY}", *root, f"init={script}", "con=null", "con0=fd:0,fd:1", "quiet")


class Machine:
    """A running guest: its console, one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._lock = asyncio.Lock()

    async def message(self) -> dict[str, Any]:
        """Return the next message of the agent; what else the console says goes to the log. LabError at its end."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            start = line.find(MARK)
            if start >= 0:
                return dict(json.loads(line[start + len(MARK) :]))
            print(line.decode(errors="replace").rstrip(), flush=True)
        raise LabError(f"user-mode Linux ended: {last_lines(self._log)}")

    async def say(self, message: dict[str, Any]) -> None:
        """Send the agent a message."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    async def ended(self) -> None:
        """Return when the guest has ended."""
        await self._process.wait()

    async def run(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield what a command says, until its exit code."""
        async with self._lock:
            await self.say(request)
            while True:
                message = await self.message()
                yield message
                if "exit" in message:
                    return


def last_lines(log: Path, count: int = 3) -> str:
    """Return the end of the log, on one line."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    return " | ".join(line.strip() for line in lines[-count:] if line.strip()) or "without a word"


async def boot(spaces: Spaces, guest: Guest) -> Machine:
    """Boot the guest in a network namespace of its own."""
    folder = spaces.folder
    for name, text in guest.files:
        write_file(folder / name, text)
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    script = folder / "init.sh"
    write_file(script, init_script((*guest.agent, str(folder)), environment))
    script.chmod(0o700)
    process = await asyncio.create_subprocess_exec(
        *boot_command(script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LIMIT,
    )
    return Machine(process, folder / "log")


class Keeper:
    """Answers the control socket by passing requests on to the guest."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request line, then the guest's messages as lines."""
        try:
            request = json.loads(await reader.readline())
            leaving = asyncio.ensure_future(self._stop_when_gone(reader))
            async for message in self._machine.run(request):
                await _tell(writer, message)
            leaving.cancel()
        except (ValueError, LabError) as error:
            await _tell(writer, {"err": f"{error}\n", "exit": 3})
        finally:
            writer.close()

    async def _stop_when_gone(self, reader: asyncio.StreamReader) -> None:
        """End the guest's command when its caller has gone."""
        await reader.read(1)
        await self._machine.say({"stop": True})


async def _tell(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    # Whoever asked may be gone; the guest's messages must be read to their end all the same.
    with suppress(ConnectionError):
        writer.write(json.dumps(message).encode() + b"\n")
        await writer.drain()


async def serve(
    guest: Guest, spaces: Spaces, started: state.LabState, report: Callable[[dict[str, object]], None]
) -> None:
    """Boot, wait until the lab inside is up, and answer requests until the guest ends. Runs in the holder."""
    kernel.mount("proc", "/proc", "proc")
    report({"stage": "booting user-mode Linux"})
    machine = await boot(spaces, guest)
    while "ready" not in (message := await machine.message()):
        if "error" in message:
            raise LabError(str(message["error"]))
        report(message)
    path = state.control_path(spaces.folder)
    async with await asyncio.start_unix_server(Keeper(machine).control, path=path, limit=LIMIT):
        state.save(replace(started, ready=True, vm="uml", namespaces=message["namespaces"]))
        report({"ready": True})
        await machine.ended()


def forward(lab: state.LabState, words: Sequence[str]) -> int:
    """Run a netsim command line in the guest, copy what it says, and return its exit code."""
    request = {"run": list(words), "cwd": os.getcwd()}
    with socket.socket(socket.AF_UNIX) as channel:
        try:
            channel.connect(state.control_path(state.folder(lab.name)))
        except OSError as error:
            raise LabError(f"lab {lab.name} does not answer: {error}") from error
        channel.sendall(json.dumps(request).encode() + b"\n")
        with channel.makefile(encoding="utf-8") as lines:
            for line in lines:
                message = json.loads(line)
                for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
                    if name in message:
                        stream.buffer.write(message[name].encode("latin-1"))
                        stream.flush()
                if "exit" in message:
                    return int(message["exit"])
    raise LabError(f"lab {lab.name}: user-mode Linux ended")
