"""The chi-squared test against the published table, and how many tries are enough."""

from __future__ import annotations

from fractions import Fraction

import pytest

from netsim.lab.statistics import chi_squared, enough, survival

HALF = {"a": Fraction(1, 2), "b": Fraction(1, 2)}


@pytest.mark.parametrize(
    ("value", "freedom"), [(3.841, 1), (5.991, 2), (7.815, 3), (9.488, 4), (11.070, 5), (18.307, 10), (24.996, 15)]
)
def test_critical_values_of_the_published_table(value: float, freedom: int) -> None:
    assert survival(value, freedom) == pytest.approx(0.05, abs=1e-4)


def test_equal_frequencies_fit() -> None:
    assert chi_squared({"a": 50, "b": 50}, HALF) == 1.0


def test_lopsided_frequencies_do_not_fit() -> None:
    assert chi_squared({"a": 95, "b": 5}, HALF) < 1e-6


def test_an_outcome_that_is_not_expected_is_an_error() -> None:
    with pytest.raises(ValueError, match="not expected: c"):
        chi_squared({"c": 1}, HALF)


def test_certainty_needs_few_tries_and_a_third_needs_more() -> None:
    assert enough({"a": Fraction(1)}) == 4
    tries = enough({name: Fraction(1, 3) for name in "abc"}, 1e-6)
    assert 3 * (2 / 3) ** tries <= 1e-6 < 3 * (2 / 3) ** (tries - 2)
