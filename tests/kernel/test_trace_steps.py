"""The kernel's own rule trace (`xtables-monitor --trace`) beside the model's steps, rule by rule.

The packets are real ones in the namespaces of a lab of this test's own; each node gets TRACE rules in its raw table.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from iptables_gen.xtables.text import parse_rule
from netsim.trace.query import TraceQuery
from netsim.trace.steps import steps_of
from netsim.trace.tracer import Tracer
from tests.conformance_support.model import tracer_for

pytestmark = pytest.mark.kernel
SHOP = Path(__file__).parents[2] / "topologies" / "shop"
NETSIM = (sys.executable, "-m", "netsim")
NODES = ("node-1", "node-2", "node-3")
LAB = "steps"
CLIENT = "external/198.51.100.10"

SHAPES = [
    pytest.param("pod/shop/frontend-0", "10.96.20.1:80", "tcp", id="pod to ClusterIP"),
    pytest.param("pod/shop/api-0", "10.96.20.1:80", "tcp", id="pod to a ClusterIP that it serves"),
    pytest.param("pod/shop/frontend-0", "10.96.20.1:8125", "udp", id="pod to ClusterIP over UDP"),
    pytest.param("pod/shop/frontend-0", "192.168.10.1:30080", "tcp", id="pod to its own node's nodePort"),
    pytest.param("pod/shop/frontend-0", "192.168.10.2:30080", "tcp", id="pod to another node's nodePort"),
    pytest.param("pod/shop/frontend-0", "203.0.113.10:80", "tcp", id="pod to a load balancer address"),
    pytest.param("pod/shop/frontend-0", "10.244.1.11:9000", "tcp", id="pod to a pod of its node"),
    pytest.param("pod/shop/frontend-0", "10.244.2.11:9000", "tcp", id="pod to a pod of another node"),
    pytest.param("pod/shop/frontend-0", "10.96.20.1:81", "tcp", id="pod to a port that no Service has"),
    pytest.param("pod/shop/frontend-0", "10.96.20.4:80", "tcp", id="pod to an endpoint outside the cluster"),
    pytest.param("node/node-1", "10.96.20.1:80", "tcp", id="process on a node to ClusterIP"),
    pytest.param("node/node-1", "127.0.0.1:30080", "tcp", id="process on a node to nodePort on localhost"),
    pytest.param("node/node-2", "192.168.10.2:30080", "tcp", id="process on a node to its own nodePort"),
    pytest.param(CLIENT, "192.168.10.1:30080", "tcp", id="client outside to a nodePort"),
    pytest.param(
        "external/198.51.100.10", "192.168.10.3:30090", "tcp", id="client outside to a Local nodePort, no endpoint"
    ),
]

SEND = """
import socket, sys
family, kind, host, port = sys.argv[1:5]
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(0.4)
s.bind(("", int(family)))
try:
    s.connect((host, int(port)))
    if kind == "udp":
        s.send(b"?trace\\n")
        s.recv(100)
except OSError:
    pass
"""


class KernelStep(NamedTuple):
    """One rule that the kernel says matched, in save spelling."""

    table: str
    chain: str
    rule: str


def netsim(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((*NETSIM, *words), capture_output=True, text=True, check=False)


class Monitors:
    """xtables-monitor in every node; `hear` returns what was printed since, by node."""

    def __init__(self, folder: Path) -> None:
        self.files = {node: (folder / node).open("w+") for node in NODES}
        command = ("--", "xtables-monitor", "--trace")
        self.running = [
            subprocess.Popen((*NETSIM, "lab", "exec", LAB, f"node/{node}", *command), stdout=file, stderr=file)
            for node, file in self.files.items()
        ]
        self.read = dict.fromkeys(NODES, 0)

    def hear(self) -> dict[str, list[str]]:
        found = {}
        for node in NODES:
            text = Path(self.files[node].name).read_text()
            found[node] = text[self.read[node] :].splitlines()
            self.read[node] = len(text)
        return found

    def stop(self) -> None:
        for process in self.running:
            process.terminate()
            process.wait()
        for file in self.files.values():
            file.close()


@pytest.fixture(scope="module")
def monitors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitors]:
    folder = tmp_path_factory.mktemp("steps")
    before = os.environ.get("NETSIM_STATE")
    os.environ["NETSIM_STATE"] = str(folder / "labs")
    up = netsim("lab", "up", LAB, "-f", str(SHOP))
    assert up.returncode == 0, up.stderr
    for node in NODES:
        for chain in ("PREROUTING", "OUTPUT"):
            for protocol in (("-p", "tcp", "--syn"), ("-p", "udp")):
                words = ("iptables", "-t", "raw", "-I", chain, *protocol, "-j", "TRACE")
                assert netsim("lab", "exec", LAB, f"node/{node}", "--", *words).returncode == 0
    found = Monitors(folder)
    time.sleep(2)
    yield found
    found.stop()
    netsim("lab", "down", LAB)
    if before is None:
        del os.environ["NETSIM_STATE"]
    else:
        os.environ["NETSIM_STATE"] = before


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    return tracer_for((str(SHOP),), ())


PACKET = re.compile(r"^PACKET: \d+ ([0-9a-f]{8}) .* ID=(\d+) .*?SPORT=(\d+) ")
TRACE = re.compile(r"^ TRACE: \d+ ([0-9a-f]{8}) (\w+):([\w-]+):rule:\S+ +(-[46].*)$")


def kernel_steps(lines: list[str], packet: str) -> tuple[KernelStep, ...]:
    """Return the rules that a packet (by IP ID) matched; TRACE rules themselves left out."""
    identities = {m[1] for line in lines if (m := PACKET.match(line)) and m[2] == packet}
    found = []
    for line in lines:
        match = TRACE.match(line)
        if match and match[1] in identities and not match[4].rstrip().endswith("-j TRACE"):
            rule = match[4].partition(" -A ")[2]
            found.append(KernelStep(match[2], match[3], parse_rule(f"-A {rule}".strip(), match[2]).text))
    return tuple(found)


def model_steps(tracer: Tracer, source: str, target: str, protocol: str) -> list[dict[str, tuple[KernelStep, ...]]]:
    """Return, for every outcome, the rules matched by node."""
    found = []
    for outcome in tracer.trace(TraceQuery(source, target, protocol=protocol)).outcomes:
        by_node: dict[str, list[KernelStep]] = {}
        for hop in outcome.hops:
            listed = [KernelStep(s.table, s.chain, s.rule.text) for s in steps_of(hop) if s.rule is not None]
            if listed:
                by_node.setdefault(hop.machine.name, []).extend(listed)
        found.append({node: tuple(steps) for node, steps in by_node.items()})
    return found


@pytest.mark.parametrize(("source", "target", "protocol"), SHAPES)
def test_the_kernel_met_the_rules_that_the_model_says(
    source: str, target: str, protocol: str, monitors: Monitors, tracer: Tracer, request: pytest.FixtureRequest
) -> None:
    port = 20000 + SHAPES.index(next(shape for shape in SHAPES if shape.id == request.node.callspec.id))
    host, _, number = target.rpartition(":")
    monitors.hear()
    netsim("lab", "exec", LAB, source, "--", sys.executable, "-c", SEND, str(port), protocol, host, number)
    time.sleep(0.3)
    heard = monitors.hear()
    packets = [m for lines in heard.values() for line in lines if (m := PACKET.match(line)) and m[3] == str(port)]
    assert packets, "the kernel traced nothing"
    kernel = {node: steps for node in NODES if (steps := kernel_steps(heard[node], packets[0][2]))}
    assert kernel
    assert kernel in model_steps(tracer, source, target, protocol)
