"""Services: defaulted as the API server stores them. Addresses and node ports are allocated afterwards.

Source: pkg/apis/core/v1/defaults.go, pkg/registry/core/service/storage/alloc.go of v1.36; observed on kube-apiserver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netsim.cluster.model import LoadBalancerIngress, Service, ServicePort
from netsim.cluster.read import (
    IPV4,
    IPV6,
    canonical_ip,
    canonical_ips,
    dig,
    family_of,
    labels_of,
    mapping,
    metadata_of,
    number,
    objects,
    spec_of,
    status_of,
    text,
    texts,
)
from netsim.manifests.objects import Manifest

AFFINITY_SECONDS = 10800


def read_service(manifest: Manifest, cluster_families: Sequence[str]) -> Service:
    """Return a Service with every default but no allocation.

    cluster_families: the families of the cluster's service ranges, default one first.
    """
    metadata, spec = metadata_of(manifest), spec_of(manifest)
    kind = text(spec.get("type")) or "ClusterIP"
    external_ips = tuple(filter(None, map(canonical_ip, texts(spec.get("externalIPs")))))
    external_name = kind == "ExternalName"
    cluster_ips = () if external_name else _cluster_ips(spec)
    selector = labels_of(spec["selector"]) if isinstance(spec.get("selector"), dict) else None
    policy, families = _families(spec, cluster_ips, selector, cluster_families) if not external_name else ("", ())
    return Service(
        namespace=manifest.namespace,
        name=manifest.name,
        type=kind,
        labels=labels_of(metadata.get("labels")),
        annotations=labels_of(metadata.get("annotations")),
        cluster_ips=cluster_ips,
        ip_families=families,
        ip_family_policy=policy,
        ports=tuple([_port(port) for port in objects(spec.get("ports"))]),
        selector=selector,
        external_ips=external_ips,
        load_balancer_ip=text(spec.get("loadBalancerIP")),
        ingress=_ingress(manifest),
        source_ranges=tuple(item.strip() for item in texts(spec.get("loadBalancerSourceRanges"))),
        affinity_seconds=_affinity(spec),
        external_traffic_policy=_external_policy(spec, kind, external_ips),
        internal_traffic_policy="" if external_name else text(spec.get("internalTrafficPolicy")) or "Cluster",
        health_check_node_port=number(spec.get("healthCheckNodePort")),
        allocate_node_ports=spec.get("allocateLoadBalancerNodePorts") is not False,
        external_name=text(spec.get("externalName")) if external_name else "",
        publish_not_ready=spec.get("publishNotReadyAddresses") is True,
        traffic_distribution=text(spec.get("trafficDistribution")),
        load_balancer_class=text(spec.get("loadBalancerClass")),
        source=manifest,
    )


def _cluster_ips(spec: Mapping[str, Any]) -> tuple[str, ...]:
    first, listed = text(spec.get("clusterIP")), texts(spec.get("clusterIPs"))
    if first == "None" or (not first and listed[:1] == ("None",)):
        return ("None",)
    primary = canonical_ip(first)
    rest = listed[1:] if primary and listed and canonical_ip(listed[0]) == primary else listed if not primary else ()
    return tuple(filter(None, (primary, *canonical_ips(rest))))


def _families(
    spec: Mapping[str, Any], cluster_ips: tuple[str, ...], selector: Mapping[str, str] | None, available: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return (ipFamilyPolicy, ipFamilies).

    Headless without selector: both families, RequireDualStack, unless SingleStack is asked for.
    """
    policy = text(spec.get("ipFamilyPolicy"))
    families = tuple(dict.fromkeys(f for f in texts(spec.get("ipFamilies")) if f in (IPV4, IPV6)))
    families = families or tuple(dict.fromkeys(family_of(ip) for ip in cluster_ips if ip != "None"))
    families = families or tuple(available[:1])
    if cluster_ips == ("None",) and not selector:
        return policy or "RequireDualStack", families if policy == "SingleStack" else _both(families)
    if policy in ("PreferDualStack", "RequireDualStack") and len(available) > 1:
        families = _both(families)
    return policy or "SingleStack", families


def _both(families: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*families, IPV4, IPV6)))


def _port(port: Mapping[str, Any]) -> ServicePort:
    target = port.get("targetPort")
    own = number(port.get("port"))
    return ServicePort(
        text(port.get("name")),
        own,
        text(port.get("protocol")) or "TCP",
        target if isinstance(target, str) and target else number(target) or own,
        number(port.get("nodePort")),
        text(port.get("appProtocol")),
    )


def _ingress(manifest: Manifest) -> tuple[LoadBalancerIngress, ...]:
    entries = dig(status_of(manifest), "loadBalancer", "ingress")
    if not entries:
        return ()
    return tuple(
        LoadBalancerIngress(canonical_ip(item.get("ip")), text(item.get("hostname")), text(item.get("ipMode")))
        for item in objects(entries)
    )


def _affinity(spec: Mapping[str, Any]) -> int | None:
    if spec.get("sessionAffinity") != "ClientIP":
        return None
    return number(dig(mapping(spec.get("sessionAffinityConfig")), "clientIP", "timeoutSeconds")) or AFFINITY_SECONDS


def _external_policy(spec: Mapping[str, Any], kind: str, external_ips: tuple[str, ...]) -> str:
    """Return externalTrafficPolicy: Cluster by default where the Service can be reached from outside, else absent."""
    given = text(spec.get("externalTrafficPolicy"))
    accessible = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(external_ips))
    return given or ("Cluster" if accessible else "")
