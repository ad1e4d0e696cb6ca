"""The YAML reader: places of keys and values, anchors, merges, duplicates, and files made to hurt."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netsim.errors import Where
from netsim.manifests.yamldoc import BadYAML, SyntaxProblem, YamlPositions, read

TEXT = b"""\
# a comment
apiVersion: v1
metadata:
  name: web
  labels: {app: web, "a.b/c": d}
spec:
  ports:
  - port: 80
    name: http
  - {port: 443, name: https}
  selector: null
"""


def positions(text: bytes, first_line: int = 1) -> YamlPositions:
    document = read(text, first_line)
    assert document is not None
    return YamlPositions("f.yaml", document.place)


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        pytest.param((), (2, 1), (2, 1), id="the-document"),
        pytest.param(("apiVersion",), (2, 13), (2, 1), id="top-scalar"),
        pytest.param(("metadata",), (4, 3), (3, 1), id="mapping"),
        pytest.param(("metadata", "name"), (4, 9), (4, 3), id="nested-scalar"),
        pytest.param(("metadata", "labels", "a.b/c"), (5, 31), (5, 22), id="flow-mapping-and-quoted-key"),
        pytest.param(("spec", "ports"), (8, 3), (7, 3), id="list"),
        pytest.param(("spec", "ports", 0), (8, 5), (8, 5), id="item"),
        pytest.param(("spec", "ports", 0, "name"), (9, 11), (9, 5), id="field-of-an-item"),
        pytest.param(("spec", "ports", 1, "port"), (10, 12), (10, 6), id="flow-item"),
        pytest.param(("spec", "ports", 2), (8, 3), (7, 3), id="absent-item-is-its-list"),
        pytest.param(("spec", "type"), (7, 3), (6, 1), id="absent-field-is-its-parent"),
        pytest.param(("spec", "selector"), (11, 13), (11, 3), id="null"),
        pytest.param(("apiVersion", "deeper"), (2, 13), (2, 1), id="below-a-scalar"),
    ],
)
def test_every_value_and_key_has_its_place(
    path: tuple[str | int, ...], value: tuple[int, int], key: tuple[int, int]
) -> None:
    found = positions(TEXT)
    assert found.find(path) == Where("f.yaml", *value)
    assert found.find(path, key=True) == Where("f.yaml", *key)


def test_places_count_from_the_line_of_the_document() -> None:
    assert positions(b"a: 1\n", first_line=40).find(("a",)) == Where("f.yaml", 40, 4)


def test_columns_count_characters() -> None:
    assert positions("ü: {é: 1}\n".encode()).find(("ü", "é")).column == 8


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param(b"a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}, id="alias"),
        pytest.param(b"- &x 5\n- *x", [5, 5], id="scalar-alias"),
        pytest.param(
            b"a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}, id="merge"
        ),
        pytest.param(b"d: {c: 3, <<: {c: 4}}", {"d": {"c": 4}}, id="a-later-merge-overrides-as-in-go-yaml"),
        pytest.param(b"d: {<<: [{a: 1}, {a: 2, b: 2}]}", {"d": {"a": 1, "b": 2}}, id="merge-of-several-first-wins"),
        pytest.param(b'd: {"<<": 1}', {"d": {"<<": 1}}, id="quoted-it-is-a-plain-key"),
        pytest.param(b"yes: 1\n080: 2\n1.5: 3", {"true": 1, "80": 2, "1.5": 3}, id="keys-become-text"),
        pytest.param(b"a: |\n  x\n  y\nb: >-\n  x\n  y\n", {"a": "x\ny\n", "b": "x y"}, id="block-scalars"),
        pytest.param(b"a: '80'\nb: \"yes\"\nc: !!str 5", {"a": "80", "b": "yes", "c": "5"}, id="quoted-is-text"),
        pytest.param(b"\xef\xbb\xbfa: 1", {"a": 1}, id="byte-order-mark"),
        pytest.param(b"a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}, id="dos-line-ends"),
        pytest.param(b"a:\nb: ~", {"a": None, "b": None}, id="null"),
    ],
)
def test_documents_are_read_as_kubectl_reads_them(text: bytes, want: Any) -> None:
    document = read(text, 1)
    assert document is not None
    assert document.data == want
    assert document.problems == ()


@pytest.mark.parametrize("text", [b"", b"# only a comment\n", b"   \n"])
def test_nothing_is_no_document(text: bytes) -> None:
    assert read(text, 1) is None


def test_a_duplicate_key_names_both_places_and_the_last_wins() -> None:
    document = read(b"a: 1\nb: 2\na: 3\n", 10)
    assert document is not None
    assert document.data == {"a": 3, "b": 2}
    [problem] = document.problems
    assert (problem.line, problem.column, problem.message) == (12, 1, 'key "a" already set in map')
    assert problem.hint == "first set at line 10"


def laughs(levels: int, width: int) -> bytes:
    lines = ["a0: &a0 [" + ", ".join(["lol"] * width) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(("levels", "width"), [(9, 9), (30, 10), (200, 2), (3, 2000)])
def test_a_billion_laughs_are_refused_at_once(levels: int, width: int) -> None:
    started = time.process_time()
    with pytest.raises(BadYAML, match="document contains excessive aliasing"):
        read(laughs(levels, width), 1)
    assert time.process_time() - started < 1


def test_many_uses_of_one_anchor_are_fine() -> None:
    text = b"base: &b {a: 1, b: 2}\n" + b"".join(b"k%d: *b\n" % n for n in range(300))
    document = read(text, 1)
    assert document is not None
    assert len(document.data) == 301


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- ", b"- - ? "])
@pytest.mark.parametrize("depth", [600, 5000, 100_000])
def test_deep_nesting_is_refused(opening: bytes, depth: int) -> None:
    with pytest.raises(BadYAML):
        read(opening * depth, 1)


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Z"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(documents)
def test_what_a_yaml_writer_quotes_is_read_back(value: Any) -> None:
    """JSON is YAML: every scalar quoted, so that both agree on what it is."""
    text = yaml.dump(value, Dumper=yaml.SafeDumper, default_style='"', allow_unicode=True).encode()
    document = read(text, 1)
    assert (document.data if document else None) == value


def problem_of(text: bytes) -> SyntaxProblem | None:
    try:
        read(text, 1)
    except BadYAML as error:
        return error.problem
    return None


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    problem = problem_of(text)
    assert problem is None or (problem.line >= 1 and problem.message)


@given(st.text(alphabet="ab:- \n\t{}[]&*!|>'\"#,?<%@`~0.", max_size=60))
def test_any_yaml_like_text_is_read_or_refused(text: str) -> None:
    problem = problem_of(text.encode())
    assert problem is None or problem.message
