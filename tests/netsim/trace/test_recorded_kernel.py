"""Where packets really went: every recorded row of every cluster, in every mode that was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netsim.report.trace_json import answer_json
from netsim.trace.query import TraceQuery
from tests.conformance_support.kernel import kernel_cases, read_rows, row_differences, sequence_differences
from tests.conformance_support.model import flags_for, manifests_of, tracer_for

CASES = [(mode, case) for mode in ("iptables", "nftables", "ipvs") for case in kernel_cases(mode)]
IDS = [f"{mode}-{case.name}" for mode, case in CASES]

# Rows that are an accident of the recording, with the evidence: mode-cluster -> row id -> why. None so far.
ACCIDENTS: dict[str, dict[str, str]] = {}


@pytest.mark.parametrize(("mode", "case"), CASES, ids=IDS)
def test_the_model_answers_what_was_recorded(mode: str, case: Path) -> None:
    tracer = tracer_for(manifests_of(case), flags_for(case, mode))
    spared = ACCIDENTS.get(f"{mode}-{case.name}", {})
    wrong: dict[str, Any] = {}
    for row in read_rows(case, mode):
        answer = tracer.trace(TraceQuery(row["from"], row["to"], row["via"], row["protocol"]))
        found = list(row_differences(row, answer_json(answer, detail="minimal")))
        if found and row["id"] not in spared:
            wrong[row["id"]] = found
    assert wrong == {}


@pytest.mark.parametrize(("mode", "case"), CASES, ids=IDS)
def test_sequences_of_one_client_stick_as_recorded(mode: str, case: Path) -> None:
    rows = [row for row in read_rows(case, mode) if row.get("sequence")]
    if not rows:
        pytest.skip("no Service with session affinity in this cluster")
    tracer = tracer_for(manifests_of(case), flags_for(case, mode))
    assert list(sequence_differences(tracer, rows)) == []
