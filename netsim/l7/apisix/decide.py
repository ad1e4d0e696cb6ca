"""What APISIX does with a request: radixtree_host_uri, then the plugins, then the upstream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from netsim.l7.apisix.routes import Plugins, Route, all_hosts
from netsim.l7.decision import Decision, Outcome
from netsim.l7.nginx.annotations import in_any
from netsim.l7.notes import not_modelled
from netsim.l7.paths import escape_uri, normalize
from netsim.l7.pcre import compile_pattern
from netsim.l7.request import Request
from netsim.l7.table import HostTable, host_table


@dataclass(frozen=True, slots=True)
class UriTable:
    """Routes of one host: by exact URI, and by the text before `*`, each list by priority; lengths of the latter,
    longest first.
    """

    exact: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    prefix: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()

    def candidates(self, uri: str) -> Iterator[Route]:
        """Yield routes whose URI fits: exact first, then the longest prefix; within one URI by priority."""
        yield from self.exact.get(uri, ())
        for length in self.lengths:
            if length <= len(uri):
                yield from self.prefix.get(uri[:length], ())


@dataclass(frozen=True, slots=True)
class ApisixTable:
    """Routes by host (wildcards span labels), and the Secret of the certificate by server name."""

    hosts: HostTable[UriTable]
    certificates: HostTable[str]
    routes: tuple[Route, ...] = ()


def build_apisix(routes: Iterable[Route], certificates: Mapping[str, str]) -> ApisixTable:
    """Return the table of routes; *certificates* are Secrets by host."""
    listed = tuple(routes)
    tables = {host: _uri_table([r for r in listed if host in (r.hosts or ("",))]) for host in all_hosts(listed)}
    return ApisixTable(host_table(tables, any_depth=True), host_table(certificates, any_depth=True), listed)


def _uri_table(routes: Iterable[Route]) -> UriTable:
    exact: dict[str, list[Route]] = {}
    prefix: dict[str, list[Route]] = {}
    for route in sorted(routes, key=lambda found: -found.priority):
        for uri in route.uris:
            if uri.endswith("*"):
                prefix.setdefault(uri[:-1], []).append(route)
            else:
                exact.setdefault(uri, []).append(route)
    lengths = tuple(sorted({len(text) for text in prefix}, reverse=True))
    return UriTable(
        {uri: tuple(found) for uri, found in exact.items()},
        {text: tuple(found) for text, found in prefix.items()},
        lengths,
    )


def decide_apisix(table: ApisixTable, request: Request) -> Decision:
    """Return what happens to a request: the first fitting route of exact host, wildcards, then hostless routes; else
    404.
    """
    tls = _certificate(table, request)
    uri = normalize(request.path)
    if uri is None:
        return Decision(400, "BAD_REQUEST", tls=tls, why="the path is malformed")
    route = find_route(table, request, uri)
    if route is None:
        return Decision(404, "NO_RULE", tls=tls, why="no route of this host, URI, method and conditions")
    return replace(_plugins(route, request, uri) or _forward(route, request, uri), tls=tls)


def find_route(table: ApisixTable, request: Request, uri: str) -> Route | None:
    """Return the route that takes the request."""
    for uris in table.hosts.falling(request.host_name):
        for route in uris.candidates(uri):
            if not misfit(route, request, uri):
                return route
    return None


def misfit(route: Route, request: Request, uri: str) -> str:
    """Return why a route does not take the request although host and URI fit: method, client, condition; "" if it
    does.
    """
    if route.methods and request.method not in route.methods:
        return f"method {request.method} is not among {', '.join(sorted(route.methods))}"
    if route.clients and not in_any(request.client, route.clients):
        return f"client {request.client} is not in remoteAddrs"
    failed = next((expr for expr in route.exprs if not expr.holds(request, uri)), None)
    return f"condition {failed.scope} {failed.name} {failed.operator} {' '.join(failed.values)} fails" if failed else ""


def _certificate(table: ApisixTable, request: Request) -> Mapping[str, str] | None:
    if request.scheme != "https":
        return None
    secret = table.certificates.find(request.server_name)
    return {"secret": secret} if secret else None


def _plugins(route: Route, request: Request, uri: str) -> Decision | None:
    """Plugins in the order of their priority: methods, addresses, redirects."""
    plugins, matched = route.plugins, route.matched
    if (
        plugins.allow_methods and request.method not in plugins.allow_methods
    ) or request.method in plugins.block_methods:
        return Decision(405, "FORBIDDEN", matched=matched, why=f"method {request.method} is not allowed")
    if plugins.block and in_any(request.client, plugins.block):
        return Decision(403, "FORBIDDEN", matched=matched, why=f"{request.client} is on the block list")
    if plugins.allow and not in_any(request.client, plugins.allow):
        return Decision(403, "FORBIDDEN", matched=matched, why=f"{request.client} is not on the allow list")
    if plugins.https and not request.secure:
        code = 301 if request.method in ("GET", "HEAD") else 308
        return Decision(
            code,
            "SSL_REDIRECT",
            location=f"https://{request.host_name}{request.uri}",
            matched=matched,
            why="http-to-https",
        )
    if plugins.redirect and not plugins.https:
        return Decision(
            plugins.redirect_code, "REDIRECT", location=plugins.redirect, matched=matched, why="http-redirect"
        )
    return None


def _forward(route: Route, request: Request, uri: str) -> Decision:
    if route.problem:
        share = route.shares[0] if route.shares else None
        why = f"Service {share.namespace}/{share.service}" if share else "no backend has an endpoint"
        return Decision(503, route.problem, matched=route.matched, why=why)
    notes = (not_modelled(route.matched, route.plugins.not_modelled),) if route.plugins.not_modelled else ()
    decision = Decision(
        request.backend_status,
        "OK",
        backends=route.shares,
        upstream_path=_upstream_path(route.plugins, request, uri),
        upstream_host=request.host or None,
        upstream_headers={
            "X-Forwarded-For": request.client,
            "X-Forwarded-Proto": "https" if request.secure else "http",
        },
        response_headers=request.backend_headers,
        matched=route.matched,
        notes=notes,
    )
    return decision if all(share.endpoints for share in route.shares) else _mixed(decision)


def _mixed(decision: Decision) -> Decision:
    """Shares without endpoints answer 503, the others keep their part."""
    outcomes = tuple(
        Outcome(decision.status or 200, share.weight, share) if share.endpoints else Outcome(503, share.weight)
        for share in decision.backends
    )
    return replace(
        decision, code="PARTIAL", outcomes=outcomes, backends=tuple(s for s in decision.backends if s.endpoints)
    )


def _upstream_path(plugins: Plugins, request: Request, uri: str) -> str:
    """proxy-rewrite: a new URI, or the pattern replaced in the normalized path; arguments are kept."""
    if plugins.rewrite:
        path = plugins.rewrite
    elif plugins.rewrite_regex:
        pattern = compile_pattern(plugins.rewrite_regex[0])
        path = uri if pattern is None else pattern.replaced(lambda found: _template(plugins, found), uri)
    else:
        return request.uri
    base, mark, own = path.partition("?")
    arguments = "&".join(part for part in (own, request.query or "") if part)
    return escape_uri(base) + (f"?{arguments}" if arguments or mark else "")


def _template(plugins: Plugins, found: re.Match[str]) -> str:
    template = plugins.rewrite_regex[1] if plugins.rewrite_regex else ""

    def group(reference: re.Match[str]) -> str:
        number = int(reference[1])
        return (found[number] or "") if number <= (found.re.groups) else ""

    return re.sub(r"\$(\d)", group, template)
