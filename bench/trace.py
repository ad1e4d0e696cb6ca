"""Traces a second in a cluster of 10,000 Services: pod -> ClusterIP -> ten endpoints on two nodes, all outcomes.

From query object to answer object, request direction (whether answers come back is part of every outcome) and with the
way back kept; without JSON. Every Service is asked for by many pods, in an order that never repeats a question.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from bench import generate
from iptables_gen.kubeproxy.inputs import ProxyConfig
from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.manifests.load import load
from netsim.trace.query import TraceQuery
from netsim.trace.setup import make_tracer
from netsim.trace.tracer import Tracer

CLIENTS = 40
LEAST, MOST_COST = 5000, 1.3
"""Answers a second that must be kept, half of it with return; cost of 10,000 Services against 100."""
POD_NETWORKS = (int(IPv4Address("10.128.0.0")), int(IPv4Address("10.136.0.0")))


def two_node_cluster(services: int, endpoints: int, seed: int) -> dict[str, Any]:
    """Return the generator's cluster with two nodes, endpoints alternating between them, and client pods."""
    found = generate.cluster(services, endpoints, seed)
    kept = [item for item in found["items"] if item["kind"] != "Node"]
    counters = [10, 10]
    for item in kept:
        for number, endpoint in enumerate(item.get("endpoints", ())):
            side = number % 2
            counters[side] += 1
            endpoint["addresses"] = [str(IPv4Address(POD_NETWORKS[side] + counters[side]))]
            endpoint["nodeName"] = f"node-{side + 1}"
    clients = [_client(number) for number in range(CLIENTS)]
    return {**found, "items": [*map(_node, (0, 1)), *clients, *kept]}


def _node(side: int) -> dict[str, Any]:
    cidr = f"{IPv4Address(POD_NETWORKS[side])}/13"
    address = {"type": "InternalIP", "address": f"192.168.10.{side + 1}"}
    metadata = {"name": f"node-{side + 1}", "labels": {"topology.kubernetes.io/zone": "zone-a"}}
    spec = {"podCIDR": cidr, "podCIDRs": [cidr]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": {"addresses": [address]}}


def _client(number: int) -> dict[str, Any]:
    ip = str(IPv4Address(POD_NETWORKS[0] + 0x70000 + number))
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}
    spec = {"nodeName": "node-1", "containers": [{"name": "c", "image": "c"}]}
    metadata = {"name": f"client-{number}", "namespace": "bench"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def prepared(services: int, endpoints: int, mode: str) -> Tracer:
    """Return a tracer over the loaded cluster."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cluster.json"
        path.write_text(json.dumps(two_node_cluster(services, endpoints, 1)))
        loaded = load((str(path),))
    cluster = build(loaded.objects, BuildOptions())
    return make_tracer(cluster, ProxyConfig(mode=mode, cluster_cidrs=("10.128.0.0/9",)))  # type: ignore[arg-type]


def questions(services: int, count: int) -> list[TraceQuery]:
    """Return (client, Service) pairs in random order, at most *count*; none comes twice, and client 0 asks nothing."""
    every = range(services, CLIENTS * services)
    numbers = random.Random(2).sample(every, min(count, len(every)))
    return [TraceQuery(f"pod/bench/client-{number // services}", service_name(number % services)) for number in numbers]


def service_name(index: int) -> str:
    """Return the generator's name of a Service, as TO."""
    return f"svc/team-{index % 50:02d}/service-{index:05d}:80"


def rate(tracer: Tracer, asked: list[TraceQuery]) -> float:
    """Return answers a second; raises when an answer is not the expected one."""
    started = time.process_time()
    for query in asked:
        answer = tracer.trace(query)
        if len(answer.outcomes) != 10 or answer.verdict != "REACHABLE":
            raise AssertionError(answer.summary)
    return len(asked) / (time.process_time() - started)


@dataclass(slots=True)
class Bench:
    """One cluster: its tracer, the questions not yet asked, and the best rates so far (answers a second)."""

    services: int
    tracer: Tracer
    asked: list[TraceQuery]
    first: float
    there: float = 0
    back: float = 0

    def round(self, size: int) -> None:
        """Ask the next questions, half of them with the way back shown."""
        part, self.asked = self.asked[: 2 * size], self.asked[2 * size :]
        self.there = max(self.there, rate(self.tracer, part[:size]))
        self.back = max(self.back, rate(self.tracer, [replace(query, with_return=True) for query in part[size:]]))


def opened(services: int, mode: str, count: int) -> Bench:
    """Return a loaded cluster of which every Service has been asked for once, by client 0."""
    tracer = prepared(services, 10, mode)
    first = rate(tracer, [TraceQuery("pod/bench/client-0", service_name(number)) for number in range(services)])
    return Bench(services, tracer, questions(services, count), first)


def main() -> int:
    """Print one line a cluster; return 1 when a limit is not kept. The clusters take turns, no question comes twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", default="iptables")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--services", type=int, nargs="*", default=[100, 10_000])
    arguments = parser.parse_args()
    size = (CLIENTS - 1) * min(arguments.services) // (2 * arguments.rounds)
    clusters = [opened(services, arguments.mode, 2 * size * arguments.rounds) for services in arguments.services]
    gc.collect()
    gc.freeze()
    for _ in range(arguments.rounds):
        for cluster in clusters:
            cluster.round(size)
    for cluster in clusters:
        print(
            f"{cluster.services:6} Services, {arguments.mode}: {cluster.there:7,.0f} answers a second, with return "
            f"{cluster.back:7,.0f}; first question of each Service {cluster.first:5,.0f}"
        )
    small, large = clusters[0], clusters[-1]
    cost = small.there / large.there
    print(f"{large.services} Services against {small.services}: {cost:.2f} times the cost (limit {MOST_COST})")
    kept = large.there >= LEAST and large.back >= LEAST / 2 and cost <= MOST_COST
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
