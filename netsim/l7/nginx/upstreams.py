"""ingress-nginx's upstreams: one per namespace, Service and port spelling, made by the first Ingress that names it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from netsim.cluster.model import Service
from netsim.l7.controller import Controller
from netsim.l7.decision import Share
from netsim.l7.ingress import Backend, Ingress
from netsim.l7.nginx.annotations import CanaryPolicy, Settings
from netsim.l7.services import Services, external_addresses, join_port, port_by_nginx, ready_endpoints

DEFAULT_UPSTREAM: Final = "upstream-default-backend"


@dataclass(frozen=True, slots=True)
class Affinity:
    """Cookie affinity: the cookie's name, its mode, and where it is set: (host, rule path)."""

    cookie: str
    mode: str
    places: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Upstream:
    """One group of endpoints. `canary` is not None: it serves only as an alternative. `problem` says why it is empty.

    `alternative` is the name of the canary upstream merged into this one, "" if none. `builtin` is the controller's own
    404 server.
    """

    name: str
    share: Share
    problem: str = ""
    canary: CanaryPolicy | None = None
    affinity: Affinity | None = None
    alternative: str = ""
    load_balance: str = ""
    hash_by: str = ""
    external: bool = False
    builtin: bool = False

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Return the endpoints."""
        return self.share.endpoints


def upstream_name(namespace: str, backend: Backend) -> str:
    """Return the key of an upstream; different Services can share one (`a-b`/`c` and `a`/`b-c`), as in the
    controller.
    """
    port = "" if backend.port is None else f"-{backend.port}"
    return f"{namespace}-{backend.service}{port}"


def create_upstreams(
    ordered: Iterable[tuple[Ingress, Settings]], services: Services, controller: Controller
) -> dict[str, Upstream]:
    """Return the upstreams by name. Rule paths keep the first maker's settings; a defaultBackend replaces an older
    twin.
    """
    external = not controller.is_set("disable-svc-external-name")
    upstreams = {DEFAULT_UPSTREAM: default_upstream(services, controller)}
    for ingress, settings in ordered:
        if ingress.default_backend:
            made = make_upstream(ingress.namespace, ingress.default_backend, settings, services, external)
            upstreams[made.name] = made
        for rule in ingress.rules:
            for path in rule.paths:
                if path.backend and upstream_name(ingress.namespace, path.backend) not in upstreams:
                    made = make_upstream(ingress.namespace, path.backend, settings, services, external)
                    upstreams[made.name] = made
    return upstreams


def default_upstream(services: Services, controller: Controller) -> Upstream:
    """Return `upstream-default-backend`: the Service of --default-backend-service by its first port, else the
    built-in 404.
    """
    namespace, _, name = controller.flag("default-backend-service").partition("/")
    service = services.get(namespace, name) if name else None
    if service and service.ports:
        endpoints = ready_endpoints(services, service, service.ports[0])
        if endpoints:
            number = service.ports[0].port
            return Upstream(DEFAULT_UPSTREAM, Share(namespace, name, number, number, endpoints))
    return Upstream(DEFAULT_UPSTREAM, Share("", DEFAULT_UPSTREAM, None, None, ()), builtin=True)


def make_upstream(namespace: str, backend: Backend, settings: Settings, services: Services, external: bool) -> Upstream:
    """Return the upstream of a backend with the settings of the Ingress that makes it."""
    share, problem = find_endpoints(namespace, backend, settings, services, external)
    service = services.get(namespace, backend.service)
    return Upstream(
        upstream_name(namespace, backend),
        share,
        problem,
        canary=settings.canary,
        load_balance=settings.load_balance,
        hash_by=settings.hash_by,
        external=service is not None and service.type == "ExternalName",
    )


def find_endpoints(
    namespace: str, backend: Backend, settings: Settings, services: Services, external: bool
) -> tuple[Share, str]:
    """Return the backend's share, and the code of what is wrong when it has no endpoint."""
    service = services.get(namespace, backend.service)
    empty = Share(namespace, backend.service, backend.port, None, ())
    if service is None:
        return empty, "NO_SERVICE"
    if settings.service_upstream and (via := _cluster_ip(service, backend)) is not None:
        return via, ""
    if service.type == "ExternalName":
        return _external(service, backend, services) if external else (empty, "UNRESOLVED_EXTERNAL_NAME")
    port = port_by_nginx(service, backend.port)
    if port is None:
        return empty, "NO_SERVICE_PORT"
    endpoints = ready_endpoints(services, service, port)
    return replace(empty, service_port=port.port, endpoints=endpoints), "" if endpoints else "NO_ENDPOINTS"


def _cluster_ip(service: Service, backend: Backend) -> Share | None:
    """service-upstream: the ClusterIP and the port's number; None (endpoints are used) without ClusterIP or such a
    name.
    """
    if not service.cluster_ips or service.headless:
        return None
    number = backend.port
    if isinstance(number, str):
        number = next((port.port for port in service.ports if port.name == number), None)
    if number is None:
        return None
    endpoint = join_port(service.cluster_ips[0], number)
    return Share(service.namespace, service.name, backend.port, number, (endpoint,), via_cluster_ip=True)


def _external(service: Service, backend: Backend, services: Services) -> tuple[Share, str]:
    number, target = _external_port(service, backend.port)
    addresses = external_addresses(services, service.external_name) if target else ()
    endpoints = tuple(join_port(address, target) for address in addresses)
    share = Share(service.namespace, service.name, backend.port, number, endpoints)
    return share, "" if endpoints else "UNRESOLVED_EXTERNAL_NAME" if target else "NO_SERVICE_PORT"


def _external_port(service: Service, port: int | str | None) -> tuple[int | None, int]:
    """The Service port's target, or the number of the Ingress when the Service has no such port (externalNamePorts)."""
    for listed in service.ports:
        if (listed.port if isinstance(port, int) else listed.name) == port:
            target = listed.target_port
            return listed.port, target if isinstance(target, int) and target else listed.port
    return (port, port) if isinstance(port, int) else (None, 0)
