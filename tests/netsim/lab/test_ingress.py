"""Ingress controllers in a lab's plan: those of the input, an assumed one where it has none; names cannot inject."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.errors import LabError
from netsim.hosts.cni import cni_settings
from netsim.hosts.network import Network
from netsim.hosts.services import local_endpoints
from netsim.lab.apply import inside
from netsim.lab.assumed import assumed_controller
from netsim.lab.build import lab_hosts, plan_lab
from netsim.lab.health import response
from netsim.lab.ingress import Proxy, proxies, proxy_operations, with_identity
from netsim.lab.names import outside_hosts
from netsim.lab.ops import EndSpawn, Serve, Spawn, WriteFile
from netsim.lab.reconcile import reconcile
from netsim.manifests.load import load

TOPOLOGIES = Path(__file__).parents[3] / "topologies"


def cluster_of(*manifests: dict[str, Any], topology: str = "shop") -> Cluster:
    objects = load([str(TOPOLOGIES / topology)]).objects
    import io

    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}).encode()
    return build((*objects, *load(["-"], stdin=io.BytesIO(text)).objects), BuildOptions())


def with_controller() -> Cluster:
    manifests, _ = assumed_controller(cluster_of())
    return cluster_of(*manifests)


def test_ingresses_without_a_controller_get_one_with_a_note() -> None:
    manifests, notes = assumed_controller(cluster_of())
    assert [manifest["kind"] for manifest in manifests] == ["Deployment", "Service"]
    assert [note.code for note in notes] == ["CONTROLLER_ASSUMED"]
    assert manifests[1]["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.80"}]


def test_a_controller_of_the_input_is_used() -> None:
    assert assumed_controller(with_controller()) == ((), ())


def test_without_ingresses_there_is_no_controller() -> None:
    assert assumed_controller(cluster_of(topology="workloads")) == ((), ())
    assert proxies(cluster_of(topology="workloads")) == ()


def test_nginx_runs_in_the_controllers_pod_and_no_echo_takes_its_ports() -> None:
    cluster = with_controller()
    (proxy,) = proxies(cluster)
    network = Network(cluster, cni_settings(cluster))
    plan = plan_lab(network, lab_hosts(network))
    (spawn,) = [step for step in plan if isinstance(step, Spawn)]
    assert spawn.namespace == proxy.namespace
    assert (spawn.address, spawn.port) == (proxy.address, 80)
    assert not [step for step in plan if isinstance(step, Serve) and step.address == proxy.address]
    files = {step.path for step in plan if isinstance(step, WriteFile) and step.path.startswith("ingress/")}
    assert f"{proxy.folder}/nginx.conf" in files
    assert f"{proxy.folder}/certs/default.key" in files


def test_a_changed_configuration_ends_the_old_process_first() -> None:
    old = tuple(proxy_operations(with_controller()))
    new = tuple(step if not isinstance(step, Spawn) else Spawn(*step_fields(step), "other") for step in old)
    steps = reconcile(old, new)
    assert [type(step) for step in steps] == [EndSpawn, Spawn]
    assert reconcile(old, old) == ()


def step_fields(step: Spawn) -> tuple[str, tuple[str, ...], str, str, int]:
    return step.namespace, step.command, step.label, step.address, step.port


def test_clients_outside_find_the_hosts_of_ingresses() -> None:
    assert "203.0.113.80\tshop.example.com\n" in outside_hosts(with_controller())


def test_a_pods_name_cannot_inject_a_directive() -> None:
    proxy = Proxy("pod/x", "ns/a'; return 500; #", "10.0.0.1", 80, 443, "nginx")
    text = with_identity({"nginx.conf": "http {\n}\n", "certs/default.crt": ""}, proxy)
    assert "return 500" not in text
    assert '"pod":"pod/unnamed"' in text


@pytest.mark.parametrize("path", ["files/../../x", "/etc/passwd", "files/pod/a/../../../x/hosts"])
def test_no_name_leads_out_of_the_state_folder(path: str) -> None:
    with pytest.raises(LabError):
        inside(Path("/state"), path)


def test_health_counts_ready_local_endpoints() -> None:
    cluster = cluster_of()
    assert [local_endpoints(cluster, f"node-{n}", "shop/storefront", 4) for n in (1, 2, 3)] == [1, 1, 0]


@pytest.mark.parametrize(("count", "status"), [(0, "503 Service Unavailable"), (2, "200 OK")])
def test_health_answers_as_kube_proxy_does(count: int, status: str) -> None:
    head, _, body = response("shop/storefront", count).decode().partition("\r\n\r\n")
    assert head.split("\r\n")[0] == f"HTTP/1.1 {status}"
    assert f"X-Load-Balancing-Endpoint-Weight: {count}" in head
    assert json.loads(body) == {
        "service": {"namespace": "shop", "name": "storefront"},
        "localEndpoints": count,
        "serviceProxyHealthy": True,
    }
