"""Defaults that the recordings do not show: probes, volumes, resources, strategies, secrets, default classes."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.cluster.default_class import with_default_class
from netsim.cluster.default_pods import pod_defaults, pull_policy, qos_class
from netsim.cluster.default_workloads import deployment, job, stateful_set
from netsim.cluster.omit import omit_empty
from netsim.cluster.resources import resources
from tests.netsim.cluster.clusters import cluster, manifests


def spec_of(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "x:1", **(container or {})}], **spec}


@pytest.mark.parametrize(
    ("image", "want"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"),
        ("localhost:5000/nginx:2", "IfNotPresent"),
        ("nginx@sha256:00", "IfNotPresent"),
        ("nginx:latest@sha256:00", "Always"),
    ],
)
def test_pull_policy(image: str, want: str) -> None:
    assert pull_policy(image) == want


@pytest.mark.parametrize(
    ("given", "path", "want"),
    [
        pytest.param(
            spec_of({"livenessProbe": {"httpGet": {"port": 80}}}),
            ("containers", 0, "livenessProbe"),
            {
                "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                "timeoutSeconds": 1,
                "periodSeconds": 10,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
            id="an HTTP probe",
        ),
        pytest.param(
            spec_of({"readinessProbe": {"grpc": {"port": 1}}}),
            ("containers", 0, "readinessProbe", "grpc"),
            {"port": 1, "service": ""},
            id="a gRPC probe",
        ),
        pytest.param(
            spec_of({"lifecycle": {"preStop": {"httpGet": {"port": 1}}}}),
            ("containers", 0, "lifecycle", "preStop", "httpGet", "scheme"),
            "HTTP",
            id="a hook",
        ),
        pytest.param(
            spec_of({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}),
            ("containers", 0, "resources", "requests"),
            {"cpu": "500m", "memory": "1Gi"},
            id="requests from limits",
        ),
        pytest.param(
            spec_of({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}),
            ("containers", 0, "env", 0, "valueFrom", "fieldRef", "apiVersion"),
            "v1",
            id="a field reference",
        ),
        pytest.param(spec_of(volumes=[{"name": "v"}]), ("volumes", 0, "emptyDir"), {}, id="a volume without source"),
        pytest.param(
            spec_of(volumes=[{"name": "v", "configMap": {"name": "c"}}]),
            ("volumes", 0, "configMap", "defaultMode"),
            420,
            id="a ConfigMap volume's mode",
        ),
        pytest.param(
            spec_of(volumes=[{"name": "v", "hostPath": {"path": "/d"}}]),
            ("volumes", 0, "hostPath", "type"),
            "",
            id="a hostPath's type",
        ),
        pytest.param(
            spec_of(volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]),
            ("volumes", 0, "projected"),
            {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}], "defaultMode": 420},
            id="a projected token",
        ),
        pytest.param(
            spec_of(volumes=[{"name": "v", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "x"}}]}}]),
            ("volumes", 0, "downwardAPI", "items", 0, "fieldRef", "apiVersion"),
            "v1",
            id="a downward API volume",
        ),
        pytest.param(spec_of(serviceAccountName="me"), ("serviceAccount",), "me", id="the old account field"),
        pytest.param(
            spec_of(terminationGracePeriodSeconds=-5), ("terminationGracePeriodSeconds",), 1, id="negative grace"
        ),
        pytest.param(
            spec_of({"ports": [{"containerPort": 80}]}, hostNetwork=True),
            ("containers", 0, "ports", 0, "hostPort"),
            80,
            id="hostPort of the host network",
        ),
    ],
)
def test_pod_defaults(given: dict[str, Any], path: tuple[str | int, ...], want: object) -> None:
    found: Any = pod_defaults(given)
    for key in path:
        found = found[key]
    assert found == want


def test_a_pod_that_tolerates_everything_gets_no_more_tolerations() -> None:
    assert pod_defaults(spec_of(tolerations=[{"operator": "Exists"}]))["tolerations"] == [{"operator": "Exists"}]


@pytest.mark.parametrize(
    ("resources_", "want"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}}, "Burstable"),
    ],
)
def test_qos(resources_: dict[str, Any], want: str) -> None:
    assert qos_class(spec_of({"resources": resources_})) == want


def test_strategies() -> None:
    recreate = deployment({"spec": {"strategy": {"type": "Recreate"}}})["spec"]["strategy"]
    assert recreate == {"type": "Recreate"}
    on_delete = stateful_set({"spec": {"updateStrategy": {"type": "OnDelete"}}})["spec"]["updateStrategy"]
    assert on_delete == {"type": "OnDelete"}


def test_a_manual_selector_is_left_alone() -> None:
    spec = {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}, "template": {}}
    assert job({"metadata": {"name": "j"}, "spec": spec})["spec"]["selector"] == {"matchLabels": {"a": "b"}}


def test_claim_templates_get_defaults_too() -> None:
    text = (
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  replicas: 1\n"
        "  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: []}}\n"
        "  volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce]}}]"
    )
    built = cluster(text)
    template = resources(built, "StatefulSet")[0]["spec"]["volumeClaimTemplates"][0]
    assert (template["spec"]["volumeMode"], template["status"]) == ("Filesystem", {"phase": "Pending"})
    claim = resources(built, "PersistentVolumeClaim")[0]
    assert (claim["metadata"]["name"], claim["metadata"]["labels"]) == ("d-db-0", {"a": "b"})


def test_secrets_are_encoded() -> None:
    secret = resources(cluster("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}"), "Secret")[0]
    assert (secret["data"], secret["type"], "stringData" in secret) == ({"k": "dg=="}, "Opaque", False)


def test_what_go_leaves_out() -> None:
    spec = {
        "ports": [{"port": 80.0, "nodePort": 0, "name": ""}],
        "selector": {},
        "externalIPs": [],
        "prots": 1,
        "type": None,
    }
    found = omit_empty(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"labels": {}}, "spec": spec}, "v1", "Service"
    )
    assert found["spec"] == {"ports": [{"port": 80}]}
    assert found["metadata"] == {}


def test_custom_resources_only_lose_nulls() -> None:
    data = {"apiVersion": "x.io/v1", "kind": "Y", "spec": {"a": None, "b": []}}
    assert omit_empty(data, "x.io/v1", "Y")["spec"] == {"b": []}


def ingress_class(name: str, default: str = "true", created: str = "") -> str:
    time = f", creationTimestamp: '{created}'" if created else ""
    annotation = f'{{ingressclass.kubernetes.io/is-default-class: "{default}"}}'
    head = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\n"
    return f"{head}metadata: {{name: {name}, annotations: {annotation}{time}}}\nspec: {{controller: x.io/y}}"


@pytest.mark.parametrize(
    ("classes", "ingress", "want"),
    [
        pytest.param([], {}, None, id="no class"),
        pytest.param([ingress_class("a", "yes")], {}, None, id="only the value true counts"),
        pytest.param([ingress_class("dflt")], {}, "dflt", id="one default"),
        pytest.param([ingress_class("dflt")], {"spec": {"ingressClassName": "p"}}, "p", id="an explicit class"),
        pytest.param(
            [ingress_class("dflt")],
            {"metadata": {"annotations": {"kubernetes.io/ingress.class": ""}}},
            None,
            id="legacy",
        ),
        pytest.param([ingress_class("dflt")], {"metadata": {"uid": "u"}}, None, id="a stored Ingress"),
        pytest.param([ingress_class("zz"), ingress_class("aa")], {}, "aa", id="the lower name"),
        pytest.param(
            [ingress_class("aa", created="2026-01-01T00:00:00Z"), ingress_class("zz", created="2026-01-02T00:00:00Z")],
            {},
            "zz",
            id="the newer one",
        ),
    ],
)
def test_default_ingress_class(classes: list[str], ingress: dict[str, Any], want: str | None) -> None:
    listed = manifests(*classes) if classes else ()
    assert with_default_class(ingress, listed).get("spec", {}).get("ingressClassName") == want
