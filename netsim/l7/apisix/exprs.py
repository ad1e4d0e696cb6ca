"""Conditions of ApisixRoute rules (`exprs`), as lua-resty-expr evaluates them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_plus

from netsim.cluster.read import mapping, text
from netsim.l7.ingress import items
from netsim.l7.pcre import compile_pattern
from netsim.l7.request import Request


@dataclass(frozen=True, slots=True)
class Expr:
    """One condition: where the value is read, the operator, and its operand or set."""

    scope: str
    name: str
    operator: str
    values: tuple[str, ...]

    def holds(self, request: Request, uri: str) -> bool:
        """Whether the condition holds; a value that is not there fails every operator but the negative ones."""
        return _holds(self.operator, subject(self, request, uri), self.values)


def read_exprs(value: object) -> tuple[Expr, ...]:
    """Return the conditions of a match."""
    return tuple(_read(entry) for entry in items(value))


def _read(entry: object) -> Expr:
    found, place = mapping(entry), mapping(mapping(entry).get("subject"))
    operand = found.get("value")
    values = [_word(item) for item in items(found.get("set"))] if operand is None else [_word(operand)]
    return Expr(text(place.get("scope")), _word(place.get("name")), text(found.get("op")), tuple(values))


def _word(value: object) -> str:
    """Return the text of a field whose type is string in the CustomResourceDefinition.

    A boolean can only be the letter y or n that YAML 1.1 misreads: the words that YAML 1.2 knows would be quoted.
    """
    if isinstance(value, bool):
        return "y" if value else "n"
    return "" if value is None else str(value)


def subject(expr: Expr, request: Request, uri: str) -> str | None:
    """Return the value that a condition reads."""
    match expr.scope:
        case "Header":
            return request.headers.get(expr.name.lower().replace("_", "-"))
        case "Query":
            return argument(request.query, expr.name)
        case "Cookie":
            return request.cookies.get(expr.name)
        case "Path":
            return uri
        case "Variable":
            return _variable(expr.name, request, uri)
        case _:
            return None


def argument(query: str | None, name: str) -> str | None:
    """Return the first query argument of a name, decoded."""
    for pair in (query or "").split("&"):
        key, equals, value = pair.partition("=")
        if key == name and (equals or key):
            return unquote_plus(value)
    return None


def _variable(name: str, request: Request, uri: str) -> str | None:
    known = {
        "uri": uri, "request_uri": request.uri, "host": request.host_name, "request_method": request.method,
        "remote_addr": request.client, "scheme": request.scheme, "args": request.query,
        "server_port": str(request.port),
    }  # fmt: skip
    if name in known:
        return known[name]
    kind, _, rest = name.partition("_")
    if kind == "arg":
        return argument(request.query, rest)
    if kind == "http":
        return request.headers.get(rest.lower().replace("_", "-"))
    return request.cookies.get(rest) if kind == "cookie" else None


def _holds(operator: str, value: str | None, operands: tuple[str, ...]) -> bool:
    first = operands[0] if operands else ""
    match operator:
        case "Equal":
            return value == first
        case "NotEqual":
            return value != first
        case "In":
            return value in operands
        case "NotIn":
            return value not in operands
        case "RegexMatch" | "RegexMatchCaseInsensitive":
            return _found(first, value, operator.endswith("Insensitive"))
        case "RegexNotMatch" | "RegexNotMatchCaseInsensitive":
            return not _found(first, value, operator.endswith("Insensitive"))
        case "GreaterThan" | "GreaterThanEqual" | "LessThan" | "LessThanEqual":
            return _compared(operator, _number(value), _number(first))
        case _:
            return False


def _found(pattern: str, value: str | None, ignore_case: bool) -> bool:
    compiled = compile_pattern(pattern, ignore_case=ignore_case)
    return compiled is not None and value is not None and compiled.search(value) is not None


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None


def _compared(operator: str, left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return False
    if operator.startswith("Greater"):
        return left > right or (operator.endswith("Equal") and left == right)
    return left < right or (operator.endswith("Equal") and left == right)
