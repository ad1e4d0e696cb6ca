"""How fast the DNS is: answers in process, lines of a query file, and the server's CPU per UDP answer.

`python -m bench.dns [--services N]` from the project's root. Limits are those promised: 40,000 answers and 10,000 query
lines a second on one core, and an answer that costs no more at 10,000 Services than at 100. Exit 1 when one is not met.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netsim.cluster.model import Cluster, EndpointSlice, Service, ServicePort, SliceEndpoint, SlicePort
from netsim.dns.open import ClusterDns, open_dns
from netsim.dns.records import Query
from netsim.dns.wire import Request, parse, render

STATED = "SRV of ten, cut to 512 bytes"
NAMESPACES, ENDPOINTS, SAMPLE, ROUNDS = 50, 5, 20_000, 3
ANSWERS_A_SECOND, LINES_A_SECOND, FLAT = 40_000, 10_000, 1.6


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report; limit 0: only stated. `least`: whether the limit is a lower bound."""

    what: str
    value: float
    unit: str
    limit: float = 0
    least: bool = True

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return not self.limit or (self.value >= self.limit if self.least else self.value <= self.limit)


def cluster_ip(number: int) -> str:
    return f"10.{96 + number // 65536}.{number // 256 % 256}.{number % 256}"


def make_cluster(count: int) -> Cluster:
    """Return *count* Services with two ports and five endpoints each; every fifth is headless."""
    ports = (ServicePort("http", 80), ServicePort("https", 443))
    services, slices = [], []
    for number in range(count):
        namespace, name = f"ns{number % NAMESPACES}", f"svc{number}"
        ips = (cluster_ip(number),) if number % 5 else ("None",)
        services.append(Service(namespace, name, cluster_ips=ips, ports=ports))
        endpoints = tuple(
            SliceEndpoint((f"10.{128 + i}.{number // 256}.{number % 256}",), ready=True) for i in range(ENDPOINTS)
        )
        slice_ports = (SlicePort("http", 8080), SlicePort("https", 8443))
        slices.append(EndpointSlice(namespace, f"{name}-1", name, "IPv4", ports=slice_ports, endpoints=endpoints))
    return Cluster(services=tuple(services), slices=tuple(slices), namespaces={f"ns{i}": {} for i in range(NAMESPACES)})


def questions(count: int, rng: random.Random) -> dict[str, list[Query]]:
    """Return questions by kind, what a pod's search list and clients ask."""
    plain = [n for n in (rng.randrange(count) for _ in range(SAMPLE * 2)) if n % 5][:SAMPLE]
    headless = [n - n % 5 for n in plain]

    def name(number: int) -> str:
        return f"svc{number}.ns{number % NAMESPACES}.svc.cluster.local."

    found = {
        "A of a ClusterIP": [Query(name(n)) for n in plain],
        "AAAA, NODATA": [Query(name(n), "AAAA") for n in plain],
        "search list, NXDOMAIN": [Query(name(n) + "ns1.svc.cluster.local.") for n in plain],
        "SRV of a port": [Query("_http._tcp." + name(n), "SRV") for n in plain],
        "A of five endpoints": [Query(name(n)) for n in headless],
        STATED: [Query(name(n), "SRV") for n in headless],
        "PTR of a ClusterIP": [
            Query(".".join(cluster_ip(n).split(".")[::-1]) + ".in-addr.arpa.", "PTR") for n in plain
        ],
    }
    mixed = [query for listed in found.values() for query in listed]
    rng.shuffle(mixed)
    return {**found, "all of them, mixed": mixed[: SAMPLE * 2]}


def rate(work: Callable[[], object], count: int) -> float:
    """Return how many a second of CPU, the best of several rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        best = max(best, count / (time.process_time() - start))
    return best


def answer_all(dns: ClusterDns, queries: Sequence[Query]) -> None:
    for query in queries:
        dns.server.answer(query)


def in_process(count: int, limit: float) -> tuple[list[Figure], float]:
    dns = open_dns(make_cluster(count))
    figures, mixed = [], 0.0
    for kind, queries in questions(count, random.Random(1)).items():
        mixed = rate(lambda queries=queries: answer_all(dns, queries), len(queries))  # type: ignore[misc]
        figures.append(Figure(f"{kind}, {count} Services", mixed, "answers/s", 0 if kind == STATED else limit))
    return figures, mixed


def wire_figures(count: int) -> list[Figure]:
    """Return the CPU of one UDP answer without the socket, and the share of it that is wire format."""
    dns = open_dns(make_cluster(count))
    queries = questions(count, random.Random(2))["all of them, mixed"][:SAMPLE]
    requests = [request_bytes(number, query) for number, query in enumerate(queries)]

    def whole() -> None:
        for data in requests:
            parsed = parse(data, "udp", "10.244.9.9")
            assert isinstance(parsed, Request)
            render(parsed.id, dns.server.answer(parsed.query))

    each = 1e6 / rate(whole, len(requests))
    alone = 1e6 / rate(lambda: answer_all(dns, queries), len(queries))
    share = Figure("of which wire format", 100 * (1 - alone / each), "%")
    return [Figure("parse, answer and render one UDP message", each, "µs CPU"), share]


def request_bytes(number: int, query: Query) -> bytes:
    import dns.message

    message = dns.message.make_query(query.name, query.type)
    message.id = number & 0xFFFF
    return message.to_wire()


def manifests(directory: Path, count: int) -> Path:
    """Write the cluster as a List of stored objects."""
    cluster = make_cluster(count)
    items: list[dict[str, object]] = [
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": s.name, "namespace": s.namespace},
            "spec": {"clusterIP": s.cluster_ips[0], "ports": [{"name": p.name, "port": p.port} for p in s.ports]},
        }
        for s in cluster.services
    ]  # fmt: skip
    items += [
        {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": s.name, "namespace": s.namespace, "labels": {"kubernetes.io/service-name": s.service}},
            "ports": [{"name": p.name, "port": p.port, "protocol": "TCP"} for p in s.ports],
            "endpoints": [{"addresses": list(e.addresses)} for e in s.endpoints],
        }
        for s in cluster.slices
    ]  # fmt: skip
    path = directory / "cluster.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return path


def query_lines(count: int, lines: int) -> Figure:
    """Return the lines a second of `--queries`: the difference of a long and a short run, so loading does not count."""
    with tempfile.TemporaryDirectory() as folder:
        path = manifests(Path(folder), count)
        queries = questions(count, random.Random(3))["all of them, mixed"]
        text = "".join(json.dumps({"id": i, "name": q.name, "type": q.type}) + "\n" for i, q in enumerate(queries))
        used = []
        for repeat in (1, 1 + lines // len(queries)):
            file = Path(folder) / f"queries{repeat}"
            file.write_text(text * repeat)
            used.append((repeat * len(queries), cpu_of(["dns", "-q", "-f", str(path), "--queries", str(file)])))
    (few, short), (many, long) = used
    return Figure(f"--queries at {count} Services", (many - few) / (long - short), "lines/s", LINES_A_SECOND)


def cpu_of(words: list[str]) -> float:

    with open(os.devnull, "wb") as sink:
        child = subprocess.Popen([sys.executable, "-m", "netsim", *words], stdout=sink)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"netsim {' '.join(words)}: exit code {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def served(count: int, messages: int) -> Figure:
    """Return the CPU of the real server per UDP answer, sockets included, asked one message at a time."""

    with tempfile.TemporaryDirectory() as folder:
        path = manifests(Path(folder), count)
        words = [sys.executable, "-m", "netsim", "dns", "-q", "-f", str(path), "--serve", "127.0.0.1:0"]
        server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        found = re.search(r":(\d+) \(udp", server.stderr.readline())
        assert found is not None
        queries = questions(count, random.Random(4))["all of them, mixed"]
        requests = [request_bytes(i, q) for i, q in enumerate(queries[:messages])]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", int(found[1])))
            client.settimeout(5)
            before = cpu_seconds(server.pid)
            for data in requests:
                client.send(data)
                client.recv(65535)
            used = cpu_seconds(server.pid) - before
        server.terminate()
        server.wait()
    return Figure("server, one UDP answer", used / len(requests) * 1e6, "µs CPU")


def cpu_seconds(pid: int) -> float:

    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, print, and say whether every limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    count = parser.parse_args().services
    _, few = in_process(100, 0)
    figures, many = in_process(count, ANSWERS_A_SECOND)
    figures.append(Figure(f"cost of an answer, {count} to 100 Services", few / many, "times", FLAT, least=False))
    figures += [*wire_figures(count), query_lines(count, 120_000), served(count, SAMPLE)]
    for figure in figures:
        limit = f"  {'at least' if figure.least else 'at most'} {figure.limit:,.4g}" if figure.limit else ""
        print(f"{'ok  ' if figure.kept else 'MISS'}  {figure.what:42} {figure.value:12,.1f} {figure.unit}{limit}")
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
