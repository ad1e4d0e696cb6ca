"""A lab's plan is made from the model's own hosts, and is plain data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.hosts.cni import cni_settings
from netsim.hosts.network import Network
from netsim.lab.build import lab_hosts
from netsim.lab.codec import decode, encode
from netsim.lab.listen import servers
from netsim.lab.ops import AddAddress, AddRoute, MakeNamespace, MakeVeth, Serve, WriteFile, describe
from netsim.lab.plan import plan_hosts
from netsim.lab.state import NAME
from netsim.manifests.load import load

SHOP = Path(__file__).parents[3] / "topologies" / "shop"


@pytest.fixture(scope="module")
def network() -> Network:
    cluster = build(load([str(SHOP)]).objects, BuildOptions())
    return Network(cluster, cni_settings(cluster))


def test_every_host_gets_one_namespace_and_every_address_a_place(network: Network) -> None:
    hosts = lab_hosts(network)
    operations = plan_hosts(hosts)
    names = [op.namespace for op in operations if isinstance(op, MakeNamespace)]
    assert len(names) == len(set(names)) == len(hosts) + 1
    assert {"node/node-1", "pod/shop/api-0", "router", "external/198.51.100.10", "external/192.0.2.40"} <= set(names)
    addresses = [(op.address, op.prefix) for op in operations if isinstance(op, AddAddress)]
    assert ("10.244.1.1", 24) in addresses
    assert ("192.168.10.254", 24) in addresses


def test_interface_indices_of_a_namespace_are_distinct(network: Network) -> None:
    ends: list[tuple[str, int]] = []
    for op in plan_hosts(lab_hosts(network)):
        if isinstance(op, MakeVeth):
            ends += [(op.namespace, op.index), (op.peer_namespace, op.peer_index)]
    assert len(ends) == len(set(ends))


def test_nodes_route_to_each_others_pods(network: Network) -> None:
    routes = {
        (op.namespace, op.destination, op.via) for op in plan_hosts(lab_hosts(network)) if isinstance(op, AddRoute)
    }
    assert ("node/node-1", "10.244.2.0/24", "192.168.10.2") in routes
    assert ("pod/shop/api-0", "0.0.0.0/0", "10.244.1.1") in routes


def test_servers_listen_where_pods_declare_ports_and_slices_name_endpoints(network: Network) -> None:
    found = {(s.namespace, s.port, s.protocol, s.kind) for s in servers(network.cluster, lab_hosts(network))}
    assert ("pod/shop/api-0", 9000, "tcp", "echo") in found
    assert ("pod/shop/api-0", 8125, "udp", "echo") in found
    assert ("external/192.0.2.40", 8000, "tcp", "echo") in found
    assert ("pod/kube-system/coredns-0", 53, "udp", "dns") in found


def test_operations_survive_the_control_socket(network: Network) -> None:
    hosts = lab_hosts(network)
    operations = (*plan_hosts(hosts), *servers(network.cluster, hosts), WriteFile("a", "b"))
    assert decode(encode(operations)) == operations


@pytest.mark.parametrize("value", [{"operation": "Nonsense"}, {}, {"operation": "MakeNamespace", "colour": 1}])
def test_other_values_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        decode([value])


@given(st.text(min_size=1, max_size=20))
def test_a_name_cannot_add_a_word_to_what_is_printed(name: str) -> None:
    import shlex

    assert shlex.split(describe(MakeNamespace(name))) == ["ip", "netns", "add", name]


def test_every_operation_can_be_described(network: Network) -> None:
    for operation in plan_hosts(lab_hosts(network)):
        assert describe(operation)
    assert "10.0.0.1:80/tcp" in describe(Serve("pod/a/b", "10.0.0.1", 80, "tcp", "pod/a/b"))


@pytest.mark.parametrize(
    ("name", "good"), [("shop", True), ("a-1", True), ("../x", False), ("", False), ("-a", False), ("A", False)]
)
def test_lab_names_are_dns_labels(name: str, good: bool) -> None:
    assert bool(NAME.fullmatch(name)) is good
