"""Laws: nothing clashes, order does not matter, unrelated objects move nothing, defaulting is idempotent."""

from __future__ import annotations

from itertools import chain
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.cluster.model import Cluster
from netsim.cluster.resources import resources
from tests.netsim.cluster.clusters import of_objects

NAMES = st.sampled_from([f"s{i}" for i in range(12)])
PORTS = st.lists(st.integers(1, 65535), min_size=1, max_size=3, unique=True)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]))
    ports: list[dict[str, Any]] = [{"name": f"p{i}", "port": port} for i, port in enumerate(draw(PORTS))]
    if kind != "ClusterIP" and draw(st.booleans()):
        ports[0]["nodePort"] = draw(st.integers(30000, 32767))
    spec: dict[str, Any] = {"type": kind, "ports": ports, "selector": {"app": draw(NAMES)}}
    if draw(st.booleans()):
        spec["clusterIP"] = f"10.96.{draw(st.integers(0, 1))}.{draw(st.integers(1, 254))}"
    policy = draw(st.sampled_from([None, "PreferDualStack", "RequireDualStack"]))
    if policy:
        spec["ipFamilyPolicy"] = policy
    if kind == "LoadBalancer" and draw(st.booleans()):
        spec["externalTrafficPolicy"] = "Local"
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": draw(NAMES)}, "spec": spec}


@st.composite
def workloads(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(NAMES)
    labels = {"app": name}
    container = {"name": "c", "image": "x", "ports": [{"containerPort": 80, "name": "http"}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": draw(st.integers(0, 4)), "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def distinct(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One object a name, and no given address or port twice: two of them would be the input's own clash."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    seen: set[object] = set()
    for item in objects:
        spec = item["spec"]
        wanted = {spec.get("clusterIP"), *(port.get("nodePort") for port in spec.get("ports", ()))} - {None}
        if not wanted & seen:
            seen |= wanted
            found.setdefault((item["kind"], item["metadata"]["name"]), item)
    return list(found.values())


INPUTS = st.lists(st.one_of(services(), workloads()), max_size=12).map(distinct)


def everything(cluster: Cluster) -> list[Any]:
    return [list(resources(cluster, kind)) for kind in ("Node", "Pod", "Service", "EndpointSlice", "ReplicaSet")]


@given(INPUTS)
@settings(max_examples=60)
def test_nothing_clashes(objects: list[dict[str, Any]]) -> None:
    built = of_objects(objects)
    ips = [ip for s in built.services for ip in s.cluster_ips if ip != "None"]
    assert len(ips) == len(set(ips))
    pod_ips = list(chain.from_iterable(pod.ips for pod in built.pods))
    assert len(pod_ips) == len(set(pod_ips))
    assert not set(pod_ips) & {ip for node in built.nodes for ip in node.internal_ips}
    # One Service may use a port twice (in two protocols), two may not.
    owners = [(port, s.name) for s in built.services for port in {p.node_port for p in s.ports} - {0}]
    owners += [(s.health_check_node_port, s.name) for s in built.services if s.health_check_node_port]
    assert len(owners) == len({port for port, _ in owners})


@given(INPUTS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_of_objects_does_not_matter(objects: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert everything(of_objects(shuffled)) == everything(of_objects(objects))


@given(INPUTS)
@settings(max_examples=40)
def test_objects_of_other_kinds_move_nothing(objects: list[dict[str, Any]]) -> None:
    unrelated = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "aaa"}, "data": {}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}},
    ]
    assert everything(of_objects([*unrelated, *objects])) == everything(of_objects(objects))


def test_a_new_service_moves_no_other_unless_their_hashes_meet() -> None:
    def ports(count: int) -> dict[str, tuple[Any, ...]]:
        spec = {"type": "NodePort", "ports": [{"port": 80}]}
        listed = [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{i}"}, "spec": spec} for i in range(count)
        ]
        return {s.name: (s.cluster_ips, s.ports[0].node_port) for s in of_objects(listed).services}

    few, many = ports(20), ports(21)
    assert {name: many[name] for name in few} == few


@given(INPUTS)
@settings(max_examples=40)
def test_defaulting_is_idempotent(objects: list[dict[str, Any]]) -> None:
    first = everything(of_objects(objects))
    again = everything(of_objects(list(chain.from_iterable(first))))
    assert again == first
