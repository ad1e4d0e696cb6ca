"""Kubernetes resource quantities (`500m`, `1Gi`, `1e3`) as exact numbers."""

from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE])([+-]?\d{1,4})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII)
_LONGEST = 200
"""Characters up to which text is taken for a number: no quantity of an API server has more."""
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def quantity(value: object) -> Fraction:
    """Return the number a quantity stands for, 0 for what is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Fraction(value)
    found = _FORM.fullmatch(value.strip()) if isinstance(value, str) and len(value) < _LONGEST else None
    if not found:
        return Fraction(0)
    base, _, exponent, unit = found.groups()
    if exponent is not None:
        return Fraction(base) * Fraction(10) ** int(exponent)
    return Fraction(base) * (2 ** _BINARY[unit] if unit in _BINARY else Fraction(10) ** _DECIMAL[unit or ""])
