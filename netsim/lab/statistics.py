"""The chi-squared test of observed frequencies against exact probabilities, without a numerics library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction


def chi_squared(observed: Mapping[str, int], expected: Mapping[str, Fraction]) -> float:
    """Return the probability of frequencies at least this far from the expected ones (1 when nothing can differ).

    Raises:  ValueError when something was observed that is not expected at all.
    """
    strange = observed.keys() - expected.keys()
    if strange:
        raise ValueError(f"not expected: {', '.join(sorted(strange))}")
    total = sum(observed.values())
    if len(expected) < 2 or not total:
        return 1.0
    distance = sum(
        (observed.get(key, 0) - total * float(share)) ** 2 / (total * float(share)) for key, share in expected.items()
    )
    return survival(distance, len(expected) - 1)


def survival(value: float, freedom: int) -> float:
    """Return P(X > value) for a chi-squared variable; closed form for whole degrees of freedom.

    Source:  Abramowitz & Stegun 26.4.4 and 26.4.5.
    """
    if value <= 0:
        return 1.0
    half = value / 2
    offset = 0.5 if freedom % 2 else 0.0
    total = math.erfc(math.sqrt(half)) if offset else 0.0
    term = math.exp(-half) * half**offset / math.gamma(1 + offset)
    for number in range(freedom // 2):
        total += term
        term *= half / (number + 1 + offset)
    return min(total, 1.0)


def enough(shares: Mapping[str, Fraction], doubt: float = 1e-6) -> int:
    """Return how many tries miss an outcome that can happen with a probability below *doubt*, at least 4."""
    least = float(min(shares.values(), default=Fraction(1)))
    if least >= 1:
        return 4
    return max(4, math.ceil(math.log(doubt / len(shares)) / math.log1p(-least)))
