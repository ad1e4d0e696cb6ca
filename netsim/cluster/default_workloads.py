"""Defaults of Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and CronJobs (pkg/apis/{apps,batch}/v1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.cluster.default_pods import Object, Read, filled, replaced, template_defaults
from netsim.cluster.identity import uid
from netsim.cluster.read import mapping, objects

ROLLING = "RollingUpdate"
JOB_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")


def deployment(data: Object) -> Object:
    """Return a Deployment: one replica, RollingUpdate of 25 %, history 10, deadline 600 s."""
    defaults = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    spec = filled(_templated(data), defaults)
    strategy = filled(mapping(spec.get("strategy")), {"type": ROLLING})
    if strategy["type"] == ROLLING:
        rolling = mapping(strategy.get("rollingUpdate"))
        strategy["rollingUpdate"] = filled(rolling, {"maxUnavailable": "25%", "maxSurge": "25%"})
    return _with(data, {**spec, "strategy": strategy}, {})


def replica_set(data: Object) -> Object:
    """Return a ReplicaSet: one replica; without a selector its template's labels are it (legacy versions only)."""
    return _with(data, filled(_templated(data), {"replicas": 1}), {"replicas": 0})


def stateful_set(data: Object) -> Object:
    """Return a StatefulSet: OrderedReady, partition 0, claims retained; maxUnavailable is dropped (gate off)."""
    defaults = {"replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10, "serviceName": ""}
    spec = filled(_templated(data), defaults)
    strategy = filled(mapping(spec.get("updateStrategy")), {"type": ROLLING})
    if strategy["type"] == ROLLING:
        rolling = filled(mapping(strategy.get("rollingUpdate")), {"partition": 0})
        rolling.pop("maxUnavailable", None)
        strategy["rollingUpdate"] = rolling
    retention = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    spec["persistentVolumeClaimRetentionPolicy"] = filled(
        mapping(spec.get("persistentVolumeClaimRetentionPolicy")), retention
    )
    spec = replaced(spec, "volumeClaimTemplates", lambda listed: [_claim_template(item) for item in objects(listed)])
    return _with(data, {**spec, "updateStrategy": strategy}, {"replicas": 0, "availableReplicas": 0})


def _claim_template(data: Read) -> Object:
    found = claim({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **data})
    return {**found, "status": {"phase": "Pending"}}


def claim(data: Object) -> Object:
    """Return a PersistentVolumeClaim: volumeMode Filesystem, phase Pending until it is bound."""
    spec = filled(mapping(data.get("spec")), {"volumeMode": "Filesystem"})
    return {**data, "spec": spec, "status": data.get("status") or {"phase": "Pending"}}


def daemon_set(data: Object) -> Object:
    """Return a DaemonSet: RollingUpdate with one unavailable and no surge, and the template generation annotation."""
    spec = filled(_templated(data), {"revisionHistoryLimit": 10})
    strategy = filled(mapping(spec.get("updateStrategy")), {"type": ROLLING})
    if strategy["type"] == ROLLING:
        rolling = mapping(strategy.get("rollingUpdate"))
        strategy["rollingUpdate"] = filled(rolling, {"maxUnavailable": 1, "maxSurge": 0})
    counts = dict.fromkeys(("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"), 0)
    metadata = mapping(data.get("metadata"))
    annotations = {"deprecated.daemonset.template.generation": "1", **mapping(metadata.get("annotations"))}
    found = _with(data, {**spec, "updateStrategy": strategy}, counts)
    return {**found, "metadata": {**metadata, "annotations": annotations}}


def job(data: Object) -> Object:
    """Return a Job: completions and parallelism 1 when both are unset, backoff 6, and the selector the server makes."""
    spec = job_spec(mapping(data.get("spec")))
    metadata = mapping(data.get("metadata"))
    if spec["manualSelector"] or "selector" in spec:
        return _with(data, spec, {})
    own = uid(data)
    labels = dict(zip(JOB_LABELS, (own, metadata.get("name"), own, metadata.get("name")), strict=True))
    template = mapping(spec.get("template"))
    inner = mapping(template.get("metadata"))
    spec["selector"] = {"matchLabels": {JOB_LABELS[0]: own}}
    spec["template"] = {**template, "metadata": {**inner, "labels": {**mapping(inner.get("labels")), **labels}}}
    # The server labels the Job itself with its template's labels when it has none of its own.
    own_labels = metadata.get("labels") or spec["template"]["metadata"]["labels"]
    return {**_with(data, spec, {}), "metadata": {**metadata, "labels": own_labels}}


def job_spec(spec: Read, *, stored: bool = True) -> Object:
    """Return a Job's spec; inside a CronJob (`stored` false) no field is filled in but the pod template's."""
    found = {**spec, "template": template_defaults(mapping(spec.get("template")))}
    if not stored:
        return found
    if "completions" not in found and "parallelism" not in found:
        found |= {"completions": 1, "parallelism": 1}
    defaults: Mapping[str, Any] = {
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "Failed" if "podFailurePolicy" in found else "TerminatingOrFailed",
    }
    return filled(found, defaults)


def cron_job(data: Object) -> Object:
    """Return a CronJob: Allow, not suspended, histories of 3 and 1."""
    defaults = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    spec = filled(mapping(data.get("spec")), defaults)
    template = mapping(spec.get("jobTemplate"))
    inner = job_spec(mapping(template.get("spec")), stored=False)
    inner["template"] = filled(inner["template"], {"metadata": {}})
    spec["jobTemplate"] = filled({**template, "spec": inner}, {"metadata": {}})
    return _with(data, spec, {})


def _templated(data: Read) -> Object:
    spec = mapping(data.get("spec"))
    return {**spec, "template": template_defaults(mapping(spec.get("template")))}


def _with(data: Object, spec: Object, status: Read) -> Object:
    return {**data, "spec": spec, "status": data.get("status") or dict(status)}
