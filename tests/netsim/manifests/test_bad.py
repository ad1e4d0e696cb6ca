"""Broken manifests with the exact text of every error and warning that a verb other than `validate` prints for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netsim.manifests.load import load
from netsim.validate.check import check_objects
from netsim.validate.judge import judge

FOLDER = Path(__file__).parent / "bad"
EXPECTED: dict[str, list[str]] = json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize(("name", "want"), EXPECTED.items(), ids=EXPECTED)
def test_a_broken_manifest_is_explained(name: str, want: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    loaded = load([name])
    problems = (*loaded.problems, *check_objects(loaded.objects))
    assert [f"{problem.severity}: {problem}" for problem in problems] == want


@pytest.mark.parametrize("name", EXPECTED)
def test_validate_judges_a_broken_manifest_without_a_traceback(name: str) -> None:
    verdict = judge(load([str(FOLDER / name)], keep_bad=True))
    assert (verdict.errors or verdict.warnings) or name == "syntax-trailing-comma.json"


def test_every_broken_manifest_is_expected() -> None:
    assert {path.name for path in FOLDER.iterdir()} - {"expected.json"} == set(EXPECTED)
    assert len(EXPECTED) >= 60
    assert all(EXPECTED.values()), "a broken manifest of which nothing is said"


def test_an_error_of_every_file_is_reported_at_once() -> None:
    loaded = load([str(FOLDER / "syntax-tab.yaml"), str(FOLDER / "type-port-text.yaml"), "/nonexistent"])
    assert [problem.where.file.rpartition("/")[2] for problem in loaded.problems] == [
        "syntax-tab.yaml",
        "type-port-text.yaml",
        "nonexistent",
    ]
