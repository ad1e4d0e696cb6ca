"""All recorded cases of a real kube-apiserver v1.36: the same verdict, the same fields, the same words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from netsim.errors import Problem
from netsim.manifests.load import load
from netsim.validate.judge import HIDDEN, Verdict, judge
from netsim.validate.ranges import service_ranges

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "conformance" / "api" / "validation"
RECORDED: list[dict[str, Any]] = json.loads((CASES / "results.json").read_text())
DIFFERENCES = set(re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "validation-differences.md").read_text(), re.M))


def verdict_of(path: Path) -> Verdict:
    loaded = load([str(path)], keep_bad=True)
    return judge(loaded, cidrs=service_ranges(loaded.objects))


def causes(case: dict[str, Any]) -> set[tuple[str, str, str]]:
    documents = case.get("docs") or [case]
    return {(c["field"], c["reason"], c["message"]) for document in documents for c in document["causes"]}


def said(problems: tuple[Problem, ...]) -> set[tuple[str, str, str]]:
    return {(problem.field, problem.reason, problem.message) for problem in problems}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in RECORDED])
def test_the_verdict_is_the_api_servers(case: dict[str, Any]) -> None:
    if case["id"] in DIFFERENCES:
        pytest.skip("named in docs/validation-differences.md")
    verdict = verdict_of(CASES / f"{case['id']}.yaml")
    accepted = all(document["accepted"] for document in case.get("docs") or [case])
    assert (not verdict.errors) == accepted, [str(problem) for problem in verdict.errors]
    if recorded := causes(case):
        assert said(verdict.errors) == recorded
    elif not accepted:
        assert_stage(case, verdict)


def assert_stage(case: dict[str, Any], verdict: Verdict) -> None:
    """Without causes the server stopped while reading: each part of its message is one of our problems."""
    message = case["message"] or ""
    reasons = {problem.reason for problem in verdict.errors}
    messages = {problem.message for problem in verdict.errors}
    if fields := re.findall(r'unknown field "[^"]*"', message):
        assert messages == set(fields)
        assert reasons == {"UnknownField"}
    elif "json: cannot unmarshal" in message:
        assert message.partition("cannot be handled as a ")[2].partition(": ")[2] in messages
        assert reasons == {"BadType"}
    elif "already exists" in message:
        assert messages == {message}
    elif "already set in map" in message:
        assert messages == {message.partition(": line ")[2] or message.rpartition("  ")[2].partition(": ")[2]}
    elif "yaml: " in message:
        assert reasons >= {"BadYAML"} or "invalid Yaml document separator" in str(messages)
    else:
        assert_client_error(case, verdict)


def assert_client_error(case: dict[str, Any], verdict: Verdict) -> None:
    said_by_kubectl = " ".join(run.get("stderr", "") for run in case["kubectl"].values())
    assert any(problem.message in said_by_kubectl for problem in verdict.errors), said_by_kubectl


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in RECORDED if "warn_mode" in case])
def test_warnings_are_the_api_servers(case: dict[str, Any]) -> None:
    if case["id"] in DIFFERENCES:
        pytest.skip("named in docs/validation-differences.md")
    verdict = verdict_of(CASES / f"{case['id']}.yaml")
    recorded = {warning for document in case.get("docs") or [case] for warning in document["warnings"]}
    assert {problem.message for problem in verdict.warnings if HIDDEN not in problem.hint} == recorded


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case["id"])
        for case in RECORDED
        if case.get("http_code") == 400 and case.get("warn_mode", {}).get("causes")
    ],
)
def test_what_an_unknown_field_hides_is_said_as_a_warning(case: dict[str, Any]) -> None:
    verdict = verdict_of(CASES / f"{case['id']}.yaml")
    hidden = {
        (problem.field, problem.reason, problem.message) for problem in verdict.warnings if HIDDEN in problem.hint
    }
    assert hidden == {(c["field"], c["reason"], c["message"]) for c in case["warn_mode"]["causes"]}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case["id"])
        for case in RECORDED
        if case.get("http_code") == 422 and case.get("dry_run_differs", {}).get("causes")
    ],
)
def test_what_failed_allocation_hides_is_said_as_a_warning(case: dict[str, Any]) -> None:
    if case["id"] in ("svc-clusterip-broadcast",):
        pytest.skip("only the allocator's words differ with dry-run")
    verdict = verdict_of(CASES / f"{case['id']}.yaml")
    hidden = {
        (problem.field, problem.reason, problem.message) for problem in verdict.warnings if HIDDEN in problem.hint
    }
    assert hidden >= {(c["field"], c["reason"], c["message"]) for c in case["dry_run_differs"]["causes"]}


PATHS: dict[str, str] = json.loads((CASES / "ingress-path-matrix.json").read_text())


@pytest.mark.parametrize(("cell", "want"), PATHS.items(), ids=PATHS)
def test_ingress_paths_are_judged_by_their_type(cell: str, want: str, tmp_path: Path) -> None:
    kind, _, path = cell.partition(" ")
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"http": {"paths": [{"pathType": kind, "path": path.strip("'"), "backend": backend}]}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "a"},
        "spec": {"rules": [rule]},
    }
    file = tmp_path / "ingress.json"
    file.write_text(json.dumps(ingress))
    messages = [problem.message for problem in verdict_of(file).errors]
    assert messages == ([] if want == "ok" else [want])
