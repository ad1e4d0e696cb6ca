"""Pod affinity, anti-affinity and topology spread constraints, as kube-scheduler's plugins filter and score them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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


def affinity_reason(pod: Pod, spec: Term, node: Node, placement: Placement) -> str:
    """Return why affinity forbids a node, "" when it does not (interpodaffinity/filtering.go)."""
    wanted = terms(spec, "podAffinity")
    if wanted and not _satisfies(wanted, pod, node, placement):
        return NO_AFFINITY
    for term in terms(spec, "podAntiAffinity"):
        domain = node.labels.get(text(term.get("topologyKey")))
        if domain is not None and _domains(term, pod, placement)[domain]:
            return ANTI_AFFINITY
    return EXISTING_ANTI_AFFINITY if _repelled(pod, node, placement) else ""


def _satisfies(wanted: Sequence[Term], pod: Pod, node: Node, placement: Placement) -> bool:
    """Whether every affinity term finds a pod in the node's domain; the first pod of a series may go anywhere."""
    keys = [text(term.get("topologyKey")) for term in wanted]
    if any(key not in node.labels for key in keys):
        return False
    counts = [_domains(term, pod, placement) for term in wanted]
    if all(count[node.labels[key]] for count, key in zip(counts, keys, strict=True)):
        return True
    alone = not any(count.total() for count in counts)
    return alone and all(
        pod.namespace in _namespaces(term, pod.namespace, placement)
        and matches_selector(_selector(term, pod), pod.labels)
        for term in wanted
    )


def _repelled(pod: Pod, node: Node, placement: Placement) -> bool:
    """Whether a pod that runs already does not want this one in the node's domain."""
    for placed in placement.guarded:
        for term in terms(placed.spec, "podAntiAffinity"):
            key = text(term.get("topologyKey"))
            near = key in node.labels and placement.domain(placed.node, key) == node.labels[key]
            there = pod.namespace in _namespaces(term, placed.pod.namespace, placement)
            if near and there and matches_selector(_selector(term, placed.pod), pod.labels):
                return True
    return False


def spread_reason(pod: Pod, spec: Term, node: Node, eligible: Sequence[Node], placement: Placement) -> str:
    """Return why a DoNotSchedule constraint forbids a node, "" when none does (podtopologyspread/filtering.go)."""
    for constraint in objects(spec.get("topologySpreadConstraints")):
        if constraint.get("whenUnsatisfiable") == "ScheduleAnyway":
            continue
        key = text(constraint.get("topologyKey"))
        if key not in node.labels:
            return f"{SPREAD} (missing required label)"
        domains = {other.labels[key] for other in eligible if key in other.labels}
        counts = _spread_counts(constraint, pod, key, placement)
        fewest = min((counts[domain] for domain in domains), default=0)
        if len(domains) < number(constraint.get("minDomains"), 1):
            fewest = 0
        own = matches_selector(_selector(constraint, pod), pod.labels)
        if counts[node.labels[key]] + own - fewest > number(constraint.get("maxSkew"), 1):
            return SPREAD
    return ""


def _spread_counts(constraint: Term, pod: Pod, key: str, placement: Placement) -> Counter[str]:
    selector = _selector(constraint, pod)
    found = (
        placement.domain(placed.node, key)
        for placed in placement.of_namespaces({pod.namespace})
        if not placed.pod.terminating and matches_selector(selector, placed.pod.labels)
    )
    return Counter(domain for domain in found if domain is not None)


def affinity_score(pod: Pod, spec: Term, node: Node, placement: Placement) -> int:
    """Return the weight of all preferences that a node meets; repelling ones count against it."""
    score = sum(
        number(item.get("weight"))
        for item in objects(dig(spec, "affinity", "nodeAffinity", PREFERRED))
        if matches_node_term(mapping(item.get("preference")), node.name, node.labels)
    )
    for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
        for item in objects(dig(spec, "affinity", kind, PREFERRED)):
            term = mapping(item.get("podAffinityTerm"))
            domain = node.labels.get(text(term.get("topologyKey")))
            if domain is not None:
                score += sign * number(item.get("weight")) * _domains(term, pod, placement)[domain]
    return score
