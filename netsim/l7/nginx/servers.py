"""Servers as nginx sees them: locations in order, doubled and normalized, or regular expressions; names and
certificates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from netsim.l7.ingress import Ingress
from netsim.l7.nginx.annotations import Settings
from netsim.l7.nginx.merge import DEFAULT_SERVER, Location, Merged
from netsim.l7.pcre import compile_pattern
from netsim.l7.table import HostTable, PathTable, Pattern
from netsim.l7.tls import DEFAULT_CERTIFICATE, Certificate

HEALTH_PATH: Final = "/healthz"


@dataclass(frozen=True, slots=True)
class Server:
    """One server block. `locations` are in nginx's order; `certificate` is `ns/name`, "default" or None (no HTTPS
    section).

    `redirect_to` is not "": the server exists only to redirect to that name (from-to-www-redirect). `broken` are the
    locations whose regular expression does not compile.
    """

    host: str
    locations: tuple[Location, ...] = ()
    table: PathTable[Location] = field(default_factory=PathTable)
    regex: bool = False
    aliases: tuple[str, ...] = ()
    app_root: str = ""
    certificate: str | None = None
    redirect_to: str = ""
    broken: tuple[Location, ...] = ()
    creator: Ingress | None = None


def build_servers(
    merged: Merged, ordered: Sequence[tuple[Ingress, Settings]], certificates: Mapping[str, Certificate]
) -> tuple[Server, ...]:
    """Return the servers by name, the default server ("_") among them, redirect servers last."""
    secrets = _certificates(merged, ordered, certificates)
    aliases = _aliases(merged, ordered)
    servers = [
        _server(host, merged.hosts[host], aliases.get(host, ()), secrets.get(host), merged.creators.get(host))
        for host in sorted(merged.hosts)
    ]
    return (*servers, *_www_servers(servers, certificates))


def _server(
    host: str, locations: Sequence[Location], aliases: tuple[str, ...], secret: str | None, creator: Ingress | None
) -> Server:
    ordered = update_locations(sort_locations(locations))
    regex = any(location.wants_regex for location in ordered)
    root = next((location.settings.app_root for location in ordered if location.settings.app_root), "")
    server = Server(host, ordered, PathTable(), regex, aliases, root, secret, creator=creator)
    return _with_patterns(server) if regex else replace(server, table=_plain_table(ordered))


def sort_locations(locations: Iterable[Location]) -> list[Location]:
    """Sort by path text descending, then, keeping that order, by length descending."""
    by_text = sorted(locations, key=lambda location: location.path.encode(), reverse=True)
    return sorted(by_text, key=lambda location: -len(location.path.encode()))


def update_locations(locations: Sequence[Location]) -> tuple[Location, ...]:
    """Double Prefix locations: `/x` becomes `/x/` and `= /x` (none if an Exact /x exists); those with rewrites stay."""
    exact = {location.path for location in locations if location.exact}
    updated: list[Location] = []
    for location in locations:
        if location.path == "/" or location.exact or location.wants_regex:
            updated.append(location)
            continue
        slashed = location.path if location.path.endswith("/") else f"{location.path}/"
        updated.append(replace(location, path=slashed))
        if location.path not in exact:
            updated.append(replace(location, exact=True))
    return tuple(updated)


def _plain_table(locations: Iterable[Location]) -> PathTable[Location]:
    exact: dict[str, Location] = {}
    prefix: dict[str, Location] = {}
    for location in locations:
        (exact if location.exact else prefix).setdefault(location.path, location)
    return PathTable(exact, prefix)


def _with_patterns(server: Server) -> Server:
    patterns: list[tuple[Pattern, Location]] = []
    broken: list[Location] = []
    for location in server.locations:
        pattern = compile_pattern(f"^{location.path}", ignore_case=True)
        if pattern is None:
            broken.append(location)
        else:
            patterns.append((pattern, location))
    return replace(server, table=PathTable(patterns=tuple(patterns)), broken=tuple(broken))


def _aliases(merged: Merged, ordered: Sequence[tuple[Ingress, Settings]]) -> dict[str, tuple[str, ...]]:
    """The first aliases of a host count; those equal to an existing host are dropped."""
    found: dict[str, tuple[str, ...]] = {}
    for ingress, settings in ordered:
        for rule in ingress.rules if settings.aliases and not settings.canary else ():
            found.setdefault(rule.host or DEFAULT_SERVER, settings.aliases)
    return {host: tuple(sorted(alias for alias in names if alias not in merged.hosts)) for host, names in found.items()}


def _certificates(
    merged: Merged, ordered: Sequence[tuple[Ingress, Settings]], certificates: Mapping[str, Certificate]
) -> dict[str, str]:
    """Each host's certificate: that of the first Ingress of the host with a tls section; any such gives all its hosts
    one.
    """
    chosen: dict[str, str] = {DEFAULT_SERVER: DEFAULT_CERTIFICATE}
    for ingress, settings in ordered:
        for rule in ingress.rules if ingress.tls and not settings.canary else ():
            host = rule.host or DEFAULT_SERVER
            if host in merged.hosts and host not in chosen:
                chosen[host] = host_certificate(host, ingress, certificates)
    return chosen


def host_certificate(host: str, ingress: Ingress, certificates: Mapping[str, Certificate]) -> str:
    """Return the Secret serving *host*: the tls entry listing it, else one whose names cover it; "default" if
    unusable.
    """
    name = secret_for(host, ingress, certificates)
    found = certificates.get(f"{ingress.namespace}/{name}")
    return found.secret if found is not None and found.covers(host) else DEFAULT_CERTIFICATE


def secret_for(host: str, ingress: Ingress, certificates: Mapping[str, Certificate]) -> str:
    """Return the name of the Secret that the tls sections give a host, "" if none (extractTLSSecretName)."""
    for entry in ingress.tls:
        if host.lower() in (listed.lower() for listed in entry.hosts):
            return entry.secret
    for entry in ingress.tls:
        found = certificates.get(f"{ingress.namespace}/{entry.secret}")
        if found is not None and found.covers(host):
            return entry.secret
    return ""


def _www_servers(servers: Sequence[Server], certificates: Mapping[str, Certificate]) -> list[Server]:
    """from-to-www-redirect: the twin of the host redirects to it, unless that host exists."""
    hosts = {server.host for server in servers}
    made: list[Server] = []
    for server in servers:
        if not any(location.settings.from_to_www for location in server.locations if not location.implicit):
            continue
        twin = server.host.removeprefix("www.") if server.host.startswith("www.") else f"www.{server.host}"
        if twin not in hosts:
            found = certificates.get(server.certificate or "")
            secret = server.certificate if found is not None and found.covers(twin) else None
            made.append(Server(twin, redirect_to=server.host, certificate=secret))
    return made


def server_names(servers: Iterable[Server]) -> HostTable[Server]:
    """Return the servers by Host: names first, then aliases in order; the first server that claims a name keeps it."""
    exact: dict[str, Server] = {}
    wildcard: dict[str, Server] = {}
    fallback: Server | None = None
    listed = tuple(servers)
    for server in listed:
        if server.host == DEFAULT_SERVER:
            fallback = server
        _claim(server.host, server, exact, wildcard)
    for server in listed:
        for alias in server.aliases:
            if not alias.startswith("~"):
                _claim(alias, server, exact, wildcard)
    return HostTable(exact, wildcard, fallback)


def alias_patterns(servers: Iterable[Server]) -> tuple[tuple[Pattern, Server], ...]:
    """Return the aliases that are regular expressions (`~^www[0-9]+`), in the servers' order."""
    listed = (
        (compile_pattern(a.lstrip("~"), ignore_case=True), s) for s in servers for a in s.aliases if a.startswith("~")
    )
    return tuple((pattern, server) for pattern, server in listed if pattern is not None)


def _claim(name: str, server: Server, exact: dict[str, Server], wildcard: dict[str, Server]) -> None:
    lowered = name.lower()
    if lowered.startswith("*."):
        wildcard.setdefault(lowered[1:], server)
    else:
        exact.setdefault(lowered, server)


def certificate_names(servers: Iterable[Server], certificates: Mapping[str, Certificate]) -> Mapping[str, str]:
    """Return the certificate by server name as the controller hands them to nginx; aliases only when covered."""
    names: dict[str, str] = {}
    for server in servers:
        if server.certificate is None:
            continue
        names.setdefault(server.host, server.certificate)
        found = certificates.get(server.certificate)
        for alias in server.aliases:
            if found is not None and found.covers(alias):
                names.setdefault(alias, server.certificate)
    return names


def certificate_for(name: str, names: Mapping[str, str]) -> str | None:
    """Return the certificate of a server name: of the name itself, else of its one-label wildcard."""
    found = names.get(name)
    if found is None and "." in name:
        found = names.get("*." + name.partition(".")[2])
    return found
