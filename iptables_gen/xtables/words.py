"""Words of iptables-save and iptables-restore lines: splitting them with columns, and quoting them again.

Source:  iptables/xshared.c add_param_to_argv() and libxtables xtables_save_string() of iptables 1.8.9, both checked
against the programs: only double quotes group, a backslash escapes only inside them, and a closing quote ends the word.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"""[^\s"]+|"((?:[^"\\]|\\.)*)"|(")""")
_SAVE_PLAIN = re.compile(r"[-_0-9A-Za-z]+\Z")
_BARE = re.compile(r"[^\s\"\x00-\x1f\x7f]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ESCAPED = re.compile(r"\\(.)")
_MUST_ESCAPE = re.compile(r"([\"\\])")
_TO_ESCAPE = re.compile(r"([\"'\\])")


class Word(NamedTuple):
    """One word of a line; `column` is 1-based; `quoted` when part of it stood in quotes."""

    text: str
    column: int
    quoted: bool = False


class WordError(ValueError):
    """A line that cannot be split or understood; `column` is 1-based."""

    def __init__(self, problem: str, column: int) -> None:
        self.problem, self.column = problem, column
        super().__init__(problem)


def split_words(line: str) -> list[Word]:
    """Return the words of a line.

    Raises:  WordError for a quote that is never closed.
    """
    if '"' not in line:
        return [Word(found.group(), found.start() + 1) for found in _TOKEN.finditer(line)]
    words: list[Word] = []
    start, prefix, end = 0, "", -1
    for found in _TOKEN.finditer(line):
        if found.group(2):
            raise WordError("quote is never closed", found.start() + 1)
        glued, inside = prefix and found.start() == end, found.group(1)
        if not glued and prefix:
            words.append(Word(prefix, start))
        if inside is None:
            start, prefix, end = found.start() + 1, found.group(), found.end()
            continue
        text = _ESCAPED.sub(r"\1", inside)
        words.append(Word(prefix + text, start, True) if glued else Word(text, found.start() + 1, True))
        prefix = ""
    return [*words, Word(prefix, start)] if prefix else words


def save_string(text: str) -> str:
    """Return text as `iptables-save` prints a string: bare when it is letters, digits, `-` and `_`, else quoted.

    Raises:  ValueError for control characters: a line break would end the rule.
    """
    return text if _SAVE_PLAIN.match(text) else quoted(text)


def quoted(text: str) -> str:
    """Return text in double quotes, quotes (both kinds) and backslashes escaped.

    Raises:  ValueError for control characters.
    """
    refuse_control(text)
    return '"' + _TO_ESCAPE.sub(r"\\\1", text) + '"'


def restore_string(text: str) -> str:
    """Return text bare when it has no blank and no quote, else quoted with only double quotes and backslashes escaped.

    kube-proxy quotes only comments with blanks.

    Raises:  ValueError for control characters.
    """
    if _BARE.match(text):
        return text
    refuse_control(text)
    return '"' + _MUST_ESCAPE.sub(r"\\\1", text) + '"'


def refuse_control(text: str) -> None:
    """Raise ValueError when text holds a control character but a tab (a line break ends a rule, NUL a string)."""
    if found := _CONTROL.search(text):
        raise ValueError(f"control character {found.group()!r} cannot stand in a rule")
