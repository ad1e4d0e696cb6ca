"""What the other verbs report: warnings for what `validate` rejects, errors only for what no rule can be made of."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from netsim.manifests.api import Loaded
from netsim.manifests.load import load
from netsim.validate.check import check_objects

CONFORMANCE = Path(__file__).parents[2] / "conformance"
INPUTS = [
    path
    for pattern in (
        "kube-proxy/*/manifests",
        "flows/*/*/cluster.yaml",
        "kernel/*/manifests",
        "dns/*/manifests",
        "api/endpointslices/*/*.yaml",
        "api/workloads/pods/*/manifests.yaml",
    )
    for path in sorted(CONFORMANCE.glob(pattern))
]


def problems(*objects: dict[str, Any]) -> list[tuple[str, str]]:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    loaded = load(["-"], stdin=io.StringIO(text))
    assert loaded.problems == ()
    return [(problem.severity, problem.field) for problem in check_objects(loaded.objects)]


def refused(loaded: Loaded) -> list[str]:
    found = (*loaded.problems, *check_objects(loaded.objects))
    return [str(problem) for problem in found if problem.severity == "error"]


@pytest.mark.parametrize("path", INPUTS, ids=[str(path.relative_to(CONFORMANCE)) for path in INPUTS])
def test_no_recorded_input_is_refused(path: Path) -> None:
    assert refused(load([str(path)])) == []


@pytest.mark.parametrize("path", sorted((CONFORMANCE / "l7").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_recorded_l7_cluster_is_refused(path: Path) -> None:
    recorded = yaml.safe_load(path.read_text())
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": recorded.get("manifests") or []})
    assert refused(load(["-"], stdin=io.StringIO(text))) == []


def service(**spec: Any) -> dict[str, Any]:
    spec = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}


def endpoint_slice(**fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "a"},
        "addressType": "IPv4",
        **fields,
    }


@pytest.mark.parametrize(
    ("data", "want"),
    [
        pytest.param(service(), [], id="nothing-to-say"),
        pytest.param(service(clusterIP="x"), [("error", "spec.clusterIPs[0]")], id="no-address"),
        pytest.param(
            service(clusterIP="10.96.0.1.1", clusterIPs=["10.96.0.1.1"]),
            [("error", "spec.clusterIPs[0]")],
            id="said-once",
        ),
        pytest.param(service(clusterIP="none"), [("warning", "spec.clusterIPs[0]")], id="misspelt-None-is-used"),
        pytest.param(service(clusterIP="10.0.0.1"), [("warning", "spec.clusterIPs")], id="out-of-range-is-used"),
        pytest.param(service(externalIPs=["a"]), [("error", "spec.externalIPs[0]")], id="no-external-address"),
        pytest.param(
            service(externalIPs=["127.0.0.1"]), [("warning", "spec.externalIPs[0]")], id="odd-external-address"
        ),
        pytest.param(
            service(ports=[{"port": 80, "targetPort": -1}]),
            [("error", "spec.ports[0].targetPort")],
            id="no-target-port",
        ),
        pytest.param(
            service(ports=[{"port": 80, "targetPort": "8080"}]),
            [("warning", "spec.ports[0].targetPort")],
            id="a-name-of-digits-is-a-name",
        ),
        pytest.param(
            service(type="NodePort", ports=[{"port": 80, "nodePort": 8090}]),
            [("warning", "spec.ports[0].nodePort")],
            id="node-port-out-of-range-is-used",
        ),
        pytest.param(
            service(type="NodePort", ports=[{"port": 80, "nodePort": 80900}]),
            [("error", "spec.ports[0].nodePort")],
            id="no-node-port",
        ),
        pytest.param(service(type="clusterip"), [("warning", "spec.type")], id="odd-type"),
        pytest.param(
            {**service(), "status": {"loadBalancer": {"ingress": [{"ip": "x"}]}}},
            [("error", "status.loadBalancer.ingress[0].ip")],
            id="no-vip",
        ),
        pytest.param(
            endpoint_slice(endpoints=[{"addresses": ["10.0.0.x"]}]),
            [("error", "endpoints[0].addresses[0]")],
            id="no-endpoint-address",
        ),
        pytest.param(
            endpoint_slice(endpoints=[{"addresses": ["127.0.0.1"]}]),
            [("warning", "endpoints[0].addresses[0]")],
            id="loopback-endpoint-is-used",
        ),
        pytest.param(endpoint_slice(ports=[{"port": 70000}]), [("error", "ports[0].port")], id="no-endpoint-port"),
        pytest.param(
            {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "metadata": {"name": "a"},
                "subsets": [{"addresses": [{"ip": "x"}], "ports": [{"port": -1}]}],
            },
            [("error", "subsets[0].addresses[0].ip"), ("error", "subsets[0].ports[0].port")],
            id="endpoints",
        ),
        pytest.param(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "a"},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
                "status": {"podIP": "x", "podIPs": [{"ip": "y"}]},
            },
            [("error", "status.podIP"), ("error", "status.podIPs[0].ip")],
            id="pod-address",
        ),
        pytest.param(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": "a"},
                "status": {"addresses": [{"type": "InternalIP", "address": "x"}, {"type": "Hostname", "address": "y"}]},
            },
            [("error", "status.addresses[0].address")],
            id="node-address",
        ),
        pytest.param(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "ServiceCIDR",
                "metadata": {"name": "a"},
                "spec": {"cidrs": ["x"]},
            },
            [("error", "spec.cidrs[0]")],
            id="service-cidr",
        ),
    ],
)
def test_what_is_refused_and_what_is_used_with_a_warning(data: dict[str, Any], want: list[tuple[str, str]]) -> None:
    assert problems(data) == want


def test_all_stages_are_reported_at_once() -> None:
    bad = service(type="NodePort", clusterIP="None", ports=[{"port": 80, "nodePort": 8090, "protocol": "tcp"}])
    fields = {field for _, field in problems(bad)}
    assert fields == {"spec.ports[0].nodePort", "spec.clusterIPs[0]", "spec.ports[0].protocol"}


def test_objects_of_a_dump_are_not_held_against_assumed_ranges() -> None:
    stored = service(clusterIP="172.20.0.1", type="NodePort", ports=[{"port": 80, "nodePort": 20000}])
    stored["metadata"]["uid"] = "1"
    assert problems(stored) == []


def test_of_many_pods_only_the_first_are_looked_at() -> None:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{i}"}, "spec": {"containers": [{"name": "c"}]}}
        for i in range(1100)
    ]
    assert len(problems(*pods)) == 1000
