"""Runs inside a network namespace of its own: echo backends on every address, one nginx, requests; JSON in, JSON out.

Started by test_nginx.py as `unshare --net python nginx_lab.py`. Standard input: {"directory", "ports", "requests"}.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import ssl
import subprocess
import sys
import time
from typing import Any

LISTEN = "192.0.2.1"


def prepare() -> None:
    """Every IPv4 address is local, so backends, clients and the proxy have the addresses of the manifests."""
    for command in ("ip link set lo up", "ip route add local 0.0.0.0/0 dev lo table local"):
        subprocess.run(command.split(), check=True)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the local address, the request line and headers; the status is header X-Want-Status."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in rest)}
            await reader.readexactly(int(headers.get("content-length", "0")))
            local = ":".join(map(str, writer.get_extra_info("sockname")[:2]))
            body = json.dumps({"endpoint": local, "path": line.split(" ")[1], "headers": headers}).encode()
            status = headers.get("x-want-status", "200")
            writer.write(f"HTTP/1.1 {status} Echo\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def send(request: dict[str, Any]) -> dict[str, Any]:
    """Send one request and return status, headers, certificate and what the backend saw."""
    with socket.create_connection((LISTEN, request["port"]), timeout=5, source_address=(request["client"], 0)) as plain:
        stream: socket.socket = plain
        certificate = ""
        if request["tls"]:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            stream = context.wrap_socket(plain, server_hostname=request["sni"] or None)
            certificate = hashlib.sha256(stream.getpeercert(binary_form=True) or b"").hexdigest()
        stream.sendall(request["bytes"].encode("latin-1"))
        with contextlib.suppress(ConnectionError):  # a proxy that refuses the body closes early
            stream.sendall(b"x" * request["bodyBytes"])
        answer = receive(stream)
    return {**answer, "certificate": certificate}


def receive(stream: socket.socket) -> dict[str, Any]:
    data = b""
    while True:
        try:
            piece = stream.recv(65536)
        except ConnectionError:
            break
        if not piece:
            break
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    fields = [field.partition(":") for field in rest]
    headers = {name.lower(): value.strip() for name, _, value in fields}
    seen = json.loads(body) if body.startswith(b'{"endpoint"') else None
    return {"status": int(line.split(" ")[1]) if " " in line else 0, "headers": headers, "seen": seen}


async def serve(ports: list[int]) -> list[asyncio.Server]:
    return [await asyncio.start_server(echo, "0.0.0.0", port, limit=1 << 22) for port in ports]


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection((LISTEN, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise SystemExit("nginx does not listen")


async def main() -> None:
    task = json.load(sys.stdin)
    prepare()
    servers = await serve(task["ports"])
    nginx = subprocess.Popen(
        ["nginx", "-p", task["directory"], "-c", "nginx.conf", "-g", "daemon off;"], stderr=subprocess.DEVNULL
    )
    try:
        await asyncio.to_thread(wait_for, 80)
        answers = [await asyncio.to_thread(send, request) for request in task["requests"]]
    finally:
        nginx.terminate()
        nginx.wait()
        for server in servers:
            server.close()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
