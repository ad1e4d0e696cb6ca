"""Recorded kube-proxy cases as ProxyInput, for the tests of nftables and ipvs mode."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from iptables_gen.kubeproxy.inputs import ProxyConfig, ProxyInput, named_addresses_only
from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.cluster.proxy import proxy_input
from netsim.manifests.load import load
from tests.conformance.canon import canon

CONFORMANCE = Path(__file__).parents[2] / "conformance"
RECORDED = CONFORMANCE / "kube-proxy"


def _many(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _truth(text: str) -> bool:
    return text == "true"


FLAGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "cluster-cidr": ("cluster_cidrs", _many),
    "detect-local-mode": ("detect_local_mode", str),
    "pod-bridge-interface": ("bridge_interface", str),
    "pod-interface-name-prefix": ("interface_name_prefix", str),
    "masquerade-all": ("masquerade_all", _truth),
    "iptables-masquerade-bit": ("masquerade_bit", int),
    "iptables-localhost-nodeports": ("localhost_node_ports", _truth),
    "nodeport-addresses": ("node_port_addresses", _many),
    "conntrack-tcp-be-liberal": ("conntrack_tcp_be_liberal", _truth),
    "ipvs-scheduler": ("ipvs_scheduler", str),
    "ipvs-strict-arp": ("ipvs_strict_arp", _truth),
    "ipvs-exclude-cidrs": ("ipvs_exclude_cidrs", _many),
}


def settings_of(mode: str, flags: list[str], config: dict[str, Any] | None) -> ProxyConfig:
    values: dict[str, Any] = {"mode": mode}
    for flag in flags:
        name, _, text = flag.removeprefix("--").partition("=")
        if name in FLAGS:
            field, read = FLAGS[name]
            values[field] = read(text or "true")
    for section, field in (("iptables", "masquerade_bit"), ("nftables", "nftables_masquerade_bit")):
        bit = (config or {}).get(section, {}).get("masqueradeBit")
        if bit is not None:
            values[field] = bit
    if (config or {}).get("clusterCIDR"):
        values["cluster_cidrs"] = _many((config or {})["clusterCIDR"])
    if (config or {}).get("detectLocalMode"):
        values["detect_local_mode"] = (config or {})["detectLocalMode"]
    return ProxyConfig(**values)


@lru_cache(maxsize=4)
def cluster_of(case: str) -> Cluster:
    return build(load([str(RECORDED / case / "manifests")]).objects, BuildOptions())


def inputs_of(case: str, mode: str, node: str) -> tuple[ProxyInput, ProxyInput]:
    """Return the IPv4 and the IPv6 input of a node."""
    scenario = json.loads((RECORDED / case / "scenario.json").read_text())
    flags = scenario["args"] + scenario["mode_args"].get(mode, [])
    settings = settings_of(mode, flags, scenario["config"])
    cluster = cluster_of(case)
    made = (proxy_input(cluster, node, family, settings) for family in (4, 6))
    first, second = (named_addresses_only(one) for one in made)
    return first, second


def recorded_nodes(mode: str) -> list[tuple[str, str]]:
    """Return every recorded (case, node) of a mode."""
    found = sorted(RECORDED.glob(f"*/{mode}-*"))
    return [(path.parent.name, path.name.removeprefix(f"{mode}-")) for path in found]


__all__ = ["RECORDED", "canon", "inputs_of", "recorded_nodes"]
