"""Small clusters written as text, for tests of single rules of the model."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import yaml

from netsim.cli.proxy_flags import proxy_config
from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.hosts.dumps import Dumps
from netsim.manifests.load import load
from netsim.trace.answer import Answer
from netsim.trace.query import TraceQuery
from netsim.trace.setup import make_tracer
from netsim.trace.tracer import Tracer
from tests.conformance_support.model import flag_values


def node(number: int, **more: Any) -> dict[str, Any]:
    cidrs = [f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"]
    ips = [f"192.168.10.{number}", f"fd00:192:168:10::{number}"]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{number}", **more},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        "status": {"addresses": [{"type": "InternalIP", "address": ip} for ip in ips]},
    }


def pod(
    name: str, on: int, last: int, *, host: bool = False, ports: tuple[int, ...] = (8080,), **more: Any
) -> dict[str, Any]:
    ips = [f"10.244.{on}.{last}", f"fd00:10:244:{on}::{last}"]
    if host:
        ips = [f"192.168.10.{on}", f"fd00:192:168:10::{on}"]
    listed = [{"containerPort": port} for port in ports]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name.partition("-")[0]}, **more},
        "spec": {
            "nodeName": f"node-{on}",
            "hostNetwork": host,
            "containers": [{"name": "c", "image": "c", "ports": listed}],
        },
        "status": {
            "phase": "Running",
            "podIP": ips[0],
            "podIPs": [{"ip": ip} for ip in ips],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def service(
    name: str, ip: str, *, port: int = 80, target: int = 8080, node_port: int = 0, **spec: Any
) -> dict[str, Any]:
    ports = {"name": "http", "port": port, "targetPort": target, **({"nodePort": node_port} if node_port else {})}
    kind = spec.pop("type", "NodePort" if node_port else "ClusterIP")
    status = spec.pop("status", {})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "clusterIP": ip,
            "clusterIPs": [ip],
            "type": kind,
            "selector": {"app": name},
            "ports": [ports],
            **spec,
        },
        "status": status,
    }


def cluster_of(*objects: dict[str, Any]) -> Cluster:
    text = yaml.safe_dump_all(objects)
    return build(load(("-",), stdin=BytesIO(text.encode())).objects, BuildOptions())


def tracer_of(*objects: dict[str, Any], flags: tuple[str, ...] = (), dumps: Dumps | None = None) -> Tracer:
    cluster = cluster_of(*objects)
    config, notes = proxy_config(flag_values(("--cluster-cidr=10.244.0.0/16,fd00:10:244::/48", *flags)), cluster)
    return make_tracer(cluster, config, dumps=dumps, notes=notes)


def ask(tracer: Tracer, source: str, target: str, **more: Any) -> Answer:
    return tracer.trace(TraceQuery(source, target, **more))


WEB = (
    node(1),
    node(2),
    pod("web-1", 1, 5),
    pod("web-2", 2, 5),
    pod("client-1", 1, 100),
    pod("client-2", 2, 100),
    service("web", "10.96.1.1", node_port=30080),
)
"""Two nodes, a Service with a pod on each, a client on each."""
