"""The real server: the recorded questions asked by dig, broken messages, TCP, reload, and glibc in a namespace."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from netsim.dns.open import ClusterDns
from netsim.dns.records import DEFAULT_CLIENT, Query
from netsim.dns.serve import State, parse_listen, respond, start
from netsim.errors import UsageError
from tests.fuzz.dns import run as fuzz
from tests.fuzz.dns import target
from tests.netsim.dns.dns_recorded import CLUSTERS, RECORDED, Case, as_recorded, cases, difference, fresh, opened

# dig cannot ask these the way they were recorded: transfers follow another protocol, and a client on loopback has
# another source address than the pod that autopath looks for.
NOT_FOR_DIG = frozenset(("AXFR", "IXFR"))
needs_dig = pytest.mark.skipif(shutil.which("dig") is None, reason="dig (package dnsutils) is not installed")


@contextmanager
def served(dns_: ClusterDns) -> Iterator[int]:
    """Run the server in a thread and yield its port."""
    loop = asyncio.new_event_loop()
    ports: list[int] = []
    ready = threading.Event()

    async def main() -> None:
        udp, tcp = await start(State(dns_, print), "127.0.0.1", 0)
        ports.append(udp.get_extra_info("sockname")[1])
        ready.set()
        try:
            await asyncio.Event().wait()
        finally:
            udp.close()
            tcp.close()

    task = loop.create_task(main())

    def work() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
        loop.close()


def dig_line(case: Case) -> str:
    """Return a line of dig's batch file that asks exactly the recorded question."""
    asked = case.query
    words = ["-q", asked.name, "-t", asked.type, "-c", asked.qclass]
    words += ["+noadflag", "+nocookie", "+ignore", "+tries=1", "+timeout=1"]
    words += ["+norecurse"] if not asked.rd else []
    words += ["+cdflag"] if asked.cd else []
    words += ["+adflag"] if asked.ad else []
    words += [f"+opcode={asked.opcode}"] if asked.opcode != "QUERY" else []
    if asked.edns is None:
        return " ".join([*words, "+noedns"])
    words += [f"+bufsize={asked.edns.payload}", f"+edns={asked.edns.version}", "+noednsneg"]
    words += ["+dnssec"] if asked.edns.do else []
    words += [f"+ednsopt={code}:{data}" for code, data in asked.edns.options]
    return " ".join(words)


def askable(case: Case) -> bool:
    asked = case.query
    # dig sends no OPT record for a payload of 0.
    edns_ok = asked.edns is None or asked.edns.payload > 0
    return asked.type not in NOT_FOR_DIG and asked.src == DEFAULT_CLIENT and edns_ok


def parse_dig(text: str) -> dict[str, Any]:
    """Return one reply of dig's output in the recording's form (without EDNS, whose options dig interprets)."""
    if "no servers could be reached" in text or "connection timed out" in text:
        return {"timeout": True}
    header = re.search(r"opcode: (\w+), status: (\w+)", text)
    flags = re.search(r";; flags: ([a-z ]*);", text)
    size = re.search(r"MSG SIZE  rcvd: (\d+)", text)
    assert header, text
    assert flags, text
    assert size, text
    found: dict[str, Any] = {name: [] for name in ("question", "answer", "authority", "additional")}
    section = ""
    for line in text.splitlines():
        if title := re.match(r";; (\w+) SECTION:", line):
            section = title[1].lower()
        elif section and line.startswith(";") and not line.startswith(";;") and section == "question":
            found[section].append(line[1:].split())
        elif section and line and not line.startswith(";"):
            name, ttl, _, kind, rdata = line.split(None, 4)
            found[section].append([name, int(ttl), kind, rdata])
    counts = {"opcode": header[1], "rcode": header[2], "flags": flags[1].split(), "wire_len": int(size[1])}
    return counts | found


SHOWN = ("+noall", "+comments", "+question", "+answer", "+authority", "+additional", "+stats")


def run_dig(port: int, words: list[str]) -> list[dict[str, Any]]:
    command = ["dig", "@127.0.0.1", "-p", str(port), *SHOWN, *words]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    return [parse_dig(part) for part in re.split(r"(?m)^(?=;; Got answer:|;; communications|;; connection)", out)[1:]]


def batch_kind(case: Case) -> str:
    """Return how dig must be called: it takes no transport, EDNS version or option from a line of a batch file."""
    edns = case.query.edns
    return "alone" if edns and (edns.version or edns.options) else case.query.transport


def dig(port: int, listed: list[Case], batch: Path) -> list[dict[str, Any]]:
    """Ask the questions, sorted by `batch_kind`."""
    alone = [reply for c in listed if batch_kind(c) == "alone" for reply in run_dig(port, dig_line(c).split())]
    found = {"alone": alone}
    for transport in ("tcp", "udp"):
        batch.write_text("".join(dig_line(case) + "\n" for case in listed if batch_kind(case) == transport))
        found[transport] = run_dig(port, [*(["+tcp"] if transport == "tcp" else []), "-f", str(batch)])
    return [reply for kind in sorted(found) for reply in found[kind]]


@needs_dig
@pytest.mark.parametrize("folder", CLUSTERS, ids=lambda folder: folder.name)
def test_dig_gets_what_was_recorded(folder: Path, tmp_path: Path) -> None:
    listed = [case for case in cases(folder) if askable(case)]
    listed.sort(key=batch_kind)
    with served(fresh(folder)) as port:
        replies = dig(port, listed, tmp_path / "batch")
    assert len(replies) == len(listed)
    found = []
    for reply, case in zip(replies, listed, strict=True):
        wanted = case.response if case.response.get("timeout") else {**case.response, "edns": None}
        got = reply if reply.get("timeout") else {**reply, "edns": None}
        variants = tuple({**variant, "edns": None} for variant in case.variants)
        found.append(difference(spaced(got), Case(case.id, case.question, spaced(wanted), case.order, variants)))
    assert [text for text in found if text and not cached_spelling(folder, text)] == []


def cached_spelling(folder: Path, text: str) -> bool:
    """Whether a difference is only the spelling that a cached owner got from a question the recording kept back."""
    return folder.name == "c14-cache" and "WEB.default" in text and text.count(";") == 0


def spaced(response: dict[str, Any]) -> dict[str, Any]:
    """Return a response with single blanks in rdata, as dig aligns nothing but breaks nothing either."""
    return {
        key: [[*r[:3], " ".join(r[3].split())] for r in value]
        if key in ("answer", "authority", "additional")
        else value
        for key, value in response.items()
    }


HEADER = struct.Struct("!6H")


def header(bits: int, *counts: int) -> bytes:
    return HEADER.pack(0x1234, bits, *counts)


NAME = b"\x03web\x07default\x03svc\x07cluster\x05local\x00"
IN_A = b"\0\1\0\1"


NO_QUESTION = (0, 0, 0, 0)
BROKEN = {
    "nothing is not answered": (b"", None),
    "less than a header is not answered": (b"\x12\x34\x01\x00\x00\x01", None),
    "a reply is not answered": (header(0x8100, 1, 0, 0, 0) + NAME + IN_A, None),
    "a promised question that is missing is SERVFAIL": (header(0x0100, 1, 0, 0, 0), header(0x8102, *NO_QUESTION)),
    "no question is FORMERR": (header(0x0100, 0, 0, 0, 0), header(0x8101, *NO_QUESTION)),
    "two questions are FORMERR": (header(0x0100, 2, 0, 0, 0), header(0x8101, *NO_QUESTION)),
    "two answers are FORMERR": (header(0x0100, 1, 2, 0, 0), header(0x8101, *NO_QUESTION)),
    "three additional records are FORMERR": (header(0x0100, 1, 0, 0, 3), header(0x8101, *NO_QUESTION)),
    "UPDATE is NOTIMP with its opcode and flags": (header(0x2910, 1, 0, 0, 0), header(0xA914, *NO_QUESTION)),
    "STATUS is NOTIMP": (header(0x1000, 1, 0, 0, 0), header(0x9004, *NO_QUESTION)),
    "a cut name is FORMERR": (header(0x0100, 1, 0, 0, 0) + b"\x3fcut", header(0x8101, *NO_QUESTION)),
    "a pointer to itself is FORMERR": (header(0x0100, 1, 0, 0, 0) + b"\xc0\x0c" + IN_A, header(0x8101, *NO_QUESTION)),
    "a cut OPT is FORMERR with the question": (
        header(0x0100, 1, 0, 0, 1) + NAME + IN_A + b"\0\0\x29\x04",
        header(0x8101, 1, 0, 0, 0) + NAME + IN_A,
    ),
}


@pytest.mark.parametrize(("message", "reply"), BROKEN.values(), ids=BROKEN)
def test_broken_messages(message: bytes, reply: bytes | None) -> None:
    assert respond(message, "udp", DEFAULT_CLIENT, target(), 0.0) == reply


def test_bytes_after_the_message_are_ignored() -> None:
    message = header(0x0100, 1, 0, 0, 0) + NAME + IN_A
    assert respond(message + b"trailing", "udp", DEFAULT_CLIENT, target(), 0.0) == respond(
        message, "udp", DEFAULT_CLIENT, target(), 0.0
    )


def test_mutated_packets_break_no_law() -> None:
    assert fuzz(20_000, seed=20260101) > 10_000


def test_a_fault_of_ours_is_servfail_and_the_server_lives() -> None:
    said: list[str] = []

    class Broken:
        @property
        def server(self) -> Any:
            raise ZeroDivisionError("planted")

    state = State(Broken(), said.append)  # type: ignore[arg-type]
    message = header(0x0100, 1, 0, 0, 0) + NAME + IN_A
    for _ in range(2):
        assert state.respond(message, "udp", DEFAULT_CLIENT, 0.0) == header(0x8102, 0, 0, 0, 0)
    assert len(said) == 1
    assert "planted" in said[0]


def test_tcp_answers_many_messages_in_order_and_survives_a_cut_one() -> None:
    dns_ = opened(RECORDED / "dns" / "c13-big")
    question = dns.message.make_query("sixty.h.svc.cluster.local.", "A")
    with served(dns_) as port:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            for _ in range(3):
                dns.query.send_tcp(connection, question)
                reply, _ = dns.query.receive_tcp(connection)
                assert len(reply.answer[0]) == 60
            connection.sendall(struct.pack("!H", 500) + b"cut")
        truncated = dns.query.udp(question, "127.0.0.1", port=port, timeout=5)
        assert truncated.flags & dns.flags.TC


@pytest.mark.parametrize("text", ["", "53", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_listen(text)


@pytest.mark.parametrize(
    ("text", "want"),
    [("127.0.0.1:53", ("127.0.0.1", 53)), (":5353", ("127.0.0.1", 5353)), ("[::1]:53", ("::1", 53))],
)
def test_an_address_is_read(text: str, want: tuple[str, int]) -> None:
    assert parse_listen(text) == want


SERVICE = """apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: CLUSTER_IP, ports: [{name: http, port: 80}]}
"""


def test_command_serves_and_loads_changed_manifests_again(tmp_path: Path) -> None:
    manifest = tmp_path / "web.yaml"
    manifest.write_text(SERVICE.replace("CLUSTER_IP", "10.96.7.7"))
    words = [sys.executable, "-m", "netsim", "dns", "-q", "-f", str(manifest), "--serve", "127.0.0.1:0"]
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        started = server.stderr.readline()
        port = int(re.search(r":(\d+) \(udp, tcp\)", started)[1])  # type: ignore[index]
        assert address_of("web.default.svc.cluster.local.", port) == "10.96.7.7"
        manifest.write_text("kind: [broken\n")
        assert "keeping the old" in server.stderr.readline()
        manifest.write_text(SERVICE.replace("CLUSTER_IP", "10.96.8.8"))
        while "loaded again" not in server.stderr.readline():
            pass
        assert address_of("web.default.svc.cluster.local.", port) == "10.96.8.8"
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    finally:
        server.kill()
        server.wait()


def address_of(name: str, port: int) -> str:
    return str(dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=port, timeout=5).answer[0][0])


def test_an_address_in_use_is_exit_code_3(tmp_path: Path) -> None:
    manifest = tmp_path / "web.yaml"
    manifest.write_text(SERVICE.replace("CLUSTER_IP", "10.96.7.7"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = [sys.executable, "-m", "netsim", "dns", "-q", "-f", str(manifest), "--serve", address]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 3
    assert address in done.stderr


GLIBC = r"""
set -e
ip link set lo up
ip addr add 10.96.0.10/32 dev lo
mount --bind "$DIR/resolv.conf" /etc/resolv.conf
"$PYTHON" -m netsim dns -q -f "$FOLDER/manifests" --corefile "$FOLDER/corefile" --upstream "$FOLDER/upstream.json" \
    --serve 10.96.0.10:53 2> "$DIR/log" &
server=$!
trap 'kill $server; wait $server || true' EXIT
for i in $(seq 100); do grep -q serving "$DIR/log" && break; sleep 0.1; done
"$PYTHON" "$DIR/ask.py"
"""
ASK = """
import json, socket, sys
found = {}
for name in %r:
    try:
        entries = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)
        found[name] = sorted({entry[4][0] for entry in entries})
    except socket.gaierror as error:
        found[name] = error.errno
print(json.dumps(found))
"""
ASKED = [
    "web",
    "web.prod",
    "db.prod",
    "db-0.db.prod.svc.cluster.local",
    "ext.prod",
    "missing",
    "example.com",
    "prod",
    "web.prod.",
]


@pytest.mark.kernel
def test_glibc_in_a_namespace_gets_from_the_server_what_the_model_says(tmp_path: Path) -> None:
    from netsim.dns.podconf import PodFiles
    from netsim.dns.resolve import look_up

    folder = RECORDED / "dns" / "c01-basic"
    resolv_conf = (
        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )
    (tmp_path / "resolv.conf").write_text(resolv_conf)
    (tmp_path / "ask.py").write_text(ASK % ASKED)
    environment = {**os.environ, "DIR": str(tmp_path), "FOLDER": str(folder), "PYTHON": sys.executable}
    words = ["unshare", "--net", "--mount", "sh", "-c", GLIBC]
    out = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert out.returncode == 0, out.stderr
    got = json.loads(out.stdout)
    for name in ASKED:
        model = look_up(
            name, PodFiles(resolv_conf, "127.0.0.1 localhost\n"), opened(folder), (DEFAULT_CLIENT,), api="inet"
        )
        assert got[name] == (sorted(model.addresses) or int(model.error.split()[0])), name


def test_answers_over_udp_equal_answers_in_process() -> None:
    dns_ = opened(RECORDED / "dns" / "c01-basic")
    with served(dns_) as port:
        time.sleep(0)
        reply = dns.query.udp(
            dns.message.make_query("web.prod.svc.cluster.local.", "SRV"), "127.0.0.1", port=port, timeout=5
        )
    answer = as_recorded(dns_.server.answer(Query("web.prod.svc.cluster.local.", "SRV")))
    assert [rdata.to_text() for rrset in reply.answer for rdata in rrset] == [record[3] for record in answer["answer"]]
