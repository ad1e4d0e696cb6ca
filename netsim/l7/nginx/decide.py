"""What ingress-nginx does with a request: the server, the location, then the phases in nginx's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from netsim.l7.controller import Controller
from netsim.l7.decision import ONE, Decision, Matched, Share
from netsim.l7.nginx.annotations import Cors, Settings, in_any
from netsim.l7.nginx.canary import canary_share, sticky_endpoint
from netsim.l7.nginx.merge import DEFAULT_SERVER, Location
from netsim.l7.nginx.servers import HEALTH_PATH, Server, certificate_for
from netsim.l7.nginx.upstreams import Upstream
from netsim.l7.nginx.variables import Context, captures_of, expand
from netsim.l7.notes import not_modelled
from netsim.l7.paths import escape_uri, normalize
from netsim.l7.pcre import compile_pattern
from netsim.l7.request import Request
from netsim.l7.table import HostTable, Pattern
from netsim.l7.tls import DEFAULT_CERTIFICATE

ACME: Final = "/.well-known/acme-challenge"


@dataclass(frozen=True, slots=True)
class NginxTable:
    """Everything ingress-nginx knows: servers by name, upstreams, certificates by name, and the controller's
    settings.
    """

    servers: HostTable[Server]
    all_servers: tuple[Server, ...]
    upstreams: Mapping[str, Upstream]
    certificate_names: Mapping[str, str]
    controller: Controller
    default_certificate: str = DEFAULT_CERTIFICATE
    redirect_code: int = 308
    no_redirect_paths: tuple[str, ...] = (ACME,)
    hsts: str = ""
    alias_patterns: tuple[tuple[Pattern, Server], ...] = ()

    def find_server(self, host: str) -> Server | None:
        """Return the server of a host name: exact, wildcard, an alias that is a pattern, else the default server."""
        server = self.servers.find(host)
        if server is not self.servers.fallback or not self.alias_patterns:
            return server
        return next((found for pattern, found in self.alias_patterns if pattern.search(host)), server)


@dataclass(slots=True)
class Counters:
    """Requests seen per limited Ingress and client, all at one instant; one such object is one run of queries."""

    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def count(self, key: tuple[str, str]) -> int:
        """Count one more request and return how many there are now."""
        self.seen[key] = self.seen.get(key, 0) + 1
        return self.seen[key]


def decide_nginx(table: NginxTable, request: Request, counters: Counters | None = None) -> Decision:
    """Return what happens to a request."""
    decision = _decide(table, request, counters)
    if request.scheme != "https":
        return decision
    name = certificate_for(request.server_name or DEFAULT_SERVER, table.certificate_names)
    secret = table.default_certificate if name in (None, DEFAULT_CERTIFICATE) else name
    secured = certificate_for(request.host_name or DEFAULT_SERVER, table.certificate_names) is not None
    headers = {"Strict-Transport-Security": table.hsts} if table.hsts and secured and decision.matched else {}
    merged = {**headers, **decision.response_headers} if headers else decision.response_headers
    return replace(decision, tls={"secret": str(secret)}, response_headers=merged)


def _decide(table: NginxTable, request: Request, counters: Counters | None) -> Decision:
    server = table.find_server(request.host_name)
    uri = normalize(request.path)
    if server is None or uri is None:
        return Decision(400, "BAD_REQUEST", why="the path is malformed")
    if server.redirect_to:
        return _www_redirect(table, server, request)
    if server.app_root and uri == "/":
        scheme = "https" if request.secure else "http"
        target = f"{scheme}://{request.host}{server.app_root}"
        return Decision(
            302, "APP_ROOT", location=target, matched=_creator(server), why=f"app-root of server {server.host}"
        )
    if _is_health_check(server, uri):
        return Decision(200, "HEALTH_CHECK", why="the default server's own health check")
    location, slash = find_location(server, uri)
    if location is None:
        return Decision(404, "NO_RULE", why=f"no location of server {server.host} matches {uri}")
    decision = _in_location(table, server, location, slash, request, uri, counters)
    return decision if location.settings.denied else _dressed(table, location, request, decision)


def _dressed(table: NginxTable, location: Location, request: Request, decision: Decision) -> Decision:
    """Whatever answers in a location: its status may be a custom error, and it carries the CORS headers."""
    settings, status = location.settings, decision.status or 0
    if status in settings.custom_errors and not decision.backends:
        decision = _custom_error(table, location, request, status, matched_of(location))
    if settings.cors and decision.code != "PREFLIGHT" and (headers := cors_headers(settings.cors, request)):
        return replace(decision, response_headers={**decision.response_headers, **headers})
    return decision


def _is_health_check(server: Server, uri: str) -> bool:
    """The default server's string prefix /healthz, unless a rule without host matches longer or exactly."""
    if server.host != DEFAULT_SERVER or not uri.startswith(HEALTH_PATH):
        return False
    if server.regex:
        return server.table.first(uri) is None
    longest = server.table.longest(uri)
    return uri not in server.table.exact and (longest is None or len(longest.path) <= len(HEALTH_PATH))


def find_location(server: Server, uri: str) -> tuple[Location | None, bool]:
    """Return the location of a normalized path, and whether nginx first redirects to the path with a slash."""
    table = server.table
    if server.regex:
        return table.first(uri), False
    exact = table.exact.get(uri)
    if exact is not None:
        return exact, False
    slashed = f"{uri}/"
    redirecting = table.exact.get(slashed) or table.prefix.get(slashed)
    if redirecting is not None and not redirecting.settings.denied:
        return redirecting, True
    return table.longest(uri), False


def _in_location(
    table: NginxTable,
    server: Server,
    location: Location,
    slash: bool,
    request: Request,
    uri: str,
    counters: Counters | None,
) -> Decision:
    """The phases of one location: body size, trailing slash, CORS, redirects, rewrite, TLS, balancer, limits, lists,
    proxy.
    """
    settings, matched = location.settings, matched_of(location)
    if settings.body_size and request.body_bytes > settings.body_size:
        return Decision(413, "BODY_TOO_LARGE", matched=matched, why=f"the body exceeds {settings.body_size} bytes")
    if slash:
        return _slash_redirect(request, uri, matched)
    if settings.denied:
        return Decision(503, "BAD_ANNOTATION", matched=matched, why=settings.denied)
    preflight = _preflight(settings.cors, request, matched) if settings.cors else None
    if preflight is not None:
        return preflight
    context = Context(request, uri, _location_captures(server, location, uri))
    if settings.redirect_url:
        target = expand(settings.redirect_url, context)
        return Decision(settings.redirect_code, "REDIRECT", location=target, matched=matched, why="redirect annotation")
    rewritten = _rewrite(location, context)
    if isinstance(rewritten, Decision):
        return replace(rewritten, matched=matched)
    if _redirects_to_https(table, location, request):
        return _https_redirect(table, settings, request, matched)
    return _balance(table, server, location, request, rewritten, counters, matched)


def matched_of(location: Location) -> Matched | None:
    """Return the object behind a location; the implicit root of a host stands for its defaultBackend, if any."""
    ingress = location.ingress
    if ingress is None:
        return None
    if location.rule is not None:
        rule = location.rule
        return Matched(
            "Ingress",
            ingress.namespace,
            ingress.name,
            rule.rule,
            rule.index,
            rule.path_type,
            ingress.source,
            rule.field,
        )
    field_path = ("spec", "defaultBackend") if ingress.default_backend else ("spec",)
    return Matched("Ingress", ingress.namespace, ingress.name, None, "default", None, ingress.source, field_path)


def _creator(server: Server) -> Matched | None:
    located = next((loc for loc in server.locations if loc.settings.app_root and loc.ingress), None)
    return matched_of(located) if located else None


def _www_redirect(table: NginxTable, server: Server, request: Request) -> Decision:
    """`$scheme://to:$server_port` and the request URI without one trailing slash."""
    scheme = "https" if request.secure else "http"
    target = f"{scheme}://{server.redirect_to}:{request.port}{request.uri.removesuffix('/')}"
    why = f"from-to-www-redirect of host {server.redirect_to}"
    return Decision(table.redirect_code, "WWW_REDIRECT", location=target, why=why)


def _slash_redirect(request: Request, uri: str, matched: Matched | None) -> Decision:
    """nginx's own 301 to a location that ends in `/`; query kept, host without port (port_in_redirect off)."""
    scheme = "https" if request.secure else "http"
    arguments = f"?{request.query}" if request.query else ""
    target = f"{scheme}://{request.host_name or DEFAULT_SERVER}{escape_uri(uri)}/{arguments}"
    return Decision(
        301, "SLASH_REDIRECT", location=target, matched=matched, why="nginx redirects to the location's trailing slash"
    )


def _preflight(cors: Cors, request: Request, matched: Matched | None) -> Decision | None:
    """OPTIONS of an allowed origin is answered; that of another origin goes on to the backend."""
    headers = cors_headers(cors, request) if request.method == "OPTIONS" else {}
    if not headers:
        return None
    headers["Access-Control-Allow-Methods"] = cors.methods
    headers["Access-Control-Allow-Headers"] = cors.headers
    headers["Access-Control-Max-Age"] = str(cors.max_age)
    return Decision(204, "PREFLIGHT", response_headers=headers, matched=matched, why="enable-cors answers OPTIONS")


def cors_headers(cors: Cors, request: Request) -> dict[str, str]:
    """Return the Access-Control headers of an answer; {} for an origin that is not allowed."""
    origin = request.headers.get("origin", "")
    if "*" in cors.origins:
        allowed = "*"
    else:
        allowed = origin if any(_origin_matches(pattern, origin) for pattern in cors.origins) else ""
    if not allowed:
        return {}
    headers = {"Access-Control-Allow-Origin": allowed}
    if cors.credentials:
        headers["Access-Control-Allow-Credentials"] = "true"
    if cors.expose:
        headers["Access-Control-Expose-Headers"] = cors.expose
    return headers


def _origin_matches(pattern: str, origin: str) -> bool:
    scheme, star, parent = pattern.partition("*.")
    if not star:
        return pattern == origin
    label = origin.removeprefix(scheme).removesuffix(f".{parent}")
    return origin == f"{scheme}{label}.{parent}" and bool(label) and "." not in label


def _location_captures(server: Server, location: Location, uri: str) -> dict[str, str]:
    if not server.regex or "$" not in location.settings.redirect_url:
        return {}
    pattern = compile_pattern(f"^{location.path}", ignore_case=True)
    return captures_of(pattern.search(uri)) if pattern else {}


def _rewrite(location: Location, context: Context) -> str | Decision:
    """`rewrite "(?i)<path>" <target> break`: the whole URI is replaced; without it the backend gets the raw URI."""
    request, target = context.request, location.settings.rewrite_target
    if not location.needs_rewrite:
        return request.uri
    pattern = compile_pattern(location.path, ignore_case=True)
    found = pattern.search(context.uri) if pattern else None
    if found is None:
        return request.uri
    path, mark, arguments = target.partition("?")
    inside = Context(request, context.uri, captures_of(found))
    new = expand(path, inside)
    query = _arguments(expand(arguments, inside), bool(mark), request.query)
    if target.startswith(("http://", "https://", "$scheme")):
        return Decision(302, "REWRITE_REDIRECT", location=new + query, why="rewrite-target is a URL")
    return escape_uri(new) + query


def _arguments(own: str, marked: bool, given: str | None) -> str:
    """The target's arguments, then the request's; a target that ends in `?` drops them."""
    if marked and not own:
        return ""
    joined = "&".join(part for part in (own, given or "") if part)
    return f"?{joined}" if joined else ""


def _redirects_to_https(table: NginxTable, location: Location, request: Request) -> bool:
    settings = location.settings
    if _scheme(table, request) != "http" or not (settings.force_ssl_redirect or settings.ssl_redirect):
        return False
    if location.rule_path.startswith(table.no_redirect_paths):
        return False
    host = request.host_name or DEFAULT_SERVER
    return settings.force_ssl_redirect or certificate_for(host, table.certificate_names) is not None


def _scheme(table: NginxTable, request: Request) -> str:
    forwarded = request.headers.get("x-forwarded-proto")
    if forwarded and table.controller.config.get("use-forwarded-headers") == "true":
        return forwarded.partition(",")[0].strip()
    return "https" if request.secure else "http"


def _https_redirect(table: NginxTable, settings: Settings, request: Request, matched: Matched | None) -> Decision:
    uri = request.uri if settings.preserve_slash else request.uri.removesuffix("/")
    target = f"https://{request.host_name or DEFAULT_SERVER}{uri}"
    why = "force-ssl-redirect" if settings.force_ssl_redirect else "ssl-redirect, and the host has a certificate"
    return Decision(table.redirect_code, "SSL_REDIRECT", location=target, matched=matched, why=why)


def _balance(
    table: NginxTable, server: Server, location: Location, request: Request, path: str, counters: Counters | None,
    matched: Matched | None,
) -> Decision:  # fmt: skip
    upstream = table.upstreams[location.upstream]
    if upstream.builtin:
        refused = _refused(location, request, counters)
        return refused or Decision(404, "NO_RULE", matched=None, why=_no_rule(server, location))
    if not upstream.endpoints:
        return Decision(503, upstream.problem or "NO_ENDPOINTS", matched=matched, why=_empty(upstream))
    refused = _refused(location, request, counters)
    if refused is not None:
        return refused
    return _proxy(table, location, upstream, request, path, matched)


def _no_rule(server: Server, location: Location) -> str:
    if server.host == DEFAULT_SERVER and location.ingress is None:
        return "no server of that host; the default backend answers 404"
    return f"only the implicit root of server {server.host} matches; the default backend answers 404"


def _empty(upstream: Upstream) -> str:
    share = upstream.share
    return f"Service {share.namespace}/{share.service} port {share.port}: no endpoint"


def _refused(location: Location, request: Request, counters: Counters | None) -> Decision | None:
    """Rates first, then the deny list, then the allow list."""
    settings = location.settings
    if not (settings.limits or settings.deny or settings.allow):
        return None
    if counters is not None and _over_rate(location, request, counters):
        return Decision(503, "RATE_LIMITED", matched=matched_of(location), why="limit-rps or limit-rpm is exceeded")
    if settings.deny and in_any(request.client, settings.deny):
        return Decision(403, "FORBIDDEN", matched=matched_of(location), why=f"{request.client} is on the deny list")
    if settings.allow and not in_any(request.client, settings.allow):
        return Decision(
            403, "FORBIDDEN", matched=matched_of(location), why=f"{request.client} is not on the allow list"
        )
    return None


def _over_rate(location: Location, request: Request, counters: Counters) -> bool:
    """All requests of a run come at one instant: one passes, then the burst (rate x multiplier, nodelay)."""
    limits, ingress = location.settings.limits, location.ingress
    if limits is None or ingress is None or in_any(request.client, limits.exempt):
        return False
    rates = [rate for rate in (limits.rps, limits.rpm) if rate]
    return bool(rates) and counters.count((ingress.key, request.client)) > 1 + min(rates) * limits.burst


def _proxy(
    table: NginxTable, location: Location, upstream: Upstream, request: Request, path: str, matched: Matched | None
) -> Decision:
    settings = location.settings
    backends = _backends(table, upstream, request)
    status = request.backend_status
    if status in settings.custom_errors and settings.intercept:
        return _custom_error(table, location, request, status, matched)
    headers = forwarded_headers(request)
    if location.takes_over:
        headers["X-Code"] = "503"
    if location.needs_rewrite and settings.x_forwarded_prefix:
        headers["X-Forwarded-Prefix"] = settings.x_forwarded_prefix
    notes = (not_modelled(matched, settings.not_modelled),) if settings.not_modelled else ()
    return Decision(
        status,
        "DEFAULT_BACKEND" if location.takes_over or location.rule is None else "OK",
        backends=backends,
        upstream_path=path,
        upstream_host=settings.upstream_vhost or request.host or request.host_name or DEFAULT_SERVER,
        upstream_headers=headers,
        response_headers=request.backend_headers,
        matched=matched,
        notes=notes,
        set_cookie=_set_cookie(location, upstream, request),
    )


def forwarded_headers(request: Request) -> dict[str, str]:
    """Return the X- headers that the controller sets towards every backend."""
    scheme = "https" if request.secure else "http"
    return {
        "X-Real-IP": request.client,
        "X-Forwarded-For": request.client,
        "X-Forwarded-Host": request.host or DEFAULT_SERVER,
        "X-Forwarded-Port": str(request.port),
        "X-Forwarded-Proto": scheme,
        "X-Forwarded-Scheme": scheme,
        "X-Scheme": scheme,
    }


def _backends(table: NginxTable, upstream: Upstream, request: Request) -> tuple[Share, ...]:
    if not upstream.alternative:
        return (_sticky(upstream, request),)
    canary = table.upstreams[upstream.alternative]
    part = canary_share(upstream, canary, request)
    if part == ONE:
        return (_sticky(canary, request),)
    if not part:
        return (_sticky(upstream, request),)
    return (_weighted(_sticky(upstream, request), ONE - part), _weighted(_sticky(canary, request), part))


def _weighted(share: Share, weight: Fraction) -> Share:
    return replace(share, weight=weight)


def _sticky(upstream: Upstream, request: Request) -> Share:
    if upstream.affinity is None:
        return upstream.share
    endpoint = sticky_endpoint(upstream, request)
    return upstream.share if endpoint is None else replace(upstream.share, endpoints=(endpoint,))


def _set_cookie(location: Location, upstream: Upstream, request: Request) -> str | None:
    """The cookie is set where an Ingress with affinity names this host and path, when the request has none yet."""
    affinity = upstream.affinity
    if affinity is None or affinity.cookie in request.cookies:
        return None
    host = request.host_name
    wildcard = "*." + host.partition(".")[2]
    places = {(name, location.rule_path) for name in (host, wildcard, DEFAULT_SERVER)}
    return affinity.cookie if places & affinity.places else None


def _custom_error(
    table: NginxTable, location: Location, request: Request, status: int, matched: Matched | None
) -> Decision:
    """custom-http-errors: the request is repeated at `/` of the error backend with the code; the client sees its
    answer.
    """
    errors = table.upstreams[location.errors]
    why = f"custom-http-errors intercepts {status}"
    if errors.builtin:
        return Decision(404, "CUSTOM_ERROR", matched=matched, why=f"{why}; the built-in default backend answers 404")
    headers = {"X-Code": str(status), "X-Original-URI": request.uri}
    if location.ingress:
        headers.update({"X-Namespace": location.ingress.namespace, "X-Ingress-Name": location.ingress.name})
    return Decision(
        request.backend_status,
        "CUSTOM_ERROR",
        backends=(errors.share,),
        upstream_path=f"/?{request.query}" if request.query else "/",
        upstream_host=request.host or DEFAULT_SERVER,
        upstream_headers=headers,
        matched=matched,
        why=why,
    )
