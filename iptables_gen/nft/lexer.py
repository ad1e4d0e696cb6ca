"""Words of nft text, with their places; and a reader over them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from iptables_gen.errors import RulesetSyntaxError

_TOKEN = re.compile(r'"[^"\n]*"|#[^\n]*|\n|[{},;()]|\\\n|[^\s{},;()"#]+')


class Token(NamedTuple):
    """One word: text, 1-based line and column, and its extent in the source. A line's end is `\\n`."""

    text: str
    line: int
    column: int
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of a text; comments and escaped line ends are left out."""
    line, line_start = 1, 0
    for found in _TOKEN.finditer(text):
        word = found.group()
        if word[0] != "#" and word != "\\\n":
            yield Token(word, line, found.start() - line_start + 1, found.start(), found.end())
        if word[-1] == "\n":
            line, line_start = line + 1, found.end()


END = Token("", 0, 0, 0, 0)


class Words:
    """A cursor over tokens. Reading past the end gives the empty word."""

    __slots__ = ("_file", "_source", "_tokens", "at")

    def __init__(self, items: list[Token], source: str, file: str = "-") -> None:
        self._tokens, self._source, self._file, self.at = items, source, file, 0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> str:
        """Return a coming word without taking it."""
        place = self.at + ahead
        return self._tokens[place].text if place < len(self._tokens) else ""

    def take(self) -> str:
        """Return the next word and step over it."""
        word = self.peek()
        self.at += 1
        return word

    def take_if(self, word: str) -> bool:
        """Step over the next word if it is this one."""
        if self.peek() != word:
            return False
        self.at += 1
        return True

    def expect(self, word: str) -> None:
        """Step over a word that must come now."""
        if not self.take_if(word):
            raise self.error(f"expected {word!r}, found {self.peek()!r}")

    def skip_breaks(self) -> None:
        """Step over line ends and semicolons."""
        while self.peek() in ("\n", ";"):
            self.at += 1

    def integer(self) -> int:
        """Return the next word as an unsigned number."""
        word = self.peek()
        try:
            value = int(word, 0)
        except ValueError:
            raise self.error(f"expected a number, found {word!r}") from None
        self.at += 1
        return value

    def text_between(self, first: int, last: int) -> str:
        """Return the source from token number *first* up to, not including, token number *last*, blanks made one."""
        if first >= last:
            return ""
        source = self._source[self._tokens[first].start : self._tokens[last - 1].end]
        return " ".join(source.split())

    def error(self, problem: str) -> RulesetSyntaxError:
        """Return an error at the next word, with its line and a caret."""
        if not self._tokens:
            return RulesetSyntaxError(problem, file=self._file)
        token = self._tokens[min(self.at, len(self._tokens) - 1)]
        begin = self._source.rfind("\n", 0, token.start) + 1
        end = self._source.find("\n", token.start)
        text = self._source[begin : end if end >= 0 else len(self._source)]
        return RulesetSyntaxError(problem, file=self._file, line=token.line, column=token.column, text=text)
