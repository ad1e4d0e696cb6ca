"""The diff over the recorded kernel clusters: it finds what the recordings show, and nothing that is not documented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iptables_gen.kubeproxy.inputs import Mode
from netsim.cli.proxy_flags import proxy_config
from netsim.diff.about import question_about
from netsim.diff.classify import Pair
from netsim.diff.compare import endings, what_differs
from netsim.diff.run import Report, classifier_of, compare_modes
from netsim.trace.query import TraceQuery
from netsim.trace.tracer import Tracer
from tests.conformance_support.kernel import kernel_cases, read_rows
from tests.conformance_support.model import flag_values, flags_for, manifests_of, tracer_for

PAIRS: tuple[tuple[Mode, Mode], ...] = (("iptables", "nftables"), ("iptables", "ipvs"), ("ipvs", "nftables"))
CASES = [
    (pair, case)
    for pair in PAIRS
    for case in kernel_cases("nftables")
    if all((case / f"{m}.jsonl").is_file() for m in pair)
]
IDS = [f"{before}..{after}-{case.name}" for (before, after), case in CASES]

# What kernel/README.md lists, by pair of modes. REMOTE_HAIRPIN (difference 6) is in no cluster recorded here for
# iptables..nftables; IPVS_BOUND_VIP was not recorded and is documented in the source of kube-proxy.
WITH_NFTABLES = (
    "UNUSED_CLUSTER_IP_PORT LOCALHOST_NODEPORT IPV6_LOOPBACK_NODEPORT NODEPORT_ON_EVERY_ADDRESS NO_ENDPOINTS_FROM_HOST "
    "SOURCE_RANGES_BEFORE_ENDPOINTS REMOTE_HAIRPIN"
)
WITH_IPVS = (
    "UNUSED_VIP_PORT INTERNAL_LOCAL_NO_ENDPOINT LOCAL_POLICY_ONLY_LOCAL LOCAL_POLICY_FALLBACK HOST_SOURCE_KEPT "
    "NO_ENDPOINTS_FROM_HOST IPVS_BOUND_VIP"
)
TO_IPVS = (
    "UNUSED_CLUSTER_IP_PORT LOCALHOST_NODEPORT IPV6_LOOPBACK_NODEPORT REMOTE_HAIRPIN SOURCE_RANGES_BEFORE_ENDPOINTS"
)
DOCUMENTED: dict[tuple[Mode, Mode], frozenset[str]] = {
    ("iptables", "nftables"): frozenset(WITH_NFTABLES.split()),
    ("iptables", "ipvs"): frozenset(f"{WITH_IPVS} {TO_IPVS}".split()),
    ("ipvs", "nftables"): frozenset(f"{WITH_IPVS} NODEPORT_ON_EVERY_ADDRESS".split()),
}
# In some cluster each of these is found: the list is no longer than what the recordings show.
FOUND = {
    ("iptables", "nftables"): DOCUMENTED["iptables", "nftables"] - {"REMOTE_HAIRPIN"},
    ("iptables", "ipvs"): DOCUMENTED["iptables", "ipvs"] - {"IPV6_LOOPBACK_NODEPORT", "LOCAL_POLICY_FALLBACK"},
    ("ipvs", "nftables"): DOCUMENTED["ipvs", "nftables"] - {"LOCAL_POLICY_FALLBACK"},
}


def tracers(case: Path, pair: tuple[Mode, Mode]) -> tuple[Tracer, Tracer]:
    before, after = (tracer_for(manifests_of(case), flags_for(case, mode)) for mode in pair)
    return before, after


def report_of(case: Path, pair: tuple[Mode, Mode]) -> Report:
    before, after = tracers(case, pair)
    config, _ = proxy_config(flag_values(flags_for(case, pair[0])), before.cluster)
    return compare_modes(before, after, config)


@pytest.mark.parametrize(("pair", "case"), CASES, ids=IDS)
def test_every_difference_has_a_documented_cause(pair: tuple[Mode, Mode], case: Path) -> None:
    report = report_of(case, pair)
    assert {group.cause.code for group in report.groups} <= DOCUMENTED[pair]
    assert report.differing == sum(len(group.flows) for group in report.groups) <= report.asked


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "..".join(pair))
def test_over_all_clusters_exactly_the_documented_differences_are_found(pair: tuple[Mode, Mode]) -> None:
    found = {group.cause.code for one, case in CASES if one == pair for group in report_of(case, pair).groups}
    assert DOCUMENTED[pair] >= found >= FOUND[pair]


def recorded_ending(row: dict[str, Any]) -> tuple[str, object, object]:
    """Return what a row saw; where affinity pins a client, only whether it was delivered."""
    observed = row["observed"]
    verdict = {"UNREACHABLE": "TIMEOUT"}.get(observed["verdict"], observed["verdict"])
    if row.get("sequence"):
        return verdict, None, None
    return verdict, observed.get("endpoints", {}).keys(), observed.get("serverSeesBy")


def recorded_pairs(case: Path, pair: tuple[Mode, Mode]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the rows recorded in both modes, and whether they were seen to differ."""
    before = {row["id"]: row for row in read_rows(case, pair[0])}
    for row in read_rows(case, pair[1]):
        if row["id"] in before:
            yield row, recorded_ending(row) != recorded_ending(before[row["id"]])


@pytest.mark.parametrize(("pair", "case"), CASES, ids=IDS)
def test_recorded_differences_are_found_and_explained(pair: tuple[Mode, Mode], case: Path) -> None:
    before, after = tracers(case, pair)
    config, _ = proxy_config(flag_values(flags_for(case, pair[0])), before.cluster)
    classifier = classifier_of(before.network, config)
    for row, differed in recorded_pairs(case, pair):
        query = TraceQuery(row["from"], row["to"], row["via"], row["protocol"])
        first, second = endings(before.trace(query)), endings(after.trace(query))
        differs = set(what_differs(first, second)) - {"probability"}
        if row.get("sequence"):
            differs &= {"verdict"}
        assert bool(differs) == differed, (row["id"], differs, first, second)
        question = question_about(before, query)
        if differed and question is not None:
            assert classifier.cause(Pair(question, first, second, pair)) in DOCUMENTED[pair], row["id"]
