"""Which endpoints serve whom (KEP-1669, KEP-2086, KEP-2433, KEP-3015; kube-proxy v1.36)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from iptables_gen.kubeproxy import policy
from iptables_gen.kubeproxy.inputs import Endpoint, ServicePort
from iptables_gen.kubeproxy.versions import Version
from tests.iptables_gen.kubeproxy.made_inputs import NODE, endpoint, proxy_input, service, services

READY, LOCAL = endpoint(1), endpoint(2, local=True)
UNREADY = endpoint(3, ready=False, serving=False)
DRAINING = endpoint(4, ready=False, terminating=True)
LOCAL_DRAINING = endpoint(5, ready=False, terminating=True, local=True)
GONE = endpoint(6, ready=False, serving=False, terminating=True)
A, B, BOTH = frozenset({"zone-a"}), frozenset({"zone-b"}), frozenset({"zone-a", "zone-b"})
HERE, THERE = frozenset({"node-1"}), frozenset({"node-2"})
IN_A, IN_B = endpoint(1, zone_hints=A), endpoint(2, zone_hints=B)


def last(endpoints: tuple[Endpoint, ...]) -> list[int]:
    return [int(found.ip.rpartition(".")[2]) for found in endpoints]


@pytest.mark.parametrize(
    ("endpoints", "want"),
    [
        pytest.param((READY, LOCAL, UNREADY), [1, 2], id="ready ones serve"),
        pytest.param((READY, DRAINING), [1], id="draining ones do not while a ready one exists"),
        pytest.param((UNREADY, DRAINING, GONE), [4], id="draining ones are the last resort"),
        pytest.param((UNREADY, GONE), [], id="nothing serves"),
        pytest.param((endpoint(7, terminating=True),), [7], id="ready counts though terminating"),
        pytest.param((IN_A, IN_B), [1], id="zone hints leave the own zone"),
        pytest.param((IN_A, endpoint(2)), [1, 2], id="one endpoint without a hint turns hints off"),
        pytest.param((IN_A, endpoint(2, zone_hints=frozenset())), [1, 2], id="an empty hint is no hint"),
        pytest.param((IN_B, endpoint(3, zone_hints=B)), [2, 3], id="no hint for the own zone turns hints off"),
        pytest.param((IN_A, endpoint(2, zone_hints=BOTH)), [1, 2], id="a hint may name several zones"),
        pytest.param((IN_B, endpoint(3, ready=False, zone_hints=None)), [2], id="unready ones need no hint"),
        pytest.param((IN_B, DRAINING), [2], id="hints never lead to draining ones"),
        pytest.param(
            (endpoint(1, node_hints=THERE, zone_hints=A), endpoint(2, node_hints=HERE, zone_hints=B)),
            [2],
            id="node hints go before zone hints",
        ),
        pytest.param(
            (endpoint(1, node_hints=THERE, zone_hints=A), endpoint(2, node_hints=THERE, zone_hints=B)),
            [1],
            id="node hints for other nodes leave the zone hints",
        ),
        pytest.param(
            (endpoint(1, node_hints=HERE, zone_hints=A), endpoint(2, zone_hints=B)),
            [1],
            id="one without a node hint leaves the zone hints",
        ),
        pytest.param((endpoint(1, node_hints=HERE), endpoint(2, node_hints=THERE)), [1], id="node hints alone count"),
    ],
)
def test_cluster_policy(endpoints: tuple[Endpoint, ...], want: list[int]) -> None:
    decision = policy.decide(service(*endpoints), NODE)
    assert last(decision.serving.cluster) == want
    assert decision.has_endpoints == decision.has_internal == decision.has_external == bool(want)
    assert decision.serving.local == ()


def test_a_node_without_a_zone_ignores_hints() -> None:
    assert last(policy.decide(service(IN_A, IN_B), replace(NODE, zone="")).serving.cluster) == [1, 2]


def test_node_hints_are_not_read_before_v1_34() -> None:
    hinted = service(endpoint(1, node_hints=HERE), endpoint(2, node_hints=THERE))
    assert last(policy.decide(hinted, NODE, Version(1, 33)).serving.cluster) == [1, 2]


@pytest.mark.parametrize(
    ("endpoints", "want"),
    [
        pytest.param((READY, LOCAL), [2], id="only the node's own"),
        pytest.param((READY, LOCAL, LOCAL_DRAINING), [2], id="own ready before own draining"),
        pytest.param((READY, LOCAL_DRAINING), [5], id="own draining when no own one is ready"),
        pytest.param((READY, DRAINING), [], id="none here"),
    ],
)
def test_local_policy(endpoints: tuple[Endpoint, ...], want: list[int]) -> None:
    outside = policy.decide(service(*endpoints, external_local=True, node_port=30080), NODE)
    inside = policy.decide(service(*endpoints, internal_local=True), NODE)
    assert last(outside.serving.local) == last(inside.serving.local) == want
    assert (outside.has_internal, outside.has_external) == (True, bool(want))
    assert (inside.has_internal, inside.has_external) == (bool(want), True)
    assert inside.serving.cluster == ()
    assert last(inside.serving.reachable) == want


def test_a_local_list_is_not_needed_when_nothing_leads_in_from_outside() -> None:
    decision = policy.decide(service(READY, LOCAL, external_local=True), NODE)
    assert not decision.uses_local
    assert decision.serving.local == ()


def test_local_inside_and_cluster_outside_needs_both_lists() -> None:
    decision = policy.decide(service(READY, LOCAL, internal_local=True, node_port=30080), NODE)
    assert (last(decision.serving.cluster), last(decision.serving.local)) == ([1, 2], [2])
    assert last(decision.serving.reachable) == [1, 2]


@pytest.mark.parametrize(
    ("endpoints", "want"),
    [
        pytest.param((IN_A, endpoint(2, zone_hints=B, local=True)), [1, 2], id="hinted and own differ"),
        pytest.param((READY, LOCAL_DRAINING), [1, 5], id="own draining joins the ready ones"),
    ],
)
def test_reachable_is_the_union_of_both_lists(endpoints: tuple[Endpoint, ...], want: list[int]) -> None:
    decision = policy.decide(service(*endpoints, external_local=True, node_port=30080), NODE)
    assert last(decision.serving.reachable) == want


@pytest.mark.parametrize(
    ("more", "want"),
    [
        pytest.param({}, False, id="ClusterIP"),
        pytest.param({"node_port": 30080}, True, id="nodePort"),
        pytest.param({"lb_vips": ("203.0.113.9",)}, True, id="load balancer address"),
        pytest.param({"external_ips": ("203.0.113.9",)}, True, id="external IP"),
    ],
)
def test_what_leads_in_from_outside(more: dict[str, Any], want: bool) -> None:
    assert policy.externally_accessible(service(READY, **more)) is want


@pytest.mark.parametrize(("count", "want"), [(1000, False), (1001, True)])
def test_a_cluster_is_large_above_a_thousand_endpoints_ready_or_not(count: int, want: bool) -> None:
    many = tuple(Endpoint(f"10.{i >> 8}.{i & 255}.1", 80, ready=False) for i in range(count))
    assert policy.large_cluster(proxy_input(service(*many))) is want


def test_health_checks_count_addresses_of_ready_local_endpoints_once() -> None:
    ports = [service(LOCAL, READY, LOCAL_DRAINING), service(LOCAL._replace(port=9), endpoint(9, local=True))]
    assert policy.health_check_endpoints(ports) == 2


@given(services(4))
def test_only_usable_endpoints_are_reachable_and_each_once(made: ServicePort) -> None:
    decision = policy.decide(made, NODE)
    reachable = decision.serving.reachable
    assert len({found.key for found in reachable}) == len(reachable)
    assert all(found.ready or (found.serving and found.terminating) for found in reachable)
    assert {*decision.serving.cluster, *decision.serving.local} == set(reachable)
    assert all(found.local for found in decision.serving.local)
    assert decision.has_endpoints >= (decision.has_internal or decision.has_external)
    if decision.uses_cluster:
        assert decision.has_endpoints == bool(decision.serving.cluster)
