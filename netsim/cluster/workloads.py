"""Workloads to Pods, as the controllers make them, with deterministic stand-ins for what they choose at random.

A workload whose Pods are in the input (a dump) keeps them: nothing is made for a stored workload when the input has
stored Pods. Annotations on a pod say how it fares (fate.py); without them it becomes ready, and a Job's pods run to the
end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netsim.cluster.allocate import generated_name
from netsim.cluster.derived import (
    Made,
    Object,
    Template,
    TemplatePositions,
    adopted,
    make_pod,
    owner_reference,
    template_of,
)
from netsim.cluster.identity import uid
from netsim.cluster.model import Node
from netsim.cluster.read import labels_of, mapping, metadata_of, number, objects, optional_number, spec_of, text
from netsim.cluster.selectors import matches_selector
from netsim.manifests.objects import Manifest
from netsim.notes import Note

Kinds = Mapping[str, Sequence[Manifest]]
CONTROLLERS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob")
MOST_PODS = 150_000
"""Pods that a cluster may have (Kubernetes: "Considerations for large clusters"); controllers make no more here."""
GROUPS = dict.fromkeys(CONTROLLERS[:4], "apps") | dict.fromkeys(CONTROLLERS[4:], "batch")


@dataclass(frozen=True, slots=True)
class Expansion:
    """All pods, given and made; what else controllers made, by kind; `dropped` are orphans beyond a set's replicas."""

    pods: tuple[Manifest, ...] = ()
    objects: Mapping[str, tuple[Manifest, ...]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class Work:
    """What one expansion has collected so far."""

    pods: dict[tuple[str, str], Manifest]
    nodes: Sequence[Node]
    at: str
    keeps: bool
    given: defaultdict[tuple[str, str, str], list[Manifest]] = field(default_factory=lambda: defaultdict(list))
    loose: defaultdict[str, list[Manifest]] = field(default_factory=lambda: defaultdict(list))
    made: dict[str, list[Manifest]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def add(self, pod: Manifest) -> None:
        """Add a pod; one of the same name that is there already stays."""
        self.pods.setdefault((pod.namespace, pod.name), pod)

    def room(self, owner: Manifest, wanted: int) -> int:
        """Return how many pods a controller may make of those that it wants; a note says when they are fewer."""
        left = max(MOST_PODS - len(self.pods), 0)
        if wanted > left:
            name = f"{owner.kind} {owner.namespace}/{owner.name}"
            what = f"{name}: {left} of {wanted} pods are modelled: a cluster has at most {MOST_PODS}"
            self.notes.append(Note("TOO_MANY_PODS", what, qualifies=True))
        return min(wanted, left)

    def make(self, manifest: Manifest) -> Manifest:
        """Add another made object and return it."""
        self.made.setdefault(manifest.kind, []).append(manifest)
        return manifest

    def owned(self, owner: Manifest) -> list[Manifest]:
        """Return the pods that the input (or adoption) gives a controller."""
        return list(self.given.get((owner.namespace, owner.kind, owner.name), ()))

    def adopt(self, pod: Manifest, owner: Manifest) -> None:
        """Give an orphan its owner."""
        taken = adopted(pod, owner)
        self.pods[pod.namespace, pod.name] = taken
        self.loose[pod.namespace].remove(pod)
        self.given[owner.namespace, owner.kind, owner.name].append(taken)

    def delete(self, pod: Manifest, owner: Manifest) -> None:
        """Delete an orphan that a controller has no use for, and say so."""
        del self.pods[pod.namespace, pod.name]
        self.loose[pod.namespace].remove(pod)
        what = f"Pod {pod.namespace}/{pod.name} is one too many for {owner.kind} {owner.name}: deleted"
        self.notes.append(Note("POD_DELETED", what))

    def orphans(self, owner: Manifest) -> list[Manifest]:
        """Return the pods without owner that a controller's selector selects, by name."""
        selector = spec_of(owner).get("selector")
        found = [
            pod
            for pod in self.loose.get(owner.namespace, ())
            if not metadata_of(pod).get("deletionTimestamp")
            and matches_selector(selector, labels_of(metadata_of(pod).get("labels")))
        ]
        return sorted(found, key=lambda pod: pod.name)


def start(pods: Sequence[Manifest], nodes: Sequence[Node], at: str) -> Work:
    """Return the work before any controller has run."""
    keeps = any(pod.stored or pod.data.get("status") for pod in pods)
    work = Work({(pod.namespace, pod.name): pod for pod in pods}, nodes, at, keeps)
    for pod in pods:
        owner = _owner(pod)
        if owner:
            work.given[pod.namespace, text(owner.get("kind")), text(owner.get("name"))].append(pod)
        else:
            work.loose[pod.namespace].append(pod)
    return work


def _owner(manifest: Manifest) -> Mapping[str, object]:
    return next((o for o in objects(metadata_of(manifest).get("ownerReferences")) if o.get("controller") is True), {})


def expand(kinds: Kinds, pods: Sequence[Manifest], nodes: Sequence[Node], at: str) -> Expansion:
    """Return the pods of all workloads beside the given ones."""
    from netsim.cluster.jobs import expand_cron_job, expand_job

    work = start(pods, nodes, at)
    steps: tuple[tuple[str, Callable[[Manifest, Work], None]], ...] = (
        ("Deployment", _expand_deployment),
        ("ReplicaSet", _expand_replica_set),
        ("StatefulSet", _expand_stateful_set),
        ("DaemonSet", _expand_daemon_set),
        ("CronJob", expand_cron_job),
        ("Job", expand_job),
    )
    for kind, step in steps:
        for manifest in (*_of_kind(kinds, kind), *work.made.get(kind, ())):
            if not (work.keeps and (manifest.stored or manifest.data.get("status"))):
                step(manifest, work)
    made = {kind: tuple(sorted(listed, key=lambda m: (m.namespace, m.name))) for kind, listed in work.made.items()}
    return Expansion(tuple(work.pods.values()), made, tuple(work.notes))


def _of_kind(kinds: Kinds, kind: str) -> Iterator[Manifest]:
    return (manifest for manifest in kinds.get(kind, ()) if manifest.group == GROUPS[kind])


def replicas_of(manifest: Manifest) -> int:
    """Return spec.replicas, 1 when absent, never below 0."""
    found = optional_number(spec_of(manifest).get("replicas"))
    return 1 if found is None else max(found, 0)


def _expand_deployment(deployment: Manifest, work: Work) -> None:
    """Make the ReplicaSet of a Deployment; a paused one that is new makes nothing."""
    if spec_of(deployment).get("paused") is True:
        work.notes.append(Note("PAUSED", f"Deployment {deployment.namespace}/{deployment.name} is paused: no pods"))
        return
    template = template_of(deployment)
    digest = template.hash()
    hashed = {"pod-template-hash": digest}
    selector = mapping(spec_of(deployment).get("selector"))
    metadata = mapping(template.data.get("metadata"))
    labels = {**template.labels, **hashed}
    spec: Object = {
        "replicas": replicas_of(deployment),
        "selector": {**selector, "matchLabels": {**mapping(selector.get("matchLabels")), **hashed}},
        "template": {**template.data, "metadata": {**metadata, "labels": labels}},
    }
    data = _object("apps/v1", "ReplicaSet", f"{deployment.name}-{digest}", deployment, labels, spec)
    work.make(Manifest(data, TemplatePositions(deployment.positions, ())))


def _object(version: str, kind: str, name: str, owner: Manifest, labels: Mapping[str, str], spec: Object) -> Object:
    metadata: Object = {"name": name, "namespace": owner.namespace, "ownerReferences": [owner_reference(owner)]}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _expand_replica_set(replica_set: Manifest, work: Work) -> None:
    """Adopt orphans, delete those beyond replicas, make what is missing."""
    wanted = replicas_of(replica_set)
    for orphan in work.orphans(replica_set):
        if len(work.owned(replica_set)) < wanted:
            work.adopt(orphan, replica_set)
        else:
            work.delete(orphan, replica_set)
    template = template_of(replica_set)
    there = len(work.owned(replica_set))
    for index in range(there, there + work.room(replica_set, wanted - there)):
        prefix = f"{replica_set.name}-"
        name = generated_name(prefix, replica_set.namespace, index)
        work.add(make_pod(template, Made(name, prefix), replica_set))


def _expand_stateful_set(stateful_set: Manifest, work: Work) -> None:
    """Make db-0, db-1 … with their claims; hostname and subdomain are the controller's own."""
    spec = spec_of(stateful_set)
    template = template_of(stateful_set)
    revision = f"{stateful_set.name}-{template.hash()}"
    start = number(mapping(spec.get("ordinals")).get("start"))
    claims = [item for item in objects(spec.get("volumeClaimTemplates")) if mapping(item.get("metadata")).get("name")]
    orphans = {pod.name: pod for pod in work.orphans(stateful_set)}
    for ordinal in range(start, start + work.room(stateful_set, replicas_of(stateful_set))):
        name = f"{stateful_set.name}-{ordinal}"
        if name in orphans:
            work.adopt(orphans[name], stateful_set)
        work.add(
            make_pod(template, _stateful_pod(stateful_set, template, name, ordinal, revision, claims), stateful_set)
        )
        for index, claim in enumerate(claims):
            work.make(_claim(stateful_set, claim, name, index))


def _stateful_pod(
    owner: Manifest, template: Template, name: str, ordinal: int, revision: str, claims: Sequence[Mapping[str, object]]
) -> Made:
    labels = {
        "apps.kubernetes.io/pod-index": str(ordinal),
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": name,
    }
    spec: Object = {"hostname": name}
    service = text(spec_of(owner).get("serviceName"))
    if service or "subdomain" in template.spec:
        spec["subdomain"] = service
    if claims:
        names = [text(mapping(claim.get("metadata")).get("name")) for claim in claims]
        own = [{"name": c, "persistentVolumeClaim": {"claimName": f"{c}-{name}"}} for c in names]
        others = [v for v in objects(template.spec.get("volumes")) if v.get("name") not in names]
        spec["volumes"] = [*own, *others]
    return Made(name, f"{owner.name}-", labels, spec=spec)


def _claim(owner: Manifest, claim: Mapping[str, object], pod: str, index: int) -> Manifest:
    """Return the claim `TEMPLATE-POD` of a StatefulSet, labelled with its selector; it has no owner (Retain)."""
    metadata = mapping(claim.get("metadata"))
    selector = labels_of(mapping(spec_of(owner).get("selector")).get("matchLabels"))
    labels = {**labels_of(metadata.get("labels")), **selector}
    data: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{text(metadata.get('name'))}-{pod}", "namespace": owner.namespace, "labels": labels},
        "spec": mapping(claim.get("spec")),
    }
    return Manifest(data, TemplatePositions(owner.positions, ("spec", "volumeClaimTemplates", index)))


def _expand_daemon_set(daemon_set: Manifest, work: Work) -> None:
    """Make one pod on every node that the template's selector, affinity and tolerations admit."""
    from netsim.cluster.scheduler import daemon_tolerations, runs_daemon

    template = template_of(daemon_set)
    labels = {"controller-revision-hash": template.hash(), "pod-template-generation": "1"}
    prefix = f"{daemon_set.name}-"
    there = {text(spec_of(pod).get("nodeName")) for pod in work.owned(daemon_set)}
    for pod in work.orphans(daemon_set):
        there.add(text(spec_of(pod).get("nodeName")))
        work.adopt(pod, daemon_set)
    for node in work.nodes:
        tolerations = daemon_tolerations(template.spec)
        if node.name not in there and runs_daemon(template.spec, tolerations, node):
            spec = {"affinity": _pinned(template.spec, node.name), "tolerations": tolerations}
            name = generated_name(prefix, daemon_set.namespace, node.name)
            work.add(make_pod(template, Made(name, prefix, labels, spec=spec), daemon_set))


def _pinned(spec: Mapping[str, object], node: str) -> Object:
    """Return affinity with the node's name as its required terms (ReplaceDaemonSetPodNodeNameNodeAffinity)."""
    affinity = dict(mapping(spec.get("affinity")))
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {**affinity, "nodeAffinity": {**mapping(affinity.get("nodeAffinity")), **required}}


def ordered_sets(kinds: Kinds) -> Iterable[Manifest]:
    """Return the StatefulSets that start a pod only when the one before is ready."""
    return (m for m in _of_kind(kinds, "StatefulSet") if spec_of(m).get("podManagementPolicy") != "Parallel")


def job_uid(job: Manifest) -> str:
    """Return the UID that a Job's pods carry as label."""
    return uid({**job.data, "kind": "Job"})
