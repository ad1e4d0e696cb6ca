"""The limits of bench/l7.py hold: building the table, decisions a second, no dependence on the number of hosts."""

from __future__ import annotations

from bench.l7 import BUILD_SECONDS, HOSTS, INGRESSES, PER_SECOND, cluster_of, decide_all, objects, requests, timed
from netsim.l7.router import build_routers


def test_five_thousand_ingresses() -> None:
    cluster = cluster_of(objects(INGRESSES, HOSTS))
    building, routers = timed(lambda: build_routers(cluster), repeat=2)
    asked = requests(INGRESSES, HOSTS, 5_000)
    deciding, forwarded = timed(lambda: decide_all(routers, asked), repeat=3)
    assert 0 < forwarded < len(asked)
    assert building < BUILD_SECONDS
    assert len(asked) / deciding > PER_SECOND
