"""Controllers that the input does not have: one Pod and one Service each, assumed, so that a URL can be followed.

People rarely hand in their ingress controller's Deployment. The assumed one is an ordinary manifest: whatever is
derived from a real one (its ClusterIP, its EndpointSlice, its node, kube-proxy's rules) is derived from it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.errors import Where
from netsim.l7.frontend import ASSUMED_LABEL, GATEWAY_LABEL, NAME_LABEL, find
from netsim.l7.gateway.table import GatewayTable
from netsim.l7.router import Router
from netsim.manifests.objects import Manifest
from netsim.notes import Note

NAMESPACE = "netsim-assumed"
# TEST-NET-3 of RFC 5737: an address that no real cluster has.
FIRST_ADDRESS = 80


@dataclass(frozen=True, slots=True)
class Nowhere:
    """Positions of an assumed object: it stands in no file."""

    def find(self, path: tuple[str | int, ...], *, key: bool = False) -> Where:
        """Return a place that says so."""
        return Where("(assumed)")


def with_controllers(
    objects: Sequence[Manifest], cluster: Cluster, routers: Sequence[Router], options: BuildOptions
) -> Cluster:
    """Return the cluster with a controller for every router that has none; the same cluster when all have one."""
    missing = [router for router in routers if not _present(cluster, router)]
    extra = [manifest for number, router in enumerate(missing) for manifest in assumed(router, number)]
    return build((*objects, *extra), options) if extra else cluster


def _present(cluster: Cluster, router: Router) -> bool:
    return bool(find(cluster, router).pods)


def assumed(router: Router, number: int) -> Iterator[Manifest]:
    """Yield the Pod and the Service of an assumed controller."""
    name = f"{router.dialect}-controller" if not number else f"{router.dialect}-controller-{number}"
    labels = _labels(router)
    namespace = _namespace(router)
    ports = {"http": 80, "https": 443}
    declared = [{"name": key, "containerPort": port, "protocol": "TCP"} for key, port in ports.items()]
    spec = {"containers": [{"name": "controller", "image": "assumed", "ports": declared}]}
    yield _manifest("Pod", namespace, name, labels, spec, {})
    served = [{"name": key, "port": port, "targetPort": port, "protocol": "TCP"} for key, port in ports.items()]
    status = {"loadBalancer": {"ingress": [{"ip": f"203.0.113.{FIRST_ADDRESS + number}"}]}}
    yield _manifest(
        "Service", namespace, name, labels, {"type": "LoadBalancer", "selector": labels, "ports": served}, status
    )


def _labels(router: Router) -> dict[str, str]:
    if isinstance(router.table, GatewayTable):
        first = next(iter(router.table.gateways.values()), None)
        return {GATEWAY_LABEL: first.name} if first else {ASSUMED_LABEL: router.dialect}
    name = router.dialect if router.dialect in ("ingress-nginx", "apisix") else ""
    return {**({NAME_LABEL: name} if name else {}), ASSUMED_LABEL: router.dialect}


def _namespace(router: Router) -> str:
    if isinstance(router.table, GatewayTable):
        first = next(iter(router.table.gateways.values()), None)
        return first.namespace if first else NAMESPACE
    return NAMESPACE


def _manifest(
    kind: str, namespace: str, name: str, labels: dict[str, str], spec: dict[str, Any], status: dict[str, Any]
) -> Manifest:
    data = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": spec,
        **({"status": status} if status else {}),
    }
    return Manifest(data, Nowhere())


def note_of(router: Router, cluster: Cluster) -> Note | None:
    """Return the note that says a router's controller is assumed, None when the input has it."""
    if _present(cluster, router):
        return None
    what = router.name or router.dialect
    return Note("CONTROLLER_ASSUMED", f"no workload of the controller of {what} is in the input: one Pod is assumed")
