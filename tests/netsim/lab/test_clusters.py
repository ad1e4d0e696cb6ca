"""Random clusters without a kernel: what the campaign found is held here too."""

from __future__ import annotations

import io
import json

import pytest

from bench.clusters import random_cluster
from iptables_gen.kubeproxy.inputs import ProxyConfig
from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.lab.build import lab_hosts
from netsim.lab.ops import LoadRules
from netsim.lab.programs import program_operations
from netsim.lab.questions import default_questions
from netsim.lab.verify import query_of, shares_of
from netsim.manifests.load import load
from netsim.trace.setup import make_network
from netsim.trace.tracer import Tracer


def tracers(seed: int, mode: str) -> tuple[Tracer, Tracer]:
    """Return a tracer that shares walks between questions from the first on, and one that never does."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": random_cluster(seed).manifests}).encode()
    cluster = build(load(["-"], stdin=io.BytesIO(text)).objects, BuildOptions())
    network = make_network(cluster, ProxyConfig(mode=mode, cluster_cidrs=("10.244.0.0/16", "fd00:10:244::/48")))
    return Tracer(network, mode, share_after=0), Tracer(network, mode, share_after=10**9)


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
@pytest.mark.parametrize("seed", [3, 5008, 7001])
def test_walks_shared_between_questions_give_the_answers_of_whole_walks(seed: int, mode: str) -> None:
    shared, whole = tracers(seed, mode)
    for question in default_questions(shared.network):
        query = query_of(question)
        assert shares_of(shared.trace(query)) == shares_of(whole.trace(query)), question.text


@pytest.mark.parametrize(
    ("mode", "first", "second"),
    [
        # In one table kube-proxy prepends its jumps to what the CNI made before it.
        pytest.param("iptables", "KUBE-SERVICES", "CNI-MASQ", id="iptables"),
        # Of base chains with one priority the kernel runs the newest first, and kube-proxy starts after the CNI.
        pytest.param("nftables", "CNI-MASQ", "nat-postrouting", id="nftables"),
    ],
)
def test_rules_are_loaded_in_the_order_that_gives_a_real_nodes(mode: str, first: str, second: str) -> None:
    _, tracer = tracers(3, mode)
    loads = [op for op in program_operations(lab_hosts(tracer.network)) if isinstance(op, LoadRules)]
    texts = [op.text for op in loads if op.namespace == "node/node-1"]
    where = [next(n for n, text in enumerate(texts) if word in text) for word in (first, second)]
    assert where[0] < where[1]
