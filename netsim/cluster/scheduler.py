"""A deterministic kube-scheduler: the real one's filters in its order and words, and a fixed choice among what is left.

Pods are taken in the order (priority, namespace, name). Of the nodes that pass every filter the one with the most
preferred affinity, then the fewest PreferNoSchedule taints, then the fewest pods of the same owner on the node, then in
its zone, is chosen; a hash of owner and node decides what is still equal, so unrelated pods do not move anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from netsim.cluster.affinity import Rules, node_score, preferred_nodes, rules_for
from netsim.cluster.allocate import digest
from netsim.cluster.model import ContainerPort, Node, Pod, Taint
from netsim.cluster.placement import Placed, Placement
from netsim.cluster.quantity import quantity
from netsim.cluster.read import dig, labels_of, mapping, number, objects, spec_of, status_of, text
from netsim.cluster.selectors import matches_map, matches_node_term

Spec = Mapping[str, Any]
Amounts = dict[str, int]
# Amounts are whole billionths of a unit, the smallest that a quantity can name; comparing integers is fast and exact.
NANO = 10**9
CORDON = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
UNTOLERATED = "node(s) had untolerated taint(s)"
DAEMON_TAINTS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a pod runs: a node's name, or "" and the scheduler's reason."""

    node: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One pod to place; its volumes say a reason that no node can cure (`unbound`), or on which nodes they work."""

    pod: Pod
    spec: Spec
    unbound: str = ""
    volume_nodes: Callable[[Node], bool] = field(default=lambda node: True)


@dataclass(slots=True)
class _State:
    """What is placed so far."""

    nodes: Sequence[Node]
    capacity: Mapping[str, Mapping[str, int]]
    placement: Placement
    used: defaultdict[str, Amounts] = field(default_factory=lambda: defaultdict(dict))
    ports: defaultdict[str, list[ContainerPort]] = field(default_factory=lambda: defaultdict(list))

    def place(self, node: str, pod: Pod, spec: Spec) -> None:
        """Count a pod's requests, ports and labels on a node."""
        self.used[node] = added(added(self.used[node], requests_of(spec)), {"pods": NANO})
        self.ports[node].extend(port for port in pod.ports if port.host_port)
        self.placement.add(Placed(pod, spec, node))


def schedule(
    requests: Sequence[Request],
    running: Iterable[Pod],
    nodes: Sequence[Node],
    namespaces: Mapping[str, Mapping[str, str]],
) -> dict[tuple[str, str], Verdict]:
    """Return where each pod goes, by (namespace, name); *running* pods take their place first."""
    capacity = {node.name: capacity_of(node) for node in nodes}
    state = _State(nodes, capacity, Placement({node.name: node for node in nodes}, namespaces))
    for pod in running:
        if pod.node_name:
            state.place(pod.node_name, pod, spec_of(pod.source) if pod.source else {})
    verdicts: dict[tuple[str, str], Verdict] = {}
    for request in sorted(requests, key=_turn):
        verdict = _schedule_one(request, state)
        if verdict.node:
            state.place(verdict.node, request.pod, request.spec)
        verdicts[request.pod.namespace, request.pod.name] = verdict
    return verdicts


def _turn(request: Request) -> tuple[int, str, str]:
    return -number(request.spec.get("priority")), request.pod.namespace, request.pod.name


def _schedule_one(request: Request, state: _State) -> Verdict:
    named = text(request.spec.get("nodeName"))
    if named:
        known = any(node.name == named for node in state.nodes)
        return Verdict(named) if known else Verdict("", f"node {named} does not exist")
    if objects(request.spec.get("schedulingGates")):
        gates = ", ".join(text(gate.get("name")) for gate in objects(request.spec.get("schedulingGates")))
        return Verdict("", f"Scheduling is blocked due to non-empty scheduling gates: {gates}")
    if request.unbound:
        return Verdict("", f"0/{len(state.nodes)} nodes are available: {request.unbound}.")
    question = _question(request, state)
    failures = {node.name: why_not(question, node, state) for node in state.nodes}
    fitting = [node for node in state.nodes if not failures[node.name]]
    if not fitting:
        return Verdict("", fit_error(len(state.nodes), failures.values()))
    return Verdict(_best(question, fitting, state).name)


@dataclass(frozen=True, slots=True)
class _Question:
    """A request with all that does not depend on the node worked out."""

    request: Request
    asked: Amounts
    tolerations: Sequence[Spec]
    eligible: frozenset[str]
    rules: Rules
    preferences: Sequence[Spec]


def _question(request: Request, state: _State) -> _Question:
    spec = request.spec
    selective = "nodeSelector" in spec or "affinity" in spec
    eligible = [node for node in state.nodes if not selective or matches_node(spec, node)]
    return _Question(
        request,
        {name: amount for name, amount in requests_of(spec).items() if amount > 0},
        objects(spec.get("tolerations")),
        frozenset(node.name for node in eligible),
        rules_for(request.pod, spec, eligible, state.placement),
        preferred_nodes(spec),
    )


def fit_error(count: int, failures: Iterable[Sequence[str]]) -> str:
    """Return the scheduler's summary, reasons sorted as text (framework.FitError)."""
    counted = Counter(reason for reasons in failures for reason in reasons)
    reasons = ", ".join(sorted(f"{n} {reason}" for reason, n in counted.items()))
    return f"0/{count} nodes are available: {reasons}." if count else "no nodes available to schedule pods"


def why_not(question: _Question, node: Node, state: _State) -> tuple[str, ...]:
    """Return the first filter's reasons why a pod cannot run on a node, () when it can."""
    tolerations, request = question.tolerations, question.request
    if node.unschedulable and not tolerates(tolerations, CORDON):
        return ("node(s) were unschedulable",)
    if node.taints and not tolerates_node(tolerations, node):
        return (UNTOLERATED,)
    if node.name not in question.eligible:
        return ("node(s) didn't match Pod's node affinity/selector",)
    if request.pod.ports and _ports_taken(request.pod.ports, state.ports[node.name]):
        return ("node(s) didn't have free ports for the requested pod ports",)
    lacking = _insufficient(question.asked, node, state)
    if lacking:
        return lacking
    if not request.volume_nodes(node):
        return ("node(s) didn't match PersistentVolume's node affinity",)
    reason = question.rules.reason(node)
    return (reason,) if reason else ()


def tolerates_node(tolerations: Sequence[Spec], node: Node) -> bool:
    """Whether tolerations cover every NoSchedule and NoExecute taint of a node."""
    return all(tolerates(tolerations, taint) for taint in node.taints if taint.effect in ("NoSchedule", "NoExecute"))


def tolerates(tolerations: Sequence[Spec], taint: Taint) -> bool:
    """Whether any toleration covers a taint (component-helpers ToleratesTaint)."""
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Spec, taint: Taint) -> bool:
    key, effect = text(toleration.get("key")), text(toleration.get("effect"))
    if (effect and effect != taint.effect) or (key and key != taint.key):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(key) and text(toleration.get("value")) == taint.value


def matches_node(spec: Spec, node: Node) -> bool:
    """Whether nodeSelector and required node affinity admit a node."""
    required = dig(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    if not matches_map(labels_of(spec.get("nodeSelector")), node.labels):
        return False
    if not isinstance(required, dict):
        return True
    return any(matches_node_term(t, node.name, node.labels) for t in objects(required.get("nodeSelectorTerms")))


def runs_daemon(spec: Spec, tolerations: Sequence[Spec], node: Node) -> bool:
    """Whether a DaemonSet's pod belongs on a node: cordons and PreferNoSchedule do not matter."""
    named = text(spec.get("nodeName"))
    return named in ("", node.name) and matches_node(spec, node) and tolerates_node(tolerations, node)


def daemon_tolerations(spec: Spec) -> list[dict[str, Any]]:
    """Return a template's tolerations and those that every DaemonSet pod gets (AddOrUpdateDaemonPodTolerations)."""
    taints = [*DAEMON_TAINTS]
    if spec.get("hostNetwork") is True:
        taints.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    own = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in taints]
    given = [dict(item) for item in objects(spec.get("tolerations"))]
    keys = {(item.get("key"), item.get("effect")) for item in given}
    return [*given, *(item for item in own if (item["key"], item["effect"]) not in keys)]


def _ports_taken(wanted: Iterable[ContainerPort], taken: Sequence[ContainerPort]) -> bool:
    """Whether a hostPort clashes: same number and protocol, and the same address or one of them every address."""
    anywhere = ("", "0.0.0.0", "::")
    return any(
        port.host_port == other.host_port
        and port.protocol == other.protocol
        and (port.host_ip == other.host_ip or port.host_ip in anywhere or other.host_ip in anywhere)
        for port in wanted
        if port.host_port
        for other in taken
    )


def capacity_of(node: Node) -> Amounts:
    """Return status.allocatable (else capacity); a resource that is not named is not limited."""
    status = status_of(node.source) if node.source else {}
    given = mapping(status.get("allocatable")) or mapping(status.get("capacity"))
    return _quantities(given)


def added(left: Mapping[str, int], right: Mapping[str, int]) -> Amounts:
    """Return the sum of two amounts, resource by resource."""
    return {**left, **{name: left.get(name, 0) + amount for name, amount in right.items()}}


def larger(left: Mapping[str, int], right: Mapping[str, int]) -> Amounts:
    """Return the larger of two amounts, resource by resource."""
    return {**left, **{name: max(left.get(name, 0), amount) for name, amount in right.items()}}


def requests_of(spec: Spec) -> Amounts:
    """Return what a pod asks for: containers and sidecars together, or the largest init container if that is more."""
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in objects(spec.get("initContainers")):
        asked = _container_requests(container)
        if container.get("restartPolicy") == "Always":
            sidecars = added(sidecars, asked)
            peak = larger(peak, sidecars)
        else:
            peak = larger(peak, added(sidecars, asked))
    total = sidecars
    for container in objects(spec.get("containers")):
        total = added(total, _container_requests(container))
    own = {**larger(total, peak), **_quantities(dig(spec, "resources", "requests"))}
    return added(own, _quantities(spec.get("overhead")))


def _quantities(given: object) -> Amounts:
    return {name: ceil(quantity(value) * NANO) for name, value in mapping(given).items()}


def _container_requests(container: Spec) -> Amounts:
    resources = mapping(container.get("resources"))
    return {**_quantities(resources.get("limits")), **_quantities(resources.get("requests"))}


def _insufficient(asked: Amounts, node: Node, state: _State) -> tuple[str, ...]:
    capacity, used = state.capacity[node.name], state.used[node.name]
    if not capacity:
        return ()
    if "pods" in capacity and used.get("pods", 0) + NANO > capacity["pods"]:
        return ("Too many pods",)
    return tuple(
        f"Insufficient {name}"
        for name in sorted(asked)
        if _limited(name, capacity) and used.get(name, 0) + asked[name] > capacity.get(name, 0)
    )


def _limited(name: str, capacity: Mapping[str, int]) -> bool:
    """Whether a node limits a resource: one it names, or a device of which a described node has none."""
    return name in capacity or (bool(capacity) and "/" in name and not name.startswith("kubernetes.io/"))


def _best(question: _Question, fitting: Sequence[Node], state: _State) -> Node:
    """Return the node to run on; among equals a hash of owner and node decides."""
    pod = question.request.pod
    siblings = state.placement.siblings(pod)
    zones: Counter[str] = Counter()
    for name, count in siblings.items():
        zones[state.placement.zone(name)] += count

    def rank(node: Node) -> tuple[int, ...]:
        preferred = node_score(question.preferences, node) + question.rules.score(node)
        return (
            -preferred,
            _avoided(question.tolerations, node),
            siblings[node.name],
            zones[node.zone] if node.zone else 0,
        )

    ranks = [rank(node) for node in fitting]
    best = min(ranks)
    equal = [node for node, found in zip(fitting, ranks, strict=True) if found == best]
    return min(equal, key=lambda node: digest("place", pod.namespace, pod.owner or pod.name, node.name))


def _avoided(tolerations: Sequence[Spec], node: Node) -> int:
    return sum(taint.effect == "PreferNoSchedule" and not tolerates(tolerations, taint) for taint in node.taints)
