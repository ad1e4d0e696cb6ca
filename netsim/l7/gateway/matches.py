"""Matches of HTTPRoute and GRPCRoute rules, and their precedence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netsim.cluster.read import mapping, text
from netsim.l7.apisix.exprs import argument
from netsim.l7.gateway.objects import Route, Rule
from netsim.l7.ingress import items
from netsim.l7.paths import prefix_matches
from netsim.l7.pcre import Pattern, compile_pattern
from netsim.l7.request import Request


@dataclass(frozen=True, slots=True)
class Value:
    """A condition on one header or query parameter: equal to `text`, or wholly matching `pattern`."""

    name: str
    text: str
    pattern: Pattern | None = None

    def holds(self, value: str | None) -> bool:
        """Whether a value meets the condition."""
        if value is None:
            return False
        return value == self.text if self.pattern is None else self.pattern.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """One match of one rule on one listener: what it asks of a request, and `key`, smaller being preferred."""

    route: Route
    rule: Rule
    path_type: str
    path: str
    pattern: Pattern | None
    method: str
    headers: tuple[Value, ...]
    queries: tuple[Value, ...]
    key: tuple[object, ...]

    def matches(self, request: Request) -> bool:
        """Whether path, method, headers and query parameters all match."""
        if self.method and request.method != self.method:
            return False
        if not self._path(request.path):
            return False
        if not all(value.holds(request.headers.get(value.name)) for value in self.headers):
            return False
        return all(value.holds(argument(request.query, value.name)) for value in self.queries)

    def _path(self, path: str) -> bool:
        match self.path_type:
            case "Exact":
                return path == self.path
            case "RegularExpression":
                return self.pattern is not None and self.pattern.fullmatch(path) is not None
            case _:
                return prefix_matches(self.path, path)


def http_entries(route: Route) -> Iterator[Entry]:
    """Yield the entries of an HTTPRoute; a rule without matches is prefix `/`."""
    for rule in route.rules:
        for number, match in enumerate(rule.matches or ({},)):
            yield _http_entry(route, rule, number, match)


def _http_entry(route: Route, rule: Rule, number: int, match: Mapping[str, Any]) -> Entry:
    path = mapping(match.get("path"))
    kind, value = text(path.get("type")) or "PathPrefix", text(path.get("value")) or "/"
    headers = _values(match.get("headers"), lower=True)
    queries = _values(match.get("queryParams"))
    method = text(match.get("method"))
    rank = {"Exact": 0, "RegularExpression": 1}.get(kind, 2)
    key = (rank, -len(value), not method, -len(headers), -len(queries), route.age, rule.index, number)
    pattern = compile_pattern(value) if kind == "RegularExpression" else None
    return Entry(route, rule, kind, value, pattern, method, headers, queries, key)


def _values(value: object, *, lower: bool = False) -> tuple[Value, ...]:
    """Return the conditions by name; of several entries of one name only the first counts."""
    found: dict[str, Value] = {}
    for one in map(mapping, items(value)):
        name = text(one.get("name"))
        name = name.lower() if lower else name
        wanted = text(one.get("value"))
        pattern = _pattern(wanted) if text(one.get("type")) == "RegularExpression" else None
        found.setdefault(name, Value(name, wanted, pattern))
    return tuple(found.values())


def _pattern(text_: str) -> Pattern | None:
    # A pattern that cannot be compiled matches nothing rather than everything.
    return compile_pattern(text_) or compile_pattern(r"(?!)")


def grpc_entries(route: Route) -> Iterator[Entry]:
    """Yield the entries of a GRPCRoute: service and method of the path /service/method, and headers."""
    for rule in route.rules:
        for number, match in enumerate(rule.matches or ({},)):
            yield _grpc_entry(route, rule, number, match)


def _grpc_entry(route: Route, rule: Rule, number: int, match: Mapping[str, Any]) -> Entry:
    method = mapping(match.get("method"))
    service, name = text(method.get("service")), text(method.get("method"))
    headers = _values(match.get("headers"), lower=True)
    spell = str if text(method.get("type")) == "RegularExpression" else re.escape
    parts = [f"(?:{spell(part)})" if part else "[^/]+" for part in (service, name)]
    key = (-len(service), -len(name), -len(headers), route.age, rule.index, number)
    pattern = _pattern("/" + "/".join(parts))
    shown = f"/{service or '*'}/{name or '*'}"
    return Entry(route, rule, "RegularExpression", shown, pattern, "", headers, (), key)


def ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries, preferred first."""
    return tuple(sorted(entries, key=lambda entry: entry.key))
