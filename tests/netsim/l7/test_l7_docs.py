"""Every code that an answer or the linter can give is in docs/l7.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from netsim.l7.decision import CODES as ANSWERS
from netsim.l7.findings import CODES as FINDINGS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "l7.md").read_text()
SOURCES = sorted((ROOT / "netsim" / "l7").rglob("*.py"))


@pytest.mark.parametrize("code", [*ANSWERS, *FINDINGS])
def test_a_code_is_documented(code: str) -> None:
    meaning = {**ANSWERS, **FINDINGS}[code]
    assert f"| `{code}` | {meaning} |" in TEXT or f"| `{code}` |" in TEXT


def test_answers_have_no_other_codes() -> None:
    used = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Decision" and len(node.args) > 1:
                code = node.args[1]
                used |= {code.value} if isinstance(code, ast.Constant) else set()
    assert used <= set(ANSWERS)
    assert used >= {"NO_RULE", "REDIRECT", "FORBIDDEN"}
