"""Why a decision came out as it did: the rules that were considered, each with its fate, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from netsim.errors import printable
from netsim.l7.apisix.decide import ApisixTable, misfit
from netsim.l7.decision import CODES, Decision, Share
from netsim.l7.gateway.decide import find_entry, is_grpc, matched_rule
from netsim.l7.gateway.matches import Entry
from netsim.l7.gateway.table import GatewayTable, ListenerTable, best_listener
from netsim.l7.nginx.decide import NginxTable, find_location, matched_of
from netsim.l7.nginx.merge import Location
from netsim.l7.nginx.servers import Server
from netsim.l7.paths import normalize, prefix_matches
from netsim.l7.pcre import compile_pattern
from netsim.l7.request import Request
from netsim.l7.router import Answer, Router, unhandled
from netsim.l7.spec import SpecRoute, SpecTable, find_route

SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """One rule considered: how it reads, where it stands, whether it won, and why or why not."""

    rule: str
    place: str
    won: bool
    reason: str


def explain(answer: Answer, request: Request, routers: Sequence[Router]) -> tuple[str, ...]:
    """Return the text answer: verdict, request, who decides, the rules considered, what happens, what was ignored."""
    decision, router = answer.decision, answer.router
    scheme = "" if request.scheme in ("tcp", "udp", "tls") else f"{request.method} "
    return tuple(
        printable(line)
        for line in (
            _verdict(decision),
            f"request     {scheme}{request.scheme}://{request.host or request.sni or ''}{_port(request)}{request.uri}",
            _controller(router),
            *_table_lines(answer, request),
            *_outcome(decision),
            *(f"note        {note}" for note in decision.notes),
            *_ignored(routers, request),
        )
    )


def _controller(router: Router) -> str:
    if isinstance(router.table, GatewayTable):
        return f"controller  {router.dialect}: {len(router.table.gateways)} Gateways, {len(router.table.routes)} routes"
    if isinstance(router.table, ApisixTable):
        return f"controller  {router.dialect}, class {router.name}: {len(router.table.routes)} routes"
    counts = f"{len(router.handled)} of {len(router.handlings)} Ingresses handled"
    return f"controller  {router.dialect}, class {router.name or '(none)'}: {counts}"


def _port(request: Request) -> str:
    default = {"http": 80, "https": 443, "tls": 443}.get(request.scheme)
    return "" if request.port == default or ":" in request.host else f":{request.port}"


def _verdict(decision: Decision) -> str:
    status = decision.outcome or decision.status
    reason = decision.why or CODES.get(decision.code, "")
    return f"{status} {decision.code}: {reason}" if reason else f"{status} {decision.code}"


def _table_lines(answer: Answer, request: Request) -> Iterator[str]:
    table = answer.router.table
    if isinstance(table, NginxTable):
        yield from _nginx_lines(table, request)
    elif isinstance(table, SpecTable):
        yield from _candidate_lines(spec_candidates(table, request))
    elif isinstance(table, ApisixTable):
        yield from _candidate_lines(apisix_candidates(table, request))
    else:
        yield from _gateway_lines(table, answer.decision.handled_by, request)


def _candidate_lines(candidates: Sequence[Candidate]) -> Iterator[str]:
    width = max((len(one.rule) for one in candidates[:SHOWN]), default=0)
    for one in candidates[:SHOWN]:
        mark = ">" if one.won else " "
        yield f"  {mark} {one.rule:<{width}}  {one.place}: {one.reason}"
    if len(candidates) > SHOWN:
        yield f"    … and {len(candidates) - SHOWN} more"


def _nginx_lines(table: NginxTable, request: Request) -> Iterator[str]:
    server, uri = table.find_server(request.host_name), normalize(request.path)
    if server is None or uri is None:
        return
    yield f"server      {server.host}{_server_facts(server)}"
    yield from _candidate_lines(nginx_candidates(server, uri))


def _server_facts(server: Server) -> str:
    facts = []
    if server.creator:
        facts.append(f"made by the oldest Ingress of the host, {server.creator.key}")
    if server.regex:
        cause = next(location for location in server.locations if location.wants_regex)
        owner = cause.ingress.key if cause.ingress else "?"
        facts.append(f"every path is a case-insensitive regular expression because of {owner}")
    if server.aliases:
        facts.append(f"aliases {', '.join(server.aliases)}")
    return f" ({'; '.join(facts)})" if facts else ""


def nginx_candidates(server: Server, uri: str) -> list[Candidate]:
    """Return the server's locations in nginx's order, the matching ones first, each with why it won or lost."""
    winner, slash = find_location(server, uri)
    judged = [_judge(server, location, winner, slash, uri) for location in server.locations]
    return sorted(judged, key=lambda one: (not one.won, one.reason.startswith("does not match")))


def _judge(server: Server, location: Location, winner: Location | None, slash: bool, uri: str) -> Candidate:
    matched = matched_of(location)
    place = str(matched) if matched else "default backend"
    if location.implicit:
        place = f"{place} (implicit root)"
    rule = spelled(server, location)
    if location is winner:
        return Candidate(rule, place, True, _won(server, location, slash))
    if not _location_matches(server, location, uri):
        return Candidate(rule, place, False, f"does not match {uri}")
    return Candidate(rule, place, False, "listed later" if server.regex else "a shorter prefix")


def spelled(server: Server, location: Location) -> str:
    """Return a location as nginx's configuration spells it."""
    if server.regex:
        return f'~* "^{location.path}"'
    return f"= {location.path}" if location.exact else location.path


def _location_matches(server: Server, location: Location, uri: str) -> bool:
    if server.regex:
        pattern = compile_pattern(f"^{location.path}", ignore_case=True)
        return pattern is not None and pattern.search(uri) is not None
    return location.path == uri if location.exact else uri.startswith(location.path)


def _won(server: Server, location: Location, slash: bool) -> str:
    if slash:
        return "nginx redirects to its trailing slash"
    if server.regex:
        return "first in the list that matches (longer pattern texts stand first)"
    return "exact match" if location.exact else "longest matching prefix"


def spec_candidates(table: SpecTable, request: Request) -> list[Candidate]:
    """Return the routes of the request's host, the matching ones first."""
    paths = table.hosts.find(request.host_name)
    if paths is None:
        return []
    winner = find_route(paths, request.path)
    routes = [*paths.exact.values(), *paths.prefix.values()]
    return sorted(
        (_judge_spec(route, winner, request.path) for route in routes), key=lambda one: (not one.won, one.reason)
    )


def _judge_spec(route: SpecRoute, winner: SpecRoute | None, path: str) -> Candidate:
    assert route.path is not None
    kind, text = route.path.path_type, route.path.path
    rule, place = f"{kind} {text}", str(route.matched)
    if route is winner:
        return Candidate(rule, place, True, "exact match" if kind == "Exact" else "longest matching prefix")
    matches = path == text if kind == "Exact" else prefix_matches(text, path)
    return Candidate(rule, place, False, "a shorter path" if matches else f"does not match {path}")


def apisix_candidates(table: ApisixTable, request: Request) -> list[Candidate]:
    """Return the routes whose host and URI fit, in the order in which they are tried, up to the one that wins."""
    uri = normalize(request.path) or ""
    found: list[Candidate] = []
    for uris in table.hosts.falling(request.host_name):
        for route in uris.candidates(uri):
            why = misfit(route, request, uri)
            rule = f"{' '.join(route.hosts) or '*'} {' '.join(route.uris)}"
            found.append(Candidate(rule, str(route.matched), not why, why or "the first that fits"))
            if not why:
                return found
    return found


def _gateway_lines(table: GatewayTable, gateway: str, request: Request) -> Iterator[str]:
    """The listener that takes the request, and its routes' matches in the order of their precedence."""
    for key, listeners in table.candidates(gateway or request.gateway):
        on_port = [one for one in listeners if one.listener.port == request.port]
        found = best_listener(on_port, request.server_name if request.secure else request.host_name)
        if found is None:
            yield f"gateway     {key}: no listener on port {request.port} for this name"
            continue
        name = found.listener.hostname or "any name"
        yield f"gateway     {key}: listener {found.listener.name} ({found.listener.protocol}, {name})"
        yield from _candidate_lines(gateway_candidates(found, request))


def gateway_candidates(found: ListenerTable, request: Request) -> list[Candidate]:
    """Return the matches for this hostname, preferred first, each with why it won or lost."""
    winner = find_entry(found, request)
    tables = (found.grpc, found.http) if is_grpc(request) else (found.http,)
    entries = [entry for table in tables for listed in table.falling(request.host_name) for entry in listed]
    judged = [_judge_entry(entry, winner, request) for entry in {id(entry): entry for entry in entries}.values()]
    return sorted(judged, key=lambda one: (not one.won, one.reason.startswith("does not match")))


def _judge_entry(entry: Entry, winner: Entry | None, request: Request) -> Candidate:
    extras = [entry.method, *(f"{value.name}={value.text}" for value in (*entry.headers, *entry.queries))]
    rule = " ".join(word for word in (entry.path_type, entry.path, *extras) if word)
    place = str(matched_rule(entry.route, entry.rule))
    if entry is winner:
        return Candidate(rule, place, True, "preferred among those that match")
    return Candidate(rule, place, False, "comes later" if entry.matches(request) else "does not match the request")


def _outcome(decision: Decision) -> Iterator[str]:
    if decision.tls:
        shown = decision.tls if isinstance(decision.tls, str) else decision.tls.get("secret")
        yield f"certificate {shown}"
    if decision.location:
        yield f"location    {decision.location}"
    for share in decision.backends:
        yield f"backend     {_share(share)}"
    for outcome in decision.outcomes:
        yield f"outcome     {outcome.weight}: {outcome.status}" + (
            f" from {_share(outcome.backend)}" if outcome.backend else ""
        )
    if decision.upstream_path is not None:
        yield f"upstream    {decision.upstream_host or ''}{decision.upstream_path}"


def _share(share: Share) -> str:
    listed = ", ".join(share.endpoints[:4]) + (" …" if len(share.endpoints) > 4 else "")
    weight = "" if share.weight == 1 else f", {share.weight} of the requests"
    via = " (ClusterIP)" if share.via_cluster_ip else ""
    return f"{share.namespace}/{share.service}:{share.port}{weight} -> {listed or 'no endpoint'}{via}"


def _ignored(routers: Iterable[Router], request: Request) -> Iterator[str]:
    """Name Ingresses for this host that nobody handles: the usual reason for a 404."""
    listed = tuple(routers)
    by_key = {found.key: found for router in listed for found in router.all_ingresses}
    for key, reason in unhandled(listed).items():
        hosts = {rule.host.lower() for rule in by_key[key].rules}
        parent = "*." + request.host_name.partition(".")[2]
        if {request.host_name, parent, ""} & hosts:
            where = by_key[key].source.where("metadata", "name")
            yield f"ignored     Ingress {key} ({where.file}:{where.line}): {reason}"
