"""Conflicts and dead ends in the routes of a cluster, each with a code and its place (`netsim route --lint`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from netsim.cluster.model import Cluster
from netsim.errors import Severity
from netsim.l7.findings import Finding, finding
from netsim.l7.gateway.table import GatewayTable
from netsim.l7.ingress import Backend, Ingress
from netsim.l7.lint_nginx import lint_nginx
from netsim.l7.nginx.decide import NginxTable
from netsim.l7.nginx.upstreams import upstream_name
from netsim.l7.router import RouteOptions, Router, build_routers, unhandled
from netsim.l7.services import Services, index_services
from netsim.l7.spec import resolve
from netsim.l7.status import unresolved
from netsim.l7.tls import Certificate, read_certificates


def lint(cluster: Cluster, options: RouteOptions | None = None) -> tuple[Finding, ...]:
    """Return all findings in the order of their places, each once."""
    options = options or RouteOptions()
    routers = build_routers(cluster, options)
    services, certificates = index_services(cluster, options.resolve), read_certificates(cluster)
    found = [
        *_unhandled(routers),
        *(one for router in routers for ingress in router.handled for one in _backends(ingress, router, services)),
        *(one for router in routers for ingress in router.handled for one in _resources(ingress)),
        *(one for router in routers for ingress in router.handled for one in _certificates(ingress, certificates)),
        *(one for router in routers for one in _router(router, services, certificates)),
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (one.where, one.code, one.message)))


def _unhandled(routers: tuple[Router, ...]) -> Iterator[Finding]:
    by_key = {ingress.key: ingress for router in routers for ingress in router.all_ingresses}
    for key, reason in unhandled(routers).items():
        ingress = by_key[key]
        field = ("spec", "ingressClassName") if ingress.class_name is not None else ("metadata", "name")
        yield finding("NO_CLASS", "error", ingress, field, f"nobody handles it: {reason}")


def _backends(ingress: Ingress, router: Router, services: Services) -> Iterator[Finding]:
    """Missing Services, ports, endpoints, as the router's controller looks them up."""
    places = [(path.backend, (*path.field, "backend")) for rule in ingress.rules for path in rule.paths]
    places.append((ingress.default_backend, ("spec", "defaultBackend")))
    for backend, field in places:
        problem = _problem(ingress, backend, router, services) if backend else ""
        if backend and problem in _BACKEND_TEXTS:
            severity, suffix, message = _BACKEND_TEXTS[problem]
            text = message.format(name=f"{ingress.namespace}/{backend.service}", port=backend.port)
            yield finding(problem, severity, ingress, (*field, "service", *suffix), text)


def _problem(ingress: Ingress, backend: Backend, router: Router, services: Services) -> str:
    if isinstance(router.table, NginxTable):
        upstream = router.table.upstreams.get(upstream_name(ingress.namespace, backend))
        return upstream.problem if upstream else ""
    return resolve(ingress.namespace, backend, services)[1]


_BACKEND_TEXTS: Final[Mapping[str, tuple[Severity, tuple[str, ...], str]]] = {
    "NO_SERVICE": ("error", ("name",), "Service {name} does not exist: 503"),
    "NO_SERVICE_PORT": ("error", ("port",), "Service {name} has no port {port}"),
    "NO_ENDPOINTS": ("warning", ("name",), "Service {name} has no ready endpoint for port {port}: 503"),
    "UNRESOLVED_EXTERNAL_NAME": (
        "warning",
        ("name",),
        "the external name of Service {name} does not resolve (--resolve)",
    ),
}


def _resources(ingress: Ingress) -> Iterator[Finding]:
    for rule in ingress.rules:
        for path in rule.paths:
            if path.resource:
                text = "no controller modelled here serves a resource backend; the path is skipped"
                yield finding("RESOURCE_BACKEND", "warning", ingress, (*path.field, "backend", "resource"), text)


def _certificates(ingress: Ingress, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    """Secrets that do not exist or hold no certificate, certificates that do not cover a host, hosts without one."""
    listed: set[str] = set()
    for entry in ingress.tls:
        field = ("spec", "tls", entry.index, "secretName")
        found = certificates.get(f"{ingress.namespace}/{entry.secret}")
        listed.update(host.lower() for host in entry.hosts)
        if entry.secret and found is None:
            text = f"Secret {ingress.namespace}/{entry.secret} does not exist or holds no certificate"
            yield finding("NO_SECRET", "error", ingress, field, f"{text}: the default certificate is presented")
        for number, host in enumerate(entry.hosts):
            if found is not None and not found.covers(host):
                text = f"the certificate of Secret {found.secret} covers {', '.join(found.names)}, not {host}"
                yield finding(
                    "CERTIFICATE_MISMATCH", "error", ingress, ("spec", "tls", entry.index, "hosts", number), text
                )
    for rule in ingress.rules if ingress.tls else ():
        if rule.host and rule.host.lower() not in listed and not _covered(rule.host, ingress, certificates):
            text = f"host {rule.host} is in no tls entry: the default certificate is presented"
            yield finding("HOST_WITHOUT_CERTIFICATE", "warning", ingress, ("spec", "rules", rule.index, "host"), text)


def _covered(host: str, ingress: Ingress, certificates: Mapping[str, Certificate]) -> bool:
    found = (certificates.get(f"{ingress.namespace}/{entry.secret}") for entry in ingress.tls)
    return any(certificate is not None and certificate.covers(host) for certificate in found)


def _router(router: Router, services: Services, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    if router.dialect == "ingress-nginx":
        yield from lint_nginx(router, services, certificates)
    elif router.dialect == "spec":
        yield from _same_rules(router.handled)
    elif isinstance(router.table, GatewayTable):
        yield from _gateway(router.table)


def _same_rules(handled: Iterable[Ingress]) -> Iterator[Finding]:
    """Equal host, path and pathType in several rules: the specification leaves the winner to the controller."""
    owners: dict[tuple[str, str, str], Ingress] = {}
    for ingress in sorted(handled, key=lambda one: (one.created, one.key)):
        for rule in ingress.rules:
            for path in rule.paths:
                key = (rule.host.lower(), path.path, path.path_type)
                first = owners.setdefault(key, ingress)
                if first is not ingress:
                    what = f"host {rule.host or '*'} path {path.path} ({path.path_type})"
                    text = f"{what} is also claimed by Ingress {first.key}"
                    yield finding("SAME_PATH", "error", ingress, path.field, f"{text}; here the older one counts")


def _gateway(table: GatewayTable) -> Iterator[Finding]:
    """Parents that do not accept a route, and references that do not resolve."""
    for route in table.routes:
        for result in table.attached.parents.get((route.kind, route.namespace, route.name), ()):
            if not result.accepted:
                parent = f"{result.parent.namespace}/{result.parent.name}"
                text = f"Gateway {parent} does not accept it: {result.reason}"
                yield finding("NOT_ACCEPTED", "error", route, ("spec", "parentRefs"), text)
        reason = unresolved(table, route)
        if reason:
            text = f"not every reference resolves: {reason}"
            yield finding("UNRESOLVED_REFERENCE", "error", route, ("spec", "rules"), text)
