"""Which claims can be bound: PersistentVolumes, StorageClasses and the default class, as the PV controller does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from netsim.cluster.model import Node
from netsim.cluster.quantity import quantity
from netsim.cluster.read import dig, labels_of, mapping, metadata_of, objects, spec_of, status_of, text, texts
from netsim.cluster.selectors import matches_node_term, matches_selector
from netsim.manifests.objects import Manifest

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim's fate: `problem` says why it is not bound, "" when it is; `volume` may tie its pod to nodes."""

    problem: str = ""
    assumed: str = ""
    volume: Manifest | None = None

    def usable_on(self, node: Node) -> bool:
        """Whether the bound volume's node affinity admits a node."""
        required = dig(spec_of(self.volume), "nodeAffinity", "required") if self.volume else None
        if not isinstance(required, dict):
            return True
        return any(matches_node_term(t, node.name, node.labels) for t in objects(required.get("nodeSelectorTerms")))


@dataclass(frozen=True, slots=True)
class Storage:
    """All claims by (namespace, name)."""

    claims: Mapping[Key, Claim] = field(default_factory=dict)


def plan_storage(kinds: Mapping[str, Sequence[Manifest]], *, strict: bool) -> Storage:
    """Bind claims in (namespace, name) order to the smallest fitting volume; *strict*: absent classes do not exist."""
    volumes = [m for m in kinds.get("PersistentVolume", ()) if m.group == ""]
    classes = {m.name: m for m in kinds.get("StorageClass", ()) if m.group == "storage.k8s.io"}
    taken: set[str] = set()
    claims: dict[Key, Claim] = {}
    for claim in sorted(kinds.get("PersistentVolumeClaim", ()), key=lambda m: (m.namespace, m.name)):
        found = bind(claim, volumes, classes, taken, strict=strict)
        claims[claim.namespace, claim.name] = found
        if found.volume:
            taken.add(found.volume.name)
    return Storage(claims)


def bind(
    claim: Manifest, volumes: Sequence[Manifest], classes: Mapping[str, Manifest], taken: set[str], *, strict: bool
) -> Claim:
    """Return the fate of one claim."""
    spec = spec_of(claim)
    if status_of(claim).get("phase") == "Bound":
        return Claim(volume=next((v for v in volumes if v.name == spec.get("volumeName")), None))
    name = class_name(spec, classes)
    free = [v for v in volumes if v.name not in taken and _reserved_for(v) in (None, (claim.namespace, claim.name))]
    fitting = [v for v in free if not misfit(v, spec, name)]
    if fitting:
        return Claim(volume=min(fitting, key=lambda v: (_reserved_for(v) is None, _capacity(v), v.name)))
    return _without_volume(spec, name, volumes, classes, strict=strict)


def _without_volume(
    spec: Mapping[str, Any],
    name: str | None,
    volumes: Sequence[Manifest],
    classes: Mapping[str, Manifest],
    *,
    strict: bool,
) -> Claim:
    """Return whether a claim that no volume fits would get one made."""
    if name in classes and name is not None:
        provisioner = text(classes[name].data.get("provisioner"))
        return Claim(_no_volume(spec, name, volumes)) if provisioner == NO_PROVISIONER else Claim()
    static = [v for v in volumes if text(spec_of(v).get("storageClassName")) == (name or "")]
    if name == "" or text(spec.get("volumeName")) or (name is not None and static):
        return Claim(_no_volume(spec, name or "", volumes))
    if strict or (name is None and classes):
        missing = f'storageclass.storage.k8s.io "{name}" not found' if name else ""
        return Claim(missing or "no persistent volumes available for this claim and no storage class is set")
    return Claim(assumed=f"StorageClass {name}" if name else "a default StorageClass")


def class_name(spec: Mapping[str, Any], classes: Mapping[str, Manifest]) -> str | None:
    """Return a claim's class: the one named, else the default one; None when there is no default, "" for no class."""
    given = spec.get("storageClassName")
    if isinstance(given, str):
        return given
    return default_class(classes.values())


def default_class(classes: Iterable[Manifest]) -> str | None:
    """Return the default StorageClass: of several the newest, then the first by name."""
    marked = [m for m in classes if labels_of(metadata_of(m).get("annotations")).get(DEFAULT_CLASS) == "true"]
    created = {m.name: text(metadata_of(m).get("creationTimestamp")) for m in marked}
    newest = max(created.values(), default="")
    return min((name for name, time in created.items() if time == newest), default=None)


def _reserved_for(volume: Manifest) -> Key | None:
    claim = spec_of(volume).get("claimRef")
    return (text(claim.get("namespace")), text(claim.get("name"))) if isinstance(claim, dict) else None


def _capacity(volume: Manifest) -> Fraction:
    return quantity(dig(spec_of(volume), "capacity", "storage"))


def misfit(volume: Manifest, claim: Mapping[str, Any], name: str | None) -> str:
    """Return why a volume does not fit a claim, "" when it does (volume.FindMatchingVolume)."""
    spec = spec_of(volume)
    wanted = text(claim.get("volumeName"))
    if wanted and wanted != volume.name:
        return f"is not the volume {wanted} that the claim names"
    if text(spec.get("storageClassName")) != (name or ""):
        return f"has class {text(spec.get('storageClassName'))!r}, not {name or ''!r}"
    missing = set(texts(claim.get("accessModes"))) - set(texts(spec.get("accessModes")))
    if missing:
        return f"lacks access mode {', '.join(sorted(missing))}"
    if (text(spec.get("volumeMode")) or "Filesystem") != (text(claim.get("volumeMode")) or "Filesystem"):
        return "has another volumeMode"
    if _capacity(volume) < quantity(dig(claim, "resources", "requests", "storage")):
        return "is too small"
    selector = claim.get("selector")
    labels = labels_of(metadata_of(volume).get("labels"))
    return "" if selector is None or matches_selector(selector, labels) else "does not match the claim's selector"


def _no_volume(spec: Mapping[str, Any], name: str, volumes: Sequence[Manifest]) -> str:
    reasons = [f"{v.name} {why}" for v in volumes if (why := misfit(v, spec, name))]
    return "no persistent volume fits" + (f": {'; '.join(reasons)}" if reasons else "")


def claims_of(spec: Mapping[str, Any], pod: str) -> list[str]:
    """Return the names of the claims that a pod's volumes use; ephemeral ones are made with the pod."""
    found = []
    for volume in objects(spec.get("volumes")):
        name = text(mapping(volume.get("persistentVolumeClaim")).get("claimName"))
        if name:
            found.append(name)
    return found
