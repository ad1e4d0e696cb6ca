"""Jobs and CronJobs to Pods, as the Job and CronJob controllers make them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from netsim.cluster.allocate import generated_name
from netsim.cluster.cron import last_run, parse_schedule, parse_time
from netsim.cluster.default_workloads import JOB_LABELS
from netsim.cluster.derived import Made, Object, Template, TemplatePositions, make_pod, owner_reference, template_of
from netsim.cluster.fate import fate_of
from netsim.cluster.identity import uid
from netsim.cluster.read import labels_of, mapping, metadata_of, objects, optional_number, spec_of, text
from netsim.cluster.workloads import Work
from netsim.manifests.objects import Manifest
from netsim.notes import Note

INDEX = "batch.kubernetes.io/job-completion-index"
FINALIZER = "batch.kubernetes.io/job-tracking"


def expand_job(job: Manifest, work: Work) -> None:
    """Make a Job's pods: while it runs, `parallelism` of them; when it has ended, one for every completion."""
    spec = spec_of(job)
    template = template_of(job)
    if spec.get("suspend") is True or work.owned(job):
        return
    fate = fate_of(labels_of(mapping(template.data.get("metadata")).get("annotations")), in_job=True)
    if fate.ended and spec.get("ttlSecondsAfterFinished") is not None:
        work.notes.append(
            Note("JOB_REMOVED", f"Job {job.namespace}/{job.name} has ended and outlived its TTL: no pods")
        )
        return
    if fate.ended:
        what = "is taken to have run to its end (--phase POD=Running says otherwise)"
        work.notes.append(Note("JOB_ENDED", f"Job {job.namespace}/{job.name} {what}"))
    for index in range(work.room(job, _count(spec, fate.phase))):
        # The controller takes its finalizer off a pod that has ended and been counted.
        finalizers = () if fate.ended else (FINALIZER,)
        work.add(make_pod(template, _job_pod(job, template, index, finalizers), job))


def _count(spec: Mapping[str, object], phase: str) -> int:
    """Return how many pods exist: completions when done, the retries allowed when failing, else what runs at once."""
    completions = optional_number(spec.get("completions"))
    parallelism = optional_number(spec.get("parallelism"))
    parallel = 1 if parallelism is None else max(parallelism, 0)
    if phase == "Failed":
        backoff = optional_number(spec.get("backoffLimit"))
        return min((6 if backoff is None else backoff) + 1, 100)
    if phase == "Succeeded":
        return max(completions if completions is not None else parallel, 0)
    return parallel if completions is None else min(parallel, completions)


def _job_pod(job: Manifest, template: Template, index: int, finalizers: tuple[str, ...]) -> Made:
    own = text(metadata_of(job).get("uid")) or uid(job.data)
    labels = {} if spec_of(job).get("manualSelector") else dict(zip(JOB_LABELS, (own, job.name) * 2, strict=True))
    if spec_of(job).get("completionMode") != "Indexed":
        prefix = f"{job.name}-"
        return Made(generated_name(prefix, job.namespace, index), prefix, labels, None, finalizers)
    prefix = f"{job.name}-{index}-"
    marked = {INDEX: str(index)}
    spec: Object = {"hostname": f"{job.name}-{index}"[:63]}
    for key in ("initContainers", "containers"):
        if key in template.spec:
            spec[key] = [_with_index(container) for container in objects(template.spec[key])]
    name = generated_name(prefix, job.namespace, index)
    return Made(name, prefix, {**labels, **marked}, marked, finalizers, spec)


def _with_index(container: Mapping[str, object]) -> Object:
    path = {"fieldPath": f"metadata.labels['{INDEX}']"}
    own = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": path}}
    given = objects(container.get("env"))
    return {**container, "env": [*given, *([] if any(e.get("name") == own["name"] for e in given) else [own])]}


def expand_cron_job(cron_job: Manifest, work: Work) -> None:
    """Make the Job of the last scheduled minute; without `--at` no time is known and none exists."""
    spec = spec_of(cron_job)
    name = f"CronJob {cron_job.namespace}/{cron_job.name}"
    if spec.get("suspend") is True:
        return
    if not work.at:
        work.notes.append(Note("NO_TIME", f"{name}: no Job, as no time is known (--at TIME)"))
        return
    try:
        run = last_run(parse_schedule(text(spec.get("schedule"))), parse_time(work.at), _zone(spec.get("timeZone")))
    except (ValueError, KeyError, OSError, OverflowError) as error:
        work.notes.append(Note("BAD_SCHEDULE", f"{name}: no Job: {error}"))
        return
    if run:
        work.make(_cron_made_job(cron_job, run))


def _zone(name: object) -> tzinfo:
    """Return a time zone by its IANA name; raise ValueError when this machine does not know it."""
    if not isinstance(name, str) or not name:
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _cron_made_job(cron_job: Manifest, run: datetime) -> Manifest:
    template = mapping(spec_of(cron_job).get("jobTemplate"))
    inner = mapping(template.get("metadata"))
    stamp = {"batch.kubernetes.io/cronjob-scheduled-timestamp": run.strftime("%Y-%m-%dT%H:%M:%SZ")}
    metadata: Object = {
        "name": f"{cron_job.name}-{int(run.timestamp()) // 60}",
        "namespace": cron_job.namespace,
        "annotations": {**labels_of(inner.get("annotations")), **stamp},
        "ownerReferences": [owner_reference(cron_job)],
    }
    if labels_of(inner.get("labels")):
        metadata["labels"] = dict(labels_of(inner.get("labels")))
    data = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": mapping(template.get("spec"))}
    return Manifest(data, TemplatePositions(cron_job.positions, ("spec", "jobTemplate")))
