"""`--queries`: lines, and the one document that query sets are often kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from netsim.cli.queries import answer_queries

TWO = [{"id": 1, "ask": "a"}, {"id": "two", "ask": "b"}]
ANSWERS = [{"id": 1, "said": "a"}, {"id": "two", "said": "b"}]
BAD = {"id": None, "error": ...}


@pytest.mark.parametrize(
    ("text", "want", "code"),
    [
        pytest.param('{"id":1,"ask":"a"}\n\n{"id":"two","ask":"b"}', ANSWERS, 0, id="lines, a blank one among them"),
        pytest.param(orjson.dumps({"queries": TWO}).decode(), ANSWERS, 0, id="a document on one line"),
        pytest.param('{\n "note": "x",\n "queries": [\n{"id":1,"ask":"a"},\n\n{"id":"two","ask":"b"}\n]}\n', ANSWERS, 0,
                     id="a document over many lines"),
        pytest.param('nonsense\n{"id":1,"ask":"a"}\n', [BAD, ANSWERS[0]], 2, id="a bad first line"),
        pytest.param('{"id":1,"ask":"a"}\n{\n', [ANSWERS[0], BAD], 2, id="a bad last line"),
        pytest.param('{"id":1,"ask":"a"}\n{"queries":[]}\n[]\n', [ANSWERS[0], {"id": None, "said": None}, BAD], 2,
                     id="only the first line can be a document"),
        pytest.param('{"queries": [7]}', [BAD], 2, id="a document with what is no query"),
        pytest.param("{\n1}", [BAD, BAD], 2, id="neither lines nor a document"),
        pytest.param("", [], 0, id="nothing"),
    ],
)  # fmt: skip
def test_each_query_is_answered_in_its_place(
    text: str, want: list[dict[str, Any]], code: int, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "queries"
    file.write_text(text)
    assert answer_queries(str(file), lambda query: {"said": query.get("ask")}, frozenset({"ask", "queries"})) == code
    got = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [one | ({"error": ...} if "error" in one else {}) for one in got] == want
