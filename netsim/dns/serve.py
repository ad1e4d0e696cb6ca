"""A real DNS server on UDP and TCP (asyncio), answering as CoreDNS would; manifests are read again when changed."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from iptables_gen.values import decimal
from netsim.dns.open import ClusterDns
from netsim.dns.wire import HEADER, QR, RD, parse, render
from netsim.errors import LabError, NetsimError, UsageError, printable

IDLE_SECONDS, READ_SECONDS = 10.0, 3.0
MAX_TCP_QUERIES = 128
POLL_SECONDS = 1.0
SERVFAIL = 2
Say = Callable[[str], None]


def parse_listen(text: str) -> tuple[str, int]:
    """Return (address, port) of `ADDR:PORT`, `[V6]:PORT` or `:PORT`."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    number = decimal(port)
    if not colon or number is None or number > 65535:
        raise UsageError(f"--serve {text!r}: write ADDR:PORT")
    return host or "127.0.0.1", number


def respond(data: bytes, transport: str, client: str, dns: ClusterDns, now: float) -> bytes | None:
    """Return the reply to a message, None for silence. Raises nothing that a message could cause."""
    parsed = parse(data, transport, client)
    if parsed is None or isinstance(parsed, bytes):
        return parsed
    return render(parsed.id, dns.server.answer(parsed.query, now))


@dataclass(slots=True)
class State:
    """What the running server answers from; replaced as a whole when the manifests change."""

    dns: ClusterDns
    say: Say
    answered: int = 0
    faults: set[str] = field(default_factory=set)

    def respond(self, data: bytes, transport: str, client: str, now: float) -> bytes | None:
        """Answer a message; a fault of ours becomes SERVFAIL and is said once, it never ends the server."""
        self.answered += 1
        try:
            return respond(data, transport, client, self.dns, now)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            if fault not in self.faults:
                self.faults.add(fault)
                self.say(printable(f"netsim: internal error answering {data[:64].hex()}: {fault}"))
            return servfail(data)


def servfail(data: bytes) -> bytes:
    """Return SERVFAIL without a question."""
    number, bits = struct.unpack_from("!HH", data)
    return HEADER.pack(number, QR | bits & RD | SERVFAIL, 0, 0, 0, 0)


class Responder(Protocol):
    """What answers a message, None for silence; it never raises."""

    def respond(self, data: bytes, transport: str, client: str, now: float) -> bytes | None:
        """Return the reply to a message that came over `udp` or `tcp`."""


class Udp(asyncio.DatagramProtocol):
    """One reply a datagram."""

    def __init__(self, state: Responder) -> None:
        self.state = state
        self.clock = asyncio.get_running_loop().time
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Keep the socket."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer."""
        reply = self.state.respond(data, "udp", addr[0], self.clock())
        if reply is not None:
            self.transport.sendto(reply, addr)


async def serve_tcp(state: Responder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the messages of one connection in order; close it when idle, broken, or after 128 messages."""
    client = str(writer.get_extra_info("peername")[0])
    loop = asyncio.get_running_loop()
    try:
        timeout = READ_SECONDS
        for _ in range(MAX_TCP_QUERIES):
            (length,) = struct.unpack("!H", await asyncio.wait_for(reader.readexactly(2), timeout))
            data = await asyncio.wait_for(reader.readexactly(length), READ_SECONDS)
            reply = state.respond(data, "tcp", client, loop.time())
            if reply is not None:
                writer.write(struct.pack("!H", len(reply)) + reply)
                await asyncio.wait_for(writer.drain(), READ_SECONDS)
            timeout = IDLE_SECONDS
    except (asyncio.IncompleteReadError, TimeoutError, OSError):
        pass
    finally:
        writer.close()


async def start(state: State, host: str, port: int) -> tuple[asyncio.BaseTransport, asyncio.Server]:
    """Listen on both transports, on the same port also when it is 0 (any)."""
    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(lambda: Udp(state), (host, port))
    port = udp.get_extra_info("sockname")[1]

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_tcp(state, reader, writer)

    return udp, await asyncio.start_server(connected, host, port)


def fingerprint(paths: tuple[str, ...]) -> tuple[tuple[str, int, int], ...]:
    """Return (path, mtime in ns, size) of the files, directories with all below them."""
    found = []
    for path in paths:
        listed = (
            [path]
            if not os.path.isdir(path)
            else [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        )
        for name in sorted(listed):
            try:
                stat = os.stat(name)
            except OSError:
                continue
            found.append((name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


async def watch(state: State, paths: tuple[str, ...], reload: Callable[[], ClusterDns], poll: float) -> None:
    """Load again when a file changed; what cannot be loaded is said, and the old answers stay."""
    seen = fingerprint(paths)
    while True:
        await asyncio.sleep(poll)
        now = fingerprint(paths)
        if now == seen:
            continue
        seen = now
        try:
            state.dns = await asyncio.get_running_loop().run_in_executor(None, reload)
            state.say("netsim: manifests changed, loaded again")
        except NetsimError as error:
            state.say(f"netsim: manifests changed, but keeping the old ones: {error}")


def run_server(
    host: str,
    port: int,
    dns: ClusterDns,
    paths: tuple[str, ...],
    reload: Callable[[], ClusterDns],
    say: Say,
    poll: float = POLL_SECONDS,
) -> int:
    """Serve until SIGINT or SIGTERM; return 0. Raises LabError when the address cannot be had."""
    state = State(dns, say)

    async def main() -> None:
        try:
            udp, tcp = await start(state, host, port)
        except OSError as error:
            raise LabError(f"cannot serve on {host}:{port}: {error.strerror or error}") from error
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        say(f"netsim: serving DNS on {host}:{udp.get_extra_info('sockname')[1]} (udp, tcp)")
        watcher = asyncio.ensure_future(watch(state, paths, reload, poll))
        await stop.wait()
        watcher.cancel()
        udp.close()
        tcp.close()

    asyncio.run(main())
    return 0
