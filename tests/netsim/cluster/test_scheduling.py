"""Scheduling: the real scheduler's filters and words, spreading, and pods that fit nowhere."""

from __future__ import annotations

import pytest

from netsim.cluster.model import Taint
from netsim.cluster.scheduler import requests_of, tolerates
from tests.netsim.cluster.clusters import THREE_NODES, cluster, pod


def placed(*texts: str, nodes: str = THREE_NODES) -> dict[str, str]:
    return {p.name: p.node_name or p.why_not_ready for p in cluster(*texts, nodes).pods}


def one(extra: str, nodes: str = THREE_NODES, *others: str) -> str:
    return placed(pod("p", node="", extra=extra), *others, nodes=nodes)["p"]


AFFINITY = """
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{matchExpressions: [{key: KEY, operator: OPERATOR, values: VALUES}]}]
"""


def affinity(key: str, operator: str, values: str) -> str:
    return AFFINITY.replace("KEY", key).replace("OPERATOR", operator).replace("VALUES", values)


ZONE = "topology.kubernetes.io/zone"


@pytest.mark.parametrize(
    ("extra", "node"),
    [
        pytest.param("nodeSelector: {kubernetes.io/hostname: node-2}", "node-2", id="nodeSelector"),
        pytest.param(affinity(ZONE, "In", "[c]"), "node-3", id="In"),
        pytest.param(affinity(ZONE, "NotIn", "[a, b]"), "node-3", id="NotIn"),
        pytest.param(
            "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 5, preference: "
            "{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node-2]}]}}]}}",
            "node-2",
            id="preferred affinity",
        ),
    ],
)
def test_where_a_pod_goes(extra: str, node: str) -> None:
    assert one(extra) == node


@pytest.mark.parametrize(
    ("extra", "nodes", "reason"),
    [
        pytest.param(
            "nodeSelector: {disk: ssd}",
            THREE_NODES,
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
            id="selector",
        ),
        pytest.param(
            "",
            THREE_NODES.replace("spec: {", "spec: {unschedulable: true, "),
            "0/3 nodes are available: 3 node(s) were unschedulable.",
            id="cordoned",
        ),
        pytest.param(
            "nodeSelector: {topology.kubernetes.io/zone: a}",
            THREE_NODES.replace("spec: {", "spec: {taints: [{key: k, effect: NoSchedule}], ", 1),
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), "
            "2 node(s) didn't match Pod's node affinity/selector.",
            id="several reasons, sorted",
        ),
        pytest.param(
            "resources: {requests: {cpu: 5}}",
            THREE_NODES,
            "0/3 nodes are available: 3 Insufficient cpu.",
            id="not enough cpu",
        ),
        pytest.param(
            "resources: {requests: {example.com/gpu: 1}}",
            THREE_NODES,
            "0/3 nodes are available: 3 Insufficient example.com/gpu.",
            id="a device no node has",
        ),
        pytest.param(
            "",
            THREE_NODES.replace('pods: "110"', 'pods: "0"'),
            "0/3 nodes are available: 3 Too many pods.",
            id="pod limit",
        ),
        pytest.param(
            "schedulingGates: [{name: example.com/hold}]",
            THREE_NODES,
            "Scheduling is blocked due to non-empty scheduling gates: example.com/hold",
            id="gated",
        ),
        pytest.param(
            "volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]",
            THREE_NODES,
            "node-",
            id="an absent claim is assumed to exist",
        ),
    ],
)
def test_why_a_pod_fits_nowhere(extra: str, nodes: str, reason: str) -> None:
    assert one(extra, nodes).startswith(reason)


HOST_PORT = (
    "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n"
    "spec: {{containers: [{{name: c, image: x, ports: [{{containerPort: 80, hostPort: 80{more}}}]}}]}}"
)


def test_host_ports_keep_pods_apart_until_no_node_is_left() -> None:
    found = placed(*(HOST_PORT.format(name=f"p{i}", more="") for i in range(4)))
    assert sorted(found.values()) == [
        "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports.",
        "node-1",
        "node-2",
        "node-3",
    ]


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        pytest.param(", protocol: UDP", True, id="another protocol"),
        pytest.param(", hostIP: 192.168.10.1", False, id="every address includes this one"),
    ],
)
def test_host_port_conflicts(more: str, fits: bool) -> None:
    first = [HOST_PORT.format(name=f"a{i}", more="") for i in range(3)]
    found = placed(*first, HOST_PORT.format(name="b", more=more))
    assert found["b"].startswith("node-") is fits


ANTI = """
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
    - {labelSelector: {matchLabels: {app: web}}, topologyKey: kubernetes.io/hostname}
"""
NEAR = """
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
    - {labelSelector: {matchLabels: {app: db}}, topologyKey: topology.kubernetes.io/zone}
"""
SPREAD = """
topologySpreadConstraints:
- {maxSkew: 1, topologyKey: KEY, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}
"""


def test_anti_affinity_puts_one_pod_on_a_node() -> None:
    found = placed(*(pod(f"p{i}", node="", extra=ANTI) for i in range(4)))
    reason = "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules."
    assert sorted(found.values()) == [reason, "node-1", "node-2", "node-3"]


def test_a_running_pod_keeps_others_away_by_its_own_anti_affinity() -> None:
    found = placed(
        pod("a", node="node-1", extra=ANTI), pod("b", node="", extra="nodeSelector: {kubernetes.io/hostname: node-1}")
    )
    assert "1 node(s) didn't satisfy existing pods anti-affinity rules" in found["b"]


def test_affinity_follows_the_other_pod() -> None:
    found = placed(pod("db", "app: db", node="node-3"), pod("p", node="", extra=NEAR))
    assert found["p"] == "node-3"


def test_affinity_to_nobody_fits_nowhere() -> None:
    assert one(NEAR) == "0/3 nodes are available: 3 node(s) didn't match pod affinity rules."


def test_the_first_pod_of_a_series_may_like_its_own_kind() -> None:
    extra = NEAR.replace("app: db", "app: web")
    found = placed(*(pod(f"p{i}", node="", extra=extra) for i in range(3)))
    assert len(set(found.values())) == 1


def test_spread_constraints_hold_the_skew() -> None:
    extra = SPREAD.replace("KEY", ZONE)
    found = placed(*(pod(f"p{i}", node="", extra=extra) for i in range(7)))
    counts = sorted(list(found.values()).count(f"node-{n}") for n in (1, 2, 3))
    assert counts == [2, 2, 3]


def test_spread_over_a_label_no_node_has() -> None:
    want = "node(s) didn't match pod topology spread constraints (missing required label)"
    assert want in one(SPREAD.replace("KEY", "rack"))


def test_spread_counts_what_runs() -> None:
    running = [pod(f"r{i}", node="node-1") for i in range(2)]
    extra = SPREAD.replace("KEY", ZONE) + "nodeSelector: {kubernetes.io/hostname: node-1}"
    # Only node-1 is eligible, so it is the only domain and its own minimum.
    assert placed(*running, pod("p", node="", extra=extra))["p"] == "node-1"


def test_replicas_spread_over_nodes_and_unrelated_pods_move_nothing() -> None:
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 3\n"
        "  selector: {matchLabels: {app: w}}\n  template:\n    metadata: {labels: {app: w}}\n"
        "    spec: {containers: [{name: c, image: x}]}"
    )
    alone = placed(deployment)
    assert sorted(alone.values()) == ["node-1", "node-2", "node-3"]
    others = placed(deployment, *(pod(f"x{i}", "app: x", node="") for i in range(5)))
    assert {name: others[name] for name in alone} == alone


def test_assumed_nodes_suit_every_pod() -> None:
    built = cluster(pod("p", node="", extra="nodeSelector: {disk: ssd}"))
    assert built.pods[0].node_name in ("node-1", "node-2")
    assert any(note.code == "ASSUMED_NODES_SUIT" for note in built.notes)


@pytest.mark.parametrize(
    ("toleration", "want"),
    [
        pytest.param({"operator": "Exists"}, True, id="everything"),
        pytest.param({"key": "k", "operator": "Exists"}, True, id="the key"),
        pytest.param({"key": "k", "value": "v"}, True, id="Equal is the default operator"),
        pytest.param({"key": "k", "value": "w"}, False, id="another value"),
        pytest.param({"key": "j", "operator": "Exists"}, False, id="another key"),
        pytest.param({"operator": "Exists", "effect": "NoExecute"}, False, id="another effect"),
        pytest.param({"value": "v"}, False, id="no key and no Exists"),
    ],
)
def test_tolerations(toleration: dict[str, str], want: bool) -> None:
    assert tolerates([toleration], Taint("k", "v", "NoSchedule")) is want


def test_requests_count_sidecars_and_the_largest_init_container() -> None:
    def container(cpu: str, **more: str) -> dict[str, object]:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [container("1", restartPolicy="Always"), container("3")],
        "containers": [container("500m"), {"name": "d", "resources": {"limits": {"cpu": "1"}}}],
        "overhead": {"cpu": "250m"},
    }
    assert requests_of(spec)["cpu"] == 4_250_000_000
