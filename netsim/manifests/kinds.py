"""What Kubernetes v1.36 serves: kinds, their fields and types, from a table made of its published OpenAPI schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import orjson

from netsim.manifests.suggestions import nearest

Served = Literal["served", "crd", "config", "custom", "unknown"]

CONFIG_GROUPS = frozenset(
    {"kubeproxy.config.k8s.io", "kubeadm.k8s.io", "kubelet.config.k8s.io", "apiserver.config.k8s.io"}
)
"""Configuration files that often lie beside manifests; read where understood, never sent to an API server."""

CRD_GROUPS = {
    "gateway.networking.k8s.io": frozenset(
        {
            "BackendTLSPolicy",
            "GRPCRoute",
            "Gateway",
            "GatewayClass",
            "HTTPRoute",
            "ListenerSet",
            "ReferenceGrant",
            "TCPRoute",
            "TLSRoute",
            "UDPRoute",
        }
    ),
}
"""Groups in Kubernetes' own domain whose kinds come from published CustomResourceDefinitions."""


_CLUSTER_SCOPED = frozenset(
    {
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ComponentStatus",
        "CustomResourceDefinition",
        "DeviceClass",
        "FlowSchema",
        "GatewayClass",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "ServiceCIDR",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
        "ClusterRole",
        "ClusterRoleBinding",
    }
)

ANY = "Any"
"""Struct of what every kind has."""


@dataclass(frozen=True, slots=True)
class Table:
    """`kinds`: apiVersion/Kind -> struct name; `structs`: struct name -> field -> type (tools/generate_kinds.py)."""

    kinds: Mapping[str, str]
    structs: Mapping[str, Mapping[str, str]]


@cache
def table() -> Table:
    """Return the table; read once.

    kinds.json is generated; gateway.json holds the kinds of Gateway API v1.4's CustomResourceDefinitions.
    """
    folder = files("netsim.manifests")
    raw = orjson.loads(folder.joinpath("kinds.json").read_bytes())
    gateway = orjson.loads(folder.joinpath("gateway.json").read_bytes())
    structs = {**raw["structs"], **gateway["structs"], ANY: {"metadata": "@meta.v1.ObjectMeta"}}
    return Table(raw["kinds"], structs)


def struct_of(api_version: str, kind: str) -> str:
    """Return the name of the struct that holds objects of a kind, "" when nothing is known of its fields."""
    known = table().kinds.get(f"{api_version}/{kind}", "")
    if not known and kind in CRD_GROUPS.get(api_version.partition("/")[0], ()):
        return f"gateway.v1.{kind}"
    return known


def served(api_version: str, kind: str, defined: frozenset[tuple[str, str]] = frozenset()) -> Served:
    """Say who would understand an object; *defined* are the (group, kind) of CustomResourceDefinitions in the input."""
    group = api_version.rpartition("/")[0]
    if f"{api_version}/{kind}" in table().kinds:
        return "served"
    if (group, kind) in defined or kind in CRD_GROUPS.get(group, ()):
        return "crd"
    if group in CONFIG_GROUPS:
        return "config"
    return "unknown" if is_kubernetes_group(group) else "custom"


def is_kubernetes_group(group: str) -> bool:
    """Return whether Kubernetes itself serves an API group: no dot in it, or below k8s.io."""
    return "." not in group or group.endswith(".k8s.io")


def no_match(api_version: str, kind: str) -> str:
    """Return kubectl's words for a kind that nothing serves."""
    return f'no matches for kind "{kind}" in version "{api_version}"'


def kind_hint(api_version: str, kind: str) -> str:
    """Return what was probably meant by an unknown kind or version, "" when nothing is near."""
    versions: dict[str, list[str]] = {}
    for known in table().kinds:
        version, _, name = known.rpartition("/")
        versions.setdefault(name, []).append(version)
    for group, names in CRD_GROUPS.items():
        for name in names:
            versions.setdefault(name, []).append(f"{group}/v1")
    if kind in versions:
        return f"{kind} is in apiVersion {' or '.join(sorted(versions[kind]))}"
    meant = nearest(kind, (name for name in versions if not name.endswith("List")))
    if not meant:
        return ""
    if api_version in versions[meant]:
        return f'did you mean "{meant}"?'
    return f'did you mean "{meant}" in apiVersion {" or ".join(sorted(versions[meant]))}?'


@cache
def namespaced_kinds() -> frozenset[str]:
    """Return the kinds of Kubernetes and of Gateway API whose objects live in namespaces."""
    known = {entry.rpartition("/")[2] for entry in table().kinds}
    return frozenset(kind for kind in known.union(*CRD_GROUPS.values()) if is_namespaced(kind))


def is_namespaced(kind: str) -> bool:
    """Return whether objects of a kind of Kubernetes live in namespaces."""
    return kind not in _CLUSTER_SCOPED
