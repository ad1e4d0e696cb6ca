"""Workloads beyond the recordings: dumps keep their pods, ordinals, adoption, CronJobs at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from netsim.cluster.cron import last_run, parse_schedule, parse_time
from netsim.cluster.fate import fate_of
from tests.netsim.cluster.clusters import THREE_NODES, cluster, pod, service

TEMPLATE = "selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"


def workload(kind: str, spec: str = "", pod_spec: str = "", name: str = "web", metadata: str = "") -> str:
    group = "batch" if kind in ("Job", "CronJob") else "apps"
    body = "{containers: [{name: c, image: x, ports: [{name: http, containerPort: 80}]}]" + pod_spec + "}"
    head = f"apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: {name}{metadata}}}\nspec:\n  {spec}\n"
    return f"{head}  {TEMPLATE}    spec: {body}" if kind != "Job" else f"{head}  template:\n    spec: {body}"


def names(*texts: str, **options: object) -> list[str]:
    return [p.name for p in cluster(*texts, THREE_NODES, **options).pods]


def test_start_ordinals_and_zero_replicas() -> None:
    assert names(workload("StatefulSet", "replicas: 2\n  ordinals: {start: 5}")) == ["web-5", "web-6"]
    assert names(workload("Deployment", "replicas: 0")) == []


def test_an_ordered_set_stops_at_the_pod_that_is_not_ready() -> None:
    assert names(workload("StatefulSet", "replicas: 3"), not_ready={"default/web-1"}) == ["web-0", "web-1"]
    parallel = workload("StatefulSet", "replicas: 3\n  podManagementPolicy: Parallel")
    assert names(parallel, not_ready={"default/web-1"}) == ["web-0", "web-1", "web-2"]


STORED_POD = (
    pod("web-abc-1") + "\nstatus: {phase: Running, podIP: 10.244.1.7, conditions: [{type: Ready, status: 'True'}]}"
)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        pytest.param(workload("Deployment", metadata=", uid: u"), False, id="a stored Deployment"),
        pytest.param(workload("Deployment") + "\nstatus: {replicas: 1}", False, id="a Deployment with status"),
        pytest.param(workload("Deployment"), True, id="a hand-written Deployment beside a dump"),
    ],
)
def test_a_dump_keeps_the_pods_that_are_there(text: str, made: bool) -> None:
    assert (len(names(text, STORED_POD)) > 1) is made


def test_without_any_pod_a_stored_workload_is_expanded() -> None:
    assert len(names(workload("Deployment", "replicas: 2", metadata=", uid: u"))) == 2


def test_a_replica_set_whose_pods_are_given_makes_only_the_rest() -> None:
    owned = pod("web-1").replace(
        "  labels:",
        "  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]\n  labels:",
    )
    assert len(names(workload("ReplicaSet", "replicas: 2"), owned)) == 2


def test_a_stateful_set_adopts_the_pod_of_its_name() -> None:
    built = cluster(workload("StatefulSet", "replicas: 1"), pod("web-0"), THREE_NODES)
    assert [(p.name, p.owner) for p in built.pods] == [("web-0", "StatefulSet/web")]


def test_a_daemon_set_counts_the_orphan_on_a_node() -> None:
    built = cluster(workload("DaemonSet"), pod("mine", node="node-2"), THREE_NODES)
    assert sorted(p.node_name for p in built.pods) == ["node-1", "node-2", "node-3"]
    assert {p.owner for p in built.pods} == {"DaemonSet/web"}


def test_a_daemon_sets_node_name_keeps_it_on_one_node() -> None:
    assert [p.node_name for p in cluster(workload("DaemonSet", pod_spec=", nodeName: node-2"), THREE_NODES).pods] == [
        "node-2"
    ]


def test_pods_are_located_in_their_template() -> None:
    built = cluster(workload("Deployment"), THREE_NODES)
    source = built.pods[0].source
    assert source is not None
    template_line = source.where("spec", "containers", 0, "ports", 0).line
    assert template_line == source.where("spec").line > source.where("metadata", "name").line


def test_pods_of_workloads_are_endpoints() -> None:
    built = cluster(workload("Deployment", "replicas: 2"), service(), THREE_NODES)
    assert [len(s.endpoints) for s in built.slices] == [2]
    assert built.slices[0].ports[0].port == 80


@pytest.mark.parametrize(
    ("spec", "count", "phase"),
    [
        pytest.param("completions: 3\n  parallelism: 2", 3, "Succeeded", id="every completion has its pod"),
        pytest.param("parallelism: 2", 2, "Succeeded", id="a work queue"),
        pytest.param("suspend: true", 0, "", id="suspended"),
    ],
)
def test_jobs_run_to_their_end(spec: str, count: int, phase: str) -> None:
    pods = cluster(workload("Job", spec, ", restartPolicy: Never"), THREE_NODES).pods
    assert [p.phase for p in pods] == [phase] * count


CRON = """
apiVersion: batch/v1
kind: CronJob
metadata: {{name: tick}}
spec:
  schedule: "{schedule}"
  {more}
  jobTemplate:
    spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: x}}]}}}}}}
"""


def jobs(schedule: str, at: str, more: str = "") -> list[str]:
    built = cluster(CRON.format(schedule=schedule, more=more), THREE_NODES, at=at)
    return [m.name for m in built.objects.get("Job", ())]


def test_a_cron_job_makes_the_last_job_before_the_time() -> None:
    assert jobs("*/15 * * * *", "2026-01-01T00:14:00Z") == [
        f"tick-{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) // 60}"
    ]


@pytest.mark.parametrize(
    ("schedule", "at", "more", "code"),
    [
        pytest.param("* * * * *", "", "", "NO_TIME", id="no time is known"),
        pytest.param("61 * * * *", "2026-01-01T00:00:00Z", "", "BAD_SCHEDULE", id="a bad schedule"),
        pytest.param("* * * * *", "yesterday", "", "BAD_SCHEDULE", id="a bad time"),
        pytest.param("* * * * *", "2026-01-01T00:00:00Z", "timeZone: Mars/X", "BAD_SCHEDULE", id="an unknown zone"),
    ],
)
def test_a_cron_job_without_a_run_says_why(schedule: str, at: str, more: str, code: str) -> None:
    built = cluster(CRON.format(schedule=schedule, more=more), THREE_NODES, at=at)
    assert "Job" not in built.objects
    assert code in {note.code for note in built.notes}


@pytest.mark.parametrize(
    ("schedule", "at", "zone", "want"),
    [
        pytest.param("0 0 * * *", "2026-03-05T12:34:56Z", "UTC", "2026-03-05T00:00:00", id="daily"),
        pytest.param("@hourly", "2026-03-05T12:34:56Z", "UTC", "2026-03-05T12:00:00", id="a macro"),
        pytest.param("30 23 * * *", "2026-03-05T12:00:00Z", "UTC", "2026-03-04T23:30:00", id="yesterday"),
        pytest.param("0 9 * * mon-fri", "2026-03-08T12:00:00Z", "UTC", "2026-03-06T09:00:00", id="working days"),
        pytest.param("0 0 29 feb *", "2026-03-05T00:00:00Z", "UTC", "2024-02-29T00:00:00", id="a leap day"),
        pytest.param("0 0 1 * mon", "2026-03-05T00:00:00Z", "UTC", "2026-03-02T00:00:00", id="either day field"),
        pytest.param("0 0 1 */3 *", "2026-03-05T00:00:00Z", "UTC", "2026-01-01T00:00:00", id="a step"),
        pytest.param("10/20 * * * *", "2026-03-05T00:35:00Z", "UTC", "2026-03-05T00:30:00", id="a start with a step"),
        pytest.param("0 0 * * *", "2026-03-05T12:00:00Z", "Asia/Tokyo", "2026-03-04T15:00:00", id="another zone"),
    ],
)
def test_last_run(schedule: str, at: str, zone: str, want: str) -> None:
    found = last_run(parse_schedule(schedule), parse_time(at), ZoneInfo(zone))
    assert found is not None
    assert found.strftime("%Y-%m-%dT%H:%M:%S") == want


def test_a_day_that_never_comes() -> None:
    assert last_run(parse_schedule("0 0 30 2 *"), parse_time("2026-01-01T00:00:00Z")) is None


@pytest.mark.parametrize("text", ["* * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "x * * * *"])
def test_bad_schedules(text: str) -> None:
    with pytest.raises(ValueError):
        parse_schedule(text)


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="names no time zone"):
        parse_time("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("annotations", "in_job", "phase", "ready"),
    [
        pytest.param({}, False, "Running", True, id="a pod runs"),
        pytest.param({}, True, "Succeeded", False, id="a Job's pod completes"),
        pytest.param({"netsim.dev/complete-after": "never"}, True, "Running", True, id="or never"),
        pytest.param({"netsim.dev/result": "Failed"}, True, "Failed", False, id="or fails"),
        pytest.param({"netsim.dev/ready-after": "never"}, False, "Running", False, id="never ready"),
    ],
)
def test_fates(annotations: dict[str, str], in_job: bool, phase: str, ready: bool) -> None:
    fate = fate_of(annotations, in_job=in_job)
    assert (fate.phase, fate.ready) == (phase, ready)
