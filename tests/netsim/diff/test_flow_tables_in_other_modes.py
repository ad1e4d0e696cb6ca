"""kube-proxy's iptables flow tables, asked in nftables and ipvs mode: one answer, except for what the list names.

tests/differences.yaml lists every row that differs, by mode, cause and name; the causes have their sources in
netsim/diff/causes.py. A case that the list does not know yet may differ for documented causes only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from iptables_gen.kubeproxy.inputs import Mode
from netsim.cli.proxy_flags import proxy_config
from netsim.diff.about import question_about
from netsim.diff.causes import CAUSES
from netsim.diff.classify import Pair
from netsim.diff.compare import endings, what_differs
from netsim.diff.run import classifier_of
from netsim.trace.query import TraceQuery
from tests.conformance_support.flows import flags_of, flow_cases, read_flows
from tests.conformance_support.model import flag_values, manifests_of, tracer_for

LIST = Path(__file__).parents[2] / "differences.yaml"
DOCUMENTED: dict[str, Any] = yaml.safe_load(LIST.read_text())
CASES = flow_cases("iptables")
OTHER_MODES: tuple[Mode, ...] = ("nftables", "ipvs")


def flags_in(case: Path, mode: str) -> tuple[str, ...]:
    return (*(flag for flag in flags_of(case) if not flag.startswith("--proxy-mode")), f"--proxy-mode={mode}")


def found_in(case: Path, mode: Mode) -> Iterator[tuple[str, str]]:
    """Yield (cause, name) of every row that differs."""
    before, after = (tracer_for(manifests_of(case), flags_in(case, one)) for one in ("iptables", mode))
    config, _ = proxy_config(flag_values(flags_in(case, "iptables")), before.cluster)
    classifier = classifier_of(before.network, config)
    for row in read_flows(case):
        query = TraceQuery(row["from"], row["to"], row["via"], row["protocol"])
        first, second = endings(before.trace(query)), endings(after.trace(query))
        if what_differs(first, second):
            question = question_about(before, query)
            cause = classifier.cause(Pair(question, first, second, ("iptables", mode))) if question else "UNEXPLAINED"
            yield cause, name_of(case, row)


def name_of(case: Path, row: dict[str, Any]) -> str:
    return f"{case.name}: {row['name']}"


@pytest.mark.parametrize("mode", OTHER_MODES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_documented_rows_differ(case: Path, mode: Mode) -> None:
    listed = {(cause, name) for cause, names in DOCUMENTED[mode].items() for name in names}
    recorded = {name_of(case, row) for row in read_flows(case)}
    found = set(found_in(case, mode))
    assert not {"UNEXPLAINED", "UNDETERMINED"} & {cause for cause, _ in found}
    if case.name in DOCUMENTED["cases"]:
        assert found == {(cause, name) for cause, name in listed if name in recorded}


def test_every_listed_cause_is_documented_with_its_source() -> None:
    for mode in OTHER_MODES:
        for code in DOCUMENTED[mode]:
            cause = CAUSES[code]
            assert code not in ("UNEXPLAINED", "UNDETERMINED")
            assert cause.source
            assert cause.advice
            assert {"iptables", mode} <= set(cause.behaviour)
