"""The YAML blocks of a document about Kubernetes, full of slips: each slip is found, located and explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.errors import Problem
from netsim.manifests.load import load
from netsim.validate.judge import judge
from netsim.validate.ranges import service_ranges

BLOCKS = Path(__file__).parent / "seed"
CORRECTED = Path(__file__).parents[3] / "topologies" / "seed-corrected"

SLIPS: dict[str, list[tuple[int, str, str]]] = {
    "01": [
        (28, "found character that cannot start any token", "a tab cannot indent YAML"),
        (26, 'unknown field "spec.template.spec.initContainers[0].privileged"', "securityContext.privileged"),
        (34, 'unknown field "spec.template.spec.initContainers[1].privileged"', "securityContext.privileged"),
    ],
    "02": [(1, "[apiVersion not set, kind not set]", "")],
    "03": [
        (29, 'unknown field "spec.hostAliases[0].host.names"', 'did you mean "hostnames"?'),
        (48, 'Not found: "app-volume"', ""),
    ],
    "04": [
        (2, 'no matches for kind "Depolyment" in version "v1"', 'did you mean "Deployment" in apiVersion apps/v1?'),
        (12, 'unknown field "spec.stragegy"', 'did you mean "strategy"?'),
        (23, 'unknown field "spec.template.spec.container"', 'did you mean "containers"?'),
        (25, "could not find expected ':'", "line 24: `...` is no YAML here"),
    ],
    "05": [(20, "could not find expected ':'", "line 19: `...` is no YAML here")],
    "06": [],
    "07": [],
    "08": [
        (2, "[apiVersion not set, kind not set]", ""),
        (3, 'Unsupported value: "CientIP": supported values: "ClientIP", "None"', 'did you mean "ClientIP"?'),
        (7, 'unknown field "spec.prots"', 'did you mean "ports"?'),
    ],
    "09": [
        (2, 'no matches for kind "Endpoint" in version "v1"', 'did you mean "Endpoints"?'),
        (7, 'unknown field "subsets[0].addresses[0].IP"', 'did you mean "ip"?'),
    ],
    "10": [
        (9, 'Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"', 'did you mean "TCP"?'),
        (13, "8090: provided port is not in the valid range. The range of valid ports is 30000-32767", ""),
        (19, "may not be set to 'None' for NodePort services", ""),
    ],
    "11": [],
    "12": [],
    "13": [],
    "14": [
        (4, 'Invalid value: "deployment_service": a lowercase RFC 1123 subdomain', ""),
        (7, 'unknown field "spec.imagePullSecrets"', "it belongs to spec.template.spec.imagePullSecrets"),
        (7, "`selector` does not match template `labels`", ""),
    ],
    "15": [(9, "could not find expected ':'", "line 8: is the colon after `data` missing?")],
    "16": [
        (1, "did not find expected node content", "line 1: `...` is no YAML here"),
        (2, "[apiVersion not set, kind not set]", ""),
        (13, 'unknown field "spec.volumes[0].projected.sources[0].items"', "it belongs to"),
    ],
    "17": [(10, "The Recycle reclaim policy is deprecated", "")],
    "18": [],
    "19": [
        (10, 'Unsupported value: "FileSystem": supported values: "Block", "Filesystem"', 'did you mean "Filesystem"?'),
        (18, "nodeSelectorTerms[0].matchExpresssions", 'did you mean "matchExpressions"?'),
        (23, "invalid Yaml document separator: -----", "a line of exactly ---"),
        (30, "invalid Yaml document separator: -----", "a line of exactly ---"),
    ],
    "20": [],
}


def findings(path: Path) -> list[Problem]:
    loaded = load([str(path)], keep_bad=True)
    verdict = judge(loaded, cidrs=service_ranges(loaded.objects))
    return [*verdict.errors, *verdict.warnings]


@pytest.mark.parametrize(("block", "slips"), SLIPS.items(), ids=[f"block-{name}" for name in SLIPS])
def test_every_slip_of_a_block_is_found_and_explained(block: str, slips: list[tuple[int, str, str]]) -> None:
    found = findings(BLOCKS / f"block-{block}.yaml")
    for line, message, hint in slips:
        told = [problem for problem in found if problem.where.line == line and message in problem.message]
        assert told, f"{line}: {message}: not among {[str(problem) for problem in found]}"
        assert hint in told[0].hint
        assert told[0].where.column > 0
    if not slips:
        assert found == []


def test_every_block_of_the_document_is_here() -> None:
    assert {path.stem.removeprefix("block-") for path in BLOCKS.glob("*.yaml")} == set(SLIPS)


def test_the_corrected_copies_are_valid() -> None:
    loaded = load([str(CORRECTED)], keep_bad=True)
    assert judge(loaded, cidrs=service_ranges(loaded.objects)).errors == ()
    assert len(loaded.objects) == 8
