"""A bounded part of the campaign: seeded random clusters, model against kernel, flow by flow and rule by rule.

The seeds are those of clusters in which the campaign once found a difference; each question of then is asked again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.clusters import random_cluster
from tests.kernel.lab_support import netsim

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("own_state")]
FLOWS = 40

FOUND = [
    pytest.param(
        5003,
        {"from": "node/node-1", "to": "203.0.113.5:80", "protocol": "udp"},
        id="nftables: a datagram cut off in OUTPUT was sent twice",
    ),
    pytest.param(
        5007,
        {"from": "node/node-3", "to": "127.0.0.1:30101", "protocol": "tcp"},
        id="iptables: a port used again on loopback is no new connection to NAT",
    ),
    pytest.param(
        5008,
        {"from": "pod/default/app1-0-2", "to": "10.96.1.2:81", "protocol": "tcp"},
        id="iptables: endpoints that are nodes had another Service's weights",
    ),
    pytest.param(
        5010,
        {"from": "node/node-1", "to": "[2001:db8:ff::1]:80", "protocol": "udp"},
        id="iptables, IPv6: a datagram cut off in OUTPUT was sent twice",
    ),
]


@pytest.mark.parametrize(("seed", "query"), FOUND)
def test_model_and_kernel_agree_on_a_random_cluster(tmp_path: Path, seed: int, query: dict[str, str]) -> None:
    case = random_cluster(seed)
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": case.manifests}))
    netsim("lab", "up", "random", "-q", "-f", str(path), *case.flags)
    (tmp_path / "query").write_text(json.dumps(query) + "\n")
    again = netsim("lab", "verify", "random", "-o", "json", "--rules", "--queries", str(tmp_path / "query"))
    assert json.loads(again.stdout)["rules"]["packets"] == 1
    done = netsim("lab", "verify", "random", "-o", "json", "--rules", "--random", str(FLOWS), "--seed", str(seed))
    answer = json.loads(done.stdout)
    assert {finding["result"] for finding in answer["findings"]} == {"agree"}
    assert answer["rules"]["packets"] == len(answer["findings"]) == FLOWS
    assert answer["rules"]["differ"] == []
