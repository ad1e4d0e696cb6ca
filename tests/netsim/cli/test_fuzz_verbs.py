"""A bounded sample of the fuzz targets: whatever the input and the words, a verb ends with a code of the contract."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz import texts, verbs


@pytest.fixture(scope="module")
def clusters() -> list[list[list[verbs.Document]]]:
    return verbs.clusters()


@pytest.mark.parametrize("seed", range(4))
def test_mutated_clusters_break_no_law(seed: int, clusters: list[list[list[verbs.Document]]]) -> None:
    assert verbs.campaign(60, seed, None, clusters) == {}


def test_mutated_texts_break_no_law(tmp_path: Path) -> None:
    samples, path = texts.samples(), tmp_path / "c.input"
    outcomes = [texts.one_case(samples, path, random.Random(f"suite/{case}")) for case in range(150)]
    assert [(law, outcome.words) for outcome, law in outcomes if law] == []


@pytest.mark.parametrize(
    ("outcome", "law"),
    [
        pytest.param(verbs.Outcome(("get",), 70, b"", "ValueError: x", 0.1), "exit code 70", id="a-bug"),
        pytest.param(verbs.Outcome(("get",), 2, b"", "", 0.1), "without a word", id="silent-refusal"),
        pytest.param(verbs.Outcome(("get",), 2, b"x", "no", 0.1), "after data", id="half-written"),
        pytest.param(verbs.Outcome(("get",), 0, b"", "a\x1b[31m", 0.1), "stderr", id="a-terminal-steered-by-stderr"),
        pytest.param(verbs.Outcome(("get",), 0, b"a\x9b1m", "", 0.1), "", id="bytes-that-are-no-text-are-marked"),
        pytest.param(verbs.Outcome(("why",), 0, b"a\x1b[31m", "", 0.1), "in text", id="a-terminal-steered-by-stdout"),
        pytest.param(verbs.Outcome(("get", "-o", "json"), 0, b"{NaN}", "", 0.1), "-o json", id="no-json"),
        pytest.param(verbs.Outcome(("why", "-o", "svg"), 0, b"<svg><b></svg>", "", 0.1), "-o svg", id="no-svg"),
        pytest.param(
            verbs.Outcome(("compile", "-o", "restore"), 0, b"*nat\nx\n", "", 0.1), "none of a ruleset", id="injected-line"  # noqa: E501
        ),
    ],
)  # fmt: skip
def test_the_laws_see_what_they_forbid(outcome: verbs.Outcome, law: str) -> None:
    found = verbs.broken_law(outcome)
    assert law in found
    assert bool(law) == bool(found)
