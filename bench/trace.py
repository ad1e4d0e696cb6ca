"""Traces a second in a cluster of 10,000 Services: pod -> ClusterIP -> ten endpoints on two nodes, all outcomes.

From query object to answer object, request direction (whether answers come back is part of every outcome) and with the
way back kept; without JSON. Every Service is asked for by many pods, in an order that never repeats a question.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import random
import sys
import tempfile
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import generate

from iptables_gen.kubeproxy.inputs import ProxyConfig
from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.manifests.load import load
from netsim.trace.query import TraceQuery
from netsim.trace.setup import make_tracer
from netsim.trace.tracer import Tracer

CLIENTS = 40
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


def questions(services: int, *, with_return: bool) -> list[TraceQuery]:
    """Return every (client, Service) pair, shuffled; no pair comes twice."""
    pairs = list(itertools.product(range(CLIENTS), range(services)))
    random.Random(2).shuffle(pairs)
    return [
        TraceQuery(
            f"pod/bench/client-{client}", f"svc/team-{index % 50:02d}/service-{index:05d}:80", with_return=with_return
        )
        for client, index in pairs
    ]


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


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", default="iptables")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--services", type=int, nargs="*", default=[100, 10_000])
    arguments = parser.parse_args()
    for services in arguments.services:
        started = time.process_time()
        tracer = prepared(services, 10, arguments.mode)
        loaded = time.process_time() - started
        warm = [TraceQuery("pod/bench/client-0", service_name(i)) for i in range(services)]
        first = rate(tracer, warm)
        gc.collect()
        gc.freeze()
        asked = [q for q in questions(services, with_return=False) if not q.source.endswith("/client-0")]
        count = min(arguments.count, len(asked) // 2)
        there = rate(tracer, asked[:count])
        again = [TraceQuery(q.source, q.target, with_return=True) for q in asked[count : 2 * count]]
        back = rate(tracer, again)
        print(
            f"{services:6} Services, {arguments.mode}: loaded in {loaded:.1f} s; first question of each Service "
            f"{first:,.0f}/s; {there:,.0f}/s; with return {back:,.0f}/s",
            flush=True,
        )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
