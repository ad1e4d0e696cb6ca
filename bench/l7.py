"""How fast HTTP routing is: 5,000 Ingresses on 500 hosts, and the same on more and fewer hosts; exit 1 over a limit.

Run it with `python -m bench.l7`. Times are CPU seconds of this process; each is the best of several runs.
"""

from __future__ import annotations

import gc
import io
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.l7.request import Request, from_query
from netsim.l7.router import Router, build_routers, decide
from netsim.manifests.load import load

INGRESSES, HOSTS = 5_000, 500
BUILD_SECONDS, PER_SECOND, FLATNESS = 2.0, 20_000, 1.5
"""Limits: the table of 5,000 Ingresses, decisions a second, and how much slower ten times the hosts may be."""

T = TypeVar("T")


def objects(ingresses: int, hosts: int) -> list[dict[str, Any]]:
    """Return Ingresses spread over hosts, ten Services with two endpoints each, one class."""
    made: list[dict[str, Any]] = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        }
    ]
    for number in range(10):
        made += service(number)
    made += [ingress(number, f"host-{number % hosts}.example.com") for number in range(ingresses)]
    return made


def service(number: int) -> list[dict[str, Any]]:
    """Return a Service and its slice."""
    name = f"svc-{number}"
    metadata = {"name": f"{name}-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": name}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"clusterIP": f"10.96.1.{number + 1}", "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [f"10.244.{number}.{i}"], "conditions": {"ready": True}} for i in (1, 2)],
        },
    ]


def ingress(number: int, host: str) -> dict[str, Any]:
    """Return an Ingress with two paths of its own on a host."""
    backend = {"service": {"name": f"svc-{number % 10}", "port": {"number": 80}}}
    paths = [{"path": f"/app-{number}{end}", "pathType": kind, "backend": backend} for end, kind in _PATHS]
    annotations = {"nginx.ingress.kubernetes.io/proxy-body-size": "8m"} if number % 3 else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": f"ing-{number}", "namespace": "shop", "annotations": annotations},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": paths}}]},
    }


_PATHS = (("", "Prefix"), ("/exact", "Exact"))


def cluster_of(items: list[dict[str, Any]]) -> Cluster:
    """Return the cluster of plain objects."""
    loaded = load(["-"], stdin=io.BytesIO(orjson.dumps({"apiVersion": "v1", "kind": "List", "items": items})))
    return build(loaded.objects, BuildOptions())


def requests(ingresses: int, hosts: int, count: int) -> list[Request]:
    """Return requests spread over hosts and paths, some of which no rule has."""
    made = []
    for number in range(count):
        which = number * 7919 % ingresses
        path = f"/app-{which}/deep/er" if number % 4 else "/nothing/here"
        made.append(from_query({"host": f"host-{which % hosts}.example.com", "path": path}))
    return made


def timed(action: Callable[[], T], repeat: int = 3) -> tuple[float, T]:
    """Return the least CPU seconds of several runs, and the last result."""
    best = float("inf")
    for _ in range(repeat):
        gc.collect()
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return best, result


def decide_all(routers: Sequence[Router], asked: Sequence[Request]) -> int:
    """Decide every request; return how many were forwarded."""
    return sum(1 for request in asked if decide(routers, request).decision.status == 200)


def rate(hosts: int) -> tuple[float, float]:
    """Return the seconds to build the table for so many hosts, and decisions a second."""
    cluster = cluster_of(objects(INGRESSES, hosts))
    building, routers = timed(lambda: build_routers(cluster))
    asked = requests(INGRESSES, hosts, 20_000)
    deciding, forwarded = timed(lambda: decide_all(routers, asked))
    assert 0 < forwarded < len(asked)
    return building, len(asked) / deciding


def main() -> int:
    """Print the figures; return 1 when a limit is not kept."""
    building, per_second = rate(HOSTS)
    _, few = rate(HOSTS // 10)
    _, many = rate(HOSTS * 10)
    spread = max(few, per_second, many) / min(few, per_second, many)
    print(f"table of {INGRESSES} Ingresses on {HOSTS} hosts: {building:.2f} s CPU (limit {BUILD_SECONDS} s)")
    print(f"decisions: {per_second:,.0f}/s on {HOSTS} hosts (limit {PER_SECOND:,})")
    others = f"{few:,.0f}/s on {HOSTS // 10} hosts, {many:,.0f}/s on {HOSTS * 10}"
    print(f"decisions: {others}: spread {spread:.2f} (limit {FLATNESS})")
    return int(building > BUILD_SECONDS or per_second < PER_SECOND or spread > FLATNESS)


if __name__ == "__main__":
    sys.exit(main())
