"""How fast netsim is, as ratios measured in one run (`make bench`); exit 1 when a limit is not met.

The yardstick is one `json.load` of the generated list on the same machine in the same minutes, as absolute seconds say
little about another machine. Each figure is the best of several runs: the least disturbed one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parent.parent
NETSIM = (sys.executable, "-m", "netsim")
JSON_LOAD = """
import json, sys, time
with open(sys.argv[1]) as file:
    start = time.process_time()
    json.load(file)
    print(time.process_time() - start)
"""

KUBE_PROXY_RATIO, KUBE_PROXY_MIB = 5.4, 330
"""kube-proxy v1.36.2 from start to rules for 10,000 Services with 10 endpoints: times one json.load, and its memory."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process used: CPU and wall seconds, and peak memory in MiB."""

    cpu: float
    wall: float
    mib: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    what: str
    value: float
    limit: float
    unit: str
    note: str = ""

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit


def measure(words: Sequence[str]) -> Usage:
    """Run a program to its end and return what it used; its output goes to a file, as a pipe's reader takes CPU too."""
    with tempfile.TemporaryFile() as sink:
        start = time.perf_counter()
        child = subprocess.Popen(words, stdout=sink, stderr=subprocess.DEVNULL, cwd=ROOT)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {child.returncode}")
    return Usage(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


def json_load(path: str) -> float:
    """Return the CPU seconds of one json.load in a fresh process."""
    done = subprocess.run([sys.executable, "-c", JSON_LOAD, path], capture_output=True, text=True, check=True)
    return float(done.stdout)


def generate(directory: str, services: int) -> str:
    """Write the List of many Services and return its path."""
    path = os.path.join(directory, "cluster.json")
    with open(path, "wb") as file:
        words = [sys.executable, str(ROOT / "bench" / "generate.py"), "--services", str(services)]
        subprocess.run(words, stdout=file, check=True)
    return path


def large_cluster(services: int, rounds: int) -> list[Figure]:
    """Return the figures of `netsim compile` on a large cluster; yardstick and program take turns."""
    with tempfile.TemporaryDirectory() as directory:
        path = generate(directory, services)
        pairs = [(json_load(path), measure((*NETSIM, "compile", "-q", "-f", path))) for _ in range(rounds)]
        saved = measure((*NETSIM, "compile", "-q", "-f", path, "-o", "save"))
    unit = min(load for load, _ in pairs)
    best = min((used for _, used in pairs), key=lambda used: used.cpu)
    ratio = best.cpu / unit
    beside = f"{best.cpu:.2f} s CPU; json.load {unit:.2f} s; {ratio / KUBE_PROXY_RATIO:.2f} of kube-proxy's CPU"
    return [
        Figure(f"compile {services} Services x 10 endpoints", ratio, 3.8, "x json.load", beside),
        Figure("  its memory", best.mib, 600, "MiB", f"kube-proxy {KUBE_PROXY_MIB} MiB"),
        Figure("  the same with -o save", saved.cpu / unit, 6.0, "x json.load", f"{saved.mib:.0f} MiB"),
    ]


def start_up(rounds: int) -> Iterator[Figure]:
    """Yield the figures of small runs."""
    shop = str(ROOT / "topologies" / "shop")
    small: list[tuple[str, float, Sequence[str]]] = [("netsim --help", 150, (*NETSIM, "--help"))]
    if os.path.isdir(shop) and (ROOT / "netsim" / "cli" / "trace_verb.py").exists():
        words = ("trace", "-q", "-f", shop, "pod/shop/frontend-0", "svc/shop/api:80")
        small.append(("trace on topologies/shop", 400, (*NETSIM, *words)))
    for what, limit, command in small:
        yield _quick(what, limit, [measure(command) for _ in range(rounds)])


def _quick(what: str, limit: float, runs: Sequence[Usage]) -> Figure:
    """Judge by CPU: on an idle machine the wall time of one thread is the same, on a busy one it is the neighbours'."""
    wall = min(used.wall for used in runs) * 1000
    return Figure(what, min(used.cpu for used in runs) * 1000, limit, "ms CPU", f"{wall:.0f} ms wall")


def lab(rounds: int) -> Iterator[Figure]:
    """Yield the figures of labs on this kernel."""
    from bench.lab import figures

    return figures(rounds)


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    figures = []
    parts = (large_cluster(arguments.services, arguments.rounds), start_up(arguments.rounds), lab(arguments.rounds))
    for figure in chain.from_iterable(parts):
        verdict = "ok" if figure.kept else "TOO MUCH"
        value = f"{figure.what:42} {figure.value:8.2f} {figure.unit:12}"
        print(f"{value} limit {figure.limit:6.1f}  {verdict:9} {figure.note}", flush=True)
        figures.append(figure)
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
