"""JSON documents: orjson for speed, an exact check for duplicate keys, places found on demand in the raw bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from netsim.errors import Where
from netsim.manifests.lines import LineIndex, line_index
from netsim.manifests.yamldoc import SyntaxProblem

_SPACE = b" \t\r\n"
_SPACES = re.compile(rb"[ \t\r\n]*")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_COMMA = re.compile(rb"[ \t\r\n]*,?[ \t\r\n]*")
# What Go's encoder (kubectl -o json) escapes and orjson does not; inside strings only, so no token is made or lost.
_GO_ESCAPES = ((b"\\u003c", b"<"), (b"\\u003e", b">"), (b"\\u0026", b"&"))


Steps = dict[str | int, tuple[int, int]]
"""Of each member or element of a collection: the offsets of its key and of its value."""
_MOST_STEPS = 50_000
"""Collections that one file remembers before it forgets all."""


class NotJSON(Exception):
    """The text is not JSON; `offset` is where reading stopped, in bytes."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(slots=True)
class Source:
    """The bytes of one JSON file and, once somebody asks, where its lines and the items of its List start."""

    file: str
    raw: bytes
    _items: list[int] = field(default_factory=list)
    _index: LineIndex | None = None
    _steps: dict[int, Steps] = field(default_factory=dict)

    def where(self, offset: int) -> Where:
        """Return file, line and column of a byte offset (column in characters)."""
        if self._index is None:
            self._index = line_index(self.raw)
        return Where(self.file, *self._index.place(offset))

    def offset(self, start: int, path: Sequence[str | int], *, key: bool = False) -> int:
        """Return what `offset_of` does, remembering every collection on the way: places are asked for in clusters."""
        offset = value = _end_of_space(self.raw, start)
        for part in path:
            if value not in self._steps:
                if len(self._steps) > _MOST_STEPS:
                    self._steps.clear()
                self._steps[value] = steps(self.raw, value)
            step = self._steps[value].get(part)
            if step is None:
                break
            key_at, value = step
            offset = key_at if key else value
        return offset

    def item(self, start: int, index: int) -> int:
        """Return the offset of element *index* of the `items` of the List that starts at *start*."""
        if not self._items:
            self._items = list(item_offsets(self.raw, start))
        return self._items[index] if index < len(self._items) else start


@dataclass(frozen=True, slots=True)
class JsonPositions:
    """Positions of one object: document at `start`, and its index in `items` if the document is a List."""

    source: Source
    start: int
    index: int = -1

    def find(self, path: tuple[str | int, ...], *, key: bool = False) -> Where:
        """Return the place of the value at *path* (of its key with `key`), or of its nearest existing ancestor."""
        start = self.source.item(self.start, self.index) if self.index >= 0 else self.start
        return self.source.where(self.source.offset(start, path, key=key))


def parse(raw: bytes) -> Any:
    """Return the value of a text that is exactly one JSON value.

    Raises:  NotJSON.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NotJSON(error.msg, len(error.doc[: error.pos].encode("utf-8", "surrogatepass"))) from None


def has_duplicate_keys(raw: bytes, value: Any) -> bool:
    """Return whether any object of the text names a key twice. Exact; cheap for text from the usual writers.

    Written again, a value without duplicates has the text's tokens; with duplicates it has fewer. So texts that are
    equal but for white space prove that there is none, and only otherwise (unusual escapes or numbers) every object is
    looked at.

    Raises:  NotJSON for what is nested so deep (254 levels) that it cannot be written again.
    """
    try:
        again = orjson.dumps(value).translate(None, _SPACE)
    except TypeError:
        raise NotJSON("exceeded max depth", 0) from None
    text = raw.translate(None, _SPACE)
    if text == again:
        return False
    for escaped, plain in _GO_ESCAPES:
        text = text.replace(escaped, plain)
    return text != again and bool(_duplicates(raw))


def _duplicates(raw: bytes) -> list[str]:
    found: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            keys = [key for key, _ in pairs]
            found.extend(dict.fromkeys(key for key in keys if keys.count(key) > 1))
        return made

    # Numbers stay text: their values are not needed here, and Python refuses to read very long ones.
    json.loads(raw, object_pairs_hook=check, parse_int=str, parse_float=str)
    return found


def duplicate_keys(source: Source, start: int) -> Iterator[SyntaxProblem]:
    """Yield each second naming of a key in the value at *start*, with its place."""
    raw = source.raw
    open_objects: list[dict[bytes, int] | None] = []
    expect_key = False
    for match in _TOKEN.finditer(raw, start):
        token = match.group()
        first = token[:1]
        if expect_key and first == b'"' and open_objects and open_objects[-1] is not None:
            keys = open_objects[-1]
            name = orjson.loads(token)
            if name in keys:
                place = source.where(match.start())
                seen = source.where(keys[name]).line
                text = f'key "{name}" already set in map'
                yield SyntaxProblem(place.line, place.column, text, f"first set at line {seen}", fatal=False)
            keys.setdefault(name, match.start())
            expect_key = False
        elif first == b"{":
            open_objects.append({})
            expect_key = True
        elif first == b"[":
            open_objects.append(None)
        elif first in b"}]" and open_objects:
            open_objects.pop()
            if not open_objects:
                return
        elif first == b",":
            expect_key = open_objects[-1] is not None if open_objects else False


def documents(raw: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of each of several JSON values one after the other.

    Raises:  NotJSON at the first that is none.
    """
    text = raw.decode("utf-8", "surrogateescape")
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)
    position = offset = 0
    while True:
        begin = _skip(text, position)
        offset += begin - position
        if begin == len(text):
            return
        try:
            _, position = decoder.raw_decode(text, begin)
        except json.JSONDecodeError as error:
            raise NotJSON(error.msg, offset + _size(text[begin : error.pos])) from None
        except RecursionError:
            raise NotJSON("exceeded max depth", offset) from None
        end = offset + _size(text[begin:position])
        yield offset, end
        offset = end


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def item_offsets(raw: bytes, start: int) -> Iterator[int]:
    """Yield the offset of each element of the top-level `items` of the object at *start*."""
    yield from _offsets_by_length(raw) if start == 0 else _offsets_by_token(raw, start)


def _offsets_by_length(raw: bytes) -> Iterator[int]:
    """Yield them for a file that is one object: msgspec skips values a hundred times faster than a regex does."""
    import msgspec

    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    whole = bytes(members["items"])
    position = raw.find(whole[:256])
    while position >= 0 and raw[position : position + len(whole)] != whole:
        position = raw.find(whole[:256], position + 1)
    position += 1
    for item in msgspec.json.decode(whole, type=list[msgspec.Raw]):
        position = _end_of_comma(raw, position)
        yield position
        position += len(memoryview(item))


def _offsets_by_token(raw: bytes, start: int) -> Iterator[int]:
    position = offset_of(raw, start, ("items",)) + 1
    position = _end_of_space(raw, position)
    while position < len(raw) and raw[position] != 0x5D:
        yield position
        position = _end_of_comma(raw, end_of_value(raw, position))


def _end_of_space(raw: bytes, position: int) -> int:
    match = _SPACES.match(raw, position)
    return match.end() if match else position


def _end_of_comma(raw: bytes, position: int) -> int:
    match = _COMMA.match(raw, position)
    return match.end() if match else position


_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


def end_of_value(raw: bytes, start: int) -> int:
    """Return the offset just after the JSON value at *start* (of a text known to be valid)."""
    if raw[start : start + 1] not in (b"{", b"["):
        match = _TOKEN.match(raw, start)
        return match.end() if match else start
    depth = 0
    for match in _STRUCTURE.finditer(raw, start):
        byte = raw[match.start()]
        if byte in b"{[":
            depth += 1
        elif byte in b"}]":
            depth -= 1
            if depth == 0:
                return match.end()
    return len(raw)


def offset_of(raw: bytes, start: int, path: Sequence[str | int], *, key: bool = False) -> int:
    """Return the offset of the value at *path* below the value at *start*, or of its nearest existing ancestor."""
    offset = value = _end_of_space(raw, start)
    for part in path:
        step = steps(raw, value).get(part)
        if step is None:
            break
        key_at, value = step
        offset = key_at if key else value
    return offset


def steps(raw: bytes, start: int) -> Steps:
    """Return the offsets of what the collection at *start* holds; of the last one if a key is there twice."""
    match raw[start : start + 1]:
        case b"{":
            return dict(_members(raw, start))
        case b"[":
            return dict(_elements(raw, start))
        case _:
            return {}


def _members(raw: bytes, start: int) -> Iterator[tuple[str | int, tuple[int, int]]]:
    position = _end_of_space(raw, start + 1)
    while position < len(raw) and raw[position : position + 1] == b'"':
        token = _TOKEN.match(raw, position)
        assert token is not None
        value = _end_of_space(raw, _end_of_space(raw, token.end()) + 1)
        yield orjson.loads(token.group()), (position, value)
        position = _end_of_comma(raw, end_of_value(raw, value))


def _elements(raw: bytes, start: int) -> Iterator[tuple[str | int, tuple[int, int]]]:
    position, index = _end_of_space(raw, start + 1), 0
    while position < len(raw) and raw[position] != 0x5D:
        yield index, (position, position)
        position, index = _end_of_comma(raw, end_of_value(raw, position)), index + 1
