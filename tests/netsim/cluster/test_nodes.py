"""Nodes: given and assumed, their addresses and pod ranges."""

from __future__ import annotations

import pytest

from iptables_gen.kubeproxy.inputs import ProxyConfig
from netsim.cluster.proxy import host_addresses, proxy_input
from netsim.errors import UsageError
from tests.netsim.cluster.clusters import cluster, pod, service


def node(name: str = "node-1", body: str = "") -> str:
    return f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n{body}"


def test_without_any_node_two_are_assumed() -> None:
    built = cluster(service())
    assert [n.name for n in built.nodes] == ["node-1", "node-2"]
    assert built.nodes[1].pod_cidrs == ("10.244.2.0/24", "fd00:10:244:2::/64")
    codes = {note.code for note in built.notes}
    assert {"ASSUMED_NODES", "ASSUMED_NODE_ADDRESSES", "ASSUMED_POD_CIDRS"} <= codes


def test_the_node_names_of_pods_and_slices_are_the_assumed_nodes() -> None:
    slice_text = (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s}\naddressType: IPv4\n"
        "endpoints: [{addresses: [10.0.0.1], nodeName: worker-b}]\nports: []"
    )
    built = cluster(pod("p", node="worker-7"), slice_text)
    assert [n.name for n in built.nodes] == ["worker-7", "worker-b"]
    assert [n.pod_cidrs[0] for n in built.nodes] == ["10.244.7.0/24", "10.244.1.0/24"]


def test_with_a_node_given_none_is_assumed() -> None:
    built = cluster(node("only"), pod("p", node="elsewhere"))
    assert [n.name for n in built.nodes] == ["only"]
    assert built.pods[0].phase == "Pending"
    assert built.pods[0].why_not_ready == "node elsewhere does not exist"


def test_assumed_addresses_never_clash() -> None:
    taken = node("node-1", "status: {addresses: [{type: InternalIP, address: 192.168.10.2}]}")
    built = cluster(taken, node("node-2"), pod("p", node="node-1"))
    assert built.nodes[1].internal_ips[0] == "192.168.10.1"


def test_kubelet_labels_are_set_on_hand_written_nodes() -> None:
    assert cluster(node("worker")).nodes[0].labels["kubernetes.io/hostname"] == "worker"


@pytest.mark.parametrize(
    ("annotation", "want"),
    [
        pytest.param("eth1=10.1.0.1/16", [("eth1", "10.1.0.1", 16)], id="interface, address and length"),
        pytest.param("10.1.0.1/16", [("eth0", "10.1.0.1", 16)], id="eth0 by default"),
        pytest.param("eth0=192.168.10.1/25", [("eth0", "192.168.10.1", 25)], id="the InternalIP's own network"),
        pytest.param("eth0=junk, =/, a=10.1.0.1/99", [], id="what is no address is left out"),
    ],
)
def test_host_addresses_annotation(annotation: str, want: list[tuple[str, str, int]]) -> None:
    body = (
        f"  annotations: {{netsim.dev/host-addresses: '{annotation}'}}\nspec: {{podCIDR: 10.244.1.0/24}}\n"
        "status: {addresses: [{type: InternalIP, address: 192.168.10.1}]}"
    )
    built = cluster(f"apiVersion: v1\nkind: Node\nmetadata:\n  name: node-1\n{body}")
    found = [(a.interface, a.address, a.prefix) for a in host_addresses(built.nodes[0], 4)]
    base = [("lo", "127.0.0.1", 8), ("eth0", "192.168.10.1", 24), ("cni0", "10.244.1.1", 24)]
    named = {address: (interface, address, prefix) for interface, address, prefix in [*base, *want]}
    assert found == list(named.values())


def test_node_ip_falls_back_to_external_then_loopback() -> None:
    external = node("node-1", "status: {addresses: [{type: ExternalIP, address: 192.0.2.7}]}")
    built = cluster(external)
    assert proxy_input(built, "node-1", 4, ProxyConfig()).node.ip == "192.0.2.7"
    assert proxy_input(built, "node-1", 6, ProxyConfig()).node.ip == "::1"


def test_an_unknown_node_is_bad_usage() -> None:
    with pytest.raises(UsageError, match="no such node"):
        proxy_input(cluster(service()), "nowhere", 4, ProxyConfig())


def test_cluster_cidrs_come_from_kubeadm_before_the_nodes() -> None:
    kubeadm = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking: {podSubnet: 10.0.0.0/8}"
    assert cluster(node(), kubeadm).cluster_cidrs == ("10.0.0.0/8",)
    assert cluster(node("node-3")).cluster_cidrs == ("10.244.3.0/24", "fd00:10:244:3::/64")
