"""healthCheckNodePorts: the recorded HTTP status and count of every node, as a note of the trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.trace.query import TraceQuery
from tests.conformance_support.kernel import kernel_cases, read_rows
from tests.conformance_support.model import flags_for, manifests_of, tracer_for

CASES = [case for case in kernel_cases("iptables") if "healthCheckNodePort" in (case / "iptables.jsonl").read_text()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_health_check_answers_as_recorded(case: Path) -> None:
    tracer = tracer_for(manifests_of(case), flags_for(case, "iptables"))
    rows = [row for row in read_rows(case, "iptables") if row["what"] == "healthCheckNodePort"]
    assert rows
    for row in rows:
        answer = tracer.trace(TraceQuery(row["from"], row["to"], row["via"], row["protocol"]))
        (note,) = [note for note in answer.notes if note.code == "HEALTH_CHECK"]
        observed = row["observed"]
        assert note.text.startswith(f"the health check of Service {row['service']} on node-")
        assert note.text.endswith(f" answers {observed['httpStatus']} (localEndpoints {observed['localEndpoints']})")


def test_other_ports_of_a_node_have_no_health_check() -> None:
    case = CASES[0]
    tracer = tracer_for(manifests_of(case), flags_for(case, "iptables"))
    answer = tracer.trace(TraceQuery("external", "node/node-1:10250"))
    assert (answer.verdict, [note.code for note in answer.notes]) == ("REACHABLE", [])
