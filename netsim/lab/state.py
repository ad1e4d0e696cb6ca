"""The one state folder of each lab: what is up, which process holds it, and how to remove what a crash left.

`ROOT/NAME/lab.json` holds the holder's process id and start time (a process id alone may have been reused).
ROOT is /run/netsim for root, else $XDG_RUNTIME_DIR/netsim or /tmp/netsim-UID; $NETSIM_STATE overrides it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from netsim.errors import LabError, UsageError
from netsim.lab.apply import write_file

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class LabState:
    """What other processes need to know of a lab. `namespaces` maps a namespace to the holder's descriptor of it.

    `failed`: why it did not come up completely, when it was kept all the same. `vm`: `uml` when it runs in a guest,
    whose namespaces these are then.
    """

    name: str
    holder: int
    started: int
    mode: str = "iptables"
    rootless: bool = False
    ready: bool = False
    namespaces: dict[str, int] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    failed: str = ""
    vm: str = ""

    @property
    def alive(self) -> bool:
        """Whether the holder still runs."""
        return start_time(self.holder) == self.started


def root() -> Path:
    """Return the folder of all labs of this user."""
    if chosen := os.environ.get("NETSIM_STATE"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/run/netsim")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "netsim" if runtime else Path(f"/tmp/netsim-{os.getuid()}")


def folder(name: str) -> Path:
    """Return the state folder of a lab; raise UsageError for a name that is no DNS label."""
    if not NAME.fullmatch(name):
        raise UsageError(f"lab name {name!r}: at most 32 lower-case letters, digits and inner hyphens")
    return root() / name


def claim(name: str) -> Path:
    """Make the state folder of a new lab; LabError when a lab of that name is there."""
    path = folder(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"cannot keep labs in {path.parent}: {error.strerror} ($NETSIM_STATE names another)") from error
    if path.parent.stat().st_uid != os.geteuid():
        raise LabError(f"{path.parent} belongs to somebody else")
    try:
        path.mkdir(mode=0o700)
    except FileExistsError as error:
        raise LabError(f"lab {name} exists: `netsim lab down {name}` removes it") from error
    except OSError as error:
        raise LabError(f"cannot make {path}: {error.strerror} ($NETSIM_STATE names another folder)") from error
    return path


def control_path(path: Path) -> str:
    """Return the path of a lab's control socket by way of a descriptor: a socket's own path may be 107 bytes long."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    return f"/proc/self/fd/{descriptor}/control"


def save(state: LabState) -> None:
    """Write lab.json."""
    write_file(folder(state.name) / "lab.json", json.dumps(asdict(state), indent=2) + "\n")


def load(name: str) -> LabState:
    """Return a lab's state; LabError when there is no such lab or it is not (any more) up."""
    path = folder(name)
    if not path.is_dir():
        raise UsageError(f"no lab {name}: `netsim lab ls` lists those that are up")
    state = _read(path)
    if state is None or not state.alive:
        raise LabError(f"lab {name} is not running any more: `netsim lab down {name}` removes what is left")
    return state


def peek(name: str) -> LabState | None:
    """Return a lab's state if it is up, None otherwise."""
    state = _read(folder(name))
    return state if state is not None and state.alive else None


def _read(path: Path) -> LabState | None:
    try:
        data = json.loads((path / "lab.json").read_text())
        return LabState(**{**data, "inputs": tuple(data.get("inputs", ()))})
    except (OSError, ValueError, TypeError):
        return None


def labs() -> tuple[tuple[str, LabState | None], ...]:
    """Return every lab folder with its state, None for what a crash left without one."""
    path = root()
    names = sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
    return tuple((name, _read(path / name)) for name in names)


def remove(name: str) -> bool:
    """End a lab's holder, if any, and delete its folder; return whether there was anything."""
    path = folder(name)
    if not path.is_dir():
        return False
    holder = _holder_of(path)
    if holder is not None:
        stop(*holder)
    shutil.rmtree(path, ignore_errors=True)
    return True


def _holder_of(path: Path) -> tuple[int, int] | None:
    """Return (pid, start time) from lab.json, or from the file that the holder's parent writes before anything else."""
    state = _read(path)
    if state is not None:
        return state.holder, state.started
    try:
        pid, started = (path / "holder").read_text().split()
        return int(pid), int(started)
    except (OSError, ValueError):
        return None


def stop(pid: int, started: int, patience: float = 5.0) -> None:
    """Kill a process, unless the id has been reused, and wait until it is gone."""
    if start_time(pid) != started:
        return
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + patience
    while start_time(pid) == started and time.monotonic() < deadline:
        time.sleep(0.002)


def start_time(pid: int) -> int:
    """Return field 22 of /proc/PID/stat (clock ticks since boot), 0 when the process is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])
