"""Which kinds live in a namespace, and the objects' full names: default namespace and generateName filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable

from netsim.cluster.allocate import generated_name
from netsim.cluster.read import metadata_of, text
from netsim.manifests.objects import Manifest

# The kinds of v1.36's built-in groups and of well-known CustomResourceDefinitions that live outside namespaces.
CLUSTER_SCOPED = frozenset((
    "APIService", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding", "ClusterTrustBundle",
    "ComponentStatus", "CSIDriver", "CSINode", "CustomResourceDefinition", "DeviceClass", "DeviceTaintRule",
    "FlowSchema", "GatewayClass", "IngressClass", "IPAddress", "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume",
    "PriorityClass", "PriorityLevelConfiguration", "ResourceSlice", "RuntimeClass", "ServiceCIDR", "StorageClass",
    "StorageVersion", "StorageVersionMigration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration", "VolumeAttachment", "VolumeAttributesClass", "ClusterConfiguration",
    "InitConfiguration", "JoinConfiguration", "KubeletConfiguration", "KubeProxyConfiguration",
    "ApisixClusterConfig",
))  # fmt: skip


def named(manifests: Iterable[Manifest], default_namespace: str) -> list[Manifest]:
    """Return objects with the namespace they would get, and a stand-in for the name that generateName would make."""
    return [_named(manifest, default_namespace) for manifest in manifests]


def _named(manifest: Manifest, default_namespace: str) -> Manifest:
    namespace = "" if manifest.kind in CLUSTER_SCOPED else manifest.namespace or default_namespace
    prefix = "" if manifest.name else text(metadata_of(manifest).get("generateName"))
    if namespace == manifest.namespace and not prefix:
        return manifest
    data = {**manifest.data, "metadata": {**metadata_of(manifest), "namespace": namespace}}
    if not namespace:
        del data["metadata"]["namespace"]
    if prefix:
        content = json.dumps(manifest.data, sort_keys=True, default=str)
        data["metadata"]["name"] = generated_name(prefix, manifest.kind, namespace, content)
    return Manifest(data, manifest.positions)
