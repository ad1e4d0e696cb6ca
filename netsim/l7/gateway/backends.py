"""backendRefs resolved: kind, ReferenceGrant, Service, port, endpoints, TLS policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from netsim.cluster.model import Service, ServicePort
from netsim.l7.decision import BackendTLS, Share
from netsim.l7.gateway.objects import Grants, ObjectRef, Route, read_ref
from netsim.l7.services import Services, external_addresses, join_port, slice_endpoints


@dataclass(frozen=True, slots=True)
class TLSPolicies:
    """The BackendTLSPolicy of a Service port: by (namespace, service, port name); "" is the whole Service. None:
    unusable.
    """

    by_target: Mapping[tuple[str, str, str], BackendTLS | None] = field(default_factory=dict)

    def find(self, namespace: str, service: str, port: str) -> tuple[bool, BackendTLS | None]:
        """Return whether a policy applies, and its TLS settings (None: it has no usable CA, so requests must fail)."""
        for section in (port, ""):
            key = (namespace, service, section)
            if key in self.by_target:
                return True, self.by_target[key]
        return False, None


@dataclass(frozen=True, slots=True)
class Target:
    """One backendRef: its share (weight filled in later), its weight, what is wrong with it, and its own filters."""

    share: Share
    weight: int
    problem: str
    reason: str
    filters: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Resolver:
    """What references are resolved against."""

    services: Services
    grants: Grants
    policies: TLSPolicies


def resolve_rule(resolver: Resolver, route: Route, backends: Iterable[Mapping[str, Any]]) -> tuple[Target, ...]:
    """Return every backend of a rule with its part of the total weight (default 1 each; 0 never)."""
    targets = [resolve(resolver, route, backend) for backend in backends]
    total = sum(target.weight for target in targets)
    if not total:
        return tuple(targets)
    return tuple(replace(t, share=replace(t.share, weight=Fraction(t.weight, total))) for t in targets)


def resolve(resolver: Resolver, route: Route, backend: Mapping[str, Any]) -> Target:
    """Return one backend; `reason` is that of condition ResolvedRefs ("" when it resolves)."""
    ref = read_ref(backend, route.namespace, "Service")
    weight = backend.get("weight", 1)
    number = weight if isinstance(weight, int) and weight >= 0 else 1
    filters = tuple(one for one in backend.get("filters") or () if isinstance(one, dict))
    share, problem, reason = _resolve(resolver, route, ref)
    return Target(share, number, problem, reason, filters)


def _resolve(resolver: Resolver, route: Route, ref: ObjectRef) -> tuple[Share, str, str]:
    empty = Share(ref.namespace, ref.name, ref.port, None, ())
    reason = refused(resolver, route, ref)
    if reason:
        return empty, "BAD_REFERENCE", reason
    service = resolver.services.get(ref.namespace, ref.name)
    port = _port(service, ref.port, "UDP" if route.kind == "UDPRoute" else "TCP")
    assert service is not None
    assert port is not None
    return (*_endpoints(resolver, service, port, empty), "")


def refused(resolver: Resolver, route: Route, ref: ObjectRef) -> str:
    """Return why a Service reference does not resolve: InvalidKind, RefNotPermitted, BackendNotFound or ""."""
    if (ref.group, ref.kind) != ("", "Service"):
        return "InvalidKind"
    if not resolver.grants.permits(route.kind, route.namespace, ref):
        return "RefNotPermitted"
    service = resolver.services.get(ref.namespace, ref.name)
    found = _port(service, ref.port, "UDP" if route.kind == "UDPRoute" else "TCP")
    return "" if found is not None else "BackendNotFound"


def _port(service: Service | None, port: int | None, protocol: str) -> ServicePort | None:
    ports = service.ports if service else ()
    return next((one for one in ports if one.port == port and one.protocol == protocol), None)


def _endpoints(resolver: Resolver, service: Service, port: ServicePort, empty: Share) -> tuple[Share, str]:
    services = resolver.services
    if service.type == "ExternalName":
        endpoints = tuple(
            join_port(address, port.port) for address in external_addresses(services, service.external_name)
        )
    else:
        endpoints = slice_endpoints(services, service, port, port.protocol)
    governed, tls = resolver.policies.find(service.namespace, service.name, port.name)
    share = replace(empty, service_port=port.port, endpoints=endpoints, tls=tls)
    if governed and tls is None:
        return share, "BAD_REFERENCE"
    return share, "" if endpoints else "NO_ENDPOINTS"
