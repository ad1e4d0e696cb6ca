"""What a Gateway does with a request: listener, route, filters, backends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from netsim.l7.decision import ONE, Decision, Matched, Outcome, Share
from netsim.l7.gateway.backends import Target, resolve_rule
from netsim.l7.gateway.filters import (
    Sent,
    answered,
    mirrors,
    of_type,
    preflight,
    redirect,
    rewritten,
)
from netsim.l7.gateway.matches import Entry
from netsim.l7.gateway.objects import Route, Rule
from netsim.l7.gateway.table import GatewayTable, ListenerTable, best_listener
from netsim.l7.request import Request

UNIMPLEMENTED, UNAVAILABLE = 12, 14
_STATUS = {"NO_ENDPOINTS": 503, "BAD_REFERENCE": 500}


def decide_gateway(table: GatewayTable, request: Request) -> Decision:
    """Return the answer of the named Gateway, or of the first one that has a rule for the request."""
    first: Decision | None = None
    for key, listeners in table.candidates(request.gateway):
        decision = replace(_on_gateway(table, listeners, request), handled_by=key)
        if decision.code not in ("NO_RULE", "NO_LISTENER"):
            return decision
        first = first or decision
    return first or _no_listener(
        f"no Gateway {request.gateway} of this controller" if request.gateway else "no Gateway"
    )


def _on_gateway(table: GatewayTable, listeners: Sequence[ListenerTable], request: Request) -> Decision:
    if request.scheme in ("tcp", "udp", "tls"):
        return _stream(table, listeners, request)
    protocol = "HTTPS" if request.secure else "HTTP"
    on_port = [
        one
        for one in listeners
        if one.listener.port == request.port and one.listener.protocol == protocol and one.serves
    ]
    if not on_port:
        return _no_listener(f"no {protocol} listener on port {request.port} works")
    by_host = best_listener(on_port, request.host_name)
    if not request.secure:
        return _not_found(request) if by_host is None else _on_listener(table, by_host, request)
    by_sni = best_listener(on_port, request.server_name)
    if by_sni is None:
        return _no_listener(f"no listener for TLS server name {request.server_name!r}")
    decision = _secured(table, by_sni, by_host, request)
    return replace(decision, tls={"secret": _secret(table, by_sni, request)})


def _secured(table: GatewayTable, by_sni: ListenerTable, by_host: ListenerTable | None, request: Request) -> Decision:
    """A request whose Host belongs to another listener than its connection was misdirected (RFC 9110 15.5.20)."""
    if by_host is None:
        return _not_found(request)
    if by_host is not by_sni:
        names = f"{by_sni.listener.name}, Host belongs to {by_host.listener.name}"
        why = f"TLS server name {request.server_name} chose listener {names}"
        return Decision(421, "MISDIRECTED", why=why)
    return _on_listener(table, by_sni, request)


def _secret(table: GatewayTable, found: ListenerTable, request: Request) -> str:
    secrets = found.state.secrets
    covering = (name for name in secrets if table.certificates[name].covers(request.server_name))
    return next(covering, secrets[0])


def _no_listener(why: str) -> Decision:
    return Decision(None, "NO_LISTENER", outcome="reject", why=why)


def is_grpc(request: Request) -> bool:
    """Whether this is a gRPC call."""
    return request.protocol == "grpc" or request.headers.get("content-type", "").startswith("application/grpc")


def _not_found(request: Request) -> Decision:
    if is_grpc(request):
        return Decision(200, "NO_RULE", grpc_status=UNIMPLEMENTED, why="no route matches the call")
    return Decision(404, "NO_RULE", why="no route of the listener matches")


def find_entry(found: ListenerTable, request: Request) -> Entry | None:
    """Return the preferred entry of the listener: by hostname, then by the precedence of matches; gRPC routes for
    gRPC first.
    """
    tables = (found.grpc, found.http) if is_grpc(request) else (found.http,)
    for table in tables:
        for entries in table.falling(request.host_name):
            entry = next((one for one in entries if one.matches(request)), None)
            if entry is not None:
                return entry
    return None


def matched_rule(route: Route, rule: Rule) -> Matched:
    """Return the rule as the matched object."""
    place = ("spec", "rules", rule.index)
    return Matched(route.kind, route.namespace, route.name, rule.index, rule.name or None, None, route.source, place)


def _on_listener(table: GatewayTable, found: ListenerTable, request: Request) -> Decision:
    entry = find_entry(found, request)
    if entry is None:
        return _not_found(request)
    route, rule = entry.route, entry.rule
    matched = replace(matched_rule(route, rule), path_type=entry.path_type)
    early = preflight(rule.filters, request, matched)
    if early is not None:
        return early
    redirects = of_type(rule.filters, "RequestRedirect", "requestRedirect")
    if redirects:
        return answered(redirect(redirects[0], request, entry, found.listener, matched), rule.filters, request)
    targets = resolve_rule(table.resolver, route, rule.backends)
    hop = Hop(table, found, entry, request, matched)
    decision = _forward(hop, targets)
    if is_grpc(request) and decision.status != request.backend_status:
        decision = replace(decision, grpc_status=UNAVAILABLE)
    return replace(answered(decision, rule.filters, request), mirrors=mirrors(table.resolver, route, rule.filters))


@dataclass(frozen=True, slots=True)
class Hop:
    """Everything that forwarding one request needs."""

    table: GatewayTable
    listener: ListenerTable
    entry: Entry
    request: Request
    matched: Matched


def _forward(hop: Hop, targets: Sequence[Target]) -> Decision:
    """Share the requests among the backends; a broken one answers 500 for its share, one without endpoints 503."""
    used = [target for target in targets if target.weight]
    if not used or _unsupported(hop.entry.rule):
        why = "a filter of the rule is not supported" if used else "the rule has no backendRefs"
        return Decision(500, "BAD_REFERENCE", matched=hop.matched, why=why)
    if len(used) == 1:
        return _single(hop, used[0])
    working = [target for target in used if not target.problem]
    if len(working) == len(used) and not any(_redirects(target) for target in used):
        shares = tuple(_share(hop, target) for target in used)
        return replace(_single(hop, used[0]), backends=shares)
    return _mixed(hop, used)


def _unsupported(rule: Rule) -> bool:
    return any(one.get("type") == "ExtensionRef" for one in rule.filters)


def _redirects(target: Target) -> list[Mapping[str, object]]:
    return of_type(target.filters, "RequestRedirect", "requestRedirect")


def _single(hop: Hop, target: Target) -> Decision:
    """Return the decision for requests that this backend gets."""
    redirects = _redirects(target)
    if redirects:
        return redirect(redirects[0], hop.request, hop.entry, hop.listener.listener, hop.matched)
    if target.problem:
        share = target.share
        why = f"{share.namespace}/{share.service}:{share.port}: {target.reason or target.problem}"
        return Decision(_STATUS.get(target.problem, 500), target.problem, matched=hop.matched, why=why)
    sent = _sent(hop, target)
    decision = Decision(
        hop.request.backend_status,
        "OK",
        backends=(replace(target.share, weight=ONE),),
        upstream_path=sent.path,
        upstream_host=sent.host,
        upstream_headers=sent.headers,
        response_headers=hop.request.backend_headers,
        matched=hop.matched,
        backend_tls=target.share.tls,
    )
    return answered(decision, target.filters, hop.request)


def _sent(hop: Hop, target: Target) -> Sent:
    request = hop.request
    start = Sent(request.uri, request.host, request.spelled_headers)
    return rewritten(rewritten(start, hop.entry.rule.filters, request, hop.entry), target.filters, request, hop.entry)


def _share(hop: Hop, target: Target) -> Share:
    return replace(target.share, headers=_sent(hop, target).headers if target.filters else {})


def _mixed(hop: Hop, used: Sequence[Target]) -> Decision:
    outcomes = []
    for target in used:
        status = _single(hop, target).status or 0
        backend = None if target.problem or _redirects(target) else replace(_share(hop, target), weight=ONE)
        outcomes.append(Outcome(status, target.share.weight, backend))
    working = next((target for target in used if not target.problem and not _redirects(target)), None)
    statuses = {outcome.status for outcome in outcomes}
    if working is None and len(statuses) == 1:
        return replace(_single(hop, used[0]), why="every backend is broken")
    base = _single(hop, working) if working else Decision(None, "PARTIAL", matched=hop.matched)
    backends = tuple(replace(o.backend, weight=o.weight) for o in outcomes if o.backend is not None)
    status = max(outcomes, key=lambda outcome: outcome.weight).status
    return replace(base, status=status, code="PARTIAL", outcomes=tuple(outcomes), backends=backends)


def _stream(table: GatewayTable, listeners: Sequence[ListenerTable], request: Request) -> Decision:
    """TCP, UDP, or TLS by its server name: the most specific hostname's oldest route serves alone."""
    protocol = request.scheme.upper()
    on_port = [
        one
        for one in listeners
        if one.listener.port == request.port and one.listener.protocol == protocol and one.serves
    ]
    name = request.server_name if protocol == "TLS" else ""
    found = best_listener(on_port, name)
    routes: Iterable[Route] = next(iter(found.streams.falling(name)), ()) if found else ()
    route = next(iter(routes), None)
    if found is None or route is None:
        return _no_listener(
            f"no {protocol} listener on port {request.port} has a route" + (f" for {name}" if name else "")
        )
    tls = found.listener.tls_mode.lower() if protocol == "TLS" else None
    return replace(_stream_backends(table, route, request), tls=tls)


def _stream_backends(table: GatewayTable, route: Route, request: Request) -> Decision:
    rule = next(iter(route.rules), None)
    if rule is None:
        return _no_listener("the route has no rules")
    matched = matched_rule(route, rule)
    targets = [target for target in resolve_rule(table.resolver, route, rule.backends) if target.weight]
    working = tuple(target.share for target in targets if not target.problem)
    if not working:
        why = targets[0].reason or targets[0].problem if targets else "no backendRefs"
        return Decision(
            None, targets[0].problem if targets else "BAD_REFERENCE", outcome="reject", matched=matched, why=why
        )
    lost = sum((target.share.weight for target in targets if target.problem), Fraction(0))
    code = "PARTIAL" if lost else "OK"
    why = f"{lost} of the connections are rejected" if lost else ""
    return Decision(None, code, outcome="forward", backends=working, matched=matched, why=why)
