"""The JSON fast path: places found on demand, duplicate keys found exactly, several documents in one text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.manifests.jsondoc import (
    JsonPositions,
    NotJSON,
    Source,
    documents,
    duplicate_keys,
    has_duplicate_keys,
    item_offsets,
    offset_of,
    parse,
)
from netsim.manifests.load import load

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)
layouts = st.sampled_from(
    [
        {"indent": 2},
        {"indent": 4},
        {"separators": (",", ":")},
        {"separators": (" ,\t", "\n: ")},
        {"ensure_ascii": False},
    ]
)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    found = [(path, value)]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*path, index))
    return found


@given(values, layouts)
def test_every_value_is_found_where_it_stands(value: Any, layout: dict[str, Any]) -> None:
    raw = json.dumps(value, **layout).encode()
    for path, inner in paths(value):
        offset = offset_of(raw, 0, path)
        assert json.JSONDecoder().raw_decode(raw[offset:].decode())[0] == inner
        if path and isinstance(path[-1], str):
            key = offset_of(raw, 0, path, key=True)
            assert json.JSONDecoder().raw_decode(raw[key:].decode())[0] == path[-1]


@given(st.lists(values, max_size=6), layouts)
def test_every_item_of_a_list_is_found(items: list[Any], layout: dict[str, Any]) -> None:
    raw = json.dumps({"kind": "List", "decoy": {"items": [1]}, "items": items, "z": 1}, **layout).encode()
    starts = list(item_offsets(raw, 0))
    assert [json.JSONDecoder().raw_decode(raw[start:].decode())[0] for start in starts] == items
    # The slow way, taken for a List that is not the first thing in its file, agrees.
    assert [start - 1 for start in item_offsets(b" " + raw, 1)] == starts


@given(values, layouts)
def test_a_text_without_duplicates_has_none(value: Any, layout: dict[str, Any]) -> None:
    raw = json.dumps(value, **layout).encode()
    assert not has_duplicate_keys(raw, orjson.loads(raw))


@given(st.dictionaries(st.text(max_size=5), values, min_size=1, max_size=4), st.data(), layouts)
def test_a_duplicate_is_found_wherever_it_is(value: dict[str, Any], data: Any, layout: dict[str, Any]) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    inner = json.dumps(value, **layout)
    doubled = inner[:-1].rstrip() + f", {json.dumps(key)}: 1}}"
    raw = f'{{"a": [{doubled}]}}'.encode()
    assert has_duplicate_keys(raw, orjson.loads(raw))
    assert [problem.message for problem in duplicate_keys(Source("f", raw), 0)] == [f'key "{key}" already set in map']


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a": "\\u003c\\u003e\\u0026"}', id="escapes-of-kubectl"),
        pytest.param(b'{"a": "\\u00e9\\u4e2d"}', id="escapes-of-python"),
        pytest.param(b'{"a": "x\\/y"}', id="escaped-slash"),
        pytest.param(b'{"a": 1.50, "b": 1e2}', id="numbers-written-otherwise"),
        pytest.param(b'{"a b": 1, "ab": 2}', id="keys-that-differ-in-a-space"),
        pytest.param(b'{"a": "\\\\u003c", "b": "<"}', id="an-escaped-backslash"),
    ],
)
def test_unusual_spellings_are_no_duplicates(raw: bytes) -> None:
    assert not has_duplicate_keys(raw, orjson.loads(raw))


def test_keys_that_are_equal_once_unescaped_are_duplicates() -> None:
    raw = b'{"a": 1, "\\u0061": 2}'
    assert has_duplicate_keys(raw, orjson.loads(raw))


@pytest.mark.parametrize(
    ("raw", "offset"),
    [(b'{"a": }', 6), (b'{"a": 1', 7), ('{"é": x}'.encode(), 7), (b"[" * 5000, None), (b'{"a": NaN}', 6)],
)
def test_what_is_no_json_says_where(raw: bytes, offset: int | None) -> None:
    with pytest.raises(NotJSON) as caught:
        parse(raw)
    assert offset is None or caught.value.offset == offset


def test_several_documents_are_found_one_after_the_other() -> None:
    raw = ' {"a": "é"}\n\n[1]{"b": 2} '.encode()
    assert [raw[start:end].decode() for start, end in documents(raw)] == ['{"a": "é"}', "[1]", '{"b": 2}']


def test_positions_are_lines_and_columns_of_characters() -> None:
    raw = '{\n "é": {"x":\n  5}}'.encode()
    positions = JsonPositions(Source("f.json", raw), 0)
    assert str(positions.find(("é", "x"))) == "f.json:3:3"
    assert str(positions.find(("é", "x"), key=True)) == "f.json:2:8"
    assert str(positions.find(("é", "absent"))) == "f.json:2:7"
    # Questions may come in any order.
    assert str(positions.find(())) == "f.json:1:1"


def test_a_large_list_is_located_quickly(tmp_path: Path) -> None:
    import time

    name = {"apiVersion": "v1", "kind": "Namespace"}
    items = [{**name, "metadata": {"name": f"n{i}", "labels": {"a": "b" * 200}}} for i in range(20_000)]
    file = tmp_path / "big.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2))
    loaded = load([str(file)])
    started = time.process_time()
    where = loaded.objects[-1].where("metadata", "labels", "a")
    assert time.process_time() - started < 0.5
    assert file.read_text().splitlines()[where.line - 1][where.column - 1 :].startswith('"bbb')
