"""A lab's picture names every node, pod and wire, in three forms, and no name can break out of a form."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.hosts.cni import cni_settings
from netsim.hosts.network import Network
from netsim.lab.build import lab_hosts, plan_lab
from netsim.lab.graph import as_dot, as_text
from netsim.lab.graph_svg import as_svg
from netsim.lab.picture import NodeBox, Picture, PodBox, picture
from netsim.manifests.load import load

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
HOSTILE = '"]; x [label="\n</text><script>\\'


def drawn(topology: str) -> Picture:
    cluster = build(load([str(TOPOLOGIES / topology)]).objects, BuildOptions())
    network = Network(cluster, cni_settings(cluster))
    hosts = lab_hosts(network)
    return picture("lab x", "iptables", network, hosts, plan_lab(network, hosts))


@pytest.mark.parametrize("topology", ["shop", "dual-stack", "broken", "workloads"])
def test_every_pod_and_node_is_in_every_form(topology: str) -> None:
    shown = drawn(topology)
    names = [f"node/{node.name}" for node in shown.nodes] + [pod.name for node in shown.nodes for pod in node.pods]
    assert names
    for text in (as_text(shown), as_dot(shown), as_svg(shown)):
        assert all(name in text for name in names)


def test_the_tree_reads_as_the_cables_run() -> None:
    lines = as_text(drawn("shop")).splitlines()
    assert lines[0] == "lab x: 3 nodes, 8 pods, kube-proxy mode iptables"
    assert "├─ node/node-1  192.168.10.1/24" in lines
    assert "│  └─ cni0  10.244.1.1/24" in lines
    assert any(
        re.fullmatch(r"│     ├─ pod/kube-system/coredns-0 +10\.244\.1\.2 +53/tcp 53/udp \(dns\)", x) for x in lines
    )
    assert any(line.startswith("   └─ cni0  10.244.3.1/24") for line in lines)
    assert "│ 203.0.113.10 -> node-1" in lines


def test_pods_that_are_not_ready_and_host_network_are_marked() -> None:
    text = as_text(drawn("broken"))
    assert "(not ready)" in text or "(terminating)" in text


def hostile() -> Picture:
    pod = PodBox(f"pod/{HOSTILE}", ("10.0.0.1",), ("80/tcp",), HOSTILE, "ingress")
    return Picture(
        HOSTILE, "nftables", (), ("192.0.2.1/24",), (), (NodeBox(HOSTILE, ("192.0.2.2/24",), "cni0", (), (pod,)),)
    )


def test_svg_is_well_formed_whatever_the_names() -> None:
    tree = ElementTree.fromstring(as_svg(hostile()))
    assert not [element for element in tree.iter() if element.tag.endswith("script")]
    assert any(HOSTILE.split("\n")[0] in (element.text or "") for element in tree.iter())


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
@pytest.mark.parametrize("shown", [drawn("shop"), hostile()], ids=["shop", "hostile-names"])
def test_graphviz_reads_the_dot(shown: Picture) -> None:
    done = subprocess.run(["dot", "-Tplain"], input=as_dot(shown), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    edges = [line for line in done.stdout.splitlines() if line.startswith("edge ")]
    pods = sum(len(node.pods) for node in shown.nodes)
    assert len(edges) == 1 + len(shown.outside) + 2 * len(shown.nodes) + pods
