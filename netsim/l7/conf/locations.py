"""One location of the configuration: the same phases as the model, in the order in which nginx runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from netsim.l7.conf.groups import EMPTY_GROUP, Groups
from netsim.l7.conf.quoting import Refused, comment, group_names, portable, quote, with_variables
from netsim.l7.conf.view import Condition, Directive, LocationView, Step
from netsim.l7.nginx.annotations import Settings
from netsim.l7.nginx.decide import NginxTable, matched_of
from netsim.l7.nginx.merge import Location
from netsim.l7.nginx.servers import Server


@dataclass(frozen=True, slots=True)
class Frame:
    """What every location refers to: the table, the groups, and variables and zones made at the http level, by
    Ingress key.
    """

    table: NginxTable
    groups: Groups
    cors: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, tuple[Directive, ...]] = field(default_factory=dict)


def utf8(text: str) -> str:
    """Return the text whose UTF-8 bytes a path of the model holds one per character."""
    return text if text.isascii() else text.encode("latin-1", "replace").decode("utf-8", "replace")


def location_view(frame: Frame, server: Server, location: Location) -> LocationView:
    """Return the location; raise Refused when its path cannot be written."""
    return LocationView(_head(server, location), _comment(location), tuple(_steps(frame, location)))


def _head(server: Server, location: Location) -> str:
    path = utf8(location.path)
    if server.regex:
        return f"~* {quote('^' + portable(path))}"
    if not path.startswith("/"):
        raise Refused("it does not start with /")
    return f"= {quote(path)}" if location.exact else quote(path)


def _comment(location: Location) -> str:
    matched = matched_of(location)
    if matched is None:
        return "no Ingress: the default backend"
    kind = (
        "implicit root of the host"
        if location.implicit
        else f"{matched.path_type or 'defaultBackend'} {utf8(location.rule_path)}"
    )
    return comment(f"{kind}: {matched}")


def _steps(frame: Frame, location: Location) -> Iterator[Step]:
    settings, ingress = location.settings, location.ingress
    yield Directive("client_max_body_size", (str(settings.body_size),))
    if settings.denied:
        yield Directive("return", ("503",))
        return
    cors = frame.cors.get(ingress.key, "") if ingress else ""
    if cors:
        yield from _preflight(settings, cors)
    if settings.redirect_url:
        yield Directive("return", (str(settings.redirect_code), quote(_redirect_target(location))))
    yield from _https(frame.table, location)
    upstream = frame.table.upstreams[location.upstream]
    if upstream.endpoints or upstream.builtin:
        yield from _rewrite(location)
    else:
        yield Directive("return", ("503",))
    yield from _limits(frame, location)
    yield from (Directive("deny", (str(network),)) for network in settings.deny)
    yield from _allow(settings)
    yield from _headers(frame, location, cors)
    yield from _errors(frame, location)
    yield from _pass(frame, location)


def _allow(settings: Settings) -> Iterator[Directive]:
    if settings.allow:
        yield from (Directive("allow", (str(network),)) for network in settings.allow)
        yield Directive("deny", ("all",))


def _redirect_target(location: Location) -> str:
    groups, names = group_names(utf8(location.path))
    return with_variables(location.settings.redirect_url, groups, names)


def _preflight(settings: Settings, variable: str) -> Iterator[Step]:
    assert settings.cors is not None
    cors = settings.cors
    yield Condition(
        f"$preflight_{variable}",
        (
            *_cors_headers(settings, variable),
            Directive("add_header", ("Access-Control-Allow-Methods", quote(with_variables(cors.methods, 0)))),
            Directive("add_header", ("Access-Control-Allow-Headers", quote(with_variables(cors.headers, 0)))),
            Directive("add_header", ("Access-Control-Max-Age", str(cors.max_age))),
            Directive("return", ("204",)),
        ),
    )


def _cors_headers(settings: Settings, variable: str) -> Iterator[Directive]:
    assert settings.cors is not None
    yield Directive("add_header", ("Access-Control-Allow-Origin", f"$cors_origin_{variable}", "always"))
    if settings.cors.credentials:
        yield Directive("add_header", ("Access-Control-Allow-Credentials", f"$cors_credentials_{variable}", "always"))
    if settings.cors.expose:
        exposed = quote(with_variables(settings.cors.expose, 0))
        yield Directive("add_header", ("Access-Control-Expose-Headers", exposed, "always"))


def _https(table: NginxTable, location: Location) -> Iterator[Step]:
    settings = location.settings
    if location.rule_path.startswith(table.no_redirect_paths):
        return
    uri = "$request_uri" if settings.preserve_slash else "$uri_without_slash"
    target = (Directive("return", (str(table.redirect_code), f"https://$host{uri}")),)
    if settings.force_ssl_redirect:
        yield Condition('$scheme = "http"', target)
    elif settings.ssl_redirect:
        yield Condition("$http_with_certificate", target)


def _rewrite(location: Location) -> Iterator[Step]:
    if not location.needs_rewrite:
        return
    path = utf8(location.path)
    groups, names = group_names(path)
    target = with_variables(location.settings.rewrite_target, groups, names)
    yield Directive("rewrite", (quote(f"(?i){portable(path)}"), quote(target), "break"))


def _limits(frame: Frame, location: Location) -> Iterator[Directive]:
    if location.ingress and location.settings.limits:
        yield from frame.zones.get(location.ingress.key, ())


COMMON_HEADERS = (
    ("Host", "$best_http_host"),
    ("Upgrade", "$http_upgrade"),
    ("Connection", "$connection_upgrade"),
    ("X-Request-ID", "$request_id"),
    ("X-Real-IP", "$remote_addr"),
    ("X-Forwarded-For", "$remote_addr"),
    ("X-Forwarded-Host", "$best_http_host"),
    ("X-Forwarded-Port", "$server_port"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Forwarded-Scheme", "$scheme"),
    ("X-Scheme", "$scheme"),
    ("X-Original-Forwarded-For", "$http_x_forwarded_for"),
    ("Proxy", '""'),
)
"""The headers that ingress-nginx sets towards every backend."""


def _headers(frame: Frame, location: Location, cors: str) -> Iterator[Directive]:
    """Headers to the backend where they differ from the http level's, and headers of the answer."""
    settings = location.settings
    own: dict[str, str] = {}
    if settings.upstream_vhost:
        own["Host"] = quote(with_variables(settings.upstream_vhost, 0))
    if location.takes_over:
        own["X-Code"] = "503"
    if location.needs_rewrite and settings.x_forwarded_prefix:
        own["X-Forwarded-Prefix"] = quote(with_variables(settings.x_forwarded_prefix, 0))
    grpc = settings.protocol.startswith("GRPC")
    if own or grpc:
        setter = "grpc_set_header" if grpc else "proxy_set_header"
        yield from (Directive(setter, pair) for pair in {**dict(COMMON_HEADERS), **own}.items())
    cookie = frame.groups.cookies.get(location.upstream, "") if _sets_cookie(frame, location) else ""
    if cors or cookie:
        yield Directive("add_header", ("Strict-Transport-Security", "$strict_transport_security", "always"))
    if cors:
        yield from _cors_headers(settings, cors)
    if cookie:
        yield Directive("add_header", ("Set-Cookie", cookie))


def _sets_cookie(frame: Frame, location: Location) -> bool:
    affinity = frame.table.upstreams[location.upstream].affinity
    return affinity is not None and any(path == location.rule_path for _, path in affinity.places)


def error_location(frame: Frame, upstream: str, code: int) -> tuple[str, LocationView]:
    """Return the name and the named location that answers an intercepted error from the error backend."""
    errors = frame.table.upstreams[upstream]
    group = frame.groups.names.get(upstream, "builtin")
    name = f"@errors_{group}_{code}"
    if errors.builtin or upstream not in frame.groups.names:
        return name, LocationView(name, f"error {code}: the built-in default backend", (Directive("return", ("404",)),))
    headers = {**dict(COMMON_HEADERS), "X-Code": str(code), "X-Original-URI": "$request_uri"}
    steps = (
        Directive("proxy_intercept_errors", ("off",)),
        *(Directive("proxy_set_header", pair) for pair in headers.items()),
        Directive("rewrite", ('"(.*)"', "/", "break")),
        Directive("proxy_pass", (f"http://{group}",)),
    )
    return name, LocationView(name, f"error {code}: the error backend", steps)


def _errors(frame: Frame, location: Location) -> Iterator[Directive]:
    settings = location.settings
    if settings.custom_errors:
        yield Directive("proxy_intercept_errors", ("on" if settings.intercept else "off",))
        for code in settings.custom_errors:
            yield Directive("error_page", (str(code), "=", error_location(frame, location.errors, code)[0]))


_PASSES: Mapping[str, Callable[[str], Directive]] = {
    "HTTP": lambda target: Directive("proxy_pass", (f"http://{target}",)),
    "HTTPS": lambda target: Directive("proxy_pass", (f"https://{target}",)),
    "AUTO_HTTP": lambda target: Directive("proxy_pass", (f"$scheme://{target}",)),
    "GRPC": lambda target: Directive("grpc_pass", (f"grpc://{target}",)),
    "GRPCS": lambda target: Directive("grpc_pass", (f"grpcs://{target}",)),
    "FCGI": lambda target: Directive("fastcgi_pass", (target,)),
}


def _pass(frame: Frame, location: Location) -> Iterator[Directive]:
    upstream = frame.table.upstreams[location.upstream]
    if upstream.builtin:
        # A 404 of the precontent phase: allow and deny lists act before it, as before a proxied default backend.
        yield Directive("try_files", ('"/.no-such-file"', "=404"))
        return
    target = frame.groups.targets.get(location.upstream, EMPTY_GROUP) if upstream.endpoints else EMPTY_GROUP
    yield _PASSES[location.settings.protocol](target)
    if location.settings.protocol == "FCGI":
        for name in (
            "REQUEST_METHOD",
            "REQUEST_URI",
            "QUERY_STRING",
            "CONTENT_TYPE",
            "CONTENT_LENGTH",
            "SERVER_PROTOCOL",
        ):
            yield Directive("fastcgi_param", (name, f"${name.lower()}"))
