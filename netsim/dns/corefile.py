"""Corefile text -> server blocks of directives (the Caddyfile grammar): comments, quotes, nested blocks, snippets.

Source: coredns.io/manual/configuration. Environment variables are replaced by nothing, as CoreDNS does when unset.
Raises:  CorefileError with file:line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from netsim.errors import UsageError

KUBEADM = """.:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    cache 30 {{
       disable success {domain}
       disable denial {domain}
    }}
    loop
    reload
    loadbalance
}}
"""


class CorefileError(UsageError):
    """A Corefile that CoreDNS would refuse to start with."""


class Token(NamedTuple):
    """One word and its 1-based line; a quoted word is never a brace."""

    text: str
    line: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Directive:
    """One line: name, arguments, and the lines of its block (None without braces)."""

    name: str
    arguments: tuple[str, ...]
    line: int
    block: tuple[Directive, ...] | None = None

    def sub(self, name: str) -> Directive | None:
        """Return the last line of the block with a name."""
        return next((d for d in reversed(self.block or ()) if d.name == name), None)


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """One server: its zone keys as written, and its directives in file order."""

    keys: tuple[str, ...]
    line: int
    directives: tuple[Directive, ...] = field(default=())


_WORD = re.compile(
    r'(?P<quoted>"(?:\\"|[^"])*")|(?P<word>[^\s"#][^\s]*)|(?P<comment>#[^\n]*)|(?P<space>\s+)|(?P<bad>")'
)
_ENVIRONMENT = re.compile(r"\{\$[A-Za-z_][A-Za-z0-9_]*\}|\{%[A-Za-z_][A-Za-z0-9_]*%\}")


def tokens(text: str, file: str) -> list[Token]:
    """Return the words of a Corefile."""
    found: list[Token] = []
    line = 1
    for match in _WORD.finditer(_ENVIRONMENT.sub("", text)):
        if match.lastgroup == "bad":
            raise CorefileError(f"{file}:{line}: unterminated quote")
        if match.lastgroup == "quoted":
            found.append(Token(match.group()[1:-1].replace('\\"', '"'), line, quoted=True))
        elif match.lastgroup == "word":
            found.append(Token(match.group(), line))
        line += match.group().count("\n")
    return found


def parse(text: str, file: str = "Corefile") -> tuple[ServerBlock, ...]:
    """Return the server blocks of a Corefile, snippets and their imports resolved; imports of files are kept."""
    blocks: list[ServerBlock] = []
    snippets: dict[str, tuple[Directive, ...]] = {}
    files: list[Directive] = []
    for block in _blocks(_Reader(tokens(text, file), file), files):
        name = block.keys[0]
        if len(block.keys) == 1 and name.startswith("(") and name.endswith(")"):
            snippets[name[1:-1]] = block.directives
        else:
            blocks.append(block)
    expanded = tuple(_expand(block, snippets, files, file) for block in blocks)
    if not expanded:
        raise CorefileError(f"{file}:1: no server block")
    return expanded


def _expand(
    block: ServerBlock, snippets: dict[str, tuple[Directive, ...]], files: list[Directive], file: str
) -> ServerBlock:
    directives: list[Directive] = list(files)
    for directive in block.directives:
        if directive.name != "import":
            directives.append(directive)
            continue
        name = " ".join(directive.arguments)
        if name in snippets:
            directives += [inner for inner in snippets[name] if inner.name != "import"]
        elif _names_files(name):
            directives.append(directive)
        else:
            raise CorefileError(f"{file}:{directive.line}: import {name}: no such snippet")
    return ServerBlock(block.keys, block.line, tuple(directives))


def _names_files(name: str) -> bool:
    return any(c in name for c in "/*.")


class _Reader:
    """Words with a position."""

    __slots__ = ("at", "file", "words")

    def __init__(self, words: list[Token], file: str) -> None:
        self.words, self.file, self.at = words, file, 0

    def peek(self) -> Token | None:
        return self.words[self.at] if self.at < len(self.words) else None

    def next(self) -> Token:
        word = self.peek()
        if word is None:
            raise self.error("unexpected end of file")
        self.at += 1
        return word

    def error(self, problem: str) -> CorefileError:
        line = self.words[min(self.at, len(self.words) - 1)].line if self.words else 1
        return CorefileError(f"{self.file}:{line}: {problem}")


def _blocks(reader: _Reader, files: list[Directive]) -> Iterator[ServerBlock]:
    """Yield the blocks; imports of files between them are appended to *files*."""
    while (first := reader.peek()) is not None:
        if first.text == "import":
            files.append(_directive(reader.next(), reader))
            continue
        keys: list[str] = []
        while (word := reader.next()).text != "{" or word.quoted:
            keys += [key for key in word.text.split(",") if key]
        if not keys:
            raise reader.error("a server block needs a zone before '{'")
        yield ServerBlock(tuple(keys), first.line, _directives(reader))


def _directives(reader: _Reader) -> tuple[Directive, ...]:
    found: list[Directive] = []
    while (word := reader.next()).text != "}" or word.quoted:
        if word.text == "{" and not word.quoted:
            raise reader.error("unexpected '{'")
        found.append(_directive(word, reader))
    return tuple(found)


def _directive(name: Token, reader: _Reader) -> Directive:
    arguments: list[str] = []
    block: tuple[Directive, ...] | None = None
    while (word := reader.peek()) is not None and word.line == name.line:
        if not word.quoted and word.text == "{":
            reader.next()
            block = _directives(reader)
            break
        if not word.quoted and word.text == "}":
            break
        arguments.append(reader.next().text)
    return Directive(name.text, tuple(arguments), name.line, block)
