"""`netsim compile --out-dir` against everything that the real kube-proxy v1.36.2 programmed, in every recorded case.

Restore inputs are equal byte for byte with at most one Service port; elsewhere kube-proxy's own order is random and the
canonical forms are compared.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from netsim.cli.main import run

CONFORMANCE = Path(__file__).parents[2] / "conformance"
RECORDED = CONFORMANCE / "kube-proxy"

sys.path.insert(0, str(CONFORMANCE))
from canon import canon  # type: ignore[import-not-found]  # noqa: E402

FILES = {
    "iptables": {
        "restore-input.txt": "iptables.restore",
        "restore-input-v6.txt": "ip6tables.restore",
        "iptables-save.txt": "iptables.save",
        "ip6tables-save.txt": "ip6tables.save",
    },
    "nftables": {"nft-input.txt": "ip.nft", "nft-input-v6.txt": "ip6.nft"},
    "ipvs": {
        "restore-input.txt": "iptables.restore",
        "restore-input-v6.txt": "ip6tables.restore",
        "iptables-save.txt": "iptables.save",
        "ip6tables-save.txt": "ip6tables.save",
        "ipvsadm.txt": "ipvsadm.save",
        "ipset.txt": "ipset.save",
        "addrs.txt": "kube-ipvs0.addresses",
    },
}
# kube-proxy writes its first transaction without this rule when its watch of ServiceCIDRs has not answered yet.
LATE_RULE = 'drop comment "Drop traffic to unallocated ClusterIPs"'


def recorded() -> Iterator[object]:
    for folder in sorted(RECORDED.glob("*/*-node-*")):
        mode, _, node = folder.name.partition("-")
        for file, ours in FILES[mode].items():
            if (folder / file).exists():
                case = folder.parent.name
                yield pytest.param(case, mode, node, file, ours, id=f"{case} {mode} {node} {ours}")


@lru_cache(maxsize=2)
def compiled(case: str, mode: str, directory: Path) -> Path:
    scenario = json.loads((RECORDED / case / "scenario.json").read_text())
    words = [*scenario["args"], *scenario["mode_args"].get(mode, [])]
    target = directory / case / mode
    target.mkdir(parents=True)
    if scenario["config"]:
        config = target / "config.yaml"
        config.write_text(json.dumps(scenario["config"]))
        words += ["--config", str(config)]
    manifests = str(RECORDED / case / "manifests")
    assert run(["compile", "-q", "-f", manifests, "--proxy-mode", mode, "--out-dir", str(target), *words]) == 0
    return target


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


def lines(text: str) -> list[str]:
    return sorted(" ".join(line.split()) for line in text.splitlines() if line.strip())


def without_late_rule(text: str) -> str:
    return "".join(line + "\n" for line in text.splitlines() if not line.endswith(LATE_RULE))


@pytest.mark.parametrize(("case", "mode", "node", "file", "ours"), list(recorded()))
def test_output_is_what_kube_proxy_programmed(
    case: str, mode: str, node: str, file: str, ours: str, directory: Path
) -> None:
    want = (RECORDED / case / f"{mode}-{node}" / file).read_text()
    got = (compiled(case, mode, directory) / node / ours).read_text()
    if ours in ("ipvsadm.save", "ipset.save", "kube-ipvs0.addresses"):
        assert lines(got) == lines(want)
        return
    if LATE_RULE in got and LATE_RULE not in want:
        got = without_late_rule(got)
    assert canon(got) == canon(want)
    if mode == "iptables" and ours.endswith(".restore") and orderly(want, case):
        assert got == want


def orderly(restore_input: str, case: str) -> bool:
    """Whether kube-proxy had nothing to put in random order: one Service port, one nodePort rule, no merged lists."""
    ports = set(re.findall(r'"(\S+) (?:cluster IP|has no (?:local )?endpoints)"', restore_input))
    last = restore_input.count("this must be the last rule")
    chosen = {kind: set(re.findall(rf"-A KUBE-{kind}-.* -j (KUBE-SEP-\w+)", restore_input)) for kind in ("SVC", "SVL")}
    hinted = any("forZones" in path.read_text() for path in (RECORDED / case / "manifests").glob("*.yaml"))
    merged = bool(chosen["SVL"] and chosen["SVC"]) and (hinted or not chosen["SVL"] <= chosen["SVC"])
    return len(ports) <= 1 and last <= 1 and not merged
