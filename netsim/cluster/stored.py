"""Objects as the API server would store them: defaults, allocation, and what the controllers made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netsim.cluster import default_objects, default_workloads
from netsim.cluster.default_pods import Object, filled, pod_defaults, qos_class
from netsim.cluster.model import EndpointSlice, Node, Pod, Service, ServicePort, SliceEndpoint, SlicePort
from netsim.cluster.omit import omit_empty
from netsim.cluster.read import canonical_ip, dig, mapping, objects, text, texts
from netsim.manifests.objects import Manifest

# A pod that a what-if deletes needs some time of deletion, and there is no clock.
NO_TIME = "1970-01-01T00:00:00Z"
DEFAULTS: Mapping[str, Callable[[Object], Object]] = {
    "v1/Namespace": default_objects.namespace,
    "v1/Endpoints": default_objects.endpoints,
    "v1/PersistentVolume": default_objects.volume,
    "v1/PersistentVolumeClaim": default_objects.claim,
    "v1/Secret": default_objects.secret,
    "apps/v1/Deployment": default_workloads.deployment,
    "apps/v1/ReplicaSet": default_workloads.replica_set,
    "apps/v1/StatefulSet": default_workloads.stateful_set,
    "apps/v1/DaemonSet": default_workloads.daemon_set,
    "batch/v1/Job": default_workloads.job,
    "batch/v1/CronJob": default_workloads.cron_job,
    "discovery.k8s.io/v1/EndpointSlice": default_objects.endpoint_slice,
    "networking.k8s.io/v1/Ingress": default_objects.ingress,
    "networking.k8s.io/v1/IngressClass": default_objects.ingress_class,
    "networking.k8s.io/v1/NetworkPolicy": default_objects.network_policy,
    "storage.k8s.io/v1/StorageClass": default_objects.storage_class,
}


def stored(manifest: Manifest) -> Object:
    """Return an object with its defaults, as stored; managedFields are left out, as kubectl does."""
    data = written(manifest)
    change = DEFAULTS.get(f"{manifest.api_version}/{manifest.kind}")
    return change(data) if change else data


def written(manifest: Manifest) -> Object:
    """Return an object as Go writes it back, with its namespace, without managedFields."""
    data = omit_empty(manifest.data, manifest.api_version, manifest.kind)
    metadata = {key: value for key, value in mapping(data.get("metadata")).items() if key != "managedFields"}
    if manifest.namespace:
        metadata["namespace"] = manifest.namespace
    return {**data, "metadata": metadata}


def stored_service(service: Service) -> Object:
    """Return a Service as stored: its manifest's fields, defaulted and allocated."""
    data = written(service.source) if service.source else {"metadata": {"name": service.name}}
    spec = dict(mapping(data.get("spec")))
    for key, value in _service_fields(service, spec).items():
        if value is None:
            spec.pop(key, None)
        else:
            spec[key] = value
    # A status is written by the cloud's controller for a LoadBalancer only; the server clears it for other types.
    ingress = dig(data, "status", "loadBalancer", "ingress") if service.type == "LoadBalancer" else None
    status = {**mapping(data.get("status")), "loadBalancer": {"ingress": ingress} if ingress else {}}
    head = {"apiVersion": "v1", "kind": "Service"}
    metadata = {**mapping(data.get("metadata")), "namespace": service.namespace}
    return {**data, **head, "metadata": metadata, "spec": spec, "status": status}


def _service_fields(service: Service, spec: Mapping[str, Any]) -> Object:
    """Return spec fields to set; None removes one."""
    external_name = service.type == "ExternalName"
    cluster_ips = None if external_name else [_as_given(ip, spec) for ip in service.cluster_ips]
    return {
        "type": service.type,
        "clusterIP": cluster_ips[0] if cluster_ips else None,
        "clusterIPs": cluster_ips or None,
        "ipFamilies": None if external_name else list(service.ip_families),
        "ipFamilyPolicy": service.ip_family_policy or None,
        "ports": _service_ports(service.ports, objects(spec.get("ports"))) or None,
        "sessionAffinity": "None" if service.affinity_seconds is None else "ClientIP",
        "sessionAffinityConfig": _affinity(service.affinity_seconds),
        "externalTrafficPolicy": service.external_traffic_policy or None,
        "internalTrafficPolicy": service.internal_traffic_policy or None,
        "healthCheckNodePort": service.health_check_node_port or None,
        "allocateLoadBalancerNodePorts": service.allocate_node_ports if service.type == "LoadBalancer" else None,
    }


def _affinity(seconds: int | None) -> Object | None:
    return None if seconds is None else {"clientIP": {"timeoutSeconds": seconds}}


def _as_given(address: str, spec: Mapping[str, Any]) -> str:
    """Return an address in the manifest's own spelling, which the server keeps."""
    given = (text(spec.get("clusterIP")), *texts(spec.get("clusterIPs")))
    return next((word for word in given if canonical_ip(word) == address), address)


def _service_ports(ports: tuple[ServicePort, ...], given: list[Mapping[str, Any]]) -> list[Object]:
    return [
        {
            **(given[index] if index < len(given) else {}),
            "port": port.port,
            "protocol": port.protocol,
            "targetPort": port.target_port,
            **({"nodePort": port.node_port} if port.node_port else {}),
        }
        for index, port in enumerate(ports)
    ]


def stored_slice(item: EndpointSlice) -> Object:
    """Return an EndpointSlice: a hand-made one as given, a derived one as its controller writes it."""
    if not item.derived and item.source:
        return stored(item.source)
    owner = "Endpoints" if item.source and item.source.kind == "Endpoints" else "Service"
    metadata: Object = {
        "name": item.name,
        "generateName": f"{item.service}-",
        "namespace": item.namespace,
        "labels": dict(item.labels),
        "ownerReferences": [
            {"apiVersion": "v1", "kind": owner, "name": item.service, "controller": True, "blockOwnerDeletion": True}
        ],
    }
    if item.annotations:
        metadata["annotations"] = dict(item.annotations)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": item.address_type,
        "endpoints": [_endpoint(endpoint) for endpoint in item.endpoints],
        "ports": [_slice_port(port) for port in item.ports],
    }


def _slice_port(port: SlicePort) -> Object:
    found: Object = {"name": port.name or "", "protocol": port.protocol}
    if port.port is not None:
        found["port"] = port.port
    if port.app_protocol:
        found["appProtocol"] = port.app_protocol
    return found


def _endpoint(endpoint: SliceEndpoint) -> Object:
    flags = {"ready": endpoint.ready, "serving": endpoint.serving, "terminating": endpoint.terminating}
    target = {"kind": endpoint.target_kind, "namespace": endpoint.target_namespace, "name": endpoint.target_name}
    hints = {"forZones": endpoint.zone_hints, "forNodes": endpoint.node_hints}
    named = {key: [{"name": name} for name in names] for key, names in hints.items() if names is not None}
    optional: Object = {
        "hostname": endpoint.hostname,
        "targetRef": {key: value for key, value in target.items() if value} or None,
        "nodeName": endpoint.node_name,
        "zone": endpoint.zone,
        "hints": named or None,
    }
    return {
        "addresses": list(endpoint.addresses),
        "conditions": {key: value for key, value in flags.items() if value is not None},
        **{key: value for key, value in optional.items() if value is not None},
    }


def stored_pod(pod: Pod, node: Node | None) -> Object:
    """Return a Pod as stored, with the node it runs on and, where its manifest has no status, the modelled one."""
    data = written(pod.source) if pod.source else {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod.name}}
    spec = pod_defaults(mapping(data.get("spec")))
    if pod.node_name:
        spec["nodeName"] = pod.node_name
    metadata = {**mapping(data.get("metadata")), "namespace": pod.namespace}
    if pod.labels:
        metadata["labels"] = dict(pod.labels)
    if pod.terminating:
        metadata.setdefault("deletionTimestamp", NO_TIME)
    given = mapping(data.get("status"))
    status = restated(given, pod) if given else pod_status(pod, node, spec)
    return {**data, "metadata": metadata, "spec": spec, "status": status}


def restated(status: Mapping[str, Any], pod: Pod) -> Object:
    """Return a given status; where a what-if made the pod another, its phase and readiness are the what-if's."""
    ready = "True" if pod.ready else "False"
    conditions = objects(status.get("conditions"))
    said = next((c.get("status") for c in conditions if c.get("type") == "Ready"), "False")
    if (said == "True") is pod.ready and status.get("phase") in (pod.phase, None):
        return dict(status)
    others = [dict(c) for c in conditions if c.get("type") not in ("Ready", "ContainersReady")]
    changed = [{"type": kind, "status": ready} for kind in ("Ready", "ContainersReady")]
    kept = {key: value for key, value in status.items() if key != "containerStatuses"}
    return {**kept, "phase": pod.phase, "conditions": [*others, *changed]}


def pod_status(pod: Pod, node: Node | None, spec: Mapping[str, Any]) -> Object:
    """Return the status that the kubelet would report of a modelled pod."""
    status: Object = {"phase": pod.phase, "qosClass": qos_class(spec), "conditions": _conditions(pod)}
    if node and node.internal_ips:
        status |= {"hostIP": node.internal_ips[0], "hostIPs": [{"ip": ip} for ip in node.internal_ips[:2]]}
    if pod.ips:
        status |= {"podIP": pod.ips[0], "podIPs": [{"ip": ip} for ip in pod.ips]}
    return status


def _conditions(pod: Pod) -> list[Object]:
    scheduled: Object = {"type": "PodScheduled", "status": "True" if pod.node_name else "False"}
    if not pod.node_name:
        return [{**scheduled, "reason": "Unschedulable", "message": pod.why_not_ready}]
    ready: Object = {"type": "Ready", "status": "True" if pod.ready else "False"}
    if not pod.ready and pod.why_not_ready:
        ready["message"] = pod.why_not_ready
    return [ready, {"type": "ContainersReady", "status": ready["status"]}, scheduled]


def stored_node(node: Node) -> Object:
    """Return a Node as stored, with the addresses and pod ranges netsim gave it."""
    data = (
        written(node.source) if node.source else {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name}}
    )
    metadata = filled({"labels": dict(node.labels)} if node.labels else {}, {})
    spec = filled(mapping(data.get("spec")), _pod_cidrs(node))
    status = mapping(data.get("status"))
    if not objects(status.get("addresses")):
        status = {**status, "addresses": [{"type": "InternalIP", "address": ip} for ip in node.internal_ips]}
    return {**data, "metadata": {**mapping(data.get("metadata")), **metadata}, "spec": spec, "status": status}


def _pod_cidrs(node: Node) -> Object:
    return {"podCIDR": node.pod_cidrs[0], "podCIDRs": list(node.pod_cidrs)} if node.pod_cidrs else {}
