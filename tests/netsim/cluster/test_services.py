"""Services: defaults, families and allocation, as the API server fills them in."""

from __future__ import annotations

import pytest

from netsim.cluster.model import Service
from tests.netsim.cluster.clusters import cluster, service


def only(spec: str, *others: str) -> Service:
    return next(s for s in cluster(service("web", spec), *others).services if s.name == "web")


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        pytest.param("selector: {a: b}", ("IPv4",), "SingleStack", id="single stack by default"),
        pytest.param("ipFamilyPolicy: PreferDualStack", ("IPv4", "IPv6"), "PreferDualStack", id="prefers dual stack"),
        pytest.param(
            "ipFamilyPolicy: RequireDualStack\nipFamilies: [IPv6]",
            ("IPv6", "IPv4"),
            "RequireDualStack",
            id="the family that is missing is appended",
        ),
        pytest.param("clusterIP: fd00:10:96::7", ("IPv6",), "SingleStack", id="the family follows a given address"),
        pytest.param("clusterIP: None\nselector: {a: b}", ("IPv4",), "SingleStack", id="headless with selector"),
        pytest.param("clusterIP: None", ("IPv4", "IPv6"), "RequireDualStack", id="headless without selector is dual"),
        pytest.param(
            "clusterIP: None\nipFamilies: [IPv6]", ("IPv6", "IPv4"), "RequireDualStack", id="headless appends a family"
        ),
        pytest.param(
            "clusterIP: None\nipFamilyPolicy: SingleStack", ("IPv4",), "SingleStack", id="explicit SingleStack wins"
        ),
        pytest.param("type: ExternalName\nexternalName: x.example", (), "", id="ExternalName has no families"),
    ],
)
def test_families(spec: str, families: tuple[str, ...], policy: str) -> None:
    found = only(f"{spec}\nports: [{{port: 80}}]")
    assert (found.ip_families, found.ip_family_policy) == (families, policy)
    assert len(found.cluster_ips) == (1 if found.headless else len(families))


@pytest.mark.parametrize(
    ("spec", "external", "internal"),
    [
        pytest.param("type: ClusterIP", "", "Cluster", id="ClusterIP has no external policy"),
        pytest.param("externalIPs: [192.0.2.1]", "Cluster", "Cluster", id="external IPs give it one"),
        pytest.param("type: NodePort", "Cluster", "Cluster", id="NodePort"),
        pytest.param("type: LoadBalancer\nexternalTrafficPolicy: Local", "Local", "Cluster", id="LoadBalancer Local"),
        pytest.param("type: ExternalName\nexternalName: x.example", "", "", id="ExternalName has none"),
    ],
)
def test_traffic_policies(spec: str, external: str, internal: str) -> None:
    found = only(f"{spec}\nports: [{{port: 80}}]")
    assert (found.external_traffic_policy, found.internal_traffic_policy) == (external, internal)


@pytest.mark.parametrize(
    ("spec", "has_port", "has_health_port"),
    [
        pytest.param("type: ClusterIP", False, False, id="ClusterIP gets no node port"),
        pytest.param("type: NodePort", True, False, id="NodePort"),
        pytest.param("type: LoadBalancer", True, False, id="LoadBalancer"),
        pytest.param("type: LoadBalancer\nallocateLoadBalancerNodePorts: false", False, False, id="without node ports"),
        pytest.param("type: LoadBalancer\nexternalTrafficPolicy: Local", True, True, id="health check port"),
        pytest.param("type: NodePort\nexternalTrafficPolicy: Local", True, False, id="NodePort Local has none"),
    ],
)
def test_node_ports(spec: str, has_port: bool, has_health_port: bool) -> None:
    found = only(f"{spec}\nports: [{{port: 80}}]")
    assert [30086 <= port.node_port <= 32767 for port in found.ports] == [has_port]
    assert bool(found.health_check_node_port) == has_health_port


def test_the_same_port_in_two_protocols_shares_a_node_port() -> None:
    ports = "ports: [{name: a, port: 53, protocol: UDP}, {name: b, port: 53}, {name: c, port: 54}]"
    udp, tcp, other = only(f"type: NodePort\n{ports}").ports
    assert udp.node_port == tcp.node_port != other.node_port


def test_a_requested_node_port_is_shared_with_the_other_protocol() -> None:
    ports = "ports: [{name: a, port: 53, protocol: UDP}, {name: b, port: 53, nodePort: 30001}]"
    assert [port.node_port for port in only(f"type: NodePort\n{ports}").ports] == [30001, 30001]


def test_default_kubernetes_gets_the_first_address() -> None:
    built = cluster(service("kubernetes", "ports: [{port: 443}]"))
    assert built.services[0].cluster_ips == ("10.96.0.1",)


@pytest.mark.parametrize(
    ("source", "family", "start"),
    [
        pytest.param(
            "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}\n"
            "spec: {cidrs: ['fd00:9::/112', 172.20.0.0/16]}",
            "IPv6",
            "fd00:9::",
            id="a ServiceCIDR, its first family being the default one",
        ),
        pytest.param(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
            "networking: {serviceSubnet: 172.21.0.0/16}",
            "IPv4",
            "172.21.",
            id="kubeadm's ClusterConfiguration",
        ),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kubeadm-config, namespace: kube-system}\n"
            'data: {ClusterConfiguration: "networking: {serviceSubnet: 172.22.0.0/16, dnsDomain: k8s.test}"}',
            "IPv4",
            "172.22.",
            id="the ConfigMap kubeadm-config",
        ),
    ],
)
def test_ranges(source: str, family: str, start: str) -> None:
    built = cluster(service(), source)
    assert built.services[0].ip_families == (family,)
    assert built.services[0].cluster_ips[0].startswith(start)
    assert not any(note.code == "ASSUMED_SERVICE_CIDRS" for note in built.notes)


def test_only_service_cidr_objects_are_declared_ranges() -> None:
    built = cluster(service())
    assert built.service_cidrs == ()
    assert built.assumed_service_cidrs == ("10.96.0.0/16", "fd00:10:96::/112")
    assert [n.code for n in built.notes if n.code == "ASSUMED_SERVICE_CIDRS"] == ["ASSUMED_SERVICE_CIDRS"]


def test_addresses_are_canonical_and_no_address_is_left_out() -> None:
    found = only("externalIPs: [192.0.2.010, 'FD00::0A', nonsense, '::ffff:192.0.2.9']\nports: [{port: 80}]")
    assert found.external_ips == ("192.0.2.10", "fd00::a", "192.0.2.9")


def test_a_range_of_one_family_serves_that_family_only() -> None:
    head = "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}"
    cidr = f"{head}\nspec: {{cidrs: [10.9.0.0/28]}}"
    spec = "ipFamilyPolicy: PreferDualStack\nports: [{port: 80}]"
    found = cluster(*(service(f"s{i}", spec) for i in range(20)), cidr).services
    given = [s.cluster_ips[0] for s in found if s.cluster_ips]
    assert len(given) == len(set(given)) == 13  # 14 hosts, the first is default/kubernetes'
    assert all(s.ip_families in (("IPv4",), ()) for s in found)


def test_generate_name_and_namespace_are_filled_in() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {generateName: web-}\nspec: {ports: [{port: 80}]}"
    found = cluster(text).services[0]
    assert found.namespace == "default"
    assert len(found.name) == len("web-") + 5
    assert found.name == cluster(text).services[0].name


def test_the_later_of_two_objects_with_one_name_replaces_the_earlier() -> None:
    built = cluster(service("web", "ports: [{port: 80}]"), service("web", "ports: [{port: 81}]"))
    assert [port.port for s in built.services for port in s.ports] == [81]
    assert [note.code for note in built.notes if note.code == "DUPLICATE_OBJECT"] == ["DUPLICATE_OBJECT"]


def test_a_service_of_another_api_group_is_no_service() -> None:
    built = cluster("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: web}\nspec: {}")
    assert built.services == ()
    assert len(built.objects["Service"]) == 1
