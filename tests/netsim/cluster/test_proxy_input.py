"""What kube-proxy sees of a cluster: which Services, which endpoints, in which order."""

from __future__ import annotations

from typing import Any

import pytest

from iptables_gen.kubeproxy.inputs import Endpoint, ProxyConfig, ServicePort
from netsim.cluster.model import Cluster
from netsim.cluster.proxy import proxy_input
from tests.netsim.cluster.clusters import THREE_NODES, cluster, pod, service

PORTS = "ports: [{name: http, port: 80, targetPort: 8080}]"


def ports(built: Cluster, node: str = "node-1", family: Any = 4) -> tuple[ServicePort, ...]:
    return proxy_input(built, node, family, ProxyConfig()).services


def slice_of(
    body: str, name: str = "web-1", labels: str = "kubernetes.io/service-name: web", kind: str = "IPv4"
) -> str:
    head = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
    return f"{head}metadata: {{name: {name}, labels: {{{labels}}}}}\naddressType: {kind}\n{body}"


def endpoints(*slices: str, node: str = "node-1", spec: str = PORTS) -> tuple[Endpoint, ...]:
    found = ports(cluster(service("web", spec), THREE_NODES, *slices), node)
    return found[0].endpoints


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(service("web", "type: ExternalName\nexternalName: x.example"), id="ExternalName"),
        pytest.param(service("web", f"clusterIP: None\n{PORTS}"), id="headless"),
        pytest.param(
            service("web", PORTS).replace("name: web", "name: web\n  labels: {service.kubernetes.io/headless: ''}"),
            id="labelled headless",
        ),
        pytest.param(
            service("web", PORTS).replace(
                "name: web", "name: web\n  labels: {service.kubernetes.io/service-proxy-name: x}"
            ),
            id="labelled for another proxy",
        ),
    ],
)
def test_services_kube_proxy_does_not_watch(text: str) -> None:
    assert ports(cluster(text, THREE_NODES)) == ()


def test_a_slice_labelled_for_another_proxy_disappears_too() -> None:
    labels = "kubernetes.io/service-name: web, service.kubernetes.io/service-proxy-name: x"
    body = "endpoints: [{addresses: [10.0.0.1]}]\nports: [{name: http, port: 8080}]"
    assert endpoints(slice_of(body, labels=labels)) == ()


def test_endpoints_sort_as_strings_and_collapse() -> None:
    body = (
        "endpoints: [{addresses: [10.244.1.10]}, {addresses: [10.244.1.100]}, {addresses: [10.244.1.10]}, "
        "{addresses: [10.244.1.9, 10.244.1.8]}]\nports: [{name: http, port: 8080}]"
    )
    assert [e.key for e in endpoints(slice_of(body))] == ["10.244.1.100:8080", "10.244.1.10:8080", "10.244.1.9:8080"]


def test_of_two_equal_endpoints_the_local_one_wins() -> None:
    one = slice_of("endpoints: [{addresses: [10.0.0.1], nodeName: node-1}]\nports: [{name: http, port: 8080}]", "a")
    two = slice_of("endpoints: [{addresses: [10.0.0.1], nodeName: node-2}]\nports: [{name: http, port: 8080}]", "b")
    for node, local in (("node-1", True), ("node-2", True), ("node-3", False)):
        assert [e.local for e in endpoints(one, two, node=node)] == [local]


@pytest.mark.parametrize(
    ("conditions", "want"),
    [
        pytest.param("{}", (True, True, False), id="absent means ready"),
        pytest.param("{ready: false}", (False, True, False), id="not ready"),
        pytest.param("{ready: false, serving: true, terminating: true}", (False, True, True), id="terminating"),
        pytest.param("{ready: null, serving: false}", (True, False, False), id="null is absent"),
    ],
)
def test_conditions(conditions: str, want: tuple[bool, bool, bool]) -> None:
    body = f"endpoints: [{{addresses: [10.0.0.1], conditions: {conditions}}}]\nports: [{{name: http, port: 8080}}]"
    assert [(e.ready, e.serving, e.terminating) for e in endpoints(slice_of(body))] == [want]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param("endpoints: [{addresses: [example.com]}]\nports: [{name: http, port: 80}]", "FQDN", id="FQDN"),
        pytest.param(
            "endpoints: [{addresses: ['fd00::1']}]\nports: [{name: http, port: 80}]", "IPv6", id="other family"
        ),
        pytest.param(
            "endpoints: [{addresses: ['fd00::1']}]\nports: [{name: http, port: 80}]", "IPv4", id="wrong family"
        ),
        pytest.param("endpoints: [{addresses: [10.0.0.1]}]\nports: [{name: web, port: 80}]", "IPv4", id="other name"),
        pytest.param("endpoints: [{addresses: [10.0.0.1]}]\nports: [{name: http}]", "IPv4", id="no number"),
        pytest.param(
            "endpoints: [{addresses: [10.0.0.1]}]\nports: [{name: http, port: 80, protocol: UDP}]",
            "IPv4",
            id="protocol",
        ),
    ],
)
def test_endpoints_that_do_not_count(body: str, kind: str) -> None:
    assert endpoints(slice_of(body, kind=kind)) == ()


def test_hints_arrive_as_sets() -> None:
    body = (
        "endpoints: [{addresses: [10.0.0.1], hints: {forZones: [{name: a}, {name: b}], forNodes: [{name: node-1}]}}]\n"
        "ports: [{name: http, port: 80}]"
    )
    found = endpoints(slice_of(body))[0]
    assert (found.zone_hints, found.node_hints) == (frozenset({"a", "b"}), frozenset({"node-1"}))


def test_addresses_of_the_other_family_are_left_out_and_positions_kept() -> None:
    spec = (
        "type: LoadBalancer\nexternalIPs: ['fd00::1', 192.0.2.1]\n"
        f"loadBalancerSourceRanges: [' 192.168.10.77/24', 'fd00::/8', 10.0.0.0/8]\n{PORTS}"
    )
    status = "status: {loadBalancer: {ingress: [{ip: 192.0.2.5, ipMode: Proxy}, {ip: 192.0.2.6}, {hostname: lb}]}}"
    found = ports(cluster(service("web", spec) + "\n" + status, THREE_NODES))[0]
    assert (found.external_ips, found.external_ip_positions) == (("192.0.2.1",), (1,))
    assert (found.source_ranges, found.source_range_positions) == (("192.168.10.0/24", "10.0.0.0/8"), (0, 2))
    assert (found.lb_vips, found.lb_vip_positions) == (("192.0.2.6",), (1,))


@pytest.mark.parametrize(
    ("spec", "external_local"),
    [
        pytest.param("type: NodePort\nexternalTrafficPolicy: Local", True, id="NodePort"),
        pytest.param("externalTrafficPolicy: Local", False, id="ClusterIP without external IPs"),
        pytest.param("externalTrafficPolicy: Local\nexternalIPs: [192.0.2.1]", True, id="ClusterIP with external IPs"),
    ],
)
def test_external_local(spec: str, external_local: bool) -> None:
    assert ports(cluster(service("web", f"{spec}\n{PORTS}"), THREE_NODES))[0].external_local is external_local


def test_services_are_sorted_by_name_then_port_name_then_protocol() -> None:
    spec = "ports: [{name: b, port: 1}, {name: a, port: 2, protocol: UDP}, {name: a2, port: 3}]"
    found = ports(cluster(service("z", spec), service("a", PORTS), THREE_NODES))
    assert [(p.name, p.port_name) for p in found] == [("a", "http"), ("z", "a"), ("z", "a2"), ("z", "b")]


def test_families_are_separate() -> None:
    spec = f"ipFamilyPolicy: PreferDualStack\nselector: {{app: web}}\n{PORTS}"
    built = cluster(service("web", spec), pod("p"), THREE_NODES)
    four, six = ports(built, family=4)[0], ports(built, family=6)[0]
    assert ":" not in four.cluster_ip
    assert ":" in six.cluster_ip
    assert [":" in e.ip for e in (*four.endpoints, *six.endpoints)] == [False, True]


def test_only_local_endpoints_differ_between_nodes_and_the_rest_is_shared() -> None:
    built = cluster(service("web", f"selector: {{app: web}}\n{PORTS}"), pod("p", node="node-2"), THREE_NODES)
    one, two, three = (ports(built, f"node-{n}")[0] for n in (1, 2, 3))
    assert one is three
    assert [e.local for e in two.endpoints] == [True]


def test_an_endpoint_knows_where_it_comes_from() -> None:
    body = "endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.1]}]\nports: [{name: http, port: 80}]"
    first = endpoints(slice_of(body))[0]
    assert first.field == "endpoints[1]"
    assert first.locator is not None
    assert first.locator.locate(first.field)[1] > 0


def test_health_check_node_port_belongs_to_local_load_balancers() -> None:
    spec = f"type: LoadBalancer\nexternalTrafficPolicy: Local\nhealthCheckNodePort: 30123\n{PORTS}"
    assert ports(cluster(service("web", spec), THREE_NODES))[0].health_check_node_port == 30123
    assert ports(cluster(service("web", spec.replace("Local", "Cluster")), THREE_NODES))[0].health_check_node_port == 0
