"""Filters of HTTPRoute and GRPCRoute: headers, rewrites, redirects, mirrors, CORS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from netsim.cluster.read import mapping, text
from netsim.l7.decision import Decision, Matched, Mirror
from netsim.l7.gateway.backends import Resolver, refused, resolve
from netsim.l7.gateway.hostnames import covers
from netsim.l7.gateway.matches import Entry
from netsim.l7.gateway.objects import Listener, Route, read_ref
from netsim.l7.ingress import items
from netsim.l7.request import Request

Filter = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes to the backend: path with query, host, headers by the spelling last given."""

    path: str
    host: str
    headers: Mapping[str, str]


def of_type(filters: Iterable[Filter], kind: str, key: str) -> list[Filter]:
    """Return the settings of the filters of a type."""
    return [mapping(one.get(key)) for one in filters if one.get("type") == kind]


def modified(headers: Mapping[str, str], changes: Iterable[Filter]) -> dict[str, str]:
    """Return headers after set, add (joined by a comma) and remove; names are compared without case."""
    found = {name.lower(): (name, value) for name, value in headers.items()}
    for change in changes:
        for one in map(mapping, items(change.get("set"))):
            name = text(one.get("name"))
            found[name.lower()] = (name, text(one.get("value")))
        for one in map(mapping, items(change.get("add"))):
            name, value = text(one.get("name")), text(one.get("value"))
            old = found.get(name.lower())
            found[name.lower()] = (name, f"{old[1]},{value}" if old else value)
        for name in items(change.get("remove")):
            found.pop(text(name).lower(), None)
    return dict(found.values())


def replace_prefix(path: str, prefix: str, replacement: str) -> str:
    """Return a path with its matched prefix replaced; a trailing slash of either is ignored."""
    return replacement.rstrip("/") + path[len(prefix.rstrip("/")) :] or "/"


def _new_path(change: Filter, path: str, entry: Entry) -> str:
    modifier = mapping(change.get("path"))
    match text(modifier.get("type")):
        case "ReplaceFullPath":
            return text(modifier.get("replaceFullPath")) or "/"
        case "ReplacePrefixMatch" if entry.path_type == "PathPrefix":
            return replace_prefix(path, entry.path, text(modifier.get("replacePrefixMatch")))
        case _:
            return path


def rewritten(sent: Sent, filters: Iterable[Filter], request: Request, entry: Entry) -> Sent:
    """Apply request filters in turn: URLRewrite and RequestHeaderModifier."""
    listed = list(filters)
    path, host = sent.path, sent.host
    for change in of_type(listed, "URLRewrite", "urlRewrite"):
        path = _with_query(_new_path(change, request.path, entry), request)
        host = text(change.get("hostname")) or host
    headers = modified(sent.headers, of_type(listed, "RequestHeaderModifier", "requestHeaderModifier"))
    return Sent(path, host, headers)


def _with_query(path: str, request: Request) -> str:
    return path if request.query is None else f"{path}?{request.query}"


def redirect(change: Filter, request: Request, entry: Entry, listener: Listener, matched: Matched) -> Decision:
    """Return the redirect; the port is the given one, else the filter's scheme's, else the listener's; :80 and :443
    are left out.
    """
    own = text(change.get("scheme"))
    scheme = own or ("https" if request.secure else "http")
    host = text(change.get("hostname")) or request.host_name
    port = change.get("port")
    number = port if isinstance(port, int) else {"http": 80, "https": 443}.get(own, listener.port)
    shown = "" if (scheme, number) in (("http", 80), ("https", 443)) else f":{number}"
    target = _with_query(_new_path(change, request.path, entry), request)
    status = change.get("statusCode")
    code = status if isinstance(status, int) else 302
    return Decision(
        code, "REDIRECT", location=f"{scheme}://{host}{shown}{target}", matched=matched, why="RequestRedirect filter"
    )


def mirrors(resolver: Resolver, route: Route, filters: Iterable[Filter]) -> tuple[Mirror, ...]:
    """Return the mirrors; one whose reference does not resolve is dropped."""
    found = []
    for change in of_type(filters, "RequestMirror", "requestMirror"):
        target = resolve(resolver, route, mapping(change.get("backendRef")))
        if not target.reason:
            share = target.share
            found.append(Mirror(share.namespace, share.service, share.port, _percent(change), share.endpoints))
    return tuple(found)


def mirror_reasons(resolver: Resolver, route: Route, filters: Iterable[Filter]) -> Iterable[str]:
    """Return why mirror references do not resolve."""
    for change in of_type(filters, "RequestMirror", "requestMirror"):
        yield refused(resolver, route, read_ref(change.get("backendRef"), route.namespace, "Service"))


def _percent(change: Filter) -> Fraction:
    percent, fraction = change.get("percent"), mapping(change.get("fraction"))
    if isinstance(percent, int):
        return Fraction(percent)
    numerator, denominator = fraction.get("numerator"), fraction.get("denominator", 100)
    if isinstance(numerator, int) and isinstance(denominator, int) and denominator > 0:
        return Fraction(100 * numerator, denominator)
    return Fraction(100)


def is_preflight(request: Request) -> bool:
    """Whether this is a CORS preflight (Fetch standard)."""
    headers = request.headers
    return request.method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def _allowed_origin(change: Filter, origin: str) -> str:
    credentials = change.get("allowCredentials") is True
    for pattern in (text(one) for one in items(change.get("allowOrigins"))):
        if pattern == "*":
            return origin if credentials else "*"
        scheme, mark, host = pattern.partition("://")
        given, _, name = origin.partition("://")
        if pattern == origin or (mark and scheme == given and host.startswith("*.") and covers(host, name)):
            return origin
    return ""


def cors_headers(change: Filter, request: Request, *, preflight: bool) -> dict[str, str]:
    """Return the Access-Control headers of an answer; {} for an origin that is not allowed."""
    origin = _allowed_origin(change, request.headers.get("origin", ""))
    if not origin:
        return {}
    headers = {"access-control-allow-origin": origin}
    credentials = change.get("allowCredentials") is True
    if credentials:
        headers["access-control-allow-credentials"] = "true"
    if preflight:
        asked = request.headers.get("access-control-request-headers", "")
        headers |= _listed(
            "access-control-allow-methods", change.get("allowMethods"), credentials, _asked_method(request)
        )
        headers |= _listed("access-control-allow-headers", change.get("allowHeaders"), credentials, asked)
        age = change.get("maxAge", 5)
        headers["access-control-max-age"] = str(age)
    return headers | _listed("access-control-expose-headers", change.get("exposeHeaders"), credentials, "*")


def _asked_method(request: Request) -> str:
    return request.headers.get("access-control-request-method", "")


def _listed(name: str, values: object, credentials: bool, instead: str) -> dict[str, str]:
    """With credentials a `*` must be spelled out: what was asked for stands in its place."""
    words = [text(value) for value in items(values)]
    if not words:
        return {}
    if "*" in words:
        return {name: instead if credentials and instead else "*"}
    return {name: ", ".join(words)}


def preflight(filters: Iterable[Filter], request: Request, matched: Matched) -> Decision | None:
    """Return the answer to a preflight when the rule has a CORS filter; an origin not allowed gets no headers."""
    changes = of_type(filters, "CORS", "cors")
    if not changes or not is_preflight(request):
        return None
    headers = cors_headers(changes[0], request, preflight=True)
    return Decision(204, "PREFLIGHT", response_headers=headers, matched=matched, why="CORS filter")


def answered(decision: Decision, filters: Iterable[Filter], request: Request) -> Decision:
    """Return the decision with response headers after ResponseHeaderModifier and CORS."""
    listed = list(filters)
    headers = modified(decision.response_headers, of_type(listed, "ResponseHeaderModifier", "responseHeaderModifier"))
    for change in of_type(listed, "CORS", "cors"):
        if "origin" in request.headers:
            headers |= cors_headers(change, request, preflight=False)
    return replace(decision, response_headers=headers)
