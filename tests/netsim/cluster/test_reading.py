"""Reading stored objects: tolerant of nulls and wrong types; quantities; selectors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.cluster.quantity import quantity
from netsim.cluster.read import canonical_cidr, canonical_ip
from netsim.cluster.resources import find_kind, plural, resources
from netsim.cluster.selectors import matches_expression, matches_node_term, matches_selector
from tests.netsim.cluster.clusters import cluster, of_objects, service


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("010.000.0.01", "10.0.0.1"),
        ("FD00::0:1", "fd00::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", ""),
        ("10.0.0", ""),
        ("10.0.0.256", ""),
        ("", ""),
        ("10.0.0.1\n", ""),
        ("\u0661.0.0.1", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_canonical_addresses(text: object, want: str) -> None:
    assert canonical_ip(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (" 192.168.10.77/24 ", "192.168.10.0/24"),
        ("FD00::1/64", "fd00::/64"),
        ("10.0.0.1", ""),
        ("10.0.0.1/33", ""),
        ("10.0.0.1/x", ""),
    ],
)
def test_canonical_networks(text: str, want: str) -> None:
    assert canonical_cidr(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("500m", Fraction(1, 2)),
        ("1Gi", Fraction(2**30)),
        ("1e3", Fraction(1000)),
        ("1.5k", Fraction(1500)),
        (".5", Fraction(1, 2)),
        (2, Fraction(2)),
        (0.5, Fraction(1, 2)),
        ("many", Fraction(0)),
        ("1e99999", Fraction(0)),
        (True, Fraction(0)),
    ],
)
def test_quantities(text: object, want: Fraction) -> None:
    assert quantity(text) == want


@pytest.mark.parametrize(
    ("requirement", "want"),
    [
        ({"key": "a", "operator": "In", "values": ["1", "2"]}, True),
        ({"key": "a", "operator": "NotIn", "values": ["2"]}, True),
        ({"key": "b", "operator": "NotIn", "values": ["2"]}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "b", "operator": "DoesNotExist"}, True),
        ({"key": "a", "operator": "Gt", "values": ["0"]}, True),
        ({"key": "a", "operator": "Lt", "values": ["1"]}, False),
        ({"key": "b", "operator": "Gt", "values": ["0"]}, False),
        ({"key": "a", "operator": "Gt", "values": ["x"]}, False),
        ({"key": "a", "operator": "Near"}, False),
    ],
)
def test_requirements(requirement: dict[str, Any], want: bool) -> None:
    assert matches_expression(requirement, {"a": "1"}) is want


def test_selectors_and_terms_of_nothing() -> None:
    assert matches_selector({}, {"a": "1"})
    assert not matches_selector(None, {"a": "1"})
    assert not matches_node_term({}, "node-1", {})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 70000)
    | st.sampled_from(["", "x", "10.0.0.1", "fd00::1", "None", "Local"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "port", "ip", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KINDS = [
    ("v1", "Service", ("ports", "selector", "clusterIP", "clusterIPs", "type", "externalIPs", "ipFamilies")),
    ("v1", "Pod", ("nodeName", "containers", "affinity", "volumes", "tolerations", "initContainers")),
    ("v1", "Node", ("podCIDRs", "podCIDR", "taints", "unschedulable")),
    ("apps/v1", "Deployment", ("replicas", "selector", "template")),
    ("apps/v1", "StatefulSet", ("replicas", "selector", "template", "volumeClaimTemplates", "ordinals")),
    ("batch/v1", "Job", ("completions", "parallelism", "template")),
    ("networking.k8s.io/v1", "ServiceCIDR", ("cidrs",)),
]


@st.composite
def odd_objects(draw: st.DrawFn) -> dict[str, Any]:
    version, kind, fields = draw(st.sampled_from(KINDS))
    spec = draw(st.dictionaries(st.sampled_from(fields), JSON, max_size=4) | JSON)
    return {"apiVersion": version, "kind": kind, "metadata": {"name": draw(st.sampled_from("abc"))}, "spec": spec}


@given(st.lists(odd_objects(), max_size=4))
def test_nothing_that_the_loader_lets_through_crashes(objects: list[dict[str, Any]]) -> None:
    built = of_objects(objects)
    for kind in ("Node", "Pod", "Service", "EndpointSlice", "Namespace"):
        list(resources(built, kind))


@pytest.mark.parametrize(
    ("word", "want"),
    [
        ("po", "Pod"),
        ("Services", "Service"),
        ("svc", "Service"),
        ("endpointslices.discovery.k8s.io", "EndpointSlice"),
        ("ingresses", "Ingress"),
        ("networkpolicies", "NetworkPolicy"),
        ("endpoints", "Endpoints"),
        ("widgets", "Widget"),
        ("nothing", ""),
    ],
)
def test_kubectls_names_of_kinds(word: str, want: str) -> None:
    built = cluster(service(), "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}")
    assert find_kind(word, built) == want


def test_plurals() -> None:
    assert [plural(k) for k in ("Gateway", "Ingress", "NetworkPolicy", "Endpoints")] == [
        "gateways",
        "ingresses",
        "networkpolicies",
        "endpoints",
    ]
