"""Answers from shared walks equal full walks, on every recorded question of every cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.report.trace_json import answer_json
from netsim.trace.query import TraceQuery
from netsim.trace.tracer import Tracer
from tests.conformance_support.kernel import kernel_cases, read_rows
from tests.conformance_support.model import flags_for, manifests_of, tracer_for

NEVER = 10**9
CASES = [(mode, case) for mode in ("iptables", "nftables", "ipvs") for case in kernel_cases(mode)]


@pytest.mark.parametrize(("mode", "case"), CASES, ids=[f"{mode}-{case.name}" for mode, case in CASES])
def test_shared_walks_answer_as_full_walks_do(mode: str, case: Path) -> None:
    network = tracer_for(manifests_of(case), flags_for(case, mode)).network
    shared, full = Tracer(network, mode, share_after=0), Tracer(network, mode, share_after=NEVER)
    for row in read_rows(case, mode):
        if not row["from"].startswith("pod/"):
            continue
        query = TraceQuery(row["from"], row["to"], row["via"], row["protocol"], with_return=True)
        # Looking at the hosts of a shared answer walks it in full and compares.
        assert answer_json(shared.trace(query), back=True) == answer_json(full.trace(query), back=True)
