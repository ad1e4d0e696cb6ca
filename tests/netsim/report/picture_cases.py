"""Answers that the tests of pictures, kernel lines and captures share."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from netsim.cli.proxy_flags import proxy_config
from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.manifests.load import load
from netsim.trace.answer import Answer
from netsim.trace.query import TraceQuery
from netsim.trace.setup import make_tracer
from tests.conformance_support.model import tracer_for

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
HOSTILE = "<img src=x onerror=document.title=1><script>document.title=1<"
QUOTES = "\"'`]]>\\ \u202e&lt;"
NODES = 4

CASES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "a nodePort from outside": ("shop", "external", "node/node-1:30080", ()),
    "a nodePort from outside, nftables": ("shop", "external", "node/node-1:30080", ("--proxy-mode=nftables",)),
    "a nodePort from outside, ipvs": ("shop", "external", "node/node-1:30080", ("--proxy-mode=ipvs",)),
    "a pod to a ClusterIP that it serves": ("shop", "pod/shop/api-0", "svc/shop/api:80", ()),
    "UDP to a ClusterIP": ("shop", "pod/shop/api-0", "svc/shop/api:8125/udp", ()),
    "a load balancer's address": ("shop", "external", "203.0.113.10:80", ()),
    "a process on a node": ("shop", "node/node-1", "10.96.20.1:80", ()),
    "no endpoints": ("broken", "pod/default/client", "svc/default/typo:80", ()),
    "no local endpoints": ("broken", "pod/default/client", "svc/default/inner:80", ()),
    "source ranges": ("broken", "external", "203.0.113.6:80", ()),
    "IPv6 nodePort": ("dual-stack", "external", "[fd00:192:168:10::1]:30086", ()),
    "SCTP to a pod": ("broken", "pod/default/client", "pod/default/web-0:5000/sctp", ()),
    "a ClusterIP that nobody has": ("shop", "external", "10.96.99.99:80", ()),
}


def answer(case: str) -> Answer:
    folder, source, target, flags = CASES[case]
    return tracer_for((str(TOPOLOGIES / folder),), flags).trace(TraceQuery(source, target, with_return=True))


def node(name: str, number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "spec": {"podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": f"192.168.10.{number}"}]},
    }  # fmt: skip


def pod(name: str, node_name: str, address: str, namespace: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
        "spec": {"nodeName": node_name, "containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]},
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }  # fmt: skip


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 80, "nodePort": 30001}]
    full = {"type": "NodePort", "clusterIP": "10.96.0.77", "selector": {"app": "web"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"}, "spec": full}


def cluster(pods: int, *, pod_name: str = "web-{}", node_name: str = "node-{}") -> list[dict[str, Any]]:
    """Return a Service with so many pods spread over NODES nodes."""
    nodes = [node(node_name.format(number), number) for number in range(1, NODES + 1)]
    made = [
        pod(pod_name.format(i), node_name.format(i % NODES + 1), f"10.244.{i % NODES + 1}.{10 + i // NODES}")
        for i in range(pods)
    ]
    return [*nodes, *made, service()]


def written(folder: Path, objects: list[dict[str, Any]]) -> str:
    path = folder / "cluster.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    return str(path)


def traced(path: str, source: str, target: str, **query: Any) -> Answer:
    found = build(load((path,)).objects, BuildOptions())
    config, notes = proxy_config({}, found)
    return make_tracer(found, config, notes=notes).trace(TraceQuery(source, target, with_return=True, **query))


@lru_cache(maxsize=8)
def many(folder: Path, pods: int) -> Answer:
    return traced(written(folder, cluster(pods)), "external", "192.168.10.1:30001")
