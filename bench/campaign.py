"""`make campaign`: random clusters and flows, model against kernel, in namespaces of the campaign's own. Needs root.

Each cluster is brought up as a lab and asked a random sample of its questions. Prints a line for every disagreement,
with its seed, and a table at the end. Exit 1 when anything is unexplained.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.clusters import random_cluster

KEYS = ("clusters", "agree", "differ", "unverifiable", "connections", "packets traced", "rules")


def main() -> int:
    """Run the campaign; return its exit code."""
    arguments = _arguments()
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        seeds = range(arguments.seed, arguments.seed + arguments.clusters)
        for seed, answer in zip(seeds, pool.map(lambda s: run(s, arguments.flows, Path(folder)), seeds), strict=True):
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
    print(", ".join(f"{totals[key]} {key}" for key in KEYS))
    return 1 if totals["differ"] or not totals["agree"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.campaign", description=__doc__)
    parser.add_argument("--clusters", type=int, default=200)
    parser.add_argument("--flows", type=int, default=110, help="questions asked of each cluster")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=3)
    return parser.parse_args()


def run(seed: int, flows: int, folder: Path) -> dict[str, Any]:
    """Return what `lab verify` says of one cluster; a lab that does not come up is a difference."""
    case = random_cluster(seed)
    path = folder / f"{seed}.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": case.manifests}))
    name = f"campaign-{seed}"
    try:
        _netsim(folder, "lab", "up", name, "-q", "-f", str(path), *case.flags)
        words = ("--rules", "--random", str(flows), "--seed", str(seed))
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
