"""Pods on nodes, indexed the way affinity and spreading ask for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netsim.cluster.model import Node, Pod


@dataclass(frozen=True, slots=True)
class Placed:
    """A pod on a node, with its spec."""

    pod: Pod
    spec: Mapping[str, Any]
    node: str


class Placement:
    """All placed pods; grows while the scheduler works."""

    __slots__ = ("_by_namespace", "_guarded", "_siblings", "namespaces", "nodes")

    def __init__(self, nodes: Mapping[str, Node], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self.nodes = nodes
        self.namespaces = namespaces
        self._by_namespace: defaultdict[str, list[Placed]] = defaultdict(list)
        self._siblings: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._guarded: list[Placed] = []

    def add(self, placed: Placed) -> None:
        """Add a pod that now has a node."""
        self._by_namespace[placed.pod.namespace].append(placed)
        self._siblings[_family(placed.pod)][placed.node] += 1
        if isinstance(placed.spec.get("affinity"), dict) and placed.spec["affinity"].get("podAntiAffinity"):
            self._guarded.append(placed)

    def of_namespaces(self, namespaces: set[str]) -> Iterator[Placed]:
        """Yield the pods of some namespaces."""
        for namespace in namespaces:
            yield from self._by_namespace.get(namespace, ())

    @property
    def guarded(self) -> list[Placed]:
        """Return the pods with anti-affinity of their own."""
        return self._guarded

    def siblings(self, pod: Pod) -> Counter[str]:
        """Return how many pods of the same owner each node has."""
        return self._siblings[_family(pod)]

    def zone(self, node: str) -> str:
        """Return a node's zone, "" if it has none or is not known."""
        found = self.nodes.get(node)
        return found.zone if found else ""

    def domain(self, node: str, key: str) -> str | None:
        """Return a node's value of a topology label, None if it has none."""
        found = self.nodes.get(node)
        return found.labels.get(key) if found else None


def _family(pod: Pod) -> tuple[str, str]:
    """Return what counts as the same set of pods: the owner, else equal labels."""
    return pod.namespace, pod.owner or repr(sorted(pod.labels.items()))
