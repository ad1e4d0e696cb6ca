"""Topology hints: trafficDistribution (KEP-4444, KEP-3015) and the annotation topology-mode: Auto (KEP-2433).

Auto's redistribution depends on history and map order in the real controller; here it is deterministic, with
equal counts.
Source: staging/src/k8s.io/endpointslice/topologycache and trafficdist of v1.36.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TypeVar

from netsim.cluster.model import Node, Service, SliceEndpoint
from netsim.cluster.quantity import quantity
from netsim.cluster.read import dig, status_of
from netsim.manifests.objects import Manifest

OLD_ANNOTATION = "service.kubernetes.io/topology-aware-hints"
ANNOTATION = "service.kubernetes.io/topology-mode"
EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
OVERLOAD = Fraction(1, 5)
Key = TypeVar("Key")
Groups = Mapping[Key, list[tuple[SliceEndpoint, Manifest | None]]]


@dataclass(frozen=True, slots=True)
class HintNodes:
    """Each zone's share of the cluster's CPU; empty when some node lacks zone or CPU, or there is one zone only."""

    shares: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Allocation:
    """How many endpoints a zone should serve."""

    minimum: int
    desired: Fraction


def hint_nodes(nodes: Iterable[Node]) -> HintNodes:
    """Return the zones' shares (TopologyCache.SetNodes): control-plane and unready nodes do not count."""
    cpus: Counter[str] = Counter()
    for node in nodes:
        if any(label in node.labels for label in EXCLUDED) or not node.ready:
            continue
        cpu = _millicores(node)
        if not node.zone or not cpu:
            return HintNodes({})
        cpus[node.zone] += cpu
    total = sum(cpus.values())
    return HintNodes({zone: Fraction(cpu, total) for zone, cpu in sorted(cpus.items())} if len(cpus) > 1 else {})


def _millicores(node: Node) -> int:
    given = dig(status_of(node.source), "allocatable", "cpu") if node.source else None
    return int(quantity(given) * 1000) if given is not None else 0


def auto(service: Service) -> bool:
    """Whether the annotation asks for topology-aware hints; the deprecated one is read first."""
    value = service.annotations.get(OLD_ANNOTATION, service.annotations.get(ANNOTATION))
    return value in ("Auto", "auto")


def with_hints(service: Service, groups: Groups[Key], nodes: HintNodes) -> Groups[Key]:
    """Return the groups of one family with hints; the annotation wins over trafficDistribution."""
    if auto(service):
        return _auto_hints(groups, nodes)
    if service.traffic_distribution in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        same_node = service.traffic_distribution == "PreferSameNode"
        return {
            key: [(_close(endpoint, same_node), source) for endpoint, source in group] for key, group in groups.items()
        }
    return groups


def _close(endpoint: SliceEndpoint, same_node: bool) -> SliceEndpoint:
    """Hint a ready endpoint to its own zone, and with PreferSameNode to its own node."""
    if not endpoint.ready:
        return endpoint
    zones = (endpoint.zone,) if endpoint.zone else None
    nodes = (endpoint.node_name,) if same_node and endpoint.node_name else None
    return endpoint._replace(zone_hints=zones, node_hints=nodes)


def _auto_hints(groups: Groups[Key], nodes: HintNodes) -> Groups[Key]:
    ready = [endpoint for group in groups.values() for endpoint, _ in group if endpoint.ready]
    plan = allocations(nodes.shares, len(ready))
    if plan is None or not all(endpoint.zone for endpoint in ready):
        return groups
    giving, receiving = exchange(plan, Counter(endpoint.zone or "" for endpoint in ready))
    return {
        key: [(_assign(endpoint, giving, receiving), source) for endpoint, source in group]
        for key, group in groups.items()
    }


def allocations(shares: Mapping[str, Fraction], count: int) -> dict[str, Allocation] | None:
    """Return what each zone should serve of *count* endpoints; None when hints would overload one."""
    if len(shares) < 2 or len(shares) > count:
        return None
    plan = {}
    for zone, share in shares.items():
        minimum = ceil(share * count / (1 + OVERLOAD))
        plan[zone] = Allocation(minimum, max(share * count, Fraction(minimum)))
    return plan if sum(item.minimum for item in plan.values()) <= count else None


def exchange(plan: Mapping[str, Allocation], existing: Mapping[str, int]) -> tuple[Counter[str], Counter[str]]:
    """Return how many endpoints each zone gives away and receives (getGivingAndReceivingZones)."""
    spare = {zone: existing.get(zone, 0) - item.desired for zone, item in plan.items()}
    give, receive = Counter[str](), Counter[str]()
    while spare:
        giver = max(spare, key=lambda zone: spare[zone])
        taker = min(spare, key=lambda zone: spare[zone])
        can_give, can_take = spare[giver], -spare[taker]
        if can_give + can_take < 1 or can_give < Fraction(1, 2) or can_take < Fraction(1, 2):
            break
        give[giver] += 1
        receive[taker] += 1
        spare[giver] -= 1
        spare[taker] += 1
    return give, receive


def _assign(endpoint: SliceEndpoint, giving: Counter[str], receiving: Counter[str]) -> SliceEndpoint:
    """Hint a ready endpoint to its zone, or to one that still needs some while its own has too many."""
    if not endpoint.ready or not endpoint.zone:
        return endpoint
    zone = endpoint.zone
    taker = next((z for z in sorted(receiving) if receiving[z] > 0), "") if giving[zone] > 0 else ""
    if taker:
        giving[zone] -= 1
        receiving[taker] -= 1
        zone = taker
    return endpoint._replace(zone_hints=(zone,))
