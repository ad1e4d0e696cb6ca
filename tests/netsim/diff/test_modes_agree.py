"""Generated clusters: the three modes give one answer to every question, except for documented causes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iptables_gen.kubeproxy.inputs import Mode
from netsim.cli.proxy_flags import proxy_config
from netsim.diff.run import Report, compare_modes
from netsim.trace.setup import make_tracer
from tests.conformance_support.model import flag_values
from tests.conformance_support.small import cluster_of, node, pod

NODES = 3
PAIRS: tuple[tuple[Mode, Mode], ...] = (("iptables", "nftables"), ("iptables", "ipvs"), ("ipvs", "nftables"))
UNKNOWN = {"UNEXPLAINED", "UNDETERMINED"}
RANGES = ([], ["10.244.0.0/16"], ["192.168.10.0/24"], ["198.51.100.10/32"], ["203.0.113.0/24"])
FLAGS = (
    (),
    ("--masquerade-all",),
    ("--cluster-cidr=",),
    ("--nodeport-addresses=192.168.10.0/24",),
    ("--iptables-localhost-nodeports=false",),
    ("--detect-local-mode=NodeCIDR",),
    ("--ipvs-scheduler=wrr",),
)

CONDITIONS = st.sampled_from(
    [
        {"ready": True, "serving": True, "terminating": False},
        {"ready": False, "serving": True, "terminating": True},
        {"ready": False, "serving": False, "terminating": False},
    ]
)


@st.composite
def endpoints(draw: st.DrawFn) -> list[dict[str, Any]]:
    chosen = draw(st.lists(st.tuples(st.integers(1, NODES), st.integers(5, 6)), max_size=4, unique=True))
    hints = draw(st.booleans())
    found = []
    for where, last in chosen:
        item: dict[str, Any] = {
            "addresses": [f"10.244.{where}.{last}"],
            "conditions": draw(CONDITIONS),
            "nodeName": f"node-{where}",
            "targetRef": {"kind": "Pod", "namespace": "default", "name": f"p-{where}-{last}"},
        }
        if hints:
            item["hints"] = {"forZones": [{"name": draw(st.sampled_from(["zone-a", "zone-b"]))}]}
        found.append(item)
    return found


@st.composite
def services(draw: st.DrawFn, number: int) -> list[dict[str, Any]]:
    kind = draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]))
    spec: dict[str, Any] = {
        "type": kind,
        "clusterIP": f"10.96.1.{number}",
        "clusterIPs": [f"10.96.1.{number}"],
        "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": draw(st.sampled_from(["TCP", "UDP"]))}],
        "internalTrafficPolicy": draw(st.sampled_from(["Cluster", "Local"])),
        "sessionAffinity": draw(st.sampled_from(["None", "ClientIP"])),
    }
    status: dict[str, Any] = {}
    if draw(st.booleans()):
        spec["externalIPs"] = [f"203.0.113.{100 + number}"]
    if kind != "ClusterIP":
        spec["externalTrafficPolicy"] = draw(st.sampled_from(["Cluster", "Local"]))
        spec["ports"][0]["nodePort"] = 30000 + number
    if kind == "LoadBalancer":
        spec["loadBalancerSourceRanges"] = draw(st.sampled_from(RANGES))
        status = {"loadBalancer": {"ingress": [{"ip": f"203.0.113.{number}"}]}}
        if spec["externalTrafficPolicy"] == "Local":
            spec["healthCheckNodePort"] = 31000 + number
    name = f"s{number}"
    meta = {"name": name, "namespace": "default"}
    label = {
        "kubernetes.io/service-name": name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    protocol = spec["ports"][0]["protocol"]
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec, "status": status},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-a", "namespace": "default", "labels": label},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": protocol}],
            "endpoints": draw(endpoints()),
        },
    ]


CLUSTERS = st.tuples(services(number=1), services(number=2)).map(lambda pair: [*pair[0], *pair[1]])
HOSTS = [
    *(node(n) for n in range(1, NODES + 1)),
    *(pod(f"p-{n}-{last}", n, last) for n in range(1, NODES + 1) for last in (5, 6)),
    *(pod(f"client-{n}", n, 100) for n in range(1, NODES + 1)),
]


def report_of(objects: list[dict[str, Any]], flags: tuple[str, ...], pair: tuple[Mode, Mode]) -> Report:
    cluster = cluster_of(*HOSTS, *objects)
    given_flags = ("--cluster-cidr=10.244.0.0/16", *flags)
    configs = [proxy_config(flag_values((*given_flags, f"--proxy-mode={mode}")), cluster)[0] for mode in pair]
    before, after = (make_tracer(cluster, config) for config in configs)
    return compare_modes(before, after, configs[0])


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "..".join(pair))
@settings(max_examples=25)
@given(objects=CLUSTERS, flags=st.sampled_from(FLAGS))
def test_every_difference_of_a_generated_cluster_has_a_documented_cause(
    pair: tuple[Mode, Mode], objects: list[dict[str, Any]], flags: tuple[str, ...]
) -> None:
    report = report_of(objects, flags, pair)
    assert report.asked > 0
    strange = [group.witness for group in report.groups if group.cause.code in UNKNOWN]
    assert not strange, [(w.question.query, w.question.kind, dict(w.before), dict(w.after)) for w in strange]


@settings(max_examples=10)
@given(objects=CLUSTERS, flags=st.sampled_from(FLAGS))
def test_a_mode_never_differs_from_itself(objects: list[dict[str, Any]], flags: tuple[str, ...]) -> None:
    for mode in ("iptables", "nftables", "ipvs"):
        assert not report_of(objects, flags, (mode, mode)).groups  # type: ignore[arg-type]
