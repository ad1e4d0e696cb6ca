"""Objects that a controller makes of a template: data, and positions that lead back to the template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netsim.cluster.allocate import suffix
from netsim.cluster.identity import uid
from netsim.cluster.read import labels_of, mapping
from netsim.errors import Where
from netsim.manifests.objects import Manifest, Positions

Object = dict[str, Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class TemplatePositions:
    """Places of a made object's fields: those of its template inside the owner's manifest."""

    positions: Positions
    prefix: Path

    def find(self, path: Path, *, key: bool = False) -> Where:
        """Return the place of a field in the template; names and owners are the owner's own metadata."""
        if path[:2] in (("metadata", "name"), ("metadata", "namespace"), ("metadata", "ownerReferences")):
            return self.positions.find(("metadata", "name"), key=key)
        return self.positions.find((*self.prefix, *path), key=key)


@dataclass(frozen=True, slots=True)
class Template:
    """What a controller makes pods of: its own manifest, the template and where it stands."""

    owner: Manifest
    data: Mapping[str, Any]
    path: Path = ("spec", "template")

    @property
    def labels(self) -> Mapping[str, str]:
        """Return the template's labels."""
        return labels_of(mapping(self.data.get("metadata")).get("labels"))

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return the template's pod spec."""
        return mapping(self.data.get("spec"))

    def hash(self, length: int = 10) -> str:
        """Return the stand-in for a hash of the template (pod-template-hash, controller-revision-hash)."""
        return suffix("template", json.dumps(self.data, sort_keys=True, default=str), length=length)


def template_of(owner: Manifest) -> Template:
    """Return spec.template of a workload."""
    return Template(owner, mapping(mapping(owner.data.get("spec")).get("template")))


def owner_reference(owner: Manifest) -> Object:
    """Return the reference with which a controller owns an object."""
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": uid({**owner.data, "kind": owner.kind}),
        "controller": True,
        "blockOwnerDeletion": True,
    }


@dataclass(frozen=True, slots=True)
class Made:
    """What a controller sets on one pod beyond its template; empty values are left out."""

    name: str
    generate_name: str = ""
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    finalizers: tuple[str, ...] = ()
    spec: Mapping[str, Any] | None = None


def make_pod(template: Template, made: Made, owner: Manifest) -> Manifest:
    """Return the Pod that a controller makes of a template."""
    inner = mapping(template.data.get("metadata"))
    labels = {**template.labels, **(made.labels or {})}
    annotations = {**labels_of(inner.get("annotations")), **(made.annotations or {})}
    finalizers = [*(inner.get("finalizers") or ()), *made.finalizers]
    optional: Object = {
        "generateName": made.generate_name,
        "labels": labels,
        "annotations": annotations,
        "finalizers": finalizers,
    }
    metadata: Object = {"name": made.name, "namespace": owner.namespace}
    metadata |= {key: value for key, value in optional.items() if value}
    metadata["ownerReferences"] = [owner_reference(owner)]
    spec = {**template.spec, **(made.spec or {})}
    data: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return Manifest(data, TemplatePositions(template.owner.positions, template.path))


def adopted(pod: Manifest, owner: Manifest) -> Manifest:
    """Return an orphan pod with its new owner."""
    metadata = {**mapping(pod.data.get("metadata")), "ownerReferences": [owner_reference(owner)]}
    return Manifest({**pod.data, "metadata": metadata}, pod.positions)
