"""Small clusters with an ingress controller of the test's choice, as plain objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]
CERTIFICATE = "netsim.test/cert-sans"


def node(number: int) -> Json:
    cidr = f"10.244.{number}.0/24"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{number}"},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        "status": {"addresses": [{"type": "InternalIP", "address": f"192.168.10.{number}"}]},
    }


def pod(name: str, number: int, ip: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name.partition("-")[0]}},
        "spec": {"nodeName": f"node-{number}", "containers": [{"name": "c", "image": "x"}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def service(name: str, cluster_ip: str) -> Json:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": cluster_ip, "selector": {"app": name}, "ports": ports},
    }


def ingress_class(name: str, controller: str) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": controller},
    }


def ingress(
    name: str, host: str, backends: dict[str, str], class_name: str = "nginx", tls: str = "", **annotations: str
) -> Json:
    """An Ingress: backends are Services by path; annotations are ingress-nginx's, `_` for `-`."""
    paths = [
        {"path": path, "pathType": "Prefix", "backend": {"service": {"name": to, "port": {"number": 80}}}}
        for path, to in backends.items()
    ]
    prefixed = {f"nginx.ingress.kubernetes.io/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": prefixed},
        "spec": {
            "ingressClassName": class_name,
            "rules": [{"host": host, "http": {"paths": paths}}],
            **({"tls": [{"hosts": [host], "secretName": tls}]} if tls else {}),
        },
    }


def certificate(name: str, names: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "default", "annotations": {CERTIFICATE: names}},
        "type": "kubernetes.io/tls",
    }


def controller(
    kind: str = "NodePort",
    *,
    name: str = "ingress-nginx",
    cluster_ip: str = "10.96.2.1",
    args: tuple[str, ...] = (),
    host_network: bool = False,
    replicas: int = 1,
    **spec: Any,
) -> list[Json]:
    """A Deployment that runs ingress-nginx, and its Service of a type."""
    labels = {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/instance": name}
    ports = [{"name": "http", "containerPort": 80}, {"name": "https", "containerPort": 443}]
    container = {
        "name": "controller",
        "image": "registry.k8s.io/ingress-nginx/controller:v1.15.1",
        "args": ["/nginx-ingress-controller", *args],
        "ports": ports,
    }
    pods = {"metadata": {"labels": labels}, "spec": {"hostNetwork": host_network, "containers": [container]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "ingress"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pods},
    }
    numbers = {"http": (80, 30080), "https": (443, 30443)}
    served = [
        {"name": key, "port": port, "targetPort": key, **({} if kind == "ClusterIP" else {"nodePort": node_port})}
        for key, (port, node_port) in numbers.items()
    ]
    front = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "ingress"},
        "spec": {"type": kind, "clusterIP": cluster_ip, "selector": labels, "ports": served, **spec},
        **({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}} if kind == "LoadBalancer" else {}),
    }
    return [deployment, front]


SHOP = [
    node(1),
    node(2),
    ingress_class("nginx", "k8s.io/ingress-nginx"),
    service("main", "10.96.1.1"),
    service("canary", "10.96.1.2"),
    service("empty", "10.96.1.3"),
    pod("main-1", 1, "10.244.1.11"),
    pod("main-2", 2, "10.244.2.11"),
    pod("canary-1", 2, "10.244.2.12"),
    pod("client", 1, "10.244.1.100"),
]
MAIN = {"10.244.1.11:8080", "10.244.2.11:8080"}
CANARY = {"10.244.2.12:8080"}


def write(folder: Path, *objects: Json) -> str:
    path = folder / "input.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*SHOP, *objects]}))
    return str(path)
