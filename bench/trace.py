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
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

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


class Speed(NamedTuple):
    """Answers a second: the first question of each Service, later ones, later ones with the way back shown."""

    services: int
    first: float
    there: float
    back: float


def measure(services: int, mode: str, count: int, rounds: int) -> Speed:
    """Return the best of several rounds; no question is asked twice."""
    tracer = prepared(services, 10, mode)
    first = rate(tracer, [TraceQuery("pod/bench/client-0", service_name(number)) for number in range(services)])
    gc.collect()
    gc.freeze()
    asked = questions(services, count)
    size = len(asked) // (2 * rounds)
    parts = [asked[number * size : (number + 1) * size] for number in range(2 * rounds)]
    there = max(rate(tracer, part) for part in parts[:rounds])
    back = max(rate(tracer, [replace(query, with_return=True) for query in part]) for part in parts[rounds:])
    return Speed(services, first, there, back)


def main() -> int:
    """Print one line a measurement; return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", default="iptables")
    parser.add_argument("--count", type=int, default=3900)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--services", type=int, nargs="*", default=[100, 10_000])
    arguments = parser.parse_args()
    found = []
    for services in arguments.services:
        speed = measure(services, arguments.mode, arguments.count, arguments.rounds)
        found.append(speed)
        print(
            f"{services:6} Services, {arguments.mode}: {speed.there:7,.0f} answers a second, with return "
            f"{speed.back:7,.0f}; first question of each Service {speed.first:5,.0f}",
            flush=True,
        )
    cost = found[0].there / found[-1].there
    print(f"{found[-1].services} Services against {found[0].services}: {cost:.2f} times the cost (limit {MOST_COST})")
    kept = found[-1].there >= LEAST and found[-1].back >= LEAST / 2 and cost <= MOST_COST
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
