"""kube-proxy's own packet-flow tables, through `netsim trace --queries`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netsim.cli.main import run
from tests.conformance_support.flows import flags_of, flow_cases, flow_differences, read_flows

CASES = [(mode, case) for mode in ("iptables", "nftables") for case in flow_cases(mode)]


@pytest.mark.parametrize(("mode", "case"), CASES, ids=[f"{mode}-{case.name}" for mode, case in CASES])
def test_every_row_of_the_table_holds(mode: str, case: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    words = ["trace", "-q", "-f", str(case / "cluster.yaml"), *flags_of(case), "--queries", str(case / "flows.jsonl")]
    assert run(words) == 0
    answers = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    flows = read_flows(case)
    assert [answer["id"] for answer in answers] == [flow["id"] for flow in flows]
    wrong = {f["name"]: list(flow_differences(f, a)) for f, a in zip(flows, answers, strict=True)}
    assert {name: found for name, found in wrong.items() if found} == {}
