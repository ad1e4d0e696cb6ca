"""Probabilities of `-m statistic` between exact fractions and the digits of three programs.

kube-proxy writes 1/n with ten decimals; the kernel keeps a multiple of 2^-31 and prints eleven. Both are read back as
exactly 1/n. Any other text is the decimal's own fraction.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

_ONE = 0x8000_0000
_SMALLEST = -40
"""Exponent of ten below which a probability is none."""
_MOST = 46_340
"""Shares smaller than 1/n with n*n over 2^31 cannot be told from their neighbours: they stay decimals."""


@lru_cache(maxsize=1 << 12)
def read_probability(text: str) -> Fraction:
    """Return the exact share that the digits stand for.

    Raises:  ValueError when the text is no number from 0 to 1.
    """
    try:
        number = Decimal(text)
        # As a fraction, a number of this size would fill the memory.
        far = number.is_finite() and number.adjusted()
        value = Fraction(0 if far < _SMALLEST else 2 if far > 0 else number)
    except (ArithmeticError, ValueError):
        raise ValueError(f"{text!r} is not a probability") from None
    if not 0 <= value <= 1:
        raise ValueError(f"probability {text} is not from 0 to 1")
    if not value:
        return value
    share = Fraction(1, round(1 / value))
    if share.denominator > _MOST:
        return value
    return share if text in (restore_digits(share), save_digits(share)) else value


@lru_cache(maxsize=1 << 12)
def restore_digits(share: Fraction) -> str:
    """Return ten decimals, as kube-proxy prints; more when ten do not tell the fraction and it is a finite decimal."""
    ten = f"{float(share):.10f}"
    if (share.numerator == 1 and share.denominator <= _MOST) or Fraction(ten) == share:
        return ten
    return format(Decimal(share.numerator) / Decimal(share.denominator), "f")


@lru_cache(maxsize=1 << 12)
def save_digits(share: Fraction) -> str:
    """Return eleven decimals of the multiple of 2^-31 that the kernel keeps of kube-proxy's ten decimals."""
    kept = round(float(restore_digits(share)) * _ONE)
    return f"{kept / _ONE:.11f}"
