"""Which check belongs to which kind, and how the API server calls its resources."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from netsim.manifests.kinds import is_namespaced
from netsim.validate.cause import Causes
from netsim.validate.fields import Object

Check = Callable[[Object], Causes]

FREELY_NAMED = frozenset(("APIService", "CertificateSigningRequest", "ClusterTrustBundle", "StorageVersion"))
"""Kinds outside RBAC whose names need not be those of DNS: `v1.`, `signer.example:x`."""


@cache
def resource(api_version: str, kind: str) -> str:
    """Return the resource's name as in `services "web" already exists`: plural, with the group."""
    lower = kind.lower()
    plural = lower if lower == "endpoints" else _plural(lower)
    group = api_version.rpartition("/")[0]
    return f"{plural}.{group}" if group else plural


def _plural(word: str) -> str:
    if word.endswith("s"):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") else word + "s"


@cache
def checks() -> dict[str, Check]:
    """Return the check of each kind that has one, by `apiVersion/Kind`."""
    from netsim.validate import config, endpoints, ingress, jobs, podspec, service, storage, workloads
    from netsim.validate import gateway as gw
    from netsim.validate import gateway_routes as routes

    return {
        "v1/Service": service.service,
        "v1/Endpoints": endpoints.endpoints,
        "v1/Pod": podspec.pod,
        "v1/Namespace": config.namespace,
        "v1/Node": config.node,
        "v1/ConfigMap": config.config_map,
        "v1/Secret": config.secret,
        "v1/PersistentVolume": storage.persistent_volume,
        "v1/PersistentVolumeClaim": storage.claim,
        "v1/ReplicationController": workloads.replication_controller,
        "apps/v1/Deployment": workloads.deployment,
        "apps/v1/ReplicaSet": workloads.replica_set,
        "apps/v1/StatefulSet": workloads.stateful_set,
        "apps/v1/DaemonSet": workloads.daemon_set,
        "batch/v1/Job": jobs.job,
        "batch/v1/CronJob": jobs.cron_job,
        "discovery.k8s.io/v1/EndpointSlice": endpoints.endpoint_slice,
        "networking.k8s.io/v1/Ingress": ingress.ingress,
        "networking.k8s.io/v1/IngressClass": ingress.ingress_class,
        "networking.k8s.io/v1/NetworkPolicy": ingress.network_policy,
        "networking.k8s.io/v1/ServiceCIDR": config.service_cidr,
        "networking.k8s.io/v1/IPAddress": config.ip_address,
        "storage.k8s.io/v1/StorageClass": storage.storage_class,
        **_gateway(
            {"GatewayClass": gw.gateway_class, "Gateway": gw.gateway, "BackendTLSPolicy": gw.backend_tls_policy}
        ),
        **_gateway({"HTTPRoute": routes.http_route, "GRPCRoute": routes.grpc_route}),
        **_gateway(dict.fromkeys(("TLSRoute", "TCPRoute", "UDPRoute"), routes.stream_route)),
    }


def _gateway(found: dict[str, Check]) -> dict[str, Check]:
    """Return checks of Gateway API kinds for every version that has been served."""
    versions = ("v1", "v1beta1", "v1alpha3", "v1alpha2")
    return {
        f"gateway.networking.k8s.io/{version}/{kind}": check for version in versions for kind, check in found.items()
    }


def check_of(api_version: str, kind: str) -> Check:
    """Return the check of a kind; for one without rules of its own, of its metadata."""
    from netsim.validate import config

    known = checks().get(f"{api_version}/{kind}")
    if known is not None:
        return known
    if api_version.startswith("rbac.") or kind in FREELY_NAMED:
        return config.free_namespaced if is_namespaced(kind) else config.free_cluster_scoped
    return config.namespaced if is_namespaced(kind) else config.cluster_scoped
