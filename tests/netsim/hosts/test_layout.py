"""Hosts: the layout that was recorded, described once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iptables_gen.kubeproxy.inputs import ProxyConfig
from iptables_gen.values import parse_ip
from netsim.hosts.cni import cni_settings, masquerade_text
from netsim.hosts.model import Host, Neighbour
from netsim.hosts.network import Network
from netsim.trace.setup import make_network
from tests.conformance_support.small import WEB, cluster_of, node, pod, service


def network_of(*objects: dict[str, Any], config: ProxyConfig | None = None) -> Network:
    return make_network(cluster_of(*objects), config or ProxyConfig())


def routes(host: Host) -> set[str]:
    return {str(route) for route in host.routes if route.family == 4}


def addresses(host: Host) -> dict[str, list[str]]:
    return {link.name: [str(a) for a in link.addresses if a.family == 4] for link in host.interfaces}


def test_a_node_is_as_recorded() -> None:
    host = network_of(*WEB).host("node-1")
    assert addresses(host) == {"lo": ["127.0.0.1/8"], "eth0": ["192.168.10.1/24"], "cni0": ["10.244.1.1/24"]}
    assert routes(host) == {
        "192.168.10.0/24 dev eth0",
        "10.244.1.0/24 dev cni0",
        "10.244.2.0/24 via 192.168.10.2 dev eth0",
        "default via 192.168.10.254 dev eth0 onlink",
    }
    assert host.sysctls["net.bridge.bridge-nf-call-iptables"] == "1"
    assert host.sysctls["net.ipv4.conf.all.route_localnet"] == "1"
    assert [loaded.label for loaded in host.dataplanes] == ["kube-proxy", "cni", "kube-proxy", "cni"]


def test_a_pod_is_as_recorded() -> None:
    host = network_of(*WEB).host("pod/default/web-1")
    assert addresses(host)["eth0"] == ["10.244.1.5/24"]
    assert routes(host) == {"10.244.1.0/24 dev eth0", "default via 10.244.1.1 dev eth0 onlink"}
    assert host.accepts_any
    assert not host.dataplanes


def test_the_router_knows_nodes_and_pods_and_sends_virtual_addresses_nowhere() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    host = network_of(*WEB[:-1], service("web", "10.96.1.1", type="LoadBalancer", status=status)).host("router")
    assert {
        "10.244.1.0/24 via 192.168.10.1 dev eth0",
        "blackhole 10.96.0.0/16",
        "blackhole 203.0.113.7/32",
        "default dev eth1",
    } <= routes(host)
    assert addresses(host) == {"lo": ["127.0.0.1/8"], "eth0": ["192.168.10.254/24"], "eth1": ["198.51.100.1/24"]}


@pytest.mark.parametrize(
    ("config", "localnet"),
    [
        pytest.param(ProxyConfig(), "1", id="iptables-mode-sets-it"),
        pytest.param(ProxyConfig(localhost_node_ports=False), "0", id="not-without-localhost-node-ports"),
        pytest.param(ProxyConfig(node_port_addresses=("192.168.0.0/16",)), "0", id="not-when-loopback-is-left-out"),
        pytest.param(ProxyConfig(node_port_addresses=("127.0.0.0/8",)), "1", id="when-loopback-is-named"),
        pytest.param(ProxyConfig(mode="nftables"), "0", id="nftables-mode-leaves-it"),
    ],
)
def test_route_localnet(config: ProxyConfig, localnet: str) -> None:
    assert network_of(*WEB, config=config).host("node-1").sysctls["net.ipv4.conf.all.route_localnet"] == localnet


def test_ipvs_binds_virtual_addresses_and_no_more() -> None:
    host = network_of(*WEB, config=ProxyConfig(mode="ipvs")).host("node-1")
    assert addresses(host)["kube-ipvs0"] == ["10.96.1.1/32"]


def neighbour(network: Network, segment: str, address: str) -> Neighbour | None:
    return network.neighbour(segment, *parse_ip(address))


def test_who_answers_on_a_segment() -> None:
    network = network_of(*WEB)
    assert neighbour(network, "switch", "192.168.10.2") == Neighbour("node-2", "eth0")
    assert neighbour(network, "switch", "192.168.10.254") == Neighbour("router", "eth0")
    assert neighbour(network, "switch", "192.168.10.99") is None
    assert neighbour(network, "bridge/node-1", "10.244.1.5") == Neighbour("pod/default/web-1", "eth0")
    assert neighbour(network, "bridge/node-1", "10.244.1.1") == Neighbour("node-1", "cni0")
    assert neighbour(network, "bridge/node-1", "10.244.2.5") is None
    assert neighbour(network, "outside", "8.8.8.8") == Neighbour("external/8.8.8.8", "eth0")
    assert neighbour(network, "outside", "192.168.10.1") == Neighbour("router", "eth1")


def slice_of(name: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": "x"}},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": 8080}],
    }


def test_endpoints_without_pods_are_places_to_deliver_to() -> None:
    endpoints = (
        {"addresses": ["10.180.0.1"], "nodeName": "node-1"},
        {"addresses": ["10.180.0.2"], "nodeName": "nowhere"},
        {"addresses": ["10.244.2.77"]},
        {"addresses": ["192.168.10.1"]},
    )
    network = network_of(*WEB, slice_of("x-1", *endpoints))
    owners = [network.owner(*parse_ip(str(e["addresses"][0]))) for e in endpoints]
    assert [(owner.kind, owner.node) for owner in owners if owner] == [
        ("pod", "node-1"),
        ("outside", ""),
        ("pod", "node-2"),
        ("node", "node-1"),
    ]
    assert "10.180.0.1/32 dev cni0" in routes(network.host("node-1"))
    assert "10.180.0.1/32 via 192.168.10.1 dev eth0" in routes(network.host("node-2"))
    assert network.host("endpoint/10.180.0.1").accepts_any


def test_pods_that_are_over_have_no_address() -> None:
    done = pod("web-1", 1, 5)
    done["status"]["phase"] = "Succeeded"
    assert network_of(node(1), done).owner(*parse_ip("10.244.1.5")) is None


def test_nodes_of_other_subnets_are_reached_through_the_router() -> None:
    far = node(2)
    far["status"]["addresses"] = [{"type": "InternalIP", "address": "172.16.0.9"}]
    host = network_of(node(1), far).host("node-1")
    assert "10.244.2.0/24 via 192.168.10.254 dev eth0" in routes(host)


def test_every_host_is_described_for_the_lab() -> None:
    network = network_of(*WEB)
    names = [host.name for host in network.hosts()]
    assert names[:3] == ["router", "node-1", "node-2"]
    assert sorted(names[3:]) == [f"pod/default/{name}" for name in ("client-1", "client-2", "web-1", "web-2")]
    with pytest.raises(KeyError):
        network.host("pod/default/nobody")


def config_map(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cni-config", "namespace": "kube-system"},
        "data": data,
    }


@pytest.mark.parametrize(
    ("plugin", "want"),
    [
        pytest.param({"type": "bridge"}, ("cni0", False, False, "none"), id="bridge-defaults"),
        pytest.param(
            {"type": "bridge", "bridge": "br0", "isGateway": True, "ipMasq": True, "hairpinMode": True},
            ("br0", True, True, "subnet"),
            id="bridge-with-everything",
        ),
        pytest.param(
            {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
            ("cni0", True, True, "cluster"),
            id="flannel-masquerades-by-itself",
        ),
        pytest.param({"type": "portmap"}, ("cni0", True, True, "cluster"), id="chained-plugins-change-nothing"),
        pytest.param({"type": "cilium-cni"}, ("cni0", True, True, "cluster"), id="others-are-assumed-to-be-the-bridge"),
    ],
)
def test_a_conflist_changes_the_bridge(plugin: dict[str, Any], want: tuple[object, ...]) -> None:
    text = json.dumps({"cniVersion": "1.0.0", "name": "x", "plugins": [plugin]})
    settings = cni_settings(cluster_of(*WEB, config_map(**{"10-x.conflist": text})))
    assert (settings.bridge, settings.hairpin, settings.gateway, settings.masquerade) == want
    assert bool(settings.notes) == (plugin["type"] == "cilium-cni")


def test_a_broken_conflist_or_agent_changes_nothing() -> None:
    maps = config_map(**{"10-x.conflist": '{"type": "bridge"', "y.conf": '["type"]'})
    agent = {
        **config_map(config="nonMasqueradeCIDRs: ["),
        "metadata": {"name": "ip-masq-agent", "namespace": "kube-system"},
    }
    assert cni_settings(cluster_of(*WEB, maps, agent)) == cni_settings(cluster_of(*WEB))


def test_the_masquerade_rules_are_a_ruleset() -> None:
    settings = cni_settings(cluster_of(*WEB), ("10.244.0.0/16", "fd00:10:244::/48"))
    text = masquerade_text(settings, 4, ("10.244.1.0/24", "fd00:10:244:1::/64"))
    assert "-A POSTROUTING -s 10.244.1.0/24 -m comment" in text
    assert [line for line in text.splitlines() if line.startswith("-A CNI-MASQ")] == [
        "-A CNI-MASQ -d 10.244.0.0/16 -j RETURN",
        "-A CNI-MASQ -d 224.0.0.0/4 -j RETURN",
        "-A CNI-MASQ -j MASQUERADE",
    ]
    assert "fd00:10:244::/48 -j RETURN" in masquerade_text(settings, 6, ("fd00:10:244:1::/64",))
    assert masquerade_text(settings, 6, ("10.244.1.0/24",)) == ""
