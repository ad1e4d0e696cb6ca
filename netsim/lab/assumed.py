"""A controller for Ingresses that have none in the input: a Deployment and a LoadBalancer Service, as its charts make.

They are added to the manifests, so that model and lab know them alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from iptables_gen.values import parse_net
from netsim.cluster.model import Cluster
from netsim.hosts.services import service_vips
from netsim.l7.router import build_routers
from netsim.lab.ingress import DIALECT, frontends
from netsim.notes import Note

NAMESPACE, NAME = "ingress-nginx", "ingress-nginx-controller"
LABELS = {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}
PORTS = (("http", 80), ("https", 443))
FIRST = 80


def assumed_controller(cluster: Cluster) -> tuple[tuple[dict[str, Any], ...], tuple[Note, ...]]:
    """Return the manifests of a controller, and a note; nothing when no Ingress needs one or the input has one.

    One serves all classes: classes of one controller name share its configuration.
    """
    handled = any(router.dialect == DIALECT and router.handled for router in build_routers(cluster))
    if not handled or not all(front.assumed for _, _, front in frontends(cluster)):
        return (), ()
    addresses = tuple(_free_addresses(cluster))
    text = (
        f"no workload of ingress-nginx is in the input: assuming Deployment and Service {NAMESPACE}/{NAME} "
        f"of type LoadBalancer at {', '.join(addresses)}"
    )
    return (_deployment(), _service(cluster, addresses)), (Note("CONTROLLER_ASSUMED", text),)


def _families(cluster: Cluster) -> tuple[int, ...]:
    ranges = cluster.service_cidrs or cluster.assumed_service_cidrs
    nodes = {6 if ":" in ip else 4 for node in cluster.nodes for ip in node.internal_ips}
    found = dict.fromkeys(parse_net(cidr)[0] for cidr in ranges)
    return tuple(family for family in found if family in nodes) or (4,)


def _free_addresses(cluster: Cluster) -> Iterable[str]:
    taken = {ip for service in cluster.services for ip, _ in service_vips(service)}
    for family in _families(cluster):
        names = (f"203.0.113.{n}" if family == 4 else f"2001:db8:ff::{n}" for n in range(FIRST, FIRST + 100))
        yield next(name for name in names if name not in taken)


def _deployment() -> dict[str, Any]:
    ports = [{"name": name, "containerPort": port} for name, port in PORTS]
    containers = [{"name": "controller", "image": "registry.k8s.io/ingress-nginx/controller", "ports": ports}]
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": containers}}
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": LABELS}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _service(cluster: Cluster, addresses: Iterable[str]) -> dict[str, Any]:
    dual = len(_families(cluster)) > 1
    spec: dict[str, Any] = {
        "type": "LoadBalancer",
        "selector": LABELS,
        "ports": [{"name": name, "port": port, "targetPort": name} for name, port in PORTS],
        **({"ipFamilyPolicy": "PreferDualStack"} if dual else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": LABELS},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}},
    }
