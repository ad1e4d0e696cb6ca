"""Service and pod ranges: ServiceCIDR objects, kubeadm's ClusterConfiguration, else what is assumed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netsim.cluster.read import canonical_cidrs, dig, mapping, spec_of, text, texts
from netsim.manifests.objects import Manifest
from netsim.notes import Note

ASSUMED_SERVICE_CIDRS = ("10.96.0.0/16", "fd00:10:96::/112")


@dataclass(frozen=True, slots=True)
class Kubeadm:
    """kubeadm's `networking`, "" or () where it says nothing."""

    service_cidrs: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Where ClusterIPs come from: declared by ServiceCIDR objects, or only assumed (kubeadm's words, defaults)."""

    service_cidrs: tuple[str, ...]
    assumed_service_cidrs: tuple[str, ...]
    notes: tuple[Note, ...] = ()

    @property
    def allocation(self) -> tuple[str, ...]:
        """Return the ranges ClusterIPs are allocated from; the first one's family is the default one."""
        return self.service_cidrs or self.assumed_service_cidrs


def read_kubeadm(objects: Mapping[str, tuple[Manifest, ...]]) -> Kubeadm:
    """Return what a ClusterConfiguration says: an object of the input, or the ConfigMap kube-system/kubeadm-config."""
    for data in _configurations(objects):
        networking = mapping(data.get("networking"))
        return Kubeadm(
            service_cidrs=canonical_cidrs(text(networking.get("serviceSubnet")).split(",")),
            pod_cidrs=canonical_cidrs(text(networking.get("podSubnet")).split(",")),
            domain=text(networking.get("dnsDomain")),
        )
    return Kubeadm()


def _configurations(objects: Mapping[str, tuple[Manifest, ...]]) -> Iterable[Mapping[str, Any]]:
    for manifest in objects.get("ClusterConfiguration", ()):
        yield manifest.data
    for manifest in objects.get("ConfigMap", ()):
        if (manifest.namespace, manifest.name) == ("kube-system", "kubeadm-config"):
            yield _parse_yaml(text(dig(manifest.data, "data", "ClusterConfiguration")))


def _parse_yaml(source: str) -> Mapping[str, Any]:
    import yaml

    try:
        return mapping(yaml.safe_load(source))
    except yaml.YAMLError:
        return {}


def plan_ranges(service_cidrs: Iterable[Manifest], kubeadm: Kubeadm, *, needed: bool) -> Ranges:
    """Return the ranges; the note of an assumption only when something is `needed` from them."""
    declared = sorted(service_cidrs, key=lambda manifest: (manifest.name != "kubernetes", manifest.name))
    cidrs = canonical_cidrs(cidr for manifest in declared for cidr in texts(spec_of(manifest).get("cidrs")))
    if cidrs or kubeadm.service_cidrs:
        return Ranges(cidrs, () if cidrs else kubeadm.service_cidrs)
    what = f"no ServiceCIDR and no kubeadm configuration: assuming {' and '.join(ASSUMED_SERVICE_CIDRS)}"
    notes = (Note("ASSUMED_SERVICE_CIDRS", what),) if needed else ()
    return Ranges((), ASSUMED_SERVICE_CIDRS, notes)
