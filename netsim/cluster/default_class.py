"""The IngressClass that admission gives an Ingress without one (plugin DefaultIngressClass; on creation only)."""

from __future__ import annotations

from collections.abc import Iterable

from netsim.cluster.default_pods import Object
from netsim.cluster.read import labels_of, mapping, metadata_of, text
from netsim.manifests.objects import Manifest

DEFAULT = "ingressclass.kubernetes.io/is-default-class"
LEGACY = "kubernetes.io/ingress.class"


def default_class(classes: Iterable[Manifest]) -> str:
    """Return the default class, "" for none: only the value "true" counts; the newest wins, then the lower name."""
    marked = [m for m in classes if labels_of(metadata_of(m).get("annotations")).get(DEFAULT) == "true"]
    newest = max((text(metadata_of(m).get("creationTimestamp")) for m in marked), default="")
    return min((m.name for m in marked if text(metadata_of(m).get("creationTimestamp")) == newest), default="")


def with_default_class(ingress: Object, classes: Iterable[Manifest]) -> Object:
    """Return an Ingress that was just created: with the default class, unless it names one, even by annotation."""
    metadata, spec = mapping(ingress.get("metadata")), mapping(ingress.get("spec"))
    named = spec.get("ingressClassName") is not None or LEGACY in mapping(metadata.get("annotations"))
    name = "" if named or metadata.get("uid") else default_class(classes)
    return {**ingress, "spec": {**spec, "ingressClassName": name}} if name else ingress
