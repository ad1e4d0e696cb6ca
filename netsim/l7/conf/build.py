"""From the table of ingress-nginx to a configuration for a stock nginx."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from netsim.l7.conf.certs import Pair, pair_of
from netsim.l7.conf.groups import EMPTY_GROUP, build_groups
from netsim.l7.conf.locations import COMMON_HEADERS, Frame, error_location, location_view
from netsim.l7.conf.quoting import Refused, comment, host_name, identifier, literal, portable, quote
from netsim.l7.conf.view import Block, Condition, ConfView, Directive, LocationView, ServerView, Step
from netsim.l7.ingress import Ingress
from netsim.l7.nginx.annotations import Cors, Limits, Settings
from netsim.l7.nginx.decide import NginxTable
from netsim.l7.nginx.merge import DEFAULT_SERVER, Location
from netsim.l7.nginx.servers import HEALTH_PATH, Server, certificate_for
from netsim.l7.tls import DEFAULT_CERTIFICATE, Certificate
from netsim.notes import Note


@dataclass(frozen=True, slots=True)
class Target:
    """Where the configuration is to run: what it listens on, and addresses that replace endpoints (`ip:port` both)."""

    http: str = "80"
    https: str = "443"
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The configuration, its certificate files by stem, and what could not be expressed."""

    view: ConfView
    certificates: Mapping[str, Pair]
    notes: tuple[Note, ...]


def compile_table(
    table: NginxTable, certificates: Mapping[str, Certificate], title: str, target: Target | None = None
) -> Compiled:
    """Return the configuration of a table."""
    target = target or Target()
    servers = [server for server in table.all_servers if _writable(server)]
    locations = [location for server in servers for location in server.locations]
    used = {name for location in locations for name in (location.upstream, location.errors)}
    groups = build_groups(table.upstreams, used, target.addresses)
    owners = _owners(locations)
    cors, cors_blocks = _cors_blocks(owners)
    zones, zone_directives, limit_blocks = _limit_zones(owners)
    frame = Frame(table, groups, cors, zones)
    stems = _stems(table, servers)
    views = tuple(_server_view(frame, server, stems[_secret(table, server)]) for server in servers)
    left_out = tuple(comment(f"host {s.host}: it is no host name") for s in table.all_servers if not _writable(s))
    notes = _notes(owners, (*groups.refused, *left_out, *(reason for view in views for reason in view.refused)))
    view = ConfView(
        title=comment(title),
        http=target.http,
        https=target.https,
        hash_size=_hash_size(len(locations) + 8 * len(servers)),
        zones=(*_http_level(), *zone_directives),
        blocks=(*_certificate_maps(table), *limit_blocks, *cors_blocks, _empty_group(), *groups.blocks),
        servers=views,
        notes=tuple(comment(str(note)) for note in notes),
    )
    pairs = {stem: pair_of(certificates.get(secret), secret) for secret, stem in stems.items()}
    return Compiled(view, pairs, notes)


def _writable(server: Server) -> bool:
    try:
        return bool(host_name(server.host)) and bool(host_name(server.redirect_to or "_"))
    except Refused:
        return False


def _owners(locations: Iterable[Location]) -> dict[str, tuple[Ingress, Settings]]:
    return {loc.ingress.key: (loc.ingress, loc.settings) for loc in locations if loc.ingress is not None}


def _secret(table: NginxTable, server: Server) -> str:
    """The certificate that a client naming this server gets: its own, a wildcard's, else the default."""
    found = certificate_for(server.host, table.certificate_names)
    return table.default_certificate if found in (None, DEFAULT_CERTIFICATE) else str(found)


def _stems(table: NginxTable, servers: Iterable[Server]) -> dict[str, str]:
    stems: dict[str, str] = {}
    for secret in sorted({_secret(table, server) for server in servers}):
        stem = identifier(secret.replace("/", "_"))
        stems[secret] = stem if stem not in stems.values() else f"{stem}_{len(stems)}"
    return stems


def _hash_size(entries: int) -> int:
    size = 2048
    while size < 4 * entries:
        size *= 2
    return size


def _http_level() -> Iterator[Directive]:
    yield Directive("proxy_http_version", ("1.1",))
    yield Directive("proxy_redirect", ("off",))
    yield from (Directive("proxy_set_header", pair) for pair in COMMON_HEADERS)
    yield Directive("add_header", ("Strict-Transport-Security", "$strict_transport_security", "always"))


def _empty_group() -> Block:
    return Block(
        f"upstream {EMPTY_GROUP}", ("server 127.0.0.1:1 down",), "stands where a Service has no endpoint; never asked"
    )


def _certificate_maps(table: NginxTable) -> tuple[Block, ...]:
    """Whether a host has a certificate (its own name's or its wildcard's): plain HTTP is then redirected."""
    lines = ["default 0"]
    for host in sorted(table.certificate_names):
        try:
            lines.append(f"{quote(_host_key(host_name(host)))} 1")
        except Refused:
            continue
    hsts = quote(literal(table.hsts)) if table.hsts else '""'
    return (
        Block("map $host $certificate_configured", tuple(lines)),
        Block('map "$scheme:$certificate_configured" $http_with_certificate', ("default 0", '"http:1" 1')),
        Block('map "$scheme:$certificate_configured" $strict_transport_security', ('default ""', f'"https:1" {hsts}')),
    )


def _host_key(host: str) -> str:
    return rf"~^[^.]+{re.escape(host[1:])}$" if host.startswith("*.") else rf"~^{re.escape(host)}$"


def _server_view(frame: Frame, server: Server, stem: str) -> ServerView:
    refused: list[str] = []
    names = tuple(_names(server, refused))
    if server.redirect_to:
        target = f"$scheme://{server.redirect_to}:$server_port$uri_without_slash"
        steps: tuple[Step, ...] = (Directive("return", (str(frame.table.redirect_code), quote(target))),)
        return ServerView(f"{server.host} redirects to {server.redirect_to}", names, False, stem, steps)
    locations = (*_locations(frame, server, refused), *_error_locations(frame, server))
    default = server.host == DEFAULT_SERVER
    if default:
        health = LocationView(quote(HEALTH_PATH), "the controller's health check", (Directive("return", ("200",)),))
        locations = (*locations, health)
    steps = tuple(_app_roots(server, refused))
    return ServerView(_title(server), names, default, stem, steps, locations, tuple(refused))


def _title(server: Server) -> str:
    if server.host == DEFAULT_SERVER:
        return "requests for hosts that no rule names"
    mode = "; every path is a regular expression" if server.regex else ""
    return comment(f"host {server.host}, made by Ingress {server.creator.key if server.creator else '?'}{mode}")


def _names(server: Server, refused: list[str]) -> Iterator[str]:
    for name in (server.host, *server.aliases):
        try:
            yield _server_name(name)
        except Refused as why:
            refused.append(comment(f"server-alias {name}: {why}"))


def _server_name(name: str) -> str:
    """A wildcard is one label, so it is a regular expression, not nginx's own wildcard."""
    if name.startswith("~"):
        return quote("~" + portable(name.lstrip("~")))
    plain = host_name(name)
    return quote(rf"~^[\w-]+{re.escape(plain[1:])}$") if plain.startswith("*.") else quote(plain)


def _app_roots(server: Server, refused: list[str]) -> Iterator[Step]:
    if server.app_root:
        try:
            target = quote(f"$scheme://$http_host{literal(server.app_root)}")
        except Refused as why:
            refused.append(comment(f"app-root {server.app_root}: {why}"))
            return
        yield Condition('$uri = "/"', (Directive("return", ("302", target)),))


def _locations(frame: Frame, server: Server, refused: list[str]) -> Iterator[LocationView]:
    heads: set[str] = set()
    for location in server.locations:
        try:
            view = location_view(frame, server, location)
        except Refused as why:
            refused.append(comment(f"path {location.path}: {why}"))
            continue
        if view.head not in heads:
            heads.add(view.head)
            yield view


def _error_locations(frame: Frame, server: Server) -> Iterator[LocationView]:
    wanted = {(loc.errors, code) for loc in server.locations for code in loc.settings.custom_errors}
    named = dict(error_location(frame, upstream, code) for upstream, code in sorted(wanted))
    yield from (named[name] for name in sorted(named))


def _cors_blocks(owners: Mapping[str, tuple[Ingress, Settings]]) -> tuple[dict[str, str], list[Block]]:
    variables: dict[str, str] = {}
    blocks: list[Block] = []
    for number, (key, (_, settings)) in enumerate(sorted(owners.items())):
        if settings.cors:
            variables[key] = str(number)
            blocks += _cors_maps(number, settings.cors)
    return variables, blocks


def _cors_maps(number: int, cors: Cors) -> Iterator[Block]:
    lines = ['default "*"'] if "*" in cors.origins else ['default ""', *_origins(cors.origins)]
    yield Block(f"map $http_origin $cors_origin_{number}", tuple(lines))
    yield Block(f"map $cors_origin_{number} $cors_credentials_{number}", ("default true", '"" ""'))
    yield Block(f'map "$request_method:$cors_origin_{number}" $preflight_{number}', ("default 0", '"~^OPTIONS:." 1'))


def _origins(origins: Iterable[str]) -> Iterator[str]:
    for origin in origins:
        scheme, star, parent = origin.partition("*.")
        pattern = rf"^{re.escape(scheme)}[A-Za-z0-9-]+\.{re.escape(parent)}$" if star else rf"^{re.escape(origin)}$"
        try:
            yield f"{quote('~' + portable(pattern))} $http_origin"
        except Refused:
            continue


def _limit_zones(
    owners: Mapping[str, tuple[Ingress, Settings]],
) -> tuple[dict[str, tuple[Directive, ...]], list[Directive], list[Block]]:
    """Zones by Ingress: all its locations count together, per client address."""
    uses: dict[str, tuple[Directive, ...]] = {}
    zones: list[Directive] = []
    blocks: list[Block] = []
    for number, (key, (_, settings)) in enumerate(sorted(owners.items())):
        if settings.limits:
            blocks += _exemptions(number, settings.limits)
            uses[key] = tuple(use for use, _ in _zones(number, settings.limits))
            zones += [zone for _, zone in _zones(number, settings.limits)]
    return uses, zones, blocks


def _exemptions(number: int, limits: Limits) -> Iterator[Block]:
    exempt = (f"{network} 1" for network in dict.fromkeys(limits.exempt))
    yield Block(f"geo $exempt_{number}", ("default 0", *exempt))
    yield Block(f"map $exempt_{number} $limited_{number}", ("default $binary_remote_addr", '1 ""'))


def _zones(number: int, limits: Limits) -> Iterator[tuple[Directive, Directive]]:
    for unit, rate in (("s", limits.rps), ("m", limits.rpm)):
        if rate:
            zone = f"limit_{number}_r{unit}"
            use = Directive("limit_req", (f"zone={zone}", f"burst={min(rate * limits.burst, 1 << 30)}", "nodelay"))
            words = (f"$limited_{number}", f"zone={zone}:1m", f"rate={min(rate, 1 << 20)}r/{unit}")
            yield use, Directive("limit_req_zone", words)
    if limits.connections:
        zone = f"limit_{number}_connections"
        use = Directive("limit_conn", (zone, str(min(limits.connections, 65535))))
        yield use, Directive("limit_conn_zone", (f"$limited_{number}", f"zone={zone}:1m"))


def _notes(owners: Mapping[str, tuple[Ingress, Settings]], refused: Iterable[str]) -> tuple[Note, ...]:
    notes = [Note("NOT_EXPRESSED", reason) for reason in refused]
    for key, (_, settings) in sorted(owners.items()):
        for name in settings.snippets:
            text = f"Ingress {key}: {name} is configuration text of an untrusted author; it is refused, not copied"
            notes.append(Note("SNIPPET_REFUSED", text))
        notes += [Note("NOT_EXPRESSED", f"Ingress {key}: {name} is not written") for name in settings.not_modelled]
    return tuple(notes)
