"""Compiling is a function: same input, same bytes, and the order of objects in the input does not matter."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from iptables_gen.kubeproxy.inputs import Mode, ProxyConfig
from iptables_gen.kubeproxy.program import program
from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.cluster.proxy import proxy_input
from netsim.manifests.load import load
from netsim.manifests.objects import Manifest

RECORDED = Path(__file__).parents[2] / "conformance" / "kube-proxy"
CASES = sorted(path.parent.name for path in RECORDED.glob("*/scenario.json"))
MODES: tuple[Mode, ...] = ("iptables", "nftables", "ipvs")


def texts(objects: list[Manifest], mode: Mode) -> list[dict[str, str]]:
    cluster = build(objects, BuildOptions())
    config = ProxyConfig(mode=mode, cluster_cidrs=("10.244.0.0/16",))
    return [dict(program(proxy_input(cluster, cluster.nodes[0].name, family, config)).render()) for family in (4, 6)]


@pytest.mark.parametrize("case", CASES)
def test_the_order_of_objects_does_not_matter(case: str) -> None:
    objects = list(load([str(RECORDED / case / "manifests")]).objects)
    shuffled = random.Random(case).sample(objects, len(objects))
    for mode in MODES:
        assert texts(objects, mode) == texts(objects, mode) == texts(shuffled, mode)
