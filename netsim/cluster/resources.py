"""What `get` lists: every kind under kubectl's names, each object as the API server would store it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from netsim.cluster import legacy_endpoints
from netsim.cluster.default_class import with_default_class
from netsim.cluster.default_pods import Object
from netsim.cluster.model import Cluster
from netsim.cluster.read import mapping, text
from netsim.cluster.scope import CLUSTER_SCOPED
from netsim.cluster.stored import stored, stored_node, stored_pod, stored_service, stored_slice
from netsim.manifests.kinds import table

SHORT_NAMES: Mapping[str, str] = {
    "cm": "ConfigMap",
    "cj": "CronJob",
    "crd": "CustomResourceDefinition",
    "crds": "CustomResourceDefinition",
    "csr": "CertificateSigningRequest",
    "deploy": "Deployment",
    "ds": "DaemonSet",
    "ep": "Endpoints",
    "eps": "EndpointSlice",
    "gc": "GatewayClass",
    "gtw": "Gateway",
    "hpa": "HorizontalPodAutoscaler",
    "ing": "Ingress",
    "ip": "IPAddress",
    "limits": "LimitRange",
    "netpol": "NetworkPolicy",
    "no": "Node",
    "ns": "Namespace",
    "pc": "PriorityClass",
    "pdb": "PodDisruptionBudget",
    "po": "Pod",
    "pv": "PersistentVolume",
    "pvc": "PersistentVolumeClaim",
    "quota": "ResourceQuota",
    "rc": "ReplicationController",
    "rs": "ReplicaSet",
    "sa": "ServiceAccount",
    "sc": "StorageClass",
    "sts": "StatefulSet",
    "svc": "Service",
}
# kubectl's category `all`, in its order.
ALL = ("Pod", "Service", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job", "CronJob")
MODELLED = ("Node", "Pod", "Service", "EndpointSlice", "Namespace")


def plural(kind: str) -> str:
    """Return the resource name of a kind, as the API spells it in URLs (`EndpointSlice` is endpointslices)."""
    lower = kind.lower()
    if lower == "endpoints":
        return lower
    if lower.endswith("y") and not lower.endswith(("ay", "ey", "oy", "uy")):
        return lower[:-1] + "ies"
    return lower + ("es" if lower.endswith(("s", "x", "ch", "sh")) else "s")


@cache
def built_in_kinds() -> tuple[str, ...]:
    """Return the kinds that v1.36 serves, Lists left out."""
    kinds = {name.rpartition("/")[2] for name in table().kinds}
    return tuple(sorted(kind for kind in kinds if not (kind.endswith("List") and kind[:-4] in kinds)))


def find_kind(word: str, cluster: Cluster) -> str:
    """Return the kind that a word names (Kind, plural, short name, with or without group), "" for none."""
    name = word.partition(".")[0].lower()
    if name in SHORT_NAMES:
        return SHORT_NAMES[name]
    kinds = dict.fromkeys((*cluster.objects, *MODELLED, *built_in_kinds()))
    return next((kind for kind in kinds if name in (kind.lower(), plural(kind))), "")


def is_namespaced(kind: str) -> bool:
    """Whether objects of a kind live in namespaces."""
    return kind not in CLUSTER_SCOPED


def resources(cluster: Cluster, kind: str) -> list[Object]:
    """Return every object of a kind as stored, sorted by (namespace, name)."""
    return sorted(_resources(cluster, kind), key=_full_name)


def _full_name(item: Object) -> tuple[str, str]:
    metadata = mapping(item.get("metadata"))
    return text(metadata.get("namespace")), text(metadata.get("name"))


def _resources(cluster: Cluster, kind: str) -> Iterator[Object]:
    match kind:
        case "Node":
            yield from (stored_node(node) for node in cluster.nodes)
        case "Pod":
            nodes = {node.name: node for node in cluster.nodes}
            yield from (stored_pod(pod, nodes.get(pod.node_name)) for pod in cluster.pods)
        case "Service":
            yield from (stored_service(service) for service in cluster.services)
        case "EndpointSlice":
            yield from (stored_slice(item) for item in cluster.slices)
        case "Endpoints":
            yield from legacy_endpoints.derived(cluster)
        case "Namespace":
            yield from _namespaces(cluster)
        case _:
            pass
    if kind == "Ingress":
        classes = cluster.objects.get("IngressClass", ())
        yield from (with_default_class(stored(manifest), classes) for manifest in cluster.objects.get(kind, ()))
    elif kind != "Namespace":
        yield from (stored(manifest) for manifest in cluster.objects.get(kind, ()))


def _namespaces(cluster: Cluster) -> Iterator[Object]:
    given = {manifest.name: manifest for manifest in cluster.objects.get("Namespace", ())}
    for name, labels in cluster.namespaces.items():
        if name in given:
            yield stored(given[name])
        else:
            status = {"phase": "Active"}
            yield {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": dict(labels)},
                "spec": {"finalizers": ["kubernetes"]},
                "status": status,
            }
