"""Reading one rule: expressions, statements, and where knowledge ends (Opaque).

Source: nft(8); grammar reduced to what rulesets of nodes hold. Unknown words never fail: the rest of the rule up to
its comment is kept verbatim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from iptables_gen.nft.expressions import (
    BARE_META,
    FIELDS,
    Bitwise,
    Concat,
    Constant,
    Ct,
    Fib,
    Meta,
    Numgen,
    Operand,
    Payload,
)
from iptables_gen.nft.ir import Rule
from iptables_gen.nft.lexer import Words
from iptables_gen.nft.literals import Literal, Number, Style, Word, parse_literal
from iptables_gen.nft.matches import MARK_BITS, Counter, Flags, Harmless, Limit, Match, Opaque, Right, Tuple, Vmap
from iptables_gen.nft.sets import AnonymousSet, Data, Decision, Element, SetReference, parse_time
from iptables_gen.nft.statements import (
    Assign,
    Lookup,
    MasqueradeStatement,
    Nat,
    NoTrackStatement,
    Redirect,
    RejectStatement,
    Statement,
    UpdateSet,
    VerdictStatement,
)
from iptables_gen.values import parse_endpoint

STOPS = frozenset({"", "\n", ";", "}"})
_HEADERS = frozenset({header for header, _ in FIELDS} | {"icmp", "icmpv6", "igmp", "ether", "arp", "vlan", "ah", "esp"})
_BITS = {"and": "and", "&": "and", "or": "or", "|": "or", "xor": "xor", "^": "xor"}
_COMPARE = frozenset({"==", "!=", "<", ">", "<=", ">="})
_MASKED = re.compile(r"(0x[0-9a-f]+)/([12]?[0-9]|3[0-2])\Z")
_LATER = frozenset({"comment", "set", "vmap", "map"})


class _UnknownWord(Exception):
    """The grammar ends here; the caller keeps the rest of the rule verbatim."""


def parse_rule(words: Words) -> Rule:
    """Read statements up to the end of the line (or `;`, `}`); what is not understood becomes one Opaque."""
    statements: list[Statement] = []
    comment = ""
    while words.peek() not in STOPS:
        if words.peek() == "comment" and words.peek(1)[:1] == '"':
            words.take()
            comment = words.take().strip('"')
            continue
        start = words.at
        try:
            statements.append(_statement(words))
        except _UnknownWord:
            words.at = start
            statements.append(_opaque(words))
    return Rule(tuple(statements), comment)


def _opaque(words: Words) -> Opaque:
    start, depth = words.at, 0
    while words.peek() not in ("", "\n") and not (words.peek() in (";", "}") and not depth):
        if words.peek() == "comment" and words.peek(1)[:1] == '"' and not depth:
            break
        depth += {"{": 1, "}": -1}.get(words.peek(), 0)
        words.take()
    return Opaque(words.text_between(start, words.at))


def _statement(words: Words) -> Statement:
    special = _STATEMENTS.get(words.peek())
    if special is not None:
        return special(words)
    left = parse_operand(words)
    if words.take_if("set"):
        if not isinstance(left, Meta | Ct):
            raise _UnknownWord
        return Assign(left, _typed(parse_operand(words), left.datatype))
    if words.take_if("vmap"):
        return Vmap(left, _table(words))
    sign = words.take() if words.peek() in _COMPARE else ""
    masked = _MASKED.match(words.peek()) if left.datatype == "mark" else None
    if masked is not None:
        words.take()
        length = int(masked[2])
        mask = ((1 << length) - 1) << (MARK_BITS - length)
        return Match(Bitwise(left, "and", Number(mask, True)), Number(int(masked[1], 16), True), sign or "==")
    return Match(left, _right(words), sign)


def _typed(value: Operand, datatype: str) -> Operand:
    return Constant(value.literal, datatype) if isinstance(value, Constant) else value


def parse_operand(words: Words) -> Operand:
    """Read an expression: fields joined by ` . `, with bit operations."""
    parts = [_bits(words)]
    while words.take_if("."):
        parts.append(_bits(words))
    return parts[0] if len(parts) == 1 else Concat(tuple(parts))


def _bits(words: Words) -> Operand:
    left = _primary(words)
    while words.peek() in _BITS:
        operator = _BITS[words.take()]
        right = parse_literal(words.take())
        if not isinstance(right, Number):
            raise _UnknownWord
        left = Bitwise(left, operator, right)
    return left


def _primary(words: Words) -> Operand:
    word = words.peek()
    if word == "meta" and words.peek(1) not in STOPS:
        words.take()
        return Meta(words.take())
    if word in BARE_META:
        return Meta(words.take())
    if word == "ct" and words.peek(1) not in ("original", "reply", "helper", "timeout", *STOPS):
        words.take()
        return Ct(words.take())
    if word in _HEADERS and words.peek(1).replace("-", "").isalnum():
        return Payload(words.take(), words.take())
    if word == "fib":
        return _fib(words)
    if word == "numgen":
        return _numgen(words)
    return Constant(_constant(words))


def _constant(words: Words) -> Literal:
    # A bare word is an expression this package does not know: only numbers and addresses stand for themselves here.
    literal = parse_literal(words.peek())
    if isinstance(literal, Word):
        raise _UnknownWord
    words.take()
    return literal


def _fib(words: Words) -> Fib:
    words.expect("fib")
    keys = [words.take()]
    while words.take_if("."):
        keys.append(words.take())
    return Fib(tuple(keys), words.take())


def _numgen(words: Words) -> Numgen:
    words.expect("numgen")
    mode = words.take()
    words.expect("mod")
    modulus = words.integer()
    offset = words.integer() if words.take_if("offset") else 0
    if mode not in ("random", "inc") or not 0 < modulus <= 1 << 32:
        raise _UnknownWord
    return Numgen(mode, modulus, offset)


def _right(words: Words) -> Right:
    word = words.peek()
    if word == "{":
        return parse_anonymous(words)
    if word[:1] == "@":
        return SetReference(words.take()[1:])
    if word in STOPS or word in _LATER:
        raise _UnknownWord
    first = parse_literal(words.take())
    if words.peek() == "/":
        raise _UnknownWord
    if words.peek() == ",":
        return _flags(first, words)
    if words.peek() == ".":
        return Tuple(_more_parts(first, words))
    return first


def _flags(first: Literal, words: Words) -> Flags:
    listed = [first.render(Style.INPUT)]
    while words.take_if(","):
        listed.append(words.take())
    if words.peek() == "/":
        raise _UnknownWord
    return Flags(tuple(listed))


def _more_parts(first: Literal, words: Words) -> tuple[Literal, ...]:
    parts = [first]
    while words.take_if("."):
        parts.append(parse_literal(words.take()))
    return tuple(parts)


def _table(words: Words) -> AnonymousSet | SetReference:
    if words.peek()[:1] == "@":
        return SetReference(words.take()[1:])
    return parse_anonymous(words)


def parse_anonymous(words: Words) -> AnonymousSet:
    """Read `{ element , element … }`."""
    return AnonymousSet(parse_elements(words))


def parse_elements(words: Words) -> tuple[Element, ...]:
    """Read elements in braces; line breaks between them are allowed."""
    words.expect("{")
    elements: list[Element] = []
    _skip_lines(words)
    while not words.take_if("}"):
        elements.append(_element(words))
        _skip_lines(words)
        if not words.take_if(",") and words.peek() != "}":
            raise words.error(f"expected ',' or '}}', found {words.peek()!r}")
        _skip_lines(words)
    return tuple(elements)


def _skip_lines(words: Words) -> None:
    while words.peek() == "\n":
        words.take()


def _element(words: Words) -> Element:
    if words.peek() in STOPS:
        raise words.error("expected an element")
    key = _more_parts(parse_literal(words.take()), words)
    timeout, comment = 0, ""
    while (word := words.peek()) in ("timeout", "expires", "comment", "counter"):
        words.take()
        if word == "timeout":
            timeout = _time(words)
        elif word == "expires":
            _time(words)
        elif word == "comment":
            comment = words.take().strip('"')
        else:
            _skip_counter(words)
    data = _data(words) if words.take_if(":") else None
    return Element(key, data, comment, timeout)


def _time(words: Words) -> int:
    try:
        seconds = parse_time(words.peek())
    except ValueError as error:
        raise words.error(str(error)) from None
    words.take()
    return seconds


def _skip_counter(words: Words) -> None:
    while words.peek() in ("packets", "bytes"):
        words.take()
        words.integer()


def _data(words: Words) -> Data:
    return parse_decision(words) or _more_parts(parse_literal(words.take()), words)


def parse_decision(words: Words) -> Decision | None:
    """Read a verdict, None when the next word is none."""
    match words.peek():
        case "accept" | "drop" | "return" | "continue" as kind:
            words.take()
            return Decision(kind)
        case "jump" | "goto" as kind:
            words.take()
            return Decision(kind, words.take())
        case _:
            return None


def _verdict(words: Words) -> Statement:
    decision = parse_decision(words)
    if decision is None or (decision.kind in ("jump", "goto") and decision.chain in STOPS | {"{"}):
        raise _UnknownWord
    return VerdictStatement(decision)


def _counter(words: Words) -> Statement:
    words.expect("counter")
    if words.take_if("name"):
        return Counter(name=words.take().strip('"'))
    packets = words.integer() if words.take_if("packets") else 0
    octets = words.integer() if words.take_if("bytes") else 0
    return Counter(packets, octets)


_LOG_WORDS = frozenset({"prefix", "level", "group", "snaplen", "queue-threshold", "flags"})


def _log(words: Words) -> Statement:
    start = words.at
    words.expect("log")
    while words.peek() in _LOG_WORDS:
        words.take()
        words.take()
    return Harmless(words.text_between(start, words.at))


def _limit(words: Words) -> Statement:
    start = words.at
    words.expect("limit")
    words.expect("rate")
    words.take_if("over")
    words.take()
    if words.peek().startswith(("bytes/", "kbytes/", "mbytes/")):
        words.take()
    if words.take_if("burst"):
        words.take()
        words.take()
    return Limit(words.text_between(start, words.at))


def _reject(words: Words) -> Statement:
    words.expect("reject")
    if not words.take_if("with"):
        return RejectStatement()
    protocol = words.take()
    words.take_if("type")
    return RejectStatement(protocol, words.take())


_NAT_FLAGS = frozenset({"random", "fully-random", "persistent"})


def _nat_flags(words: Words) -> tuple[str, ...]:
    flags: list[str] = []
    while words.peek() in _NAT_FLAGS:
        flags.append(words.take())
        words.take_if(",")
    return tuple(flags)


def _masquerade(words: Words) -> Statement:
    words.expect("masquerade")
    to = words.take() if words.take_if("to") else ""
    return MasqueradeStatement(_nat_flags(words), to)


def _redirect(words: Words) -> Statement:
    words.expect("redirect")
    port = 0
    if words.take_if("to"):
        word = words.take().removeprefix(":")
        if not word.isdigit():
            raise _UnknownWord
        port = int(word)
    return Redirect(port, _nat_flags(words))


def _nat(words: Words) -> Statement:
    kind = words.take()
    family = words.take() if words.peek() in ("ip", "ip6") else ""
    concatenated = words.take_if("addr")
    if concatenated:
        words.expect(".")
        words.expect("port")
    words.expect("to")
    address, port = _nat_target(words)
    return Nat(kind, address, port, family, _nat_flags(words), concatenated)


def _nat_target(words: Words) -> tuple[Constant | Lookup, int]:
    word = words.peek()
    if word in _HEADERS or word in ("meta", "ct", "numgen"):
        key = parse_operand(words)
        words.expect("map")
        return Lookup(key, _table(words)), 0
    words.take()
    try:
        ip, port = parse_endpoint(word) if not word.endswith("]") and _has_port(word) else (word.strip("[]"), 0)
    except ValueError:
        raise _UnknownWord from None
    literal = parse_literal(ip)
    if words.peek() == ":" and words.peek(1).isdigit():
        words.take()
        port = words.integer()
    return Constant(literal), port


def _has_port(word: str) -> bool:
    return "]:" in word or word.count(":") == 1


def _update(words: Words) -> Statement:
    operation = words.take()
    name = words.take()
    if name[:1] != "@":
        raise _UnknownWord
    words.expect("{")
    key = parse_operand(words)
    timeout = _time(words) if words.take_if("timeout") else 0
    start = words.at
    while words.peek() not in ("}", "", "\n"):
        words.take()
    rest = words.text_between(start, words.at)
    words.expect("}")
    return UpdateSet(operation, name[1:], key, timeout, rest)


def _notrack(words: Words) -> Statement:
    words.expect("notrack")
    return NoTrackStatement()


def _unknown_statement(words: Words) -> Statement:
    if words.peek() == "xt" and words.peek(1) == "match" and words.peek(2) == '"comment"':
        start = words.at
        words.at += 3
        return Harmless(words.text_between(start, words.at))
    raise _UnknownWord


_STATEMENTS: Mapping[str, Callable[[Words], Statement]] = {
    **dict.fromkeys(("accept", "drop", "return", "continue", "jump", "goto"), _verdict),
    "counter": _counter,
    "log": _log,
    "limit": _limit,
    "reject": _reject,
    "masquerade": _masquerade,
    "redirect": _redirect,
    "dnat": _nat,
    "snat": _nat,
    "update": _update,
    "add": _update,
    "delete": _update,
    "notrack": _notrack,
    "xt": _unknown_statement,
}
