"""One YAML document: JSON-like data and the place of every key and value, built from libyaml's events.

Events and a stack of our own instead of PyYAML's composer: ten times faster, no recursion, places for free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml

from netsim.errors import Where
from netsim.manifests.scalars import BadScalar, Scalar, key_text, plain, tagged

Spot = tuple[int, int]
"""Line and column, 1-based, of a scalar's value."""
MAX_DEPTH = 250
"""Collections within collections; kubectl stops at 10,000, no object of Kubernetes passes 50."""


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """What is wrong with a document's text, and where."""

    line: int
    column: int
    message: str
    hint: str = ""
    fatal: bool = True


class BadYAML(Exception):
    """The document cannot be read."""

    def __init__(self, problem: SyntaxProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class Place:
    """Where a collection starts, and the places of what it holds: key -> (key's spot, value's place), or a list."""

    spot: Spot
    entries: dict[str, tuple[Spot, Place | Spot]] = field(default_factory=dict)
    items: list[Place | Spot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class YamlPositions:
    """Positions of one object in a YAML file. `letters`: see YamlDocument."""

    file: str
    root: Place | Spot
    letters: Mapping[Spot, str] = field(default_factory=dict)

    def find(self, path: tuple[str | int, ...], *, key: bool = False) -> Where:
        """Return the place of the value at *path* (of its key with `key`), or of its nearest existing ancestor."""
        place = self.root
        spot = spot_of(place)
        for part in path:
            step = _step(place, part)
            if step is None:
                break
            key_spot, place = step
            spot = key_spot if key else spot_of(place)
        return Where(self.file, *spot)


def spot_of(place: Place | Spot) -> Spot:
    """Return where a value starts."""
    return place.spot if isinstance(place, Place) else place


def _step(place: Place | Spot, part: str | int) -> tuple[Spot, Place | Spot] | None:
    if not isinstance(place, Place):
        return None
    if isinstance(part, str):
        return place.entries.get(part)
    if part < len(place.items):
        inner = place.items[part]
        return spot_of(inner), inner
    return None


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A document that could be read: its data, places, and what is doubtful in it (duplicate keys).

    `letters` are the places of plain `y`, `Y`, `n` and `N`: booleans to kubectl, text to YAML 1.2 and to PyYAML.
    """

    data: Any
    place: Place | Spot
    problems: tuple[SyntaxProblem, ...]
    letters: Mapping[Spot, str]


def read(text: bytes, first_line: int) -> YamlDocument | None:
    """Return the first document of *text*, None when it holds nothing; *first_line* is the file's line of its start.

    Raises:  BadYAML with go-yaml's message when it cannot be read.
    """
    try:
        return _Reader(text, first_line).read()
    except yaml.reader.ReaderError as error:
        raise BadYAML(_unreadable(error, text, first_line)) from None
    except yaml.YAMLError as error:
        raise BadYAML(_syntax(error, first_line)) from None


@dataclass(slots=True)
class _Open:
    """A collection being filled. `key` is the mapping key that waits for its value, `below` the levels under it."""

    data: Any
    place: Place
    is_map: bool
    anchor: str | None
    size: int = 1
    copied: int = 0
    below: int = 0
    key: str | None = None
    key_spot: Spot = (0, 0)
    merging: bool = False
    merged: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Anchor:
    value: Any
    place: Place | Spot
    size: int
    levels: int = 0


class _Reader:
    """Fills collections from events; one per document."""

    __slots__ = ("anchors", "first_line", "letters", "memo", "next_event", "problems", "stack")

    def __init__(self, text: bytes, first_line: int) -> None:
        from yaml._yaml import CParser

        self.next_event: Callable[[], Any] = CParser(text).get_event
        self.first_line = first_line
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchor] = {}
        self.memo: dict[str, Scalar] = {}
        self.letters: dict[Spot, str] = {}
        self.problems: list[SyntaxProblem] = []

    def read(self) -> YamlDocument | None:
        """Consume events until the document ends."""
        root = _Open([], Place((self.first_line, 1)), is_map=False, anchor=None)
        self.stack.append(root)
        for event in self._events():
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event, is_map=kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentEndEvent:
                break
        if not root.data:
            return None
        self._check_rest()
        return YamlDocument(root.data[0], root.place.items[0], tuple(self.problems), self.letters)

    def _events(self) -> Iterator[Any]:
        while (event := self.next_event()) is not None:
            yield event

    def _spot(self, event: Any) -> Spot:
        mark = event.start_mark
        return mark.line + self.first_line, mark.column + 1

    def _fail(self, spot: Spot, message: str, hint: str = "") -> BadYAML:
        return BadYAML(SyntaxProblem(*spot, message, hint))

    def _scalar(self, event: Any) -> None:
        text = event.value
        spot = self._spot(event)
        top = self.stack[-1]
        if top.is_map and top.key is None and text == "<<" and (event.implicit[0] or event.tag == _MERGE):
            top.key, top.key_spot, top.merging = text, spot, True
            return
        value: Scalar
        if event.implicit[0]:
            if text in self.memo:
                value = self.memo[text]
            else:
                value = self.memo[text] = self._resolve(plain, text, spot)
            if text in _LETTERS:
                self.letters[spot] = text
        elif event.tag is None:
            value = text
        else:
            value = self._resolve(partial(tagged, event.tag), text, spot)
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(value, spot, 1)
        self._add(value, spot, 1)

    def _resolve(self, read: Callable[[str], Scalar], text: str, spot: Spot) -> Scalar:
        try:
            return read(text)
        except BadScalar as error:
            raise self._fail(spot, str(error)) from None

    def _open(self, event: Any, *, is_map: bool) -> None:
        spot = self._spot(event)
        self._deepen(1, spot)
        if self.stack[-1].is_map and self.stack[-1].key is None:
            raise self._fail(spot, "yaml: invalid map key: a mapping or list cannot be a key")
        self.stack.append(_Open({} if is_map else [], Place(spot), is_map, event.anchor))

    def _deepen(self, levels: int, spot: Spot) -> None:
        """Note that the innermost open collection has so many levels below it."""
        if len(self.stack) + levels > MAX_DEPTH:
            raise self._fail(spot, f"yaml: exceeded max depth of {MAX_DEPTH}")
        top = self.stack[-1]
        top.below = max(top.below, levels)

    def _close(self) -> None:
        done = self.stack.pop()
        if done.anchor:
            self.anchors[done.anchor] = _Anchor(done.data, done.place, done.size, done.below + 1)
        parent = self.stack[-1]
        parent.below = max(parent.below, done.below + 1)
        parent.copied += done.copied
        self._add(done.data, done.place, done.size)

    def _alias(self, event: Any) -> None:
        spot = self._spot(event)
        known = self.anchors.get(event.anchor)
        if known is None:
            inside = any(opened.anchor == event.anchor for opened in self.stack)
            why = (
                f"anchor '{event.anchor}' value contains itself"
                if inside
                else f"unknown anchor '{event.anchor}' referenced"
            )
            raise self._fail(spot, f"yaml: {why}")
        self._deepen(known.levels, spot)
        top = self.stack[-1]
        top.copied += known.size
        self._add(known.value, known.place, known.size)
        copied = sum(opened.copied for opened in self.stack)
        total = sum(opened.size for opened in self.stack)
        if copied > 100 and total > 1000 and copied / total > _allowed_alias_ratio(total):
            raise self._fail(spot, "yaml: document contains excessive aliasing")

    def _add(self, value: Any, place: Place | Spot, size: int) -> None:
        """Give a finished value to the innermost open collection."""
        top = self.stack[-1]
        top.size += size
        if not top.is_map:
            top.data.append(value)
            top.place.items.append(place)
        elif top.key is None:
            top.key_spot = spot_of(place)
            top.key = self._key(value, top.key_spot)
        elif top.merging:
            self._merge(top, value, place)
            top.key, top.merging = None, False
        else:
            self._set(top, top.key, value, place)
            top.key = None

    def _key(self, value: Any, spot: Spot) -> str:
        if isinstance(value, dict | list):
            raise self._fail(spot, "yaml: invalid map key: a mapping or list cannot be a key")
        if type(value) is str:
            return value
        try:
            return key_text(value)
        except BadScalar as error:
            raise self._fail(spot, str(error)) from None

    def _set(self, top: _Open, key: str, value: Any, place: Place | Spot) -> None:
        if key in top.data and key not in top.merged:
            first = top.place.entries[key][0]
            text = f'key "{key}" already set in map'
            self.problems.append(SyntaxProblem(*top.key_spot, text, f"first set at line {first[0]}", fatal=False))
        top.merged.discard(key)
        top.data[key] = value
        top.place.entries[key] = (top.key_spot, place)

    def _merge(self, top: _Open, value: Any, place: Place | Spot) -> None:
        """Apply `<<`. As in go-yaml v2, keys set earlier are overridden and keys set later override."""
        sources = (
            list(zip(value, place.items, strict=True)) if isinstance(value, list) and isinstance(place, Place) else None
        )
        for source, where in reversed(sources) if sources is not None else [(value, place)]:
            if not isinstance(source, dict) or not isinstance(where, Place):
                raise self._fail(top.key_spot, "yaml: map merge requires map or sequence of maps as the value")
            top.data.update(source)
            top.place.entries.update(where.entries)
            top.merged.update(source)

    def _check_rest(self) -> None:
        """Warn of content after `...`, which kubectl never reads."""
        try:
            event = self.next_event()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            spot = (mark.line + self.first_line, mark.column + 1) if mark else (self.first_line, 1)
        else:
            if type(event) is not yaml.DocumentStartEvent:
                return
            spot = self._spot(event)
        text = "the document ends above: kubectl ignores this and everything after it"
        hint = "wrong indentation, or a missing --- between documents"
        self.problems.append(SyntaxProblem(*spot, text, hint, fatal=False))


_LETTERS = frozenset("yYnN")
_MERGE = "tag:yaml.org,2002:merge"
_FEW, _MANY = 400_000, 4_000_000


def _allowed_alias_ratio(nodes: int) -> float:
    """Return the share of nodes that may come from aliases: 99 % of small documents, 10 % of very large ones.

    Source:  go-yaml v2 decode.go, the defence against "billion laughs" that kubectl has.
    """
    if nodes <= _FEW:
        return 0.99
    return max(0.10, 0.99 - 0.89 * (nodes - _FEW) / (_MANY - _FEW))


def _unreadable(error: yaml.reader.ReaderError, text: bytes, first_line: int) -> SyntaxProblem:
    """Return go-yaml's words for bytes that are no text, with the place of the first."""
    before = text[: error.position]
    line = before.count(b"\n")
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return SyntaxProblem(first_line + line, column, f"error converting YAML to JSON: yaml: {error.reason}")


def _syntax(error: yaml.YAMLError, first_line: int) -> SyntaxProblem:
    """Return go-yaml's words and line for a libyaml error."""
    context, mark = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    problem = (
        getattr(error, "problem", None) or getattr(error, "reason", None) or "unknown problem parsing YAML content"
    )
    best = mark or context
    line, column = (best.line + first_line, best.column + 1) if best else (first_line, 0)
    # go-yaml counts lines from 0 for its parser's errors and from 1 for its scanner's, and leaves line 0 out.
    named = best.line if best else 0
    named += 1 if isinstance(error, yaml.scanner.ScannerError) and named else 0
    where = f"line {named}: " if named else ""
    return SyntaxProblem(line, column, f"error converting YAML to JSON: yaml: {where}{problem}")
