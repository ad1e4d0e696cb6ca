"""Plain scalars as kubectl reads them: go-yaml v2's YAML 1.1."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.manifests.scalars import BadScalar, key_text, plain, tagged

TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
TAG = "tag:yaml.org,2002:"


@pytest.mark.parametrize("text", TRUE)
def test_true_in_all_spellings(text: str) -> None:
    assert plain(text) is True


@pytest.mark.parametrize("text", FALSE)
def test_false_in_all_spellings(text: str) -> None:
    assert plain(text) is False


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_null_in_all_spellings(text: str) -> None:
    assert plain(text) is None


@pytest.mark.parametrize("text", ["yEs", "tRUE", "oN", "nO", "nUll", "yess", "-", "+", ".", "..", "...", "-a", "+b"])
def test_other_spellings_are_text(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("80", 80, id="decimal"),
        pytest.param("+80", 80, id="signed"),
        pytest.param("-5", -5, id="negative"),
        pytest.param("0", 0, id="zero"),
        pytest.param("-0", 0, id="negative-zero"),
        pytest.param("0120", 80, id="octal-by-a-leading-zero"),
        pytest.param("0o120", 80, id="octal"),
        pytest.param("0x50", 80, id="hexadecimal"),
        pytest.param("0X5f", 95, id="hexadecimal-capital"),
        pytest.param("0b101", 5, id="binary"),
        pytest.param("-0x10", -16, id="negative-hexadecimal"),
        pytest.param("1_000", 1000, id="underscores"),
        pytest.param("080", 80, id="not-octal-so-a-float"),
        pytest.param("8e1", 80, id="exponent"),
        pytest.param("80.0", 80, id="integral-float"),
        pytest.param("1.5", 1.5, id="float"),
        pytest.param(".5", 0.5, id="float-without-a-zero"),
        pytest.param("-.5e-1", -0.05, id="small-float"),
        pytest.param("1e21", 1e21, id="float-that-json-writes-with-an-exponent"),
        pytest.param("18446744073709551615", 2**64 - 1, id="unsigned-64-bits"),
        pytest.param("18446744073709551616", 18446744073709551616, id="beyond-64-bits-a-float"),
        pytest.param("22:22", "22:22", id="base-60-is-text"),
        pytest.param("1:30:00", "1:30:00", id="base-60-time-is-text"),
        pytest.param("2001-01-01", "2001-01-01", id="date-is-text"),
        pytest.param("2001-12-14T21:59:43.10-05:00", "2001-12-14T21:59:43.10-05:00", id="timestamp-is-text"),
        pytest.param("10.0.0.1", "10.0.0.1", id="address-is-text"),
        pytest.param("1.2.3", "1.2.3", id="version-is-text"),
        pytest.param("123e4567", "123e4567", id="beyond-a-float-is-text"),
        pytest.param("0x", "0x", id="no-digits"),
        pytest.param("0o9", "0o9", id="no-octal"),
        pytest.param("1e", "1e", id="no-exponent"),
        pytest.param("<<", "<<", id="merge-elsewhere"),
        pytest.param("=", "=", id="equals"),
    ],
)
def test_numbers_and_what_looks_like_one(text: str, want: Any) -> None:
    value = plain(text)
    assert value == want
    assert type(value) is type(want)


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN"])
def test_what_json_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(BadScalar, match="json: unsupported value"):
        plain(text)


@pytest.mark.parametrize(
    ("tag", "text", "want"),
    [
        pytest.param("str", "80", "80", id="text"),
        pytest.param("str", "yes", "yes", id="text-not-boolean"),
        pytest.param("int", "80", 80, id="integer"),
        pytest.param("float", "80", 80, id="float-of-an-integer"),
        pytest.param("bool", "on", True, id="boolean"),
        pytest.param("null", "~", None, id="null"),
        pytest.param("binary", "aGk=", "hi", id="binary"),
        pytest.param("timestamp", "2001-01-01", "2001-01-01", id="timestamp"),
    ],
)
def test_an_explicit_tag_decides(tag: str, text: str, want: Any) -> None:
    assert tagged(TAG + tag, text) == want


def test_a_tag_of_ones_own_leaves_text() -> None:
    assert tagged("!mine", "80") == "80"


@pytest.mark.parametrize(("tag", "text"), [("int", "x"), ("bool", "1"), ("null", "a"), ("binary", "a")])
def test_a_tag_that_does_not_fit_is_refused(tag: str, text: str) -> None:
    with pytest.raises(BadScalar):
        tagged(TAG + tag, text)


@pytest.mark.parametrize(
    ("value", "want"), [("a", "a"), (True, "true"), (False, "false"), (8080, "8080"), (1.5, "1.5")]
)
def test_keys_become_text(value: Any, want: str) -> None:
    assert key_text(value) == want


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = plain(text)
    except BadScalar:
        return
    assert value is None or isinstance(value, str | int | float)
    assert not (isinstance(value, float) and not math.isfinite(value))


@given(st.integers(-(2**63), 2**64 - 1))
def test_an_integer_is_read_in_every_base(number: int) -> None:
    sign, size = ("-", -number) if number < 0 else ("", number)
    for text in (f"{sign}{size}", f"{sign}0x{size:x}", f"{sign}0o{size:o}", f"{sign}0b{size:b}"):
        assert plain(text) == number
