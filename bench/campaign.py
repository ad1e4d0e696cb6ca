"""`make campaign`: random clusters and flows, model against kernel, in namespaces of the campaign's own. Needs root.

Each cluster is brought up as a lab and asked a random sample of its questions. Prints a line for every disagreement,
with its seed, and a table at the end. Exit 1 when anything is unexplained.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.clusters import random_cluster

DICE = "dice"
USUAL = ",".join((*[DICE] * 9, "ipvs"))
KEYS = ("clusters", "agree", "differ", "unverifiable", "connections", "packets traced", "rules")


def main() -> int:
    """Run the campaign; return its exit code."""
    arguments = _arguments()
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        seeds = range(arguments.seed, arguments.seed + arguments.clusters)
        modes = [mode_of(arguments.modes, seed) for seed in seeds]
        flows = [arguments.flows] * len(seeds)
        answers = pool.map(run, seeds, flows, [Path(folder)] * len(seeds), modes)
        for seed, mode, answer in zip(seeds, modes, answers, strict=True):
            totals[mode or "iptables or nftables"] += 1
            totals.update(
                {"clusters": 1, "packets traced": answer["rules"]["packets"], "rules": answer["rules"]["steps"]}
            )
            for item in answer["rules"]["differ"]:
                totals["differ"] += 1
                print(f"seed {seed}: rules: {json.dumps(item)}", flush=True)
            for finding in answer["findings"]:
                totals[finding["result"]] += 1
                totals["connections"] += sum(finding["observed"].values())
                if finding["result"] == "differ":
                    print(f"seed {seed}: {json.dumps(finding)}", flush=True)
    modes_run = [key for key in totals if key not in KEYS]
    print(", ".join(f"{totals[key]} {key}" for key in (*KEYS, *modes_run)))
    return 1 if totals["differ"] or not totals["agree"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.campaign", description=__doc__)
    parser.add_argument("--clusters", type=int, default=200)
    parser.add_argument("--flows", type=int, default=110, help="questions asked of each cluster")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument(
        "--modes", default=USUAL, help="cycled by seed: iptables, nftables, ipvs (in user-mode Linux) or dice"
    )
    return parser.parse_args()


def mode_of(modes: str, seed: int) -> str:
    """Return the mode of a seed, "" when the dice choose; without user-mode Linux they choose for ipvs too."""
    listed = modes.split(",")
    mode = listed[seed % len(listed)]
    return "" if mode == DICE or (mode == "ipvs" and shutil.which("linux.uml") is None) else mode


def run(seed: int, flows: int, folder: Path, mode: str = "") -> dict[str, Any]:
    """Return what `lab verify` says of one cluster; a lab that does not come up is a difference."""
    case = random_cluster(seed, mode)
    # iptables-legacy, which user-mode Linux has, tells no rules.
    vm, rules = (("--vm", "uml"), ()) if mode == "ipvs" else ((), ("--rules",))
    path = folder / f"{seed}.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": case.manifests}))
    name = f"campaign-{seed}"
    try:
        _netsim(folder, "lab", "up", name, "-q", "-f", str(path), *case.flags, *vm)
        words = (*rules, "--random", str(flows), "--seed", str(seed))
        return dict(json.loads(_netsim(folder, "lab", "verify", name, "-o", "json", *words)))
    except (RuntimeError, ValueError) as error:
        failed = {"result": "differ", "why": str(error), "observed": {}, "flags": case.flags}
        return {"findings": [failed], "rules": {"packets": 0, "steps": 0, "differ": []}}
    finally:
        _netsim(folder, "lab", "down", name)


def _netsim(folder: Path, *words: str) -> str:
    environment = {**os.environ, "NETSIM_STATE": str(folder / "labs")}
    done = subprocess.run(
        (sys.executable, "-m", "netsim", *words), capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"netsim {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
