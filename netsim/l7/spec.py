"""Dialect `spec`: networking.k8s.io/v1 as written, where it leaves nothing to the controller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from netsim.l7.decision import Decision, Matched, Share
from netsim.l7.ingress import Backend, Ingress, IngressPath
from netsim.l7.request import Request
from netsim.l7.services import Services, external_addresses, join_port, port_by_spelling, slice_endpoints
from netsim.l7.table import HostTable, PathTable, host_table
from netsim.l7.tls import DEFAULT_CERTIFICATE
from netsim.notes import Note

IMPLEMENTATION_SPECIFIC: Final = Note(
    "IMPLEMENTATION_SPECIFIC", "the pathType leaves the match to the controller; a prefix of whole elements is assumed"
)
UNSPECIFIED_SCOPE: Final = Note(
    "UNSPECIFIED", "the specification does not say for which hosts an Ingress with rules offers its defaultBackend"
)


@dataclass(frozen=True, slots=True)
class SpecRoute:
    """One rule path and its resolved backend; `path` None: the Ingress' defaultBackend."""

    ingress: Ingress
    path: IngressPath | None
    share: Share
    problem: str

    @property
    def matched(self) -> Matched:
        """Return the object and field that match."""
        ingress, path = self.ingress, self.path
        if path is None:
            place: tuple[str | int, ...] = ("spec", "defaultBackend")
            return Matched("Ingress", ingress.namespace, ingress.name, None, "default", None, ingress.source, place)
        return Matched(
            "Ingress",
            ingress.namespace,
            ingress.name,
            path.rule,
            path.index,
            path.path_type,
            ingress.source,
            path.field,
        )


@dataclass(frozen=True, slots=True)
class SpecTable:
    """Routes by host and path, default backends by host ("" for any), certificates by host."""

    hosts: HostTable[PathTable[SpecRoute]]
    defaults: HostTable[SpecRoute]
    last_resort: SpecRoute | None = None
    certificates: HostTable[str] = field(default_factory=HostTable)


def build_spec(handled: Iterable[Ingress], services: Services) -> SpecTable:
    """Return the table of the handled Ingresses; of two equal rules the older one counts."""
    ordered = sorted(handled, key=lambda ingress: (ingress.created, ingress.key))
    paths: dict[str, tuple[dict[str, SpecRoute], dict[str, SpecRoute]]] = {}
    defaults: dict[str, SpecRoute] = {}
    secrets: dict[str, str] = {}
    last: SpecRoute | None = None
    for ingress in ordered:
        for rule in ingress.rules:
            exact, prefix = paths.setdefault(rule.host.lower(), ({}, {}))
            for path in rule.paths:
                route = SpecRoute(ingress, path, *resolve(ingress.namespace, path.backend, services))
                _add(route, path, exact, prefix)
        if ingress.has_default_backend:
            route = SpecRoute(ingress, None, *resolve(ingress.namespace, ingress.default_backend, services))
            for host in {rule.host.lower() for rule in ingress.rules} or {""}:
                defaults.setdefault(host, route)
            last = last or route
        for entry in ingress.tls:
            for host in entry.hosts or ("",):
                secrets.setdefault(
                    host.lower(), f"{ingress.namespace}/{entry.secret}" if entry.secret else DEFAULT_CERTIFICATE
                )
    tables = {host: PathTable(exact, prefix) for host, (exact, prefix) in paths.items()}
    return SpecTable(host_table(tables), host_table(defaults), last, host_table(secrets))


def _add(route: SpecRoute, path: IngressPath, exact: dict[str, SpecRoute], prefix: dict[str, SpecRoute]) -> None:
    if path.path_type == "Exact":
        exact.setdefault(path.path, route)
    else:
        prefix.setdefault(path.path.rstrip("/") + "/", route)


def resolve(namespace: str, backend: Backend | None, services: Services) -> tuple[Share, str]:
    """Return a backend's share and what is wrong with it ("" if nothing)."""
    if backend is None:
        return Share(namespace, "", None, None, ()), "BAD_REFERENCE"
    service = services.get(namespace, backend.service)
    empty = Share(namespace, backend.service, backend.port, None, ())
    if service is None:
        return empty, "NO_SERVICE"
    port = port_by_spelling(service, backend.port)
    if service.type == "ExternalName":
        number = port.port if port else backend.port
        addresses = external_addresses(services, service.external_name) if isinstance(number, int) else ()
        endpoints = tuple(join_port(address, int(number or 0)) for address in addresses)
        number = number if isinstance(number, int) else None
        return replace(empty, service_port=number, endpoints=endpoints), "" if endpoints else "UNRESOLVED_EXTERNAL_NAME"
    if port is None:
        return empty, "NO_SERVICE_PORT"
    endpoints = slice_endpoints(services, service, port)
    return replace(empty, service_port=port.port, endpoints=endpoints), "" if endpoints else "NO_ENDPOINTS"


def decide_spec(table: SpecTable, request: Request) -> Decision:
    """Return what happens to a request: longest path of the most specific host, default backend, 404."""
    host = request.host_name
    tls = (
        {"secret": table.certificates.find(request.server_name) or DEFAULT_CERTIFICATE}
        if request.scheme == "https"
        else None
    )
    paths = table.hosts.find(host)
    route = find_route(paths, request.path) if paths else None
    notes: tuple[Note, ...] = ()
    if route is None:
        route = table.defaults.find(host)
        if route is None and paths is None and table.last_resort is not None:
            route, notes = table.last_resort, (UNSPECIFIED_SCOPE,)
    if route is None:
        return Decision(404, "NO_RULE", tls=tls, why="no rule matches and there is no default backend")
    if route.path is not None and route.path.path_type not in ("Exact", "Prefix"):
        notes = (IMPLEMENTATION_SPECIFIC,)
    return _answer(route, request, tls, notes)


def find_route(paths: PathTable[SpecRoute], path: str) -> SpecRoute | None:
    """Return the exact route, else that of the longest prefix of whole elements."""
    exact = paths.exact.get(path)
    return exact if exact is not None else paths.longest(path if path.endswith("/") else f"{path}/")


def _answer(route: SpecRoute, request: Request, tls: Mapping[str, str] | None, notes: tuple[Note, ...]) -> Decision:
    if route.problem:
        share = route.share
        why = f"Service {share.namespace}/{share.service} port {share.port}" if share.service else "a resource backend"
        status = 500 if route.problem == "BAD_REFERENCE" else 503
        return Decision(status, route.problem, matched=route.matched, tls=tls, notes=notes, why=why)
    return Decision(
        request.backend_status,
        "OK" if route.path else "DEFAULT_BACKEND",
        backends=(route.share,),
        upstream_path=request.uri,
        upstream_host=request.host or None,
        response_headers=request.backend_headers,
        tls=tls,
        matched=route.matched,
        notes=notes,
    )
