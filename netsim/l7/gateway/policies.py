"""BackendTLSPolicy: which policy governs which Service port, and the conditions of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netsim.cluster.model import Cluster
from netsim.cluster.read import labels_of, mapping, text
from netsim.l7.decision import BackendTLS
from netsim.l7.gateway.backends import TLSPolicies
from netsim.l7.gateway.objects import ObjectRef, read_ref
from netsim.l7.ingress import created, items
from netsim.manifests.objects import Manifest


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """Reasons of a policy's conditions Accepted and ResolvedRefs; each is True when its reason is its own name."""

    accepted: str
    resolved: str


@dataclass(frozen=True, slots=True)
class Policies:
    """The governing policies, and the status of every policy by `ns/name`."""

    targets: TLSPolicies
    status: Mapping[str, PolicyStatus]


def read_policies(cluster: Cluster) -> Policies:
    """Judge all policies, oldest first (ties by name): a target that an older one has is a conflict."""
    config_maps = {(m.namespace, m.name): m for m in cluster.objects.get("ConfigMap", ())}
    governed: dict[tuple[str, str, str], BackendTLS | None] = {}
    status: dict[str, PolicyStatus] = {}
    for manifest in sorted(cluster.objects.get("BackendTLSPolicy", ()), key=_age):
        resolved = _resolved(manifest, config_maps)
        free = [target for target in _targets(manifest) if target not in governed]
        usable = resolved == "ResolvedRefs"
        for target in free:
            governed[target] = _tls(manifest) if usable else None
        accepted = "NoValidCACertificate" if not usable else "Accepted" if free else "Conflicted"
        status[f"{manifest.namespace or 'default'}/{manifest.name}"] = PolicyStatus(accepted, resolved)
    return Policies(TLSPolicies(governed), status)


def _age(manifest: Manifest) -> tuple[str, str, str]:
    return created(mapping(manifest.data.get("metadata"))), manifest.namespace, manifest.name


def _targets(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    namespace = manifest.namespace or "default"
    for target in map(mapping, items(mapping(manifest.data.get("spec")).get("targetRefs"))):
        if text(target.get("kind")) == "Service" and text(target.get("group")) == "":
            yield namespace, text(target.get("name")), text(target.get("sectionName"))


def _validation(manifest: Manifest) -> Mapping[str, object]:
    return mapping(mapping(manifest.data.get("spec")).get("validation"))


def _tls(manifest: Manifest) -> BackendTLS:
    hostname = text(_validation(manifest).get("hostname"))
    return BackendTLS(hostname, hostname)


def _resolved(manifest: Manifest, config_maps: Mapping[tuple[str, str], Manifest]) -> str:
    """Return the reason of ResolvedRefs: one usable CA is enough for the policy to work, but every bad one is told."""
    validation, namespace = _validation(manifest), manifest.namespace or "default"
    if text(validation.get("wellKnownCACertificates")):
        return "ResolvedRefs"
    refs = [read_ref(ref, namespace, "") for ref in items(validation.get("caCertificateRefs"))]
    reasons = [_reference(ref, config_maps) for ref in refs]
    return next((reason for reason in reasons if reason), "ResolvedRefs" if reasons else "InvalidCACertificateRef")


def _reference(ref: ObjectRef, config_maps: Mapping[tuple[str, str], Manifest]) -> str:
    if (ref.group, ref.kind) != ("", "ConfigMap"):
        return "InvalidKind"
    found = config_maps.get((ref.namespace, ref.name))
    return "" if found is not None and labels_of(found.data.get("data")).get("ca.crt") else "InvalidCACertificateRef"
