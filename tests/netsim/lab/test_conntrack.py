"""Which tracked UDP flows kube-proxy forgets when endpoints change."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.lab.conntrack import cleaning, delete_command, flows, stale
from netsim.lab.ops import CleanUdp
from netsim.manifests.load import load

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
OPERATION = CleanUdp("node/node-1", (("10.96.20.1", 8125, ("10.244.1.11:8125",)), ("", 30125, ("10.244.1.11:8125",))))


def entry(target: str, dport: int, server: str, *, replied: bool = True) -> str:
    word = "" if replied else "[UNREPLIED] "
    mark = "[ASSURED] " if replied else ""
    return (
        f"udp      17 29 src=10.244.1.10 dst={target} sport=4000 dport={dport} {word}"
        f"src={server} dst=10.244.1.10 sport=8125 dport=4000 {mark}mark=0 use=1\n"
    )


@pytest.mark.parametrize(
    ("line", "forgotten"),
    [
        pytest.param(entry("10.96.20.1", 8125, "10.244.1.11"), False, id="serving endpoint"),
        pytest.param(entry("10.96.20.1", 8125, "10.244.2.11"), True, id="endpoint that serves no longer"),
        pytest.param(entry("10.96.20.1", 8125, "10.96.20.1", replied=False), True, id="untranslated, no endpoint then"),
        pytest.param(entry("192.168.10.1", 30125, "10.244.2.11"), True, id="nodePort at any address"),
        pytest.param(entry("192.168.10.1", 30125, "10.244.1.11"), False, id="nodePort, serving"),
        pytest.param(entry("10.96.20.9", 53, "10.244.2.11"), False, id="not a Service of ours"),
        pytest.param("tcp 6 100 SYN_SENT src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2\n", False, id="not a whole entry"),
    ],
)
def test_a_flow_is_forgotten_when_no_serving_endpoint_answers_it(line: str, forgotten: bool) -> None:
    assert bool(list(stale(line, OPERATION))) is forgotten


def test_the_command_names_exactly_that_flow() -> None:
    (flow,) = flows(entry("10.96.20.1", 8125, "10.244.2.11"))
    assert " ".join(delete_command(flow)) == (
        "conntrack -D -p udp --orig-src 10.244.1.10 --orig-dst 10.96.20.1 --sport 4000 --dport 8125"
    )


def test_every_address_of_a_udp_port_is_looked_at() -> None:
    cluster = build(load([str(TOPOLOGIES / "shop")]).objects, BuildOptions())
    (operation,) = cleaning(cluster, ["node/node-1"])
    served = {(address, port): places for address, port, places in operation.serving}
    assert served["10.96.20.1", 8125] == ("10.244.1.11:8125", "10.244.2.11:8125", "10.244.3.11:8125")
    assert served["10.96.0.10", 53] == ("10.244.1.2:53", "10.244.2.2:53")


def test_without_udp_services_there_is_nothing_to_forget() -> None:
    assert list(cleaning(build((), BuildOptions()), ["node/node-1"])) == []
