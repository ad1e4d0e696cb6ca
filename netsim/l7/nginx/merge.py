"""All handled Ingresses merged into servers and locations, as ingress-nginx's getBackendServers does, in its order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netsim.l7.decision import Share
from netsim.l7.ingress import Ingress, IngressPath
from netsim.l7.nginx.annotations import Settings
from netsim.l7.nginx.upstreams import DEFAULT_UPSTREAM, Affinity, Upstream, upstream_name
from netsim.l7.paths import as_bytes
from netsim.l7.services import Services, ready_endpoints

DEFAULT_SERVER: Final = "_"
Ordered = Sequence[tuple[Ingress, Settings]]


@dataclass(frozen=True, slots=True)
class Location:
    """One location. `path` is nginx's, `rule_path` the Ingress' own; `implicit` is the root made for a host without
    one.

    `rule` None: no rule path stands behind it. `errors` is the upstream that answers intercepted errors; `takes_over`:
    it answers everything, since the Service has no endpoint.
    """

    path: str
    exact: bool
    rule_path: str
    upstream: str
    settings: Settings
    ingress: Ingress | None = None
    rule: IngressPath | None = None
    implicit: bool = False
    errors: str = DEFAULT_UPSTREAM
    takes_over: bool = False

    @property
    def needs_rewrite(self) -> bool:
        """Whether a rewrite target other than the location's own path is set."""
        target = self.settings.rewrite_target
        return bool(target) and target != self.path

    @property
    def wants_regex(self) -> bool:
        """Whether this location turns its whole host into regular expressions."""
        return self.settings.use_regex or self.needs_rewrite


@dataclass(frozen=True, slots=True)
class Merged:
    """Servers' locations by host ("_" is the default server) in the order in which they were made, and the upstreams.

    `duplicates` are rule paths that lost against an earlier one of the same host, path and type: (loser, winner).
    """

    hosts: Mapping[str, tuple[Location, ...]]
    creators: Mapping[str, Ingress]
    upstreams: Mapping[str, Upstream]
    duplicates: tuple[tuple[Location, Location], ...] = ()


def ordered_ingresses(ingresses: Iterable[tuple[Ingress, Settings]]) -> tuple[tuple[Ingress, Settings], ...]:
    """Return Ingresses oldest first; ties by namespace/name descending (store.go sortIngressSlice)."""
    by_name = sorted(ingresses, key=lambda pair: pair[0].key, reverse=True)
    return tuple(sorted(by_name, key=lambda pair: pair[0].created))


def merge(ordered: Ordered, upstreams: Mapping[str, Upstream], services: Services, config_settings: Settings) -> Merged:
    """Merge Ingresses in order into servers."""
    hosts, creators = _create_servers(ordered, upstreams, config_settings)
    duplicates = _add_paths(ordered, upstreams, hosts)
    built = _with_affinity(ordered, dict(upstreams))
    built = _merge_canaries(ordered, built, hosts)
    for host, locations in hosts.items():
        hosts[host] = [_with_default_backend(location, built, services) for location in locations]
    return Merged({host: tuple(found) for host, found in hosts.items()}, creators, built, tuple(duplicates))


def _create_servers(
    ordered: Ordered, upstreams: Mapping[str, Upstream], config_settings: Settings
) -> tuple[dict[str, list[Location]], dict[str, Ingress]]:
    plain = replace(config_settings, ssl_redirect=False, force_ssl_redirect=False)
    root = Location("/", False, "/", DEFAULT_UPSTREAM, plain, implicit=True)
    hosts: dict[str, list[Location]] = {DEFAULT_SERVER: [root]}
    creators: dict[str, Ingress] = {}
    for ingress, settings in ordered:
        if settings.canary:
            continue
        upstream = DEFAULT_UPSTREAM
        if ingress.default_backend:
            upstream = upstream_name(ingress.namespace, ingress.default_backend)
            if not ingress.rules and hosts[DEFAULT_SERVER][0].implicit:
                hosts[DEFAULT_SERVER][0] = _catch_all(ingress, settings, upstream)
        for rule in ingress.rules:
            host = rule.host or DEFAULT_SERVER
            if host not in hosts:
                hosts[host] = [Location("/", False, "/", upstream, settings, ingress, implicit=True)]
                creators[host] = ingress
    return hosts, creators


def _catch_all(ingress: Ingress, settings: Settings, upstream: str) -> Location:
    """A rule-less Ingress configures the default server's root; its redirects and rewrites are not applied there."""
    kept = replace(
        settings, redirect_url="", redirect_code=0, from_to_www=False, rewrite_target="", use_regex=False,
        ssl_redirect=False, force_ssl_redirect=False, app_root="",
    )  # fmt: skip
    return Location("/", False, "/", upstream, kept, ingress)


def _add_paths(
    ordered: Ordered, upstreams: Mapping[str, Upstream], hosts: dict[str, list[Location]]
) -> list[tuple[Location, Location]]:
    known = {host: {(loc.path, loc.exact): i for i, loc in enumerate(found)} for host, found in hosts.items()}
    duplicates = []
    for ingress, settings in ordered:
        for rule in ingress.rules:
            host = rule.host if rule.host in hosts else DEFAULT_SERVER
            for path in rule.paths:
                made = _location(ingress, settings, path)
                if made is None or upstreams[made.upstream].canary is not None:
                    continue
                lost = _place(made, hosts[host], known[host])
                if lost is not None:
                    duplicates.append((made, lost))
    return duplicates


def _location(ingress: Ingress, settings: Settings, path: IngressPath) -> Location | None:
    if path.backend is None:
        return None
    upstream = upstream_name(ingress.namespace, path.backend)
    text = as_bytes(path.path) or "/"
    return Location(text, path.path_type == "Exact", text, upstream, settings, ingress, path)


def _place(made: Location, locations: list[Location], known: dict[tuple[str, bool], int]) -> Location | None:
    """Append the location, or let it replace the implicit root; return the earlier location when that one stays."""
    key = (made.path, made.exact)
    index = known.get(key)
    if index is None:
        known[key] = len(locations)
        locations.append(made)
        return None
    if locations[index].implicit:
        locations[index] = made
        return None
    return locations[index]


def _with_affinity(ordered: Ordered, upstreams: dict[str, Upstream]) -> dict[str, Upstream]:
    for ingress, settings in ordered:
        if not settings.affinity:
            continue
        for rule in ingress.rules:
            for path in rule.paths:
                if path.backend is None:
                    continue
                name = upstream_name(ingress.namespace, path.backend)
                old = upstreams[name].affinity
                places = (old.places if old else frozenset()) | {(rule.host or DEFAULT_SERVER, path.path or "/")}
                mode = old.mode if old else settings.affinity_mode
                affinity = Affinity(settings.affinity_cookie, mode, places)
                upstreams[name] = replace(upstreams[name], affinity=affinity)
    return upstreams


def _merge_canaries(
    ordered: Ordered, upstreams: dict[str, Upstream], hosts: Mapping[str, list[Location]]
) -> dict[str, Upstream]:
    """Give main upstreams their alternative: the first canary found for host, path and pathType.

    The alternative belongs to the upstream, so it acts wherever that Service and port are used. A canary path that
    finds
    no main location removes the canary's upstream altogether (mergeAlternativeBackends).
    """
    canaries = [(ingress, settings) for ingress, settings in ordered if settings.canary]
    alternatives: dict[str, list[str]] = {}
    removed: set[str] = set()
    if len(canaries) == len(ordered):
        return upstreams
    for ingress, settings in canaries:
        for name, matches in _canary_places(ingress, hosts):
            if name in removed:
                continue
            mains = _mains(name, matches, upstreams, removed)
            if mains is None:
                continue
            if not mains:
                removed.add(name)
            for main in mains:
                listed = alternatives.setdefault(main, [])
                if name not in listed:
                    listed.append(name)
                    upstreams[name] = _share_affinity(upstreams[main], upstreams[name], settings)
    for main, listed in alternatives.items():
        upstreams[main] = replace(upstreams[main], alternative="" if listed[0] in removed else listed[0])
    return upstreams


def _canary_places(
    ingress: Ingress, hosts: Mapping[str, list[Location]]
) -> Iterable[tuple[str, list[tuple[Location, bool]]]]:
    """Yield (canary upstream, its host's locations with whether each is the canary's own path)."""
    if ingress.default_backend:
        found = [(location, True) for location in hosts[DEFAULT_SERVER]]
        yield upstream_name(ingress.namespace, ingress.default_backend), found
    for rule in ingress.rules:
        locations = hosts.get(rule.host or DEFAULT_SERVER)
        for path in rule.paths:
            if path.backend and locations is not None:
                key = (path.path or "/", path.path_type == "Exact")
                matches = [(location, (location.path, location.exact) == key) for location in locations]
                yield upstream_name(ingress.namespace, path.backend), matches


def _mains(
    name: str, matches: Sequence[tuple[Location, bool]], upstreams: Mapping[str, Upstream], removed: set[str]
) -> list[str] | None:
    """Return the main upstreams that take the canary; None when the canary's Service is itself one of the host's
    mains.
    """
    mains: list[str] = []
    for location, same in matches:
        if location.upstream in removed:
            continue
        if location.upstream == name:
            return mains or None
        main = upstreams[location.upstream]
        if same and main.canary is None and main.name != DEFAULT_UPSTREAM:
            mains.append(main.name)
    return mains


def _share_affinity(main: Upstream, canary: Upstream, settings: Settings) -> Upstream:
    return canary if settings.canary_affinity_legacy else replace(canary, affinity=main.affinity)


def _with_default_backend(location: Location, upstreams: dict[str, Upstream], services: Services) -> Location:
    """Apply annotation default-backend: it answers intercepted errors, and everything when there is no endpoint."""
    name, ingress, main = location.settings.default_backend, location.ingress, upstreams[location.upstream]
    empty = not main.endpoints and not main.external
    wanted = name and ingress and main.name != DEFAULT_UPSTREAM and (empty or location.settings.custom_errors)
    service = services.get(ingress.namespace, name) if wanted and ingress else None
    if service is None or not service.ports:
        return location
    port = service.ports[0]
    endpoints = ready_endpoints(services, service, port)
    if not endpoints:
        return location
    custom = f"custom-default-backend-{service.namespace}-{service.name}"
    share = Share(service.namespace, service.name, port.port, port.port, endpoints)
    upstreams.setdefault(custom, Upstream(custom, share))
    return replace(location, errors=custom, upstream=custom if empty else location.upstream, takes_over=empty)
