"""Defaults of the remaining kinds: Namespace, Ingress, IngressClass, NetworkPolicy, Endpoints, storage."""

from __future__ import annotations

from netsim.cluster.default_pods import Object, Read, filled, replaced
from netsim.cluster.read import mapping, objects


def namespace(data: Object) -> Object:
    """Return a Namespace: its name as a label, the kubernetes finalizer, phase Active."""
    metadata = mapping(data.get("metadata"))
    labels = {"kubernetes.io/metadata.name": metadata.get("name"), **mapping(metadata.get("labels"))}
    found = {**data, "metadata": {**metadata, "labels": labels}}
    return filled(found, {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})


def ingress(data: Object) -> Object:
    """Return an Ingress: its status."""
    return filled(data, {"status": {"loadBalancer": {}}})


def ingress_class(data: Object) -> Object:
    """Return an IngressClass: parameters are cluster-scoped unless they say otherwise."""
    return replaced(
        data,
        "spec",
        lambda spec: replaced(mapping(spec), "parameters", lambda item: filled(mapping(item), {"scope": "Cluster"})),
    )


def network_policy(data: Object) -> Object:
    """Return a NetworkPolicy: policyTypes Ingress, and Egress if there are egress rules; ports are TCP."""
    spec = filled(mapping(data.get("spec")), {"podSelector": {}})
    for key in ("ingress", "egress"):
        spec = replaced(spec, key, lambda rules: [_rule(rule) for rule in objects(rules)])
    kinds = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return {**data, "spec": filled(spec, {"policyTypes": kinds})}


def _rule(rule: Read) -> Object:
    return replaced(rule, "ports", lambda ports: [filled(port, {"protocol": "TCP"}) for port in objects(ports)])


def endpoints(data: Object) -> Object:
    """Return Endpoints: ports are TCP."""
    return replaced(data, "subsets", lambda subsets: [_rule(subset) for subset in objects(subsets)])


def endpoint_slice(data: Object) -> Object:
    """Return a hand-made EndpointSlice: unnamed TCP ports; lists that are absent are null, conditions are an object."""
    found = replaced(data, "ports", lambda ports: [filled(p, {"name": "", "protocol": "TCP"}) for p in objects(ports)])
    found = replaced(found, "endpoints", lambda listed: [_slice_endpoint(item) for item in objects(listed)])
    return filled(found, {"endpoints": None, "ports": None})


def _slice_endpoint(item: Read) -> Object:
    """Return an endpoint with conditions; the server drops v1beta1's topology on creation (dropTopologyOnV1)."""
    return {key: value for key, value in filled(item, {"conditions": {}}).items() if key != "deprecatedTopology"}


def volume(data: Object) -> Object:
    """Return a PersistentVolume: retained, Filesystem, protected by its finalizer, Pending."""
    metadata = filled(mapping(data.get("metadata")), {"finalizers": ["kubernetes.io/pv-protection"]})
    defaults = {"volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain"}
    spec = filled(mapping(data.get("spec")), defaults)
    return {**data, "metadata": metadata, "spec": spec, "status": data.get("status") or {"phase": "Pending"}}


def claim(data: Object) -> Object:
    """Return a PersistentVolumeClaim: Filesystem, protected by its finalizer, Pending."""
    metadata = filled(mapping(data.get("metadata")), {"finalizers": ["kubernetes.io/pvc-protection"]})
    spec = filled(mapping(data.get("spec")), {"volumeMode": "Filesystem"})
    return {**data, "metadata": metadata, "spec": spec, "status": data.get("status") or {"phase": "Pending"}}


def storage_class(data: Object) -> Object:
    """Return a StorageClass: volumes are deleted and bound at once."""
    return filled(data, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


def secret(data: Object) -> Object:
    """Return a Secret: Opaque, stringData written into data."""
    from base64 import b64encode

    strings = mapping(data.get("stringData"))
    encoded = {key: b64encode(str(value).encode()).decode() for key, value in strings.items()}
    found = {key: value for key, value in data.items() if key != "stringData"}
    if strings:
        found["data"] = {**mapping(found.get("data")), **encoded}
    return filled(found, {"type": "Opaque"})
