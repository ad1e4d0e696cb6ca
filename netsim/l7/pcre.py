"""Regular expressions of PCRE, as nginx and Lua use them; every match ends in bounded time."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from netsim.errors import UsageError

SECONDS: Final = 2.0
"""How long one match may take. PCRE gives up too (its match limit), and nginx then answers 500."""

_POSIX: Final = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s",
    "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9A-Fa-f", "word": r"\w", "blank": r" \t",
}  # fmt: skip
# A brace that is no quantifier is literal to PCRE and means fuzzy matching to the regex package.
_TOKEN: Final = re.compile(r"\\.|\(\?<(?![=!])|\[:(\^?)([a-z]+):\]|\{(?![0-9]*(?:,[0-9]*)?\})", re.DOTALL)
_ESCAPES: Final = {r"\z": r"\Z", r"\Z": r"(?=\n?\Z)", r"\h": r"[ \t]", r"\R": r"(?:\r\n|\n|\r)", r"\K": ""}


class PatternTooSlow(UsageError):
    """A pattern that runs away on a text (catastrophic backtracking)."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern with the methods of `re.Pattern` that are used here; they raise PatternTooSlow."""

    source: str
    compiled: Any

    @property
    def groups(self) -> int:
        """Return the number of capturing groups."""
        return int(self.compiled.groups)

    @property
    def groupindex(self) -> Mapping[str, int]:
        """Return the numbers of the named groups."""
        return dict(self.compiled.groupindex)

    def search(self, text: str, /) -> re.Match[str] | None:
        """Return the first match anywhere in a text."""
        found: re.Match[str] | None = self._bounded(self.compiled.search, text)
        return found

    def fullmatch(self, text: str, /) -> re.Match[str] | None:
        """Return the match of a whole text."""
        found: re.Match[str] | None = self._bounded(self.compiled.fullmatch, text)
        return found

    def replaced(self, replacement: Callable[[re.Match[str]], str], text: str) -> str:
        """Return a text with its first match replaced."""

        def run(given: str, timeout: float) -> str:
            return str(self.compiled.sub(replacement, given, 1, timeout=timeout))

        return str(self._bounded(run, text))

    def _bounded(self, run: Callable[..., Any], text: str) -> Any:
        try:
            return run(text, timeout=SECONDS)
        except TimeoutError:
            what = f"pattern {self.source!r} takes more than {SECONDS:g} s to match {text[:80]!r}"
            raise PatternTooSlow(f"{what}: nested repetitions backtrack without end") from None


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str, *, ignore_case: bool = False) -> Pattern | None:
    """Return the compiled pattern, None when PCRE's syntax cannot be compiled (nginx would refuse the configuration
    too).
    """
    import regex

    translated = _TOKEN.sub(_translated, pattern)
    ignoring = re.IGNORECASE if ignore_case else 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Python's own engine is as strict about syntax as PCRE (`^*`, `${2}`); only the other one knows limits.
            re.compile(translated, re.ASCII | ignoring)
            return Pattern(pattern, regex.compile(translated, regex.ASCII | int(ignoring)))
    except (re.error, regex.error, OverflowError, RecursionError):
        return None


def _translated(token: re.Match[str]) -> str:
    word = token[0]
    if word == "(?<":
        return "(?P<"
    if word.startswith("[:"):
        return ("" if token[1] else _POSIX.get(token[2], word)) or word
    return r"\{" if word == "{" else _ESCAPES.get(word, word)
