"""The agent inside a lab's virtual machine: brings the lab up there, then runs the command lines that the console asks.

Messages are lines: requests {"run": [words], "cwd": folder} and {"stop": true}; answers, each behind MARK:
{"stage"}, {"ready", "namespaces"} or {"error"}, then {"out"}, {"err"} (bytes as latin-1) and {"exit"} of each run.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import subprocess
import sys
import tty
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from netsim.errors import NetsimError
from netsim.lab import state, vm_init
from netsim.lab.vm import MARK

POWER_OFF = 0x4321FEDC
PIECE = 1 << 14


def main() -> None:
    """Run as the guest's first process; never returns."""
    try:
        with suppress(OSError):
            tty.setraw(0)
        console = Console()
        vm_init.prepare(sys.argv[2])
        if bring_up(sys.argv[1], console):
            for request in console.requests():
                if "run" in request:
                    run(request, console)
    finally:
        ctypes.CDLL(None).reboot(POWER_OFF)


class Console:
    """Lines in on standard input, marked lines out on standard output."""

    def __init__(self) -> None:
        self._rest = b""

    def say(self, message: dict[str, Any]) -> None:
        """Send one message."""
        data = MARK + json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(1, data) :]

    def read(self) -> list[dict[str, Any]] | None:
        """Return the requests that have come in, None when the console is closed."""
        data = os.read(0, PIECE)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def requests(self) -> Iterator[dict[str, Any]]:
        """Yield requests until the console is closed."""
        while (found := self.read()) is not None:
            yield from found


def bring_up(name: str, console: Console) -> bool:
    """Bring the lab up from the files that the outer process left, and say so; return whether it is up."""
    from netsim.cli.lab_run import start_kept

    try:
        lab = start_kept(name, vm_init.OUTER, lambda stage: console.say({"stage": stage}))
    except NetsimError as error:
        console.say({"error": str(error)})
        return False
    except Exception as error:
        console.say({"error": f"{type(error).__name__}: {error}"})
        return False
    console.say({"ready": True, "namespaces": lab.namespaces})
    return state.load(name).alive


def run(request: dict[str, Any], console: Console) -> None:
    """Run one netsim command line, passing on what it says; {"stop"} ends it."""
    folder = request.get("cwd", "/")
    child = subprocess.Popen(
        (sys.executable, "-m", "netsim", *request["run"]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder if os.path.isdir(folder) else "/",
        start_new_session=True,
    )
    with selectors.DefaultSelector() as selector:
        for stream, word in ((child.stdout, "out"), (child.stderr, "err")):
            assert stream is not None
            selector.register(stream, selectors.EVENT_READ, word)
        selector.register(0, selectors.EVENT_READ, "")
        while len(selector.get_map()) > 1:
            for key, _ in selector.select():
                _pass_on(key, selector, child, console)
    console.say({"exit": child.wait()})


def _pass_on(
    key: selectors.SelectorKey, selector: selectors.BaseSelector, child: subprocess.Popen[bytes], console: Console
) -> None:
    if not key.data:
        if any("stop" in request for request in console.read() or ({"stop": True},)):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, 15)
        return
    piece = os.read(key.fd, PIECE)
    if piece:
        console.say({key.data: piece.decode("latin-1")})
    else:
        selector.unregister(key.fileobj)


if __name__ == "__main__":
    main()
