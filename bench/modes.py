"""nftables and ipvs mode beside iptables mode: CPU of compiling 10,000 Services x 10 endpoints, and traces a second.

Compiling is measured alone (ProxyInput to text) and as the whole `netsim compile`; the three modes take turns in every
round, and the least disturbed round of each counts. Exit 1 when a mode takes more than 1.2 times iptables mode's CPU or
answers less than 5,000 traces a second.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time

from bench import trace
from bench.run import NETSIM, generate, measure
from iptables_gen.kubeproxy.inputs import Mode, ProxyConfig
from iptables_gen.kubeproxy.program import program
from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.cluster.proxy import proxy_input
from netsim.manifests.load import load

MODES: tuple[Mode, ...] = ("iptables", "nftables", "ipvs")
MOST_CPU, LEAST_TRACES = 1.2, 5000


def compile_seconds(cluster: Cluster, mode: Mode) -> float:
    """Return the CPU seconds from a ProxyInput to all texts of one family on one node."""
    given = proxy_input(cluster, cluster.nodes[0].name, 4, ProxyConfig(mode=mode))
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        texts = program(given).render()
        # iptables mode's saved ruleset is not what kube-proxy writes.
        size = sum(len(texts[name]) for name in texts if not name.endswith(("iptables.save", "ip6tables.save")))
        used = time.process_time() - start
    finally:
        gc.enable()
    assert size > 1000
    return used


def best(rounds: list[dict[Mode, float]], mode: Mode) -> float:
    """Return the smallest figure of a mode."""
    return min(figures[mode] for figures in rounds)


def compiling(services: int, rounds: int) -> bool:
    """Print what compiling takes in each mode; return whether the limit is kept."""
    kept = True
    with tempfile.TemporaryDirectory() as directory:
        path = generate(directory, services)
        cluster = build(load((path,)).objects, BuildOptions())
        node = cluster.nodes[0].name
        alone = [{mode: compile_seconds(cluster, mode) for mode in MODES} for _ in range(rounds)]
        words = (*NETSIM, "compile", "-q", "-f", path, "--node", node)
        whole = [{mode: measure((*words, "--proxy-mode", mode)).cpu for mode in MODES} for _ in range(rounds)]
    for what, figures in (("compile alone", alone), ("netsim compile", whole)):
        for mode in MODES:
            ratio = best(figures, mode) / best(figures, "iptables")
            kept = kept and ratio <= MOST_CPU
            print(
                f"{what:15} {mode:9} {best(figures, mode):6.2f} s CPU, {ratio:.2f} of iptables mode (limit {MOST_CPU})"
            )
    return kept


def tracing(services: int, count: int) -> bool:
    """Print traces a second in each mode; return whether the limit is kept."""
    kept = True
    for mode in MODES:
        speed = trace.measure(services, mode, count, 4)
        kept = kept and speed.there >= LEAST_TRACES
        print(
            f"traces          {mode:9} {speed.there:7,.0f} a second (limit {LEAST_TRACES:,}); first {speed.first:,.0f}"
        )
    return kept


def main() -> int:
    """Print the report; return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=8_000)
    arguments = parser.parse_args()
    kept = compiling(arguments.services, arguments.rounds)
    return 0 if tracing(arguments.services, arguments.count) and kept else 1


if __name__ == "__main__":
    sys.exit(main())
