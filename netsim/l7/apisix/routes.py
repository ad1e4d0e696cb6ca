"""APISIX routes: what the controller makes of Ingress paths and ApisixRoute rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from netsim.cluster.model import Service, ServicePort
from netsim.cluster.read import mapping, text
from netsim.l7.apisix.exprs import Expr, read_exprs
from netsim.l7.decision import Matched, Share
from netsim.l7.ingress import Backend, Ingress, IngressPath, items
from netsim.l7.nginx.annotations import Network, parse_networks
from netsim.l7.services import Services, external_addresses, join_port, port_by_spelling, slice_endpoints
from netsim.manifests.objects import Manifest

PREFIX: Final = "k8s.apisix.apache.org/"
DEFAULT_WEIGHT: Final = 100
_NOT_MODELLED: Final = frozenset(
    ["plugin-config-name", "enable-cors", "enable-csrf", "enable-response-rewrite", "auth-uri", "auth-type"]
)


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the route's annotations or plugins do before forwarding."""

    rewrite: str = ""
    rewrite_regex: tuple[str, str] | None = None
    https: bool = False
    redirect: str = ""
    redirect_code: int = 301
    allow: tuple[Network, ...] = ()
    block: tuple[Network, ...] = ()
    allow_methods: frozenset[str] = frozenset()
    block_methods: frozenset[str] = frozenset()
    not_modelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One route: URIs are exact, or end in `*` (any text follows). `shares` carry weights that sum to 1; `problem` if
    none.

    `hosts` () is any host. `methods` empty is any. Nothing but `uris` and `priority` orders routes of one host.
    """

    hosts: tuple[str, ...]
    uris: tuple[str, ...]
    matched: Matched
    shares: tuple[Share, ...]
    problem: str = ""
    methods: frozenset[str] = frozenset()
    exprs: tuple[Expr, ...] = ()
    clients: tuple[Network, ...] = ()
    priority: int = 0
    plugins: Plugins = Plugins()


def ingress_routes(ingress: Ingress, services: Services) -> Iterator[Route]:
    """Yield the routes of an Ingress; defaultBackend and resource backends are not translated."""
    values = {k[len(PREFIX) :]: v for k, v in ingress.annotations.items() if k.startswith(PREFIX)}
    plugins = _plugins(values)
    namespace = values.get("svc-namespace") or ingress.namespace
    for rule in ingress.rules:
        for path in rule.paths:
            if path.backend is not None:
                share, problem = _ingress_share(namespace, path.backend, services)
                yield Route(
                    hosts=(rule.host.lower(),) if rule.host else (),
                    uris=_uris(path, values),
                    matched=_matched(ingress, path),
                    shares=(share,),
                    problem=problem,
                    exprs=_path_exprs(path, values),
                    plugins=plugins,
                )


def _matched(ingress: Ingress, path: IngressPath) -> Matched:
    return Matched(
        "Ingress", ingress.namespace, ingress.name, path.rule, path.index, path.path_type, ingress.source, path.field
    )


def _regex(path: IngressPath, values: Mapping[str, str]) -> bool:
    return path.path_type == "ImplementationSpecific" and values.get("use-regex") == "true"


def _uris(path: IngressPath, values: Mapping[str, str]) -> tuple[str, ...]:
    """Exact and ImplementationSpecific as they are, Prefix also with `/*`, regular expressions as `/*` and a
    condition.
    """
    if _regex(path, values):
        return ("/*",)
    if path.path_type == "Prefix":
        return (path.path, f"{path.path.removesuffix('/')}/*")
    return (path.path or "/*",)


def _path_exprs(path: IngressPath, values: Mapping[str, str]) -> tuple[Expr, ...]:
    return (Expr("Path", "", "RegexMatch", (path.path,)),) if _regex(path, values) else ()


def _plugins(values: Mapping[str, str]) -> Plugins:
    regex, template = values.get("rewrite-target-regex", ""), values.get("rewrite-target-regex-template", "")
    code = values.get("http-redirect-code", "")
    return Plugins(
        rewrite=values.get("rewrite-target", ""),
        rewrite_regex=(regex, template) if regex and template else None,
        https=values.get("http-to-https") == "true",
        redirect=values.get("http-redirect", ""),
        redirect_code=int(code) if code in ("301", "302", "303", "304", "305", "306", "307", "308") else 301,
        allow=_networks(values.get("allowlist-source-range", "")),
        block=_networks(values.get("blocklist-source-range", "")),
        allow_methods=_words(values.get("http-allow-methods", "")),
        block_methods=_words(values.get("http-block-methods", "")),
        not_modelled=tuple(sorted(PREFIX + name for name in _NOT_MODELLED.intersection(values))),
    )


def _words(value: str) -> frozenset[str]:
    return frozenset(word.strip() for word in value.split(",") if word.strip())


def _networks(value: str) -> tuple[Network, ...]:
    try:
        return parse_networks(value)
    except ValueError:
        return ()


def _ingress_share(namespace: str, backend: Backend, services: Services) -> tuple[Share, str]:
    """A port that the Service does not have selects no port: every port of the slices is then used."""
    service = services.get(namespace, backend.service)
    empty = Share(namespace, backend.service, backend.port, None, ())
    if service is None:
        return empty, "NO_SERVICE"
    port = port_by_spelling(service, backend.port)
    if service.type == "ExternalName":
        return _external(service, empty, services, port.port if port else 80)
    ports = (port,) if port else tuple(service.ports)
    endpoints = tuple(dict.fromkeys(e for one in ports for e in slice_endpoints(services, service, one)))
    found = replace(empty, service_port=port.port if port else None, endpoints=endpoints)
    return found, "" if endpoints else "NO_ENDPOINTS"


def _external(service: Service, empty: Share, services: Services, port: int) -> tuple[Share, str]:
    endpoints = tuple(join_port(address, port) for address in external_addresses(services, service.external_name))
    found = replace(empty, service_port=port, endpoints=endpoints)
    return found, "" if endpoints else "UNRESOLVED_EXTERNAL_NAME"


def apisix_routes(manifest: Manifest, services: Services) -> Iterator[Route]:
    """Yield the routes of an ApisixRoute's http rules."""
    for index, rule in enumerate(items(mapping(manifest.data.get("spec")).get("http"))):
        yield _apisix_route(manifest, index, mapping(rule), services)


def _apisix_route(manifest: Manifest, index: int, rule: Mapping[str, Any], services: Services) -> Route:
    match, namespace = mapping(rule.get("match")), manifest.namespace or "default"
    name, priority = text(rule.get("name")), rule.get("priority")
    shares, problem = _split(namespace, rule, services)
    place = ("spec", "http", index)
    return Route(
        hosts=tuple(host.lower() for host in _strings(match.get("hosts"))),
        uris=_strings(match.get("paths")) or ("/*",),
        matched=Matched("ApisixRoute", namespace, manifest.name, name, None, None, manifest, place, index),
        shares=shares,
        problem=problem,
        methods=frozenset(_strings(match.get("methods"))),
        exprs=read_exprs(match.get("exprs")),
        clients=_networks(",".join(_strings(match.get("remoteAddrs")))),
        priority=priority if isinstance(priority, int) else 0,
        plugins=Plugins(not_modelled=tuple(_plugin_names(rule))),
    )


def _plugin_names(rule: Mapping[str, Any]) -> Iterator[str]:
    for plugin in map(mapping, items(rule.get("plugins"))):
        if plugin.get("enable"):
            yield f"plugin {text(plugin.get('name'))}"
    if mapping(rule.get("authentication")).get("enable"):
        yield "authentication"


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in items(value) if isinstance(item, str))


def _split(namespace: str, rule: Mapping[str, Any], services: Services) -> tuple[tuple[Share, ...], str]:
    """Backends by weight (default 100, 0 never); one whose Service or port does not exist is dropped first."""
    found: list[tuple[Share, int]] = []
    problem = "NO_SERVICE"
    for backend in map(mapping, items(rule.get("backends"))):
        share, wrong = _backend_share(namespace, backend, services)
        problem = wrong or problem
        weight = backend.get("weight")
        if wrong in ("", "NO_ENDPOINTS"):
            found.append((share, weight if isinstance(weight, int) and weight >= 0 else DEFAULT_WEIGHT))
    if not found or not found[0][0].endpoints:
        return (), "NO_ENDPOINTS" if found else problem
    total = sum(weight for _, weight in found)
    if len(found) == 1 or not total:
        return (found[0][0],), ""
    return tuple(replace(share, weight=Fraction(weight, total)) for share, weight in found if weight), ""


def _backend_share(namespace: str, backend: Mapping[str, Any], services: Services) -> tuple[Share, str]:
    name, port = text(backend.get("serviceName")), backend.get("servicePort")
    spelled = port if isinstance(port, (int, str)) else None
    empty = Share(namespace, name, spelled, None, ())
    service = services.get(namespace, name)
    if service is None:
        return empty, "NO_SERVICE"
    found = port_by_spelling(service, spelled)
    if backend.get("resolveGranularity") == "service":
        return _by_cluster_ip(service, empty, found)
    if found is None:
        return empty, "NO_SERVICE_PORT"
    if service.type == "ExternalName":
        return _external(service, empty, services, found.port)
    endpoints = slice_endpoints(services, service, found)
    return replace(empty, service_port=found.port, endpoints=endpoints), "" if endpoints else "NO_ENDPOINTS"


def _by_cluster_ip(service: Service, empty: Share, port: ServicePort | None) -> tuple[Share, str]:
    number = port.port if port else empty.port
    if service.headless or not service.cluster_ips or not isinstance(number, int):
        return empty, "NO_SERVICE_PORT"
    endpoint = join_port(service.cluster_ips[0], number)
    return replace(empty, service_port=number, endpoints=(endpoint,), via_cluster_ip=True), ""


def all_hosts(routes: Iterable[Route]) -> set[str]:
    """Return every host that a route names, "" for any."""
    return {host for route in routes for host in route.hosts or ("",)}
