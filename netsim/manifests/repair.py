"""Text that is not YAML, put right where it can be guessed: so that all slips of a document are found, not one.

What comes out is never used as an object; `validate` says what else would be wrong once the syntax is mended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from netsim.manifests.yamldoc import BadYAML, YamlDocument, read

_MAX_SIZE = 1 << 18
_MAX_STEPS = 25
_BARE_KEY = re.compile(rb"\s*[A-Za-z0-9._/-]+\s*")
_INDENT = re.compile(rb"[ \t]*")

Lines = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Mended:
    """A document as it was probably meant, and what was changed first."""

    document: YamlDocument
    hint: str


def repaired(content: bytes, first_line: int) -> Mended | None:
    """Return the document after small changes to the lines that libyaml stumbles over, None when that fails.

    Tried in this order, each kept when the next error is further down: tabs in indentation become spaces, a bare word
    gets its colon, a line moves under its neighbour, a line (`...`, say) is left out.
    """
    if len(content) > _MAX_SIZE:
        return None
    lines: Lines = tuple(content.split(b"\n"))
    first_hint = ""
    for _ in range(_MAX_STEPS):
        outcome = _attempt(lines, first_line)
        if not isinstance(outcome, int):
            return Mended(outcome, first_hint) if outcome is not None else None
        step = _better(lines, outcome, first_line)
        if step is None:
            return None
        hint, lines = step
        first_hint = first_hint or hint
    return None


def _better(lines: Lines, failing: int, first_line: int) -> tuple[str, Lines] | None:
    """Return the first change after which reading gets past the line at which it fails."""
    for hint, candidate in _candidates(lines, failing, first_line):
        after = _attempt(candidate, first_line)
        if not isinstance(after, int) or after > failing:
            return hint, candidate
    return None


def _attempt(lines: Lines, first_line: int) -> YamlDocument | int | None:
    """Return the document, or the index of the line at which reading fails."""
    try:
        return read(b"\n".join(lines), first_line)
    except BadYAML as error:
        return min(max(error.problem.line - first_line, 0), len(lines) - 1)


def _candidates(lines: Lines, index: int, first_line: int) -> Iterator[tuple[str, Lines]]:
    """Yield changed texts for an error at a line, the most careful first, each with what was probably wrong."""
    if any(b"\t" in _indent(line) for line in lines):
        for width in (2, 4, 8, 1):
            yield "a tab cannot indent YAML: use spaces", tuple(_without_tabs(line, width) for line in lines)
    before = next((i for i in range(index - 1, -1, -1) if lines[i].strip()), None)
    for place in (before, index):
        if place is not None and _BARE_KEY.fullmatch(lines[place]) and lines[place].strip() != b"...":
            word = lines[place].strip().decode("ascii", "replace")
            hint = f"line {first_line + place}: is the colon after `{word}` missing?"
            yield hint, _with(lines, place, lines[place].rstrip() + b":")
    if before is not None:
        for column in _columns(lines[before]):
            yield "its indentation fits no line above", _with(lines, index, b" " * column + lines[index].lstrip())
    for place in (index, before):
        if place is not None:
            shown = lines[place].strip().decode("utf-8", "replace")[:40]
            yield f"line {first_line + place}: `{shown}` is no YAML here", _with(lines, place, b"")


def _columns(line: bytes) -> Iterator[int]:
    """Yield where a line's neighbour may start: level with it, or with what stands behind its dash."""
    start = len(_indent(line))
    if line[start : start + 2] == b"- ":
        yield start + 2
    yield start


def _indent(line: bytes) -> bytes:
    match = _INDENT.match(line)
    return match.group() if match else b""


def _without_tabs(line: bytes, width: int) -> bytes:
    indent = _indent(line)
    return indent.replace(b"\t", b" " * width) + line[len(indent) :]


def _with(lines: Lines, index: int, line: bytes) -> Lines:
    return (*lines[:index], line, *lines[index + 1 :])
