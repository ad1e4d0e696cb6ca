"""Sets, maps and verdict maps: elements, named and anonymous, and their look-up.

Source: nft(8) "SETS", "MAPS"; listing forms observed on nft 1.0.6.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal as Choice

from iptables_gen.effects import Accept, Drop, Verdict
from iptables_gen.nft.literals import Address, Interval, Literal, Number, Prefix, Style, Test, constant, test_of
from iptables_gen.nft.walk import UNKNOWN, Mark, Scalar, Signal, Value, Walk
from iptables_gen.origin import Origin
from iptables_gen.values import BITS, format_ip, parse_ip

Because = Callable[[], Origin]
DecisionKind = Choice["accept", "drop", "return", "continue", "jump", "goto"]
_VERDICTS: Mapping[str, Verdict] = {"accept": Accept(), "drop": Drop()}


@dataclass(frozen=True, slots=True)
class Decision:
    """`accept`, `drop`, `return`, `continue`, `jump CHAIN` or `goto CHAIN`."""

    kind: DecisionKind
    chain: str = ""

    def render(self, style: Style) -> str:
        """Return the verdict's text."""
        return f"{self.kind} {self.chain}" if self.chain else self.kind

    def signal(self, element: Element | None = None) -> Signal:
        """Return what the walk does."""
        text = f"{self.kind.upper()} {self.chain}".strip()
        if self.kind in ("accept", "drop"):
            return Signal("end", text, "", _VERDICTS[self.kind], element)
        return Signal(self.kind, text, self.chain, None, element)  # type: ignore[arg-type]


Data = Decision | tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Element:
    """One element: a key of one or more parts, and for maps the data. `timeout` in seconds, 0 when not given."""

    key: tuple[Literal, ...]
    data: Data | None = None
    comment: str = ""
    timeout: int = 0
    because: Because | None = field(default=None, compare=False, repr=False)

    @property
    def origin(self) -> Origin | None:
        """Return the manifest field that made the element."""
        return self.because() if self.because else None

    def render(self, style: Style) -> str:
        """Return `KEY [timeout T] [comment "C"] [: DATA]`."""
        parts = [_join(self.key, style)]
        if self.timeout:
            parts.append(f"timeout {render_time(self.timeout, style)}")
        if self.comment:
            parts.append(f'comment "{self.comment}"')
        if self.data is not None:
            parts.append(f": {render_data(self.data, style)}")
        return " ".join(parts)


def _join(parts: tuple[Literal, ...], style: Style) -> str:
    return " . ".join([part.render(style) for part in parts])


def render_data(data: Data, style: Style) -> str:
    """Return the data part of a map element."""
    return data.render(style) if isinstance(data, Decision) else _join(data, style)


_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def render_time(seconds: int, style: Style) -> str:
    """Return `10800s` for input, `3h` for listings."""
    if style is Style.INPUT:
        return f"{seconds}s"
    out, rest = "", seconds
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        out += f"{count}{unit}" if count else ""
    return out or "0s"


def parse_time(text: str) -> int:
    """Return seconds of `1d2h3m4s500ms` or a plain number; milliseconds are dropped."""
    if text.isdigit():
        return int(text)
    parts = re.findall(r"(\d+)(ms|d|h|m|s)", text)
    if not parts or "".join(a + b for a, b in parts) != text:
        raise ValueError(f"{text!r} is not a time")
    return sum(int(count) * _UNITS[unit] for count, unit in parts if unit != "ms")


class Index:
    """Elements of a set or map, indexed for look-up on first use: exact keys in a dict, ranges in a list."""

    __slots__ = ("_datatypes", "_exact", "_name", "_ranges", "_source", "_timeout")

    def __init__(
        self, elements: tuple[Element, ...], datatypes: tuple[str, ...], name: str = "", timeout: int = 0
    ) -> None:
        self._source: tuple[Element, ...] | None = elements
        self._datatypes, self._name, self._timeout = datatypes, name, timeout
        self._exact: dict[Value, Element] = {}
        self._ranges: list[tuple[tuple[Test | None, ...], Element]] = []

    def _build(self) -> None:
        for element in self._source or ():
            key = _exact_key(element.key, self._datatypes)
            if key is not None:
                self._exact[key] = element
            else:
                tests = tuple(test_of(p, d) for p, d in zip(element.key, self._datatypes, strict=False))
                self._ranges.append((tests, element))
        self._source = None

    def find(self, walk: Walk, key: Value) -> Element | Choice[Mark.UNKNOWN] | None:
        """Return the element holding a key; dynamic sets also hold what the host remembers for their timeout."""
        if self._source is not None:
            self._build()
        found = self._exact.get(key)
        if found is not None:
            return found
        if self._timeout and isinstance(key, int):
            age = walk.host.affinity_age(self._name, walk.packet.family, key)
            return Element((Number(key),)) if age is not None and age < self._timeout else None
        return self._in_ranges(key) if self._ranges else None

    def _in_ranges(self, key: Value) -> Element | Choice[Mark.UNKNOWN] | None:
        parts = key if isinstance(key, tuple) else (key,)
        unsure = False
        for tests, element in self._ranges:
            answers = [None if t is None else t(p) for t, p in zip(tests, parts, strict=False)]  # type: ignore[arg-type]
            if all(answers):
                return element
            unsure = unsure or (None in answers and False not in answers)
        return UNKNOWN if unsure else None


def _exact_key(key: tuple[Literal, ...], datatypes: tuple[str, ...]) -> Value:
    values: list[Scalar] = []
    for part, datatype in zip(key, datatypes, strict=False):
        value = constant(part, datatype)
        if value is None or (datatype == "ifname" and str(value).endswith("*")):
            return None
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)


@dataclass(frozen=True, slots=True)
class AnonymousSet:
    """`{ a , b }` inside a rule; a map when elements carry data.

    Listings drop the braces of a single element and merge neighbouring prefixes, as the kernel stores them.
    """

    elements: tuple[Element, ...]

    def render(self, style: Style) -> str:
        """Return the set in braces; a listing merges intervals first."""
        elements = merged(self.elements) if style is Style.LIST else self.elements
        if style is Style.LIST and len(elements) == 1 and elements[0].data is None:
            return elements[0].render(style)
        separator = ", " if style is Style.LIST else " , "
        return "{ " + separator.join([element.render(style) for element in elements]) + " }"


@dataclass(frozen=True, slots=True)
class SetReference:
    """`@NAME`."""

    name: str

    def render(self, style: Style) -> str:
        """Return `@NAME`."""
        return f"@{self.name}"


def merged(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    """Return interval elements sorted, overlapping and adjacent ones joined; other sets unchanged.

    Source: nft joins the intervals of a constant set before it loads them (observed: .18 and .19 list as .18/31).
    """
    keys = [element.key[0] for element in elements if len(element.key) == 1 and element.data is None]
    interval = any(isinstance(key, Prefix | Interval) and not _is_host(key) for key in keys)
    if len(keys) != len(elements) or not interval:
        return elements
    if not all(isinstance(key, Address | Prefix | Interval) for key in keys):
        return elements
    width = BITS[_family(keys[0])]
    joined: list[tuple[int, int]] = []
    for low, high in sorted(_bounds(key) for key in keys):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return tuple(Element((_from_bounds(low, high, width),)) for low, high in joined)


def _is_host(key: Literal) -> bool:
    return isinstance(key, Prefix) and key.length == BITS[key.family]


def _family(key: Literal) -> Choice[4, 6]:
    if isinstance(key, Prefix):
        return key.family
    text = key.low.render(Style.INPUT) if isinstance(key, Interval) else key.render(Style.INPUT)
    return parse_ip(text)[0]


def _bounds(key: Literal) -> tuple[int, int]:
    match key:
        case Prefix():
            return key.bounds
        case Interval(low, high):
            return low.value, high.value
        case Address() | Number():
            return key.value, key.value
        case _:
            raise ValueError(f"{key} has no bounds")


def _from_bounds(low: int, high: int, width: int) -> Literal:
    family: Choice[4, 6] = 4 if width == 32 else 6
    size = high - low + 1
    if size == 1:
        return Address(format_ip(family, low))
    if size & (size - 1) == 0 and low % size == 0:
        return Prefix(format_ip(family, low), width - size.bit_length() + 1)
    return Interval(Address(format_ip(family, low)), Address(format_ip(family, high)))


@dataclass(frozen=True, slots=True)
class SetDefinition:
    """A named set or map. `key_types`/`data_types` as the type clause spells them; data_types () for sets.

    `flags` in listing order; `timeout` in seconds, 0 when none; `size` 0 when not given. `typeof` keeps the
    expressions of a `typeof` clause.
    """

    name: str
    key_types: tuple[str, ...]
    data_types: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    timeout: int = 0
    size: int = 0
    comment: str = ""
    elements: tuple[Element, ...] = ()
    auto_merge: bool = False
    typeof: str = ""
    because: Because | None = field(default=None, compare=False, repr=False)

    @property
    def word(self) -> str:
        """Return `set` or `map`."""
        return "map" if self.data_types else "set"

    @property
    def type_clause(self) -> str:
        """Return `type K [: D]` or `typeof …`."""
        if self.typeof:
            return f"typeof {self.typeof}"
        data = f" : {' . '.join(self.data_types)}" if self.data_types else ""
        return f"type {' . '.join(self.key_types)}{data}"

    def clauses(self, style: Style) -> list[str]:
        """Return every clause but the elements, in the order nft prints them."""
        size = self.size or (65535 if style is Style.LIST and "dynamic" in self.flags else 0)
        return [
            self.type_clause,
            *([f"size {size}"] if size else []),
            *([f"flags {','.join(self.flags)}"] if self.flags else []),
            *([f"timeout {render_time(self.timeout, style)}"] if self.timeout else []),
            *(["auto-merge"] if self.auto_merge else []),
            *([f'comment "{self.comment}"'] if self.comment else []),
        ]

    def index(self) -> Index:
        """Return the elements ready for look-up."""
        dynamic = self.timeout or (1 << 62 if "dynamic" in self.flags else 0)
        return Index(self.elements, self.key_types, self.name, dynamic)
