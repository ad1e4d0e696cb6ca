"""Regular expressions of PCRE, as nginx and Lua use them, compiled for Python."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Final

_POSIX: Final = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s",
    "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9A-Fa-f", "word": r"\w", "blank": r" \t",
}  # fmt: skip
_TOKEN: Final = re.compile(r"\\.|\(\?<(?![=!])|\[:(\^?)([a-z]+):\]", re.DOTALL)
_ESCAPES: Final = {r"\z": r"\Z", r"\Z": r"(?=\n?\Z)", r"\h": r"[ \t]", r"\R": r"(?:\r\n|\n|\r)", r"\K": ""}


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str] | None:
    """Return the compiled pattern, None when PCRE's syntax cannot be compiled (nginx would refuse the configuration
    too).
    """
    translated = _TOKEN.sub(_translated, pattern)
    flags = re.ASCII | (re.IGNORECASE if ignore_case else 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(translated, flags)
    except (re.error, OverflowError, RecursionError):
        return None


def _translated(token: re.Match[str]) -> str:
    word = token[0]
    if word == "(?<":
        return "(?P<"
    if word.startswith("[:"):
        return ("" if token[1] else _POSIX.get(token[2], word)) or word
    return _ESCAPES.get(word, word)
