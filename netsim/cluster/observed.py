"""What controllers would report of workloads without a status in the input: how many pods are there, and ready."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, cast

from netsim.cluster.default_pods import Object
from netsim.cluster.model import Cluster
from netsim.cluster.read import mapping, metadata_of, objects, text

Key = tuple[str, str, str]


def counts(cluster: Cluster) -> Mapping[Key, Counter[str]]:
    """Return by (namespace, kind, name) of an owner how many pods it has: all, ready, of each phase; computed once."""
    if "observed" not in cluster.memo:
        cluster.memo["observed"] = _counts(cluster)
    return cast("Mapping[Key, Counter[str]]", cluster.memo["observed"])


def _counts(cluster: Cluster) -> Mapping[Key, Counter[str]]:
    found: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    for pod in cluster.pods:
        kind, _, name = pod.owner.partition("/")
        if name:
            words = ["all", *(["ready"] if pod.ready else []), pod.phase]
            found[pod.namespace, kind, name].update(words)
    for replica_set in cluster.objects.get("ReplicaSet", ()):
        owners = objects(metadata_of(replica_set).get("ownerReferences"))
        for owner in owners:
            key = (replica_set.namespace, text(owner.get("kind")), text(owner.get("name")))
            found[key].update(found[replica_set.namespace, "ReplicaSet", replica_set.name])
    return found


def with_status(cluster: Cluster, kind: str, item: Object) -> Object:
    """Return a workload with the status its controller would write, unless the input holds one."""
    metadata = mapping(item.get("metadata"))
    name, namespace = text(metadata.get("name")), text(metadata.get("namespace"))
    given = any(
        m.data.get("status") for m in cluster.objects.get(kind, ()) if (m.namespace, m.name) == (namespace, name)
    )
    if given or kind not in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"):
        return item
    return {**item, "status": _status(kind, counts(cluster).get((namespace, kind, name), Counter()))}


def _status(kind: str, found: Counter[str]) -> dict[str, Any]:
    total, ready = found["all"], found["ready"]
    if kind == "DaemonSet":
        names = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled")
        return {**dict.fromkeys(names, total), "numberReady": ready, "numberAvailable": ready}
    if kind == "Job":
        done = found["Succeeded"]
        finished = bool(done) and not found["Running"] + found["Pending"]
        conditions = (
            [{"type": "Complete" if done else "Failed", "status": "True"}] if finished or found["Failed"] else []
        )
        return {"succeeded": done, "failed": found["Failed"], "conditions": conditions}
    return {"replicas": total, "updatedReplicas": total, "readyReplicas": ready, "availableReplicas": ready}
