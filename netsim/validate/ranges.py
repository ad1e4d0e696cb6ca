"""The cluster's service ranges, as far as the input says, else those that netsim assumes."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.cluster.ranges import plan_ranges, read_kubeadm
from netsim.manifests.objects import Manifest


def service_ranges(objects: Sequence[Manifest]) -> tuple[str, ...]:
    """Return the CIDRs that ClusterIPs come from, the default family's first."""
    kinds = ("ClusterConfiguration", "ConfigMap", "ServiceCIDR")
    found: dict[str, list[Manifest]] = {kind: [] for kind in kinds}
    for manifest in objects:
        if manifest.kind in found:
            found[manifest.kind].append(manifest)
    by_kind = {kind: tuple(listed) for kind, listed in found.items()}
    return plan_ranges(by_kind["ServiceCIDR"], read_kubeadm(by_kind), needed=False).allocation
