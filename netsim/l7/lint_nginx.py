"""What goes wrong in ingress-nginx's merge: paths claimed twice, regex hosts, redirects, canaries, annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netsim.l7.findings import Finding, finding
from netsim.l7.ingress import Ingress
from netsim.l7.nginx.annotations import PREFIX, Settings, read_values
from netsim.l7.nginx.build import merged_ingresses, order
from netsim.l7.nginx.decide import NginxTable, find_location
from netsim.l7.nginx.merge import DEFAULT_SERVER, Location, Merged, Ordered
from netsim.l7.nginx.servers import Server
from netsim.l7.nginx.upstreams import upstream_name
from netsim.l7.pcre import compile_pattern
from netsim.l7.router import Router
from netsim.l7.services import Services
from netsim.l7.tls import Certificate


def lint_nginx(router: Router, services: Services, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    """Yield the findings of one ingress-nginx controller."""
    table = router.table
    assert isinstance(table, NginxTable)
    ordered = order(router.handled, router.controller)
    merged = merged_ingresses(ordered, services, router.controller)
    yield from _same_paths(merged)
    for server in table.all_servers:
        yield from _server(server)
    yield from _canaries(ordered, merged)
    for ingress, settings in ordered:
        yield from _annotations(ingress, settings, router)
        yield from _shared(ingress, settings, ordered)
        yield from _aliases(ingress, settings, merged)


def _same_paths(merged: Merged) -> Iterator[Finding]:
    for loser, winner in merged.duplicates:
        if loser.ingress is None or winner.ingress is None or loser.rule is None:
            continue
        kind = "Exact" if loser.exact else "Prefix"
        text = f"{kind} {loser.rule_path} is taken: {_why_first(loser.ingress, winner.ingress)}"
        yield finding("SAME_PATH", "error", loser.ingress, loser.rule.field, text)


def _why_first(loser: Ingress, winner: Ingress) -> str:
    if loser.key == winner.key:
        return "an earlier path of this Ingress has it"
    where = winner.source.where("metadata", "name")
    owner = f"Ingress {winner.key} ({where.file}:{where.line})"
    if winner.created == loser.created:
        return f"{owner} wins: equal creationTimestamp, and its namespace/name sorts later"
    return f"{owner} wins: it is older ({winner.created or 'no creationTimestamp'})"


def _server(server: Server) -> Iterator[Finding]:
    if server.regex:
        yield from _regex_host(server)
    else:
        yield from _plain_host(server)
    for location in server.broken:
        if location.ingress and location.rule:
            text = f"{location.path} does not compile; the controller cannot load its configuration"
            yield finding("BAD_PATTERN", "error", location.ingress, (*location.rule.field, "path"), text)


def _regex_host(server: Server) -> Iterator[Finding]:
    cause = next(location for location in server.locations if location.wants_regex)
    owner = cause.ingress.key if cause.ingress else "?"
    for location in _own_locations(server):
        ingress, rule = location.ingress, location.rule
        if ingress is None or rule is None:
            continue
        field = (*rule.field, "path")
        if not location.wants_regex and ingress.key != owner:
            text = (
                f"becomes ~* ^{location.path} because of Ingress {owner}: any case, no element boundary, no exact match"
            )
            yield finding("REGEX_HOST", "warning", ingress, field, text)
        winner, _ = find_location(server, location.rule_path) if _is_literal(location) else (None, False)
        if winner is not None and winner.rule is not None and (winner.ingress, winner.rule) != (ingress, rule):
            text = f"a request for {location.rule_path} is answered by {winner.path} of Ingress "
            text += f"{winner.ingress.key if winner.ingress else '?'}: its pattern stands earlier"
            yield finding("SHADOWED_PATH", "error", ingress, field, text)


def _is_literal(location: Location) -> bool:
    """Whether the path, taken as a request, matches its own pattern: others say nothing about what a request would
    be.
    """
    pattern = compile_pattern(f"^{location.path}", ignore_case=True)
    return pattern is not None and pattern.search(location.rule_path) is not None


def _own_locations(server: Server) -> Iterator[Location]:
    """Yield each rule path's location once, although nginx may have two of it."""
    seen: set[tuple[str, int, int]] = set()
    for location in server.locations:
        if location.ingress and location.rule:
            key = (location.ingress.key, location.rule.rule, location.rule.index)
            if key not in seen:
                seen.add(key)
                yield location


def _plain_host(server: Server) -> Iterator[Finding]:
    owners: dict[tuple[str, bool], Location] = {}
    for location in server.locations:
        first = owners.setdefault((location.path, location.exact), location)
        if first is not location and first.rule is not location.rule and location.ingress and location.rule:
            other = first.ingress.key if first.ingress else "the implicit root"
            text = f"location {location.path} exists twice (also of Ingress {other}): nginx refuses to load this"
            yield finding("SAME_LOCATION", "error", location.ingress, (*location.rule.field, "path"), text)
    for location in _own_locations(server):
        path = location.rule_path
        if path == "/" or not path.endswith("/") or location.ingress is None or location.rule is None:
            continue
        if (path[:-1], True) not in owners:
            what = "no match in the specification" if location.exact else "served by the specification"
            text = f"nginx answers {path[:-1]} with 301 to {path} ({what})"
            yield finding("EXACT_REDIRECTED", "warning", location.ingress, (*location.rule.field, "path"), text)


def _canaries(ordered: Ordered, merged: Merged) -> Iterator[Finding]:
    alternatives = {upstream.alternative for upstream in merged.upstreams.values() if upstream.alternative}
    used = {name for name in alternatives if merged.upstreams[name].canary is not None}
    taken: set[str] = set()
    for ingress, settings in ordered:
        if settings.canary is None:
            continue
        for rule in ingress.rules:
            for path in rule.paths:
                name = upstream_name(ingress.namespace, path.backend) if path.backend else ""
                if name and name not in used:
                    yield _unused_canary(ingress, path.field, name, merged)
                elif name in taken:
                    text = f"Service {path.backend.service if path.backend else ''} has the policy of an older canary"
                    yield finding("CANARY_IGNORED", "warning", ingress, path.field, text)
        taken.update(upstream_name(ingress.namespace, p.backend) for r in ingress.rules for p in r.paths if p.backend)


def _unused_canary(ingress: Ingress, field: tuple[str | int, ...], name: str, merged: Merged) -> Finding:
    upstream = merged.upstreams.get(name)
    if upstream is not None and upstream.canary is None:
        text = "an older Ingress that is no canary uses the same Service and port: it is not treated as a canary"
        return finding("CANARY_IGNORED", "error", ingress, field, text)
    older = _older_canary(ingress, field, merged)
    if older:
        text = f"an older canary is used here: upstream {older}"
        return finding("CANARY_IGNORED", "error", ingress, field, text)
    return finding("CANARY_ALONE", "error", ingress, field, "no main Ingress has this host, path and pathType")


def _older_canary(ingress: Ingress, field: tuple[str | int, ...], merged: Merged) -> str:
    """Return the canary upstream that a rule path's main location already has, "" if none."""
    for rule in ingress.rules:
        for path in rule.paths:
            if path.field != field:
                continue
            key = (path.path or "/", path.path_type == "Exact")
            locations = merged.hosts.get(rule.host or DEFAULT_SERVER, ())
            mains = (merged.upstreams[one.upstream] for one in locations if (one.path, one.exact) == key)
            return next((main.alternative for main in mains if main.alternative), "")
    return ""


def _annotations(ingress: Ingress, settings: Settings, router: Router) -> Iterator[Finding]:
    values = read_values(ingress, router.controller.config)

    def at(name: str) -> tuple[str, ...]:
        return ("metadata", "annotations", PREFIX + name)

    for name in settings.snippets:
        text = (
            "configuration text of an untrusted author; the controller refuses it by default and netsim never copies it"
        )
        yield finding("SNIPPET_REFUSED", "warning", ingress, at(name), text)
    if settings.denied:
        yield finding(
            "BAD_ANNOTATION", "error", ingress, at(settings.denied.partition(":")[0]), f"{settings.denied}: 503"
        )
    for name in ("permanent-redirect", "temporal-redirect"):
        if values.text(name) and not settings.redirect_url:
            yield finding("IGNORED_ANNOTATION", "warning", ingress, at(name), "only http and https URLs are obeyed")
    if values.text("app-root") and not settings.app_root:
        yield finding("IGNORED_ANNOTATION", "warning", ingress, at("app-root"), "only a path is obeyed, no URL")
    if settings.canary is None and any(name.startswith("canary-") for name in values.given):
        name = next(name for name in sorted(values.given) if name.startswith("canary-"))
        yield finding(
            "IGNORED_ANNOTATION", "warning", ingress, at(name), 'without canary: "true" this is an ordinary Ingress'
        )


def _shared(ingress: Ingress, settings: Settings, ordered: Ordered) -> Iterator[Finding]:
    """Upstream settings of an Ingress that did not make the upstream."""
    wanted = (settings.service_upstream, settings.hash_by, settings.load_balance)
    if settings.canary or wanted == (False, "", ""):
        return
    for rule in ingress.rules:
        for path in rule.paths:
            if path.backend is None:
                continue
            maker, made = _maker(upstream_name(ingress.namespace, path.backend), ordered)
            if maker.key != ingress.key and (made.service_upstream, made.hash_by, made.load_balance) != wanted:
                text = (
                    f"service-upstream, upstream-hash-by and load-balance come from Ingress {maker.key}, which is older"
                )
                yield finding("SHARED_UPSTREAM", "warning", ingress, path.field, text)


def _maker(name: str, ordered: Ordered) -> tuple[Ingress, Settings]:
    return next(
        (ingress, settings)
        for ingress, settings in ordered
        for rule in ingress.rules
        for path in rule.paths
        if path.backend and upstream_name(ingress.namespace, path.backend) == name
    )


def _aliases(ingress: Ingress, settings: Settings, merged: Merged) -> Iterator[Finding]:
    for alias in settings.aliases:
        if alias in merged.hosts:
            field = ("metadata", "annotations", PREFIX + "server-alias")
            yield finding(
                "ALIAS_DROPPED", "warning", ingress, field, f"{alias} is a host of its own; the alias is dropped"
            )
