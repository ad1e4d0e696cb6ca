"""Pod affinity, anti-affinity and topology spread constraints, as kube-scheduler's plugins filter and score them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from netsim.cluster.model import Node, Pod
from netsim.cluster.placement import Placed, Placement
from netsim.cluster.read import dig, mapping, number, objects, text, texts
from netsim.cluster.selectors import matches_node_term, matches_selector

Term = Mapping[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NO_AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"
SPREAD = "node(s) didn't match pod topology spread constraints"


def terms(spec: Term, kind: str) -> list[Term]:
    """Return the required terms of podAffinity or podAntiAffinity."""
    return objects(dig(spec, "affinity", kind, REQUIRED))


def _namespaces(term: Term, own: str, placement: Placement) -> set[str]:
    """Return the namespaces a term looks at: those named and selected, else the pod's own."""
    named = set(texts(term.get("namespaces")))
    selector = term.get("namespaceSelector")
    if isinstance(selector, dict):
        named |= {name for name, labels in placement.namespaces.items() if matches_selector(selector, labels)}
    elif not named:
        named = {own}
    return named


def _selector(term: Term, pod: Pod) -> dict[str, Any] | None:
    """Return a term's labelSelector with the pod's own values of matchLabelKeys, not those of mismatchLabelKeys."""
    selector = term.get("labelSelector")
    if not isinstance(selector, dict):
        return None
    extra = [
        {"key": key, "operator": operator, "values": [pod.labels[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in texts(term.get(field))
        if key in pod.labels
    ]
    return {**selector, "matchExpressions": [*objects(selector.get("matchExpressions")), *extra]}


def _matching(term: Term, pod: Pod, placement: Placement) -> Iterator[Placed]:
    selector = _selector(term, pod)
    for placed in placement.of_namespaces(_namespaces(term, pod.namespace, placement)):
        if matches_selector(selector, placed.pod.labels):
            yield placed


def _domains(term: Term, pod: Pod, placement: Placement) -> Counter[str]:
    """Return how many matching pods each topology domain has."""
    key = text(term.get("topologyKey"))
    found = (placement.domain(placed.node, key) for placed in _matching(term, pod, placement))
    return Counter(domain for domain in found if domain is not None)


class Counted(NamedTuple):
    """A term's topology key and how many matching pods each domain has; `weight` of a preference."""

    key: str
    counts: Counter[str]
    weight: int = 0


class Spread(NamedTuple):
    """A DoNotSchedule constraint: pods by domain, the fewest of any domain, and how many more one may have."""

    key: str
    counts: Counter[str]
    fewest: int
    skew: int
    own: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """All that other pods say about where one pod may and should run, counted once for all nodes."""

    wanted: tuple[Counted, ...] = ()
    first_of_series: bool = False
    shunned: tuple[Counted, ...] = ()
    repelling: frozenset[tuple[str, str]] = frozenset()
    spreads: tuple[Spread, ...] = ()
    liked: tuple[Counted, ...] = ()

    def reason(self, node: Node) -> str:
        """Return why a node is forbidden, "" when it is not: spreading first, then affinity, as the plugins run."""
        for spread in self.spreads:
            if spread.key not in node.labels:
                return f"{SPREAD} (missing required label)"
            if spread.counts[node.labels[spread.key]] + spread.own - spread.fewest > spread.skew:
                return SPREAD
        if self.wanted and not self._near(node):
            return NO_AFFINITY
        if any(term.counts[node.labels[term.key]] for term in self.shunned if term.key in node.labels):
            return ANTI_AFFINITY
        return EXISTING_ANTI_AFFINITY if self.repelling and not self.repelling.isdisjoint(node.labels.items()) else ""

    def _near(self, node: Node) -> bool:
        """Whether every affinity term finds a pod in the node's domain; the first pod of a series may go anywhere."""
        if any(term.key not in node.labels for term in self.wanted):
            return False
        return self.first_of_series or all(term.counts[node.labels[term.key]] for term in self.wanted)

    def score(self, node: Node) -> int:
        """Return the weight of the pods a node is near to, those to keep away from counting against it."""
        return sum(t.weight * t.counts[node.labels[t.key]] for t in self.liked if t.key in node.labels)


def rules_for(pod: Pod, spec: Term, eligible: Sequence[Node], placement: Placement) -> Rules:
    """Return the rules for one pod; *eligible* nodes are those its own selector and affinity admit."""
    wanted_terms = terms(spec, "podAffinity")
    wanted = _counted(wanted_terms, pod, placement)
    return Rules(
        wanted=wanted,
        first_of_series=bool(wanted) and _first_of_series(wanted_terms, wanted, pod, placement),
        shunned=_counted(terms(spec, "podAntiAffinity"), pod, placement),
        repelling=frozenset(_repelling(pod, placement)),
        spreads=tuple(_spreads(pod, spec, eligible, placement)),
        liked=tuple(_liked(pod, spec, placement)),
    )


def _counted(listed: Sequence[Term], pod: Pod, placement: Placement) -> tuple[Counted, ...]:
    return tuple(Counted(text(term.get("topologyKey")), _domains(term, pod, placement)) for term in listed)


def _first_of_series(listed: Sequence[Term], wanted: Sequence[Counted], pod: Pod, placement: Placement) -> bool:
    """Whether no pod matches any term yet and the pod itself matches them all (interpodaffinity/filtering.go)."""
    if any(term.counts for term in wanted):
        return False
    return all(
        pod.namespace in _namespaces(term, pod.namespace, placement)
        and matches_selector(_selector(term, pod), pod.labels)
        for term in listed
    )


def _repelling(pod: Pod, placement: Placement) -> Iterator[tuple[str, str]]:
    """Yield the domains (key, value) in which a pod that runs already does not want this one."""
    for placed in placement.guarded:
        for term in terms(placed.spec, "podAntiAffinity"):
            key = text(term.get("topologyKey"))
            domain = placement.domain(placed.node, key)
            there = domain is not None and pod.namespace in _namespaces(term, placed.pod.namespace, placement)
            if there and domain is not None and matches_selector(_selector(term, placed.pod), pod.labels):
                yield key, domain


def _spreads(pod: Pod, spec: Term, eligible: Sequence[Node], placement: Placement) -> Iterator[Spread]:
    """Yield the constraints that forbid (podtopologyspread/filtering.go); ScheduleAnyway ones never do."""
    for constraint in objects(spec.get("topologySpreadConstraints")):
        if constraint.get("whenUnsatisfiable") != "ScheduleAnyway":
            key = text(constraint.get("topologyKey"))
            domains = {node.labels[key] for node in eligible if key in node.labels}
            counts = _spread_counts(constraint, pod, key, placement)
            enough = len(domains) >= number(constraint.get("minDomains"), 1)
            fewest = min((counts[domain] for domain in domains), default=0) if enough else 0
            own = matches_selector(_selector(constraint, pod), pod.labels)
            yield Spread(key, counts, fewest, number(constraint.get("maxSkew"), 1), own)


def _spread_counts(constraint: Term, pod: Pod, key: str, placement: Placement) -> Counter[str]:
    selector = _selector(constraint, pod)
    found = (
        placement.domain(placed.node, key)
        for placed in placement.of_namespaces({pod.namespace})
        if not placed.pod.terminating and matches_selector(selector, placed.pod.labels)
    )
    return Counter(domain for domain in found if domain is not None)


def _liked(pod: Pod, spec: Term, placement: Placement) -> Iterator[Counted]:
    for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
        for item in objects(dig(spec, "affinity", kind, PREFERRED)):
            term = mapping(item.get("podAffinityTerm"))
            weight = sign * number(item.get("weight"))
            yield Counted(text(term.get("topologyKey")), _domains(term, pod, placement), weight)


def preferred_nodes(spec: Term) -> list[Term]:
    """Return the preferences of node affinity."""
    return objects(dig(spec, "affinity", "nodeAffinity", PREFERRED))


def node_score(preferences: Sequence[Term], node: Node) -> int:
    """Return the weight of the node affinity preferences that a node meets."""
    return sum(
        number(item.get("weight"))
        for item in preferences
        if matches_node_term(mapping(item.get("preference")), node.name, node.labels)
    )
