"""Statements that only decide whether a rule goes on: comparisons, verdict maps, and what has no effect on a packet."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal as Choice

from iptables_gen.nft.expressions import Bitwise, Concat, Ct, Numgen, Operand, render_constant
from iptables_gen.nft.literals import Literal, Number, Style, Word, test_of
from iptables_gen.nft.sets import AnonymousSet, Decision, Element, Index, SetReference
from iptables_gen.nft.walk import BREAK, UNKNOWN, Answer, Env, Lookup, Mark, Step, Value, Walk

Verifier = Callable[[Walk, Value], bool | None]
_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
MARK_BITS = 32
_STATUS = {"dnat": "ct_dnat", "snat": "ct_snat"}


@dataclass(frozen=True, slots=True)
class Flags:
    """`new,established`: any of several bits of a bitmask type."""

    words: tuple[str, ...]

    def render(self, style: Style) -> str:
        """Return the words joined by commas."""
        return ",".join(self.words)


@dataclass(frozen=True, slots=True)
class Tuple:
    """`10.0.0.1 . tcp . 80` on the right side of a comparison."""

    parts: tuple[Literal, ...]

    def render(self, style: Style) -> str:
        """Return the parts joined by ` . `."""
        return " . ".join(part.render(style) for part in self.parts)


Right = Literal | AnonymousSet | SetReference | Flags | Tuple


@dataclass(frozen=True, slots=True)
class Match:
    """`LEFT [OPERATOR] RIGHT`: the rule goes on when it holds. operator "" is equality or membership.

    Source: nft(8) "EXPRESSIONS"; kernel net/netfilter/nft_cmp.c, nft_lookup.c.
    """

    left: Operand
    right: Right
    operator: str = ""

    def render(self, style: Style) -> str:
        """Return the comparison; a listing writes a mask of leading bits of a mark as a prefix length."""
        if style is Style.LIST and (shown := _mark_prefix(self)):
            return shown
        if isinstance(self.right, AnonymousSet | SetReference | Flags | Tuple):
            right = self.right.render(style)
        else:
            right = render_constant(self.right, self.left.datatype, style)
        middle = f" {self.operator} " if self.operator else " "
        return f"{self.left.render(style)}{middle}{right}"

    def prepare(self, env: Env) -> Step:
        """Return a step that breaks the rule when the comparison fails."""
        if isinstance(self.left, Ct) and self.left.key == "status":
            return _status_step(self.right, self.operator == "!=")
        read, verify, negated = self.left.prepare(env), self._verifier(env), self.operator == "!="

        def step(walk: Walk) -> Answer:
            value = read(walk)
            if value is None:
                return BREAK
            if value is UNKNOWN:
                return UNKNOWN
            held = verify(walk, value)
            return UNKNOWN if held is None else BREAK if held is negated else None

        return step

    def _verifier(self, env: Env) -> Verifier:
        right, datatype = self.right, self.left.datatype
        match right:
            case SetReference(name):
                return _membership(env.sets.get(name))
            case AnonymousSet(elements):
                return _membership(Index(elements, tuple(datatype.split(" . "))))
            case Tuple(parts):
                return _membership(Index((Element(parts),), tuple(datatype.split(" . "))))
            case Flags(words):
                return lambda walk, value: value in words
            case _:
                return _comparison(right, datatype, self.operator)


def _mark_prefix(match: Match) -> str:
    """Return `meta mark [!=] VALUE/LENGTH` for a mark masked by leading bits, "" for any other comparison."""
    left, right = match.left, match.right
    if not isinstance(left, Bitwise) or left.operator != "and" or left.left.datatype != "mark":
        return ""
    length = left.right.value.bit_count()
    if length > MARK_BITS or left.right.value != ((1 << length) - 1) << (MARK_BITS - length):
        return ""
    if not isinstance(right, Number) or match.operator not in ("", "==", "!="):
        return ""
    sign = "!= " if match.operator == "!=" else ""
    return f"{left.left.render(Style.LIST)} {sign}{right.value:#010x}/{length}"


def _membership(index: Lookup | None) -> Verifier:
    if index is None:
        return lambda walk, value: None

    def verify(walk: Walk, value: Value) -> bool | None:
        found = index.find(walk, value)
        return None if found is UNKNOWN else found is not None

    return verify


def _comparison(right: Literal, datatype: str, sign: str) -> Verifier:
    if sign in _ORDER and isinstance(right, Number):
        compare, bound = _ORDER[sign], right.value
        return lambda walk, value: compare(value, bound) if isinstance(value, int) else None
    test = test_of(right, datatype) if datatype else None
    if test is None:
        return lambda walk, value: None
    return lambda walk, value: test(value)  # type: ignore[arg-type]


def _status_step(right: Right, negated: bool) -> Step:
    words = right.words if isinstance(right, Flags) else (right.text,) if isinstance(right, Word) else ()
    names = [_STATUS.get(word, "") for word in words]

    def step(walk: Walk) -> Answer:
        if any(getattr(walk.packet, name) for name in names if name):
            return BREAK if negated else None
        if not names or "" in names:
            return UNKNOWN
        return None if negated else BREAK

    return step


@dataclass(frozen=True, slots=True)
class Vmap:
    """`KEY vmap @MAP` or `KEY vmap { K : VERDICT , … }`: the element's verdict is the rule's; no element breaks it."""

    key: Operand
    table: AnonymousSet | SetReference

    def render(self, style: Style) -> str:
        """Return the statement."""
        return f"{self.key.render(style)} vmap {self.table.render(style)}"

    def prepare(self, env: Env) -> Step:
        """Return a step that answers the verdict found."""
        read, find = self.key.prepare(env), finder(self.table, self.key, env)

        def step(walk: Walk) -> Answer:
            element = find(walk, read(walk))
            if element is None or element is UNKNOWN:
                return BREAK if element is None else UNKNOWN
            return element.data.signal(element) if isinstance(element.data, Decision) else UNKNOWN

        return step


Found = Element | Choice[Mark.UNKNOWN] | None
Finder = Callable[[Walk, Value], Found]


def finder(table: AnonymousSet | SetReference, key: Operand, env: Env) -> Finder:
    """Return a look-up of a map: the element, None, or UNKNOWN (no such map, unknown key)."""
    index: Lookup | None
    if isinstance(table, SetReference):
        index = env.sets.get(table.name)
    else:
        index = Index(table.elements, tuple(key.datatype.split(" . ")))

    def find(walk: Walk, value: Value) -> Found:
        if value is None or value is UNKNOWN:
            return value
        return UNKNOWN if index is None else index.find(walk, value)

    return find


@dataclass(frozen=True, slots=True)
class Counter:
    """`counter [packets N bytes N]`, or `counter name X`: no effect on the packet."""

    packets: int = 0
    octets: int = 0
    name: str = ""

    def render(self, style: Style) -> str:
        """Return the clause; a listing always shows the numbers."""
        if self.name:
            return f'counter name "{self.name}"'
        if style is Style.LIST or self.packets or self.octets:
            return f"counter packets {self.packets} bytes {self.octets}"
        return "counter"

    def prepare(self, env: Env) -> Step:
        """Return a step that does nothing."""
        return _nothing


@dataclass(frozen=True, slots=True)
class Harmless:
    """A statement that no packet feels (`log prefix "x"`, `nftrace`), kept verbatim."""

    text: str

    def render(self, style: Style) -> str:
        """Return the text as read."""
        return self.text

    def prepare(self, env: Env) -> Step:
        """Return a step that does nothing."""
        return _nothing


def _nothing(walk: Walk) -> Answer:
    return None


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit rate [over] N/UNIT [burst N packets]`: depends on the traffic so far, hence UNKNOWN."""

    text: str

    def render(self, style: Style) -> str:
        """Return the clause as read."""
        return self.text

    def prepare(self, env: Env) -> Step:
        """Return a step that cannot tell."""
        return _unsure


@dataclass(frozen=True, slots=True)
class Opaque:
    """Statements that this package does not know, verbatim: from the first unknown word to the rule's comment."""

    text: str

    def render(self, style: Style) -> str:
        """Return the text as read."""
        return self.text

    def prepare(self, env: Env) -> Step:
        """Return a step that cannot tell."""
        return _unsure


def _unsure(walk: Walk) -> Answer:
    return UNKNOWN


def numgen_in(expression: Operand) -> Numgen | None:
    """Return the random number an expression draws, if any."""
    match expression:
        case Numgen():
            return expression
        case Bitwise(left):
            return numgen_in(left)
        case Concat(parts):
            return next((found for part in parts if (found := numgen_in(part))), None)
        case _:
            return None
