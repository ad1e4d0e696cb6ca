"""All pods of the cluster: given and made, scheduled, addressed, judged ready, and bent by what-ifs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from iptables_gen.values import decimal
from netsim.cluster.allocate import ip_number, pick_pod_ip
from netsim.cluster.fate import fate_of
from netsim.cluster.model import Node, Pod
from netsim.cluster.options import BuildOptions
from netsim.cluster.pods import read_pod
from netsim.cluster.read import canonical_ip, family_of, spec_of
from netsim.cluster.readiness import Assumption, Judgement, Known, judge, notes_of
from netsim.cluster.scheduler import Request, Verdict, schedule
from netsim.cluster.storage import Claim, Storage, claims_of, plan_storage
from netsim.cluster.workloads import Expansion, Kinds, expand, ordered_sets
from netsim.manifests.objects import Manifest
from netsim.notes import Note

Key = tuple[str, str]
ZONE_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


@dataclass(frozen=True, slots=True)
class Setting:
    """What pods are placed into. `assumed_nodes`: no Node is in the input; `used` are addresses taken already."""

    nodes: Sequence[Node]
    assumed_nodes: bool
    namespaces: Mapping[str, Mapping[str, str]]
    kinds: Kinds
    options: BuildOptions
    used: Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class PodPlan:
    """The pods in (namespace, name) order, what else controllers made by kind, and what was assumed."""

    pods: tuple[Pod, ...]
    objects: Mapping[str, tuple[Manifest, ...]]
    notes: tuple[Note, ...]


def plan_pods(given: Sequence[Manifest], setting: Setting) -> PodPlan:
    """Return every pod that the controllers, the scheduler and the kubelets would have."""
    expansion = expand(setting.kinds, given, setting.nodes, setting.options.at)
    read = [read_pod(manifest) for manifest in expansion.pods]
    new = [pod for pod in read if is_new(pod)]
    kept = [pod for pod in read if not is_new(pod)]
    if not new:
        return PodPlan(_sorted(_bent(pod, setting.options) for pod in kept), expansion.objects, expansion.notes)
    storage = _storage(expansion, setting)
    placed, notes = _place_all(new, kept, storage, setting)
    judged, assumed = _judge_all(placed, setting)
    bent = [_bent(pod, setting.options) for pod in (*judged, *kept)]
    pods = _sorted(_in_order(bent, setting.kinds))
    notes = [*expansion.notes, *notes, *_stuck_notes(pods), *notes_of(assumed), *_claim_notes(storage)]
    return PodPlan(pods, expansion.objects, tuple(notes))


def is_new(pod: Pod) -> bool:
    """Whether no kubelet has reported on a pod: netsim decides where it runs and how it fares."""
    return not (pod.source and pod.source.data.get("status"))


def _sorted(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    return tuple(sorted(pods, key=lambda pod: (pod.namespace, pod.name)))


def _storage(expansion: Expansion, setting: Setting) -> Storage:
    merged = dict(setting.kinds)
    given = merged.get("PersistentVolumeClaim", ())
    known = {(m.namespace, m.name) for m in given}
    made = [m for m in expansion.objects.get("PersistentVolumeClaim", ()) if (m.namespace, m.name) not in known]
    merged["PersistentVolumeClaim"] = (*given, *made)
    return plan_storage(merged, strict=setting.options.strict_refs)


def _place_all(
    new: Sequence[Pod], kept: Sequence[Pod], storage: Storage, setting: Setting
) -> tuple[list[Pod], list[Note]]:
    """Return the new pods with their nodes; one that fits nowhere is Pending and says why."""
    strict = setting.options.strict_refs
    requests = [_request(pod, storage, strict=strict) for pod in new]
    running = [pod for pod in kept if pod.phase not in ("Succeeded", "Failed")]
    verdicts = schedule(requests, running, setting.nodes, setting.namespaces)
    notes: list[Note] = []
    if setting.assumed_nodes:
        verdicts, notes = _relaxed(requests, verdicts, running, setting)
    nodes = {node.name: node for node in setting.nodes}
    return [_bound(pod, verdicts[pod.namespace, pod.name], nodes) for pod in new], notes


def _request(pod: Pod, storage: Storage, *, strict: bool) -> Request:
    spec = spec_of(pod.source) if pod.source else {}
    names = claims_of(spec, pod.name)
    claims = {name: storage.claims.get((pod.namespace, name)) for name in names}
    missing = [name for name, claim in claims.items() if claim is None]
    found = [claim for claim in claims.values() if claim is not None]
    unbound = f'persistentvolumeclaim "{missing[0]}" not found' if missing and strict else ""
    problem = next((claim.problem for claim in found if claim.problem), "")
    if not unbound and problem:
        unbound = f"pod has unbound immediate PersistentVolumeClaims ({problem})"
    return Request(pod, spec, unbound, _usable(found))


def _usable(claims: Sequence[Claim]) -> Callable[[Node], bool]:
    return lambda node: all(claim.usable_on(node) for claim in claims)


def _relaxed(
    requests: Sequence[Request], verdicts: Mapping[Key, Verdict], running: Sequence[Pod], setting: Setting
) -> tuple[dict[Key, Verdict], list[Note]]:
    """Place pods that fit no assumed node all the same: what is not in the input cannot forbid anything."""
    stuck = [r for r in requests if not verdicts[r.pod.namespace, r.pod.name].node and not r.unbound]
    if not stuck:
        return dict(verdicts), []
    rules = ("nodeSelector", "affinity", "topologySpreadConstraints", "containers")
    bare = [replace(r, spec={k: v for k, v in r.spec.items() if k not in rules}) for r in stuck]
    again = schedule(bare, running, setting.nodes, setting.namespaces)
    names = ", ".join(sorted(f"{r.pod.namespace}/{r.pod.name}" for r in stuck))
    what = f"the assumed nodes are taken to suit pods whose placement rules they do not meet: {names}"
    return {**verdicts, **again}, [Note("ASSUMED_NODES_SUIT", what)]


def _bound(pod: Pod, verdict: Verdict, nodes: Mapping[str, Node]) -> Pod:
    """Return a pod with its node and that node's zone and region as labels (admission PodTopologyLabels)."""
    if not verdict.node:
        return replace(pod, ready=False, phase="Pending", node_name="", why_not_ready=verdict.reason)
    labels = nodes[verdict.node].labels
    topology = {key: labels[key] for key in ZONE_LABELS if key in labels}
    return replace(pod, node_name=verdict.node, labels={**pod.labels, **topology} if topology else pod.labels)


def _judge_all(pods: Sequence[Pod], setting: Setting) -> tuple[list[Pod], list[Assumption]]:
    known = Known(_known(setting.kinds), setting.options.strict_refs)
    nodes = {node.name: node for node in setting.nodes}
    taken = {ip_number(ip) for ip in setting.used() if canonical_ip(ip)}
    taken |= {ip_number(ip) for node in setting.nodes for ip in (*node.internal_ips, *node.external_ips)}
    found: list[Pod] = []
    assumed: list[Assumption] = []
    for pod in sorted(pods, key=lambda pod: (pod.namespace, pod.name)):
        if not pod.node_name:
            found.append(pod)
            continue
        judgement = _judgement(pod, known)
        assumed += judgement.assumed
        found.append(_addressed(_fared(pod, judgement), nodes[pod.node_name], taken, judgement))
    return found, assumed


def _known(kinds: Kinds) -> frozenset[tuple[str, str, str]]:
    return frozenset(
        (kind, m.namespace, m.name) for kind in ("ConfigMap", "Secret") for m in kinds.get(kind, ()) if not m.group
    )


def _judgement(pod: Pod, known: Known) -> Judgement:
    owner = pod.owner.partition("/")[2] or pod.name
    return judge(pod.namespace, owner, spec_of(pod.source) if pod.source else {}, known)


def _fared(pod: Pod, judgement: Judgement) -> Pod:
    """Return a pod in the phase and readiness that its annotations and its manifest give it."""
    fate = fate_of(pod.annotations, in_job=pod.owner.startswith("Job/"))
    if judgement.phase != "Running" or not judgement.ready:
        return replace(pod, phase=judgement.phase, ready=False, why_not_ready=judgement.why)
    why = (
        ""
        if fate.ready
        else f"it has {fate.phase.lower()}"
        if fate.ended
        else "its annotation says it never gets ready"
    )
    return replace(pod, phase=fate.phase, ready=fate.ready, why_not_ready=why)


def _addressed(pod: Pod, node: Node, taken: set[int], judgement: Judgement) -> Pod:
    if not judgement.sandbox:
        return pod
    if pod.host_network:
        return replace(pod, ips=one_per_family(node.internal_ips))
    ips = [pick_pod_ip(cidr, taken, "pod", pod.namespace, pod.name) for cidr in one_per_family(node.pod_cidrs)]
    taken.update(ip_number(ip) for ip in ips if ip)
    return replace(pod, ips=tuple(filter(None, ips)))


def one_per_family(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the first address or network of each family, in order."""
    found: dict[str, str] = {}
    for address in addresses:
        found.setdefault(family_of(address), address)
    return tuple(found.values())


def _bent(pod: Pod, options: BuildOptions) -> Pod:
    """Return a pod as the what-ifs want it."""
    name = f"{pod.namespace}/{pod.name}"
    phase = options.phases.get(name)
    if phase:
        ready = phase == "Running" or (phase == "Unknown" and pod.ready)
        pod = replace(pod, phase=phase, ready=ready, why_not_ready="" if ready else f"--phase {name}={phase}")
    if name in options.ready:
        phase = "Running" if pod.phase in ("Pending", "") else pod.phase
        pod = replace(pod, ready=True, phase=phase, why_not_ready="")
    if name in options.not_ready:
        pod = replace(pod, ready=False, why_not_ready="--not-ready")
    return replace(pod, terminating=True) if name in options.terminating else pod


def _in_order(pods: Sequence[Pod], kinds: Kinds) -> Iterable[Pod]:
    """Leave out what an OrderedReady StatefulSet has not started: the pods after the first that is not ready."""
    ordered = {(m.namespace, f"StatefulSet/{m.name}") for m in ordered_sets(kinds)}
    stopped: dict[Key, int] = {}
    for pod in pods:
        key = (pod.namespace, pod.owner)
        if key in ordered and not (pod.ready and pod.phase == "Running" and not pod.terminating):
            stopped[key] = min(_ordinal(pod), stopped.get(key, _ordinal(pod)))
    return [
        pod
        for pod in pods
        if not is_new(pod) or _ordinal(pod) <= stopped.get((pod.namespace, pod.owner), _ordinal(pod))
    ]


def _ordinal(pod: Pod) -> int:
    return decimal(pod.name.rpartition("-")[2]) or 0


def _stuck_notes(pods: Iterable[Pod]) -> list[Note]:
    """Return one note for each reason why new pods do not run, naming some of them."""
    stuck: dict[str, list[str]] = {}
    for pod in pods:
        if is_new(pod) and pod.phase == "Pending":
            stuck.setdefault(pod.why_not_ready, []).append(f"{pod.namespace}/{pod.name}")
    return [Note("POD_PENDING", f"{few(names)}: {why}") for why, names in sorted(stuck.items())]


def few(names: Sequence[str], most: int = 3) -> str:
    """Return some names and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _claim_notes(storage: Storage) -> list[Note]:
    assumed = sorted(f"{ns}/{name} ({claim.assumed})" for (ns, name), claim in storage.claims.items() if claim.assumed)
    if not assumed:
        return []
    return [Note("ASSUMED_STORAGE", f"claims assumed to be bound (--strict-refs says otherwise): {', '.join(assumed)}")]
