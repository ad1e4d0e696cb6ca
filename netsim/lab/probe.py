"""Real packets: connections and datagrams sent inside a lab, and what came of each.

A child process enters the lab, opens sockets in the namespaces of the clients and watches many at once. An echo
server's answer says which endpoint answered and which source it saw; the error queue says which ICMP error refused.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from iptables_gen.values import format_endpoint
from netsim.errors import LabError
from netsim.lab import enter, kernel, state

IP_RECVERR, IPV6_RECVERR = 11, 25
CROWD = 200
QUESTION = b"?\n"


@dataclass(frozen=True, slots=True)
class Probe:
    """One attempt from a namespace to an address.

    Probes with the same `sequence`, if it is not "", run strictly one after another (session affinity). `sport` is the
    client's port where it can be had, 0 leaves it to the kernel.
    """

    namespace: str
    address: str
    port: int
    protocol: str
    patience: float = 0.7
    sequence: str = ""
    question: bytes = QUESTION
    sport: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of one attempt: DELIVERED, REFUSED or TIMEOUT (also an unreachable network, with its `error`).

    `endpoint` is `ip:port` as the server saw its own address, `sees` the source address that it saw,
    `refused_by` `icmp 3/3`, `icmpv6 1/4` or `rst`; `client` is `ip:port` of the client's own socket.
    """

    verdict: str
    endpoint: str = ""
    sees: str = ""
    owner: str = ""
    refused_by: str = ""
    error: str = ""
    client: str = ""


def probe_all(lab: state.LabState, probes: Sequence[Probe]) -> tuple[Observation, ...]:
    """Send every probe and return what came of each, in the same order."""
    names = {probe.namespace for probe in probes}
    found = inside(lab, names, lambda spaces: [asdict(item) for item in Prober(spaces).run(probes)])
    return tuple(Observation(**item) for item in found)


def inside(lab: state.LabState, names: Iterable[str], work: Callable[[dict[str, int]], Any]) -> Any:
    """Run *work* in a child process that has entered a lab, with descriptors of namespaces; return its JSON value."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(lab, names, work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        data = answers.read()
    os.waitpid(child, 0)
    try:
        return json.loads(data)
    except ValueError as error:
        raise LabError(data.decode(errors="replace") or "the probing process ended without a word") from error


def _child(lab: state.LabState, names: Iterable[str], work: Callable[[dict[str, int]], Any], writing: int) -> None:
    try:
        _write_all(writing, json.dumps(work(_open_spaces(lab, names))).encode())
    except (LabError, OSError) as error:
        _write_all(writing, str(error).encode())
    finally:
        os._exit(0)


def _write_all(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _open_spaces(lab: state.LabState, names: Iterable[str]) -> dict[str, int]:
    """Open the namespaces before and enter the user namespace after: inside it, /proc/HOLDER could not be read."""
    base = f"/proc/{lab.holder}"
    spaces = {name: os.open(f"{base}/fd/{lab.namespaces[name]}", os.O_RDONLY | os.O_CLOEXEC) for name in names}
    enter.join(lab, next(iter(lab.namespaces)))
    return spaces


class Prober:
    """Runs probes, many at once, inside the namespaces that it is given as descriptors."""

    def __init__(self, spaces: dict[str, int]) -> None:
        self._spaces = spaces
        self._selector = selectors.DefaultSelector()
        self._done: dict[int, Observation] = {}
        self._clients: dict[int, str] = {}

    def run(self, probes: Sequence[Probe]) -> list[Observation]:
        """Return one observation a probe, in order."""
        for crowd in _crowds(probes):
            self._run_crowd(crowd)
        return [replace(self._done[n], client=self._clients.get(n, "")) for n in range(len(probes))]

    def _run_crowd(self, crowd: Sequence[tuple[int, Probe]]) -> None:
        deadlines = {}
        for number, probe in crowd:
            self._start(number, probe)
            deadlines[number] = time.monotonic() + probe.patience
        while waiting := [key.data for key in self._selector.get_map().values()]:
            now = time.monotonic()
            late = [number for number, _ in waiting if deadlines[number] <= now]
            for number in late:
                self._finish(number, Observation("TIMEOUT"))
            if len(late) == len(waiting):
                break
            timeout = min(deadlines[number] for number, _ in waiting if number not in late) - now
            for key, _ in self._selector.select(max(timeout, 0)):
                self._ready(key)

    def _start(self, number: int, probe: Probe) -> None:
        kernel.enter(self._spaces[probe.namespace])
        family = socket.AF_INET6 if ":" in probe.address else socket.AF_INET
        kind = socket.SOCK_STREAM if probe.protocol == "tcp" else socket.SOCK_DGRAM
        opened = socket.socket(family, kind)
        opened.setblocking(False)
        level, option = (41, IPV6_RECVERR) if family == socket.AF_INET6 else (0, IP_RECVERR)
        opened.setsockopt(level, option, 1)
        self._selector.register(opened, selectors.EVENT_READ | selectors.EVENT_WRITE, (number, probe))
        if probe.sport:
            # A port that something else has is left to the kernel.
            with suppress(OSError):
                opened.bind(("", probe.sport))
        try:
            code = opened.connect_ex((probe.address, probe.port))
            self._clients[number] = format_endpoint(*opened.getsockname()[:2])
            if code not in (0, errno.EINPROGRESS):
                self._fail(number, opened, code)
            elif kind == socket.SOCK_DGRAM:
                opened.send(probe.question)
                self._selector.modify(opened, selectors.EVENT_READ, (number, probe))
        except OSError as error:
            # EPERM: the packet was cut off in OUTPUT; an ICMP error, if there is one, waits on the error queue.
            refused = refusal(opened)
            if refused or error.errno != errno.EPERM:
                self._fail(number, opened, error.errno or 0, refused)
            else:
                # One question, one packet: what was cut off is not sent again.
                self._selector.modify(opened, selectors.EVENT_READ, (number, probe))

    def _ready(self, key: selectors.SelectorKey) -> None:
        number, probe = key.data
        opened = key.fileobj
        assert isinstance(opened, socket.socket)
        code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code or (refused := refusal(opened)):
            self._fail(number, opened, code or errno.ECONNREFUSED, "" if code else refused)
            return
        try:
            self._exchange(number, probe, opened)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(number, opened, error.errno or 0)

    def _exchange(self, number: int, probe: Probe, opened: socket.socket) -> None:
        if self._selector.get_key(opened).events & selectors.EVENT_WRITE:
            opened.send(probe.question)
            self._selector.modify(opened, selectors.EVENT_READ, (number, probe))
            return
        self._finish(number, delivered(opened.recv(4096)))

    def _fail(self, number: int, opened: socket.socket, code: int, refused: str = "") -> None:
        by = refused or refusal(opened)
        if by or code == errno.ECONNREFUSED:
            self._finish(number, Observation("REFUSED", refused_by=by or "rst", error=errno.errorcode.get(code, "")))
        else:
            self._finish(number, Observation("TIMEOUT", error=errno.errorcode.get(code, str(code))))

    def _finish(self, number: int, observation: Observation) -> None:
        self._done.setdefault(number, observation)
        for key in list(self._selector.get_map().values()):
            if key.data[0] == number:
                self._selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()


def _crowds(probes: Sequence[Probe]) -> Iterator[list[tuple[int, Probe]]]:
    """Yield crowds that may run at once: the n-th probe of a sequence is in the n-th round."""
    rounds: dict[int, list[tuple[int, Probe]]] = {}
    seen: Counter[str] = Counter()
    for number, probe in enumerate(probes):
        turn = seen[probe.sequence] if probe.sequence else 0
        seen[probe.sequence] += 1
        rounds.setdefault(turn, []).append((number, probe))
    for turn in sorted(rounds):
        crowd = rounds[turn]
        yield from (crowd[start : start + CROWD] for start in range(0, len(crowd), CROWD))


def delivered(data: bytes) -> Observation:
    """Return what an echo server's answer says; any other bytes are a delivery to somebody unknown."""
    try:
        # A DNS server's answer holds the same line inside a TXT record.
        # Other servers say it in a header or a body: the first object counts.
        text = data[max(data.find(b"{"), 0) :].decode(errors="replace")
        record: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
        server, client = record["server"], record["client"]
        host = f"[{server['ip']}]" if ":" in server["ip"] else server["ip"]
        return Observation("DELIVERED", f"{host}:{server['port']}", client["ip"], record.get("pod", ""))
    except (ValueError, KeyError, TypeError):
        return Observation("DELIVERED" if data else "TIMEOUT", error="" if data else "closed without an answer")


def refusal(opened: socket.socket) -> str:
    """Return `icmp TYPE/CODE` from a socket's error queue (ip(7), IP_RECVERR), "" if it is empty."""
    try:
        _, ancillary, _, _ = opened.recvmsg(1, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except OSError:
        return ""
    for _, _, data in ancillary:
        _, origin, kind, code = struct.unpack_from("=IBBB", data)
        if origin in (2, 3):
            return f"{'icmp' if origin == 2 else 'icmpv6'} {kind}/{code}"
    return ""
