"""Local traffic detectors, nodePort addresses and versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iptables_gen.kubeproxy import versions
from iptables_gen.kubeproxy.detect import Detector, detector
from iptables_gen.kubeproxy.nodeports import node_port_addresses
from tests.iptables_gen.kubeproxy.made_inputs import NODE, proxy_input


@pytest.mark.parametrize(
    ("family", "config", "want"),
    [
        pytest.param(4, {}, None, id="nothing configured"),
        pytest.param(4, {"cluster_cidrs": ("10.244.7.7/16",)}, Detector("source", "10.244.0.0/16"), id="masked"),
        pytest.param(6, {"cluster_cidrs": ("10.244.0.0/16",)}, None, id="the other family only"),
        pytest.param(
            6, {"cluster_cidrs": ("10.244.0.0/16", "fd00:10::/56")}, Detector("source", "fd00:10::/56"), id="own family"
        ),
        pytest.param(4, {"detect_local_mode": "NodeCIDR"}, Detector("source", "10.244.1.0/24"), id="the node's range"),
        pytest.param(
            6,
            {"detect_local_mode": "BridgeInterface", "bridge_interface": "cni0"},
            Detector("interface", "cni0"),
            id="bridge",
        ),
        pytest.param(4, {"detect_local_mode": "BridgeInterface"}, None, id="bridge without a name"),
        pytest.param(
            4,
            {"detect_local_mode": "InterfaceNamePrefix", "interface_name_prefix": "veth"},
            Detector("prefix", "veth"),
            id="prefix",
        ),
        pytest.param(4, {"detect_local_mode": "InterfaceNamePrefix"}, None, id="prefix without a name"),
    ],
)
def test_detector(family: Any, config: dict[str, Any], want: Detector | None) -> None:
    assert detector(proxy_input(family=family, **config)) == want


def test_iptables_spells_a_prefix_with_a_plus() -> None:
    assert (Detector("prefix", "veth").interface, Detector("interface", "cni0").interface) == ("veth+", "cni0")


@pytest.mark.parametrize(
    ("family", "listed", "match_all", "loopback", "found"),
    [
        pytest.param(4, (), True, True, ("127.0.0.1", "192.168.10.1", "10.244.1.1"), id="every address by default"),
        pytest.param(4, ("192.168.0.0/16",), False, False, ("192.168.10.1",), id="a network"),
        pytest.param(4, ("192.168.10.9/24",), False, False, ("192.168.10.1",), id="host bits are cleared"),
        pytest.param(4, ("198.51.100.0/24",), False, False, (), id="no address matches"),
        pytest.param(4, ("127.0.0.0/8", "192.168.10.0/24"), False, True, ("127.0.0.1", "192.168.10.1"), id="loopback"),
        pytest.param(4, ("127.0.0.1/32",), False, True, ("127.0.0.1",), id="a part of loopback counts"),
        pytest.param(4, ("96.0.0.0/3",), False, True, ("127.0.0.1",), id="a network that holds loopback"),
        pytest.param(
            4, ("10.0.0.0/8", "0.0.0.0/0"), True, True, ("127.0.0.1", "192.168.10.1", "10.244.1.1"), id="zero"
        ),
        pytest.param(6, ("192.168.0.0/16",), True, False, ("::1", "fd00:192:168:10::1"), id="other family only is all"),
        pytest.param(6, ("fd00:192::/32",), False, False, ("fd00:192:168:10::1",), id="ipv6"),
        pytest.param(4, ("primary",), False, False, ("192.168.10.1",), id="primary"),
        pytest.param(6, ("primary",), False, False, ("fd00:192:168:10::1",), id="primary of ipv6"),
    ],
)
def test_node_port_addresses(
    family: Any, listed: tuple[str, ...], match_all: bool, loopback: bool, found: tuple[str, ...]
) -> None:
    made = proxy_input(family=family, node_port_addresses=listed)
    addresses = node_port_addresses(made)
    assert (addresses.match_all, addresses.covers_loopback, addresses.addresses(made.node)) == (
        match_all,
        loopback,
        found,
    )


def test_primary_of_a_node_without_an_address_is_every_address() -> None:
    made = proxy_input(node=replace(NODE, ip="127.0.0.1"), node_port_addresses=("primary",))
    assert node_port_addresses(made).match_all


@pytest.mark.parametrize(
    ("text", "want"), [("v1.36", (1, 36)), ("1.30", (1, 30)), ("v1.36.2", (1, 36))], ids=["short", "bare", "patch"]
)
def test_versions_are_read(text: str, want: tuple[int, int]) -> None:
    assert versions.parse_version(text) == versions.Version(*want)


@pytest.mark.parametrize("text", ["", "v1", "one.two", "1.2.3.4", "v1.x"])
def test_other_words_are_no_versions(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes version"):
        versions.parse_version(text)


def test_predicates_name_what_changed() -> None:
    assert str(versions.DEFAULT) == "v1.36"
    assert [versions.counts_with_nfacct(versions.Version(1, minor)) for minor in (30, 31, 32, 36)] == [
        False,
        False,
        True,
        True,
    ]
    assert [versions.understands_node_hints(versions.Version(1, minor)) for minor in (33, 34)] == [False, True]
