"""Origins of kube-proxy's rules: which manifest field a rule was made for, found only when somebody asks."""

from __future__ import annotations

from functools import partial
from typing import Protocol, TypeGuard

from iptables_gen.kubeproxy.inputs import Endpoint, ServicePort
from iptables_gen.origin import Locator, Origin

Provenance = partial[Origin]
"""An origin not yet made: a large cluster has hundreds of thousands of rules, and few are asked for theirs."""


class NamedLocator(Protocol):
    """A locator that knows which object it belongs to, as `netsim.manifests.objects.Manifest` does."""

    kind: str
    namespace: str
    name: str

    def locate(self, field: str) -> tuple[str, int, int]:
        """Return (file, line, column) of a field path."""


def of_service(service: ServicePort, field: str, stage: str) -> Provenance:
    """Return the origin of a rule made for a field of the Service, such as `spec.externalIPs[0]`."""
    return partial(_service_origin, service, field, stage)


def of_port(service: ServicePort, stage: str, leaf: str = "") -> Provenance:
    """Return the origin of a rule made for `spec.ports[i]` or a field of it (`nodePort`)."""
    return partial(_port_origin, service, leaf, stage)


def of_external_ip(service: ServicePort, index: int) -> Provenance:
    """Return the origin of a rule made for the index-th external IP of the family."""
    return of_service(service, f"spec.externalIPs[{_position(service.external_ip_positions, index)}]", "external IP")


def of_vip(service: ServicePort, index: int) -> Provenance:
    """Return the origin of a rule made for the index-th load balancer address of the family."""
    place = _position(service.lb_vip_positions, index)
    return of_service(service, f"status.loadBalancer.ingress[{place}].ip", "load balancer IP")


def of_source_range(service: ServicePort, index: int) -> Provenance:
    """Return the origin of a rule made for the index-th source range of the family."""
    place = _position(service.source_range_positions, index)
    return of_service(service, f"spec.loadBalancerSourceRanges[{place}]", "source range")


def of_endpoint(service: ServicePort, endpoint: Endpoint) -> Provenance:
    """Return the origin of a rule made for an endpoint: its slice or pod, the Service's port when it has neither."""
    return partial(_endpoint_origin, service, endpoint)


def _position(positions: tuple[int, ...], index: int) -> int:
    return positions[index] if index < len(positions) else index


def _service_origin(service: ServicePort, field: str, stage: str) -> Origin:
    return Origin("Service", service.namespace, service.name, field, service.locator, stage)


def _port_origin(service: ServicePort, leaf: str, stage: str) -> Origin:
    field = f"spec.ports[{service.index}]" + (f".{leaf}" if leaf else "")
    return _service_origin(service, field, stage)


def _endpoint_origin(service: ServicePort, endpoint: Endpoint) -> Origin:
    locator = endpoint.locator
    if _is_named(locator):
        return Origin(locator.kind, locator.namespace, locator.name, endpoint.field, locator, "endpoint")
    return _port_origin(service, "", "endpoint")


def _is_named(locator: Locator | None) -> TypeGuard[NamedLocator]:
    # isinstance of a runtime protocol takes ten times as long as making the origin.
    return hasattr(locator, "kind")
