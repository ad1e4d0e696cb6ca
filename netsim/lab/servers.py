"""The small servers in every pod, all of them sockets of the one holder process.

An answer is one line of JSON: who answered, at which address, and which client address the server saw. A request that
begins like HTTP gets the same line as an HTTP/1.1 response with status 200.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any, cast

from netsim.errors import LabError
from netsim.lab.ops import Serve

PATIENCE = 1.0
HTTP_METHODS = (b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"PATC", b"OPTI")
HealthAnswer = Callable[[str], bytes]


def answer(owner: str, protocol: str, server: tuple[str, int], client: tuple[str, int]) -> bytes:
    """Return the line that an echo server sends."""
    record = {
        "pod": owner,
        "protocol": protocol,
        "server": {"ip": server[0], "port": server[1]},
        "client": {"ip": client[0], "port": client[1]},
    }
    return json.dumps(record).encode() + b"\n"


def open_socket(serve: Serve) -> socket.socket:
    """Bind a server's socket in the calling thread's network namespace."""
    family = socket.AF_INET6 if ":" in serve.address else socket.AF_INET
    kind = socket.SOCK_STREAM if serve.protocol == "tcp" else socket.SOCK_DGRAM
    opened = socket.socket(family, kind)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((serve.address, serve.port))
        if kind == socket.SOCK_STREAM:
            opened.listen(128)
    except OSError as error:
        opened.close()
        raise LabError(f"{serve.owner}: {serve.address}:{serve.port}/{serve.protocol}: {error.strerror}") from error
    opened.setblocking(False)
    return opened


class EchoDatagrams(asyncio.DatagramProtocol):
    """One UDP echo server."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # The event loop's datagram transport does not derive from DatagramTransport in Python 3.11.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one datagram."""
        serve = self._serve
        if self._transport is not None:
            self._transport.sendto(answer(serve.owner, "udp", (serve.address, serve.port), addr[:2]), addr)


async def start_echo(serve: Serve, opened: socket.socket) -> object:
    """Serve a bound socket until the holder ends; the returned object keeps the server alive."""
    if serve.protocol != "tcp":
        loop = asyncio.get_running_loop()
        return await loop.create_datagram_endpoint(lambda: EchoDatagrams(serve), sock=opened)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _echo(serve, reader, writer)

    return await asyncio.start_server(handle, sock=opened)


def close_server(server: Any) -> None:
    """Close what `start_echo` returned: an asyncio server, or a (transport, protocol) pair."""
    closing = server[0] if isinstance(server, tuple) else server
    if closing is not None:
        closing.close()


async def _echo(serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        line = answer(serve.owner, "tcp", writer.get_extra_info("sockname")[:2], writer.get_extra_info("peername")[:2])
        request = await _first_bytes(reader)
        writer.write(_as_http(line, request) if request[:4] in HTTP_METHODS else line)
        await writer.drain()
        writer.close()
    except (OSError, ConnectionError):
        writer.close()


async def _first_bytes(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(4096), PATIENCE)
    except TimeoutError:
        return b""


def _as_http(line: bytes, request: bytes) -> bytes:
    head, _, rest = request.partition(b"\r\n")
    wanted = _header(rest, b"x-want-status") or b"200"
    record = json.loads(line)
    words = head.split(b" ")
    record["request"] = {
        "method": words[0].decode("latin-1"),
        "path": words[1].decode("latin-1") if len(words) > 1 else "",
        "host": (_header(rest, b"host") or b"").decode("latin-1"),
    }
    body = json.dumps(record).encode() + b"\n"
    status = wanted if wanted.isdigit() and len(wanted) == 3 else b"200"
    lines = (b"HTTP/1.1 %s netsim" % status, b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return b"\r\n".join((*lines, b"Connection: close", b"", body))


def _header(block: bytes, name: bytes) -> bytes | None:
    for line in block.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None
