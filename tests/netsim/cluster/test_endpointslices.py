"""Derived EndpointSlices beyond the recordings: names, hand-made slices, hints, mirroring."""

from __future__ import annotations

from fractions import Fraction

import pytest

from netsim.cluster.hints import Allocation, allocations, exchange
from netsim.cluster.model import Cluster
from tests.netsim.cluster.clusters import THREE_NODES, cluster, pod, service

HAND_MADE = (
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: hand, labels: {{{labels}}}}}\n"
    "addressType: IPv4\nendpoints: [{{addresses: [10.9.9.9]}}]\nports: [{{name: http, port: 80}}]"
)
OF_WEB = "kubernetes.io/service-name: web"
BY_CONTROLLER = f"{OF_WEB}, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io"
ENDPOINTS = (
    "apiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\n"
    "subsets: [{addresses: [{ip: 10.9.0.1}], ports: [{name: http, port: 80}]}]"
)


def names(built: Cluster) -> list[str]:
    return [item.name for item in built.slices]


def test_a_controllers_slice_in_the_input_stands_for_all_of_its_service() -> None:
    built = cluster(service(), pod("p"), THREE_NODES, HAND_MADE.format(labels=BY_CONTROLLER))
    assert names(built) == ["hand"]


def test_hand_made_slices_stay_beside_derived_ones() -> None:
    built = cluster(service(), pod("p"), THREE_NODES, HAND_MADE.format(labels=OF_WEB))
    assert len(names(built)) == 2


def test_no_empty_slice_is_added_beside_a_hand_made_one() -> None:
    built = cluster(service(), THREE_NODES, HAND_MADE.format(labels=OF_WEB))
    assert names(built) == ["hand"]


def test_without_pods_and_hand_made_slices_there_is_an_empty_one() -> None:
    item = cluster(service(), THREE_NODES).slices[0]
    assert (item.endpoints, item.ports, item.derived) == ((), (), True)


def test_names_are_stable_and_of_the_services_form() -> None:
    one, two = (cluster(service(), pod("p"), THREE_NODES).slices[0].name for _ in range(2))
    assert one == two
    assert one.startswith("web-")
    assert len(one) == len("web-") + 5


def test_endpoints_sources_are_the_pods() -> None:
    item = cluster(service(), pod("p"), THREE_NODES).slices[0]
    assert [source.name for source in item.endpoint_sources if source] == ["p"]


@pytest.mark.parametrize(
    ("spec", "mirrored"),
    [
        pytest.param("ports: [{name: http, port: 80}]", True, id="a Service without selector"),
        pytest.param("selector: {}\nports: [{name: http, port: 80}]", True, id="an empty selector is none"),
        pytest.param("selector: {a: b}\nports: [{name: http, port: 80}]", False, id="a Service with selector"),
    ],
)
def test_mirroring(spec: str, mirrored: bool) -> None:
    built = cluster(service("web", spec), ENDPOINTS, THREE_NODES)
    assert ("10.9.0.1" in [e.addresses[0] for s in built.slices for e in s.endpoints]) is mirrored


def test_addresses_beyond_a_thousand_are_a_note() -> None:
    many = ", ".join(f"{{ip: 10.8.{i // 250}.{i % 250 + 1}}}" for i in range(1001))
    text = f"apiVersion: v1\nkind: Endpoints\nmetadata: {{name: web}}\nsubsets: [{{addresses: [{many}]}}]"
    built = cluster(service("web", "ports: [{port: 80}]"), text, THREE_NODES)
    assert [len(s.endpoints) for s in built.slices] == [1000]
    assert any(note.code == "ENDPOINTS_NOT_MIRRORED" for note in built.notes)


def test_subsets_with_the_same_ports_share_slices_of_a_thousand() -> None:
    listed = [", ".join(f"{{ip: 10.{net}.{i // 250}.{i % 250 + 1}}}" for i in range(600)) for net in (8, 9)]
    subsets = ", ".join(f"{{addresses: [{addresses}]}}" for addresses in listed)
    text = f"apiVersion: v1\nkind: Endpoints\nmetadata: {{name: web}}\nsubsets: [{subsets}]"
    slices = cluster(service("web", "ports: [{port: 80}]"), text, THREE_NODES).slices
    assert sorted(len(item.endpoints) for item in slices) == [200, 1000]
    assert len({item.name for item in slices}) == 2


THIRD = Fraction(1, 3)


@pytest.mark.parametrize(
    ("shares", "count", "want"),
    [
        pytest.param({"a": Fraction(1)}, 9, None, id="one zone"),
        pytest.param({"a": THIRD, "b": THIRD, "c": THIRD}, 2, None, id="fewer endpoints than zones"),
        pytest.param({"a": THIRD, "b": THIRD, "c": THIRD}, 4, None, id="the minima together exceed the endpoints"),
        pytest.param({"a": Fraction(1, 2), "b": Fraction(1, 2)}, 4, (2, 2), id="two equal zones"),
    ],
)
def test_auto_allocations(shares: dict[str, Fraction], count: int, want: tuple[int, ...] | None) -> None:
    plan = allocations(shares, count)
    assert (None if plan is None else tuple(item.minimum for item in plan.values())) == want


def test_zones_exchange_whole_endpoints() -> None:
    plan = {zone: Allocation(3, Fraction(3)) for zone in "abc"}
    give, receive = exchange(plan, {"a": 6, "b": 2, "c": 1})
    assert (dict(give), dict(receive)) == ({"a": 3}, {"c": 2, "b": 1})


def test_a_node_without_cpu_turns_auto_hints_off() -> None:
    annotated = service("web").replace(
        "name: web\n", "name: web\n  annotations: {service.kubernetes.io/topology-mode: Auto}\n"
    )
    pods = [pod(f"p{i}", node=f"node-{i % 3 + 1}") for i in range(6)]
    hinted = cluster(annotated, *pods, THREE_NODES)
    bare = cluster(annotated, *pods, THREE_NODES.replace('cpu: "4", ', "", 1))
    assert all(e.zone_hints for s in hinted.slices for e in s.endpoints)
    assert not any(e.zone_hints for s in bare.slices for e in s.endpoints)
