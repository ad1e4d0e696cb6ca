"""Services and endpoints as proxies look them up: by namespace and name, by port number, target port or port name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from netsim.cluster.model import Cluster, EndpointSlice, Service, ServicePort

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Services:
    """The cluster's Services and their slices by (namespace, name), and what external names resolve to."""

    by_key: Mapping[Key, Service] = field(default_factory=dict)
    slices: Mapping[Key, tuple[EndpointSlice, ...]] = field(default_factory=dict)
    resolve: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cluster_domain: str = "cluster.local"

    def get(self, namespace: str, name: str) -> Service | None:
        """Return a Service."""
        return self.by_key.get((namespace, name))


def index_services(cluster: Cluster, resolve: Mapping[str, tuple[str, ...]] | None = None) -> Services:
    """Return the index; *resolve* maps external names to addresses."""
    slices: dict[Key, list[EndpointSlice]] = {}
    for found in cluster.slices:
        if found.service:
            slices.setdefault((found.namespace, found.service), []).append(found)
    names = {name.lower().removesuffix("."): addresses for name, addresses in (resolve or {}).items()}
    return Services(
        {(service.namespace, service.name): service for service in cluster.services},
        {key: tuple(found) for key, found in slices.items()},
        names,
        cluster.cluster_domain,
    )


def join_port(address: str, port: int) -> str:
    """Return `address:port`, IPv6 addresses in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def port_by_spelling(service: Service, port: int | str | None) -> ServicePort | None:
    """Return the Service's port of a name or number, as the specification reads a backend."""
    if port is None:
        return None
    return next((p for p in service.ports if (p.port if isinstance(port, int) else p.name) == port), None)


def port_by_nginx(service: Service, port: int | str | None) -> ServicePort | None:
    """Return the first port whose number, target port or name has this spelling (ingress-nginx serviceEndpoints)."""
    wanted = "" if port is None else str(port)
    return next((p for p in service.ports if wanted in (str(p.port), str(p.target_port), p.name)), None)


def ready_endpoints(services: Services, service: Service, port: ServicePort) -> tuple[str, ...]:
    """Return `ip:port` of every endpoint that is not marked not ready, by port name, each once, in slice order."""
    found: dict[str, None] = {}
    for endpoint_slice in services.slices.get((service.namespace, service.name), ()):
        if endpoint_slice.address_type == "FQDN":
            continue
        numbers = _slice_ports(endpoint_slice, port)
        for endpoint in endpoint_slice.endpoints:
            if endpoint.ready is not False:
                found.update((join_port(address, number), None) for number in numbers for address in endpoint.addresses)
    return tuple(found)


def _slice_ports(endpoint_slice: EndpointSlice, port: ServicePort) -> list[int]:
    target = port.target_port if isinstance(port.target_port, int) else 0
    if not endpoint_slice.ports:
        return [target] if target else []
    named = [
        listed.port
        for listed in endpoint_slice.ports
        if listed.protocol == "TCP" and listed.port and (not port.name or (listed.name or "") == port.name)
    ]
    # ingress-nginx issue 7390: a port whose name no slice has is reached by its numeric target port.
    return named or ([target] if target and any(p.protocol == "TCP" for p in endpoint_slice.ports) else [])


def slice_endpoints(services: Services, service: Service, port: ServicePort, protocol: str = "TCP") -> tuple[str, ...]:
    """Return the ready endpoints strictly by port name and protocol, as kube-proxy and Gateway controllers match
    them.
    """
    found: dict[str, None] = {}
    for endpoint_slice in services.slices.get((service.namespace, service.name), ()):
        numbers = [
            listed.port
            for listed in endpoint_slice.ports
            if listed.port and listed.protocol == protocol and (listed.name or "") == port.name
        ]
        for endpoint in endpoint_slice.endpoints if endpoint_slice.address_type != "FQDN" else ():
            if endpoint.ready is not False:
                found.update((join_port(address, number), None) for number in numbers for address in endpoint.addresses)
    return tuple(found)


def external_addresses(services: Services, name: str) -> tuple[str, ...]:
    """Return the addresses of an ExternalName for the proxy: itself when an address, as told, else of a Service; ()
    if none.

    Names and addresses of the local host are refused, as ingress-nginx refuses them.
    """
    plain = name.lower().removesuffix(".")
    if plain == "localhost":
        return ()
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return services.resolve.get(plain) or _cluster_addresses(services, plain)
    return () if address.is_loopback else (str(address),)


def _cluster_addresses(services: Services, name: str) -> tuple[str, ...]:
    labels = name.removesuffix(f".{services.cluster_domain}").split(".")
    if len(labels) != 3 or labels[2] != "svc":
        return ()
    service = services.get(labels[1], labels[0])
    if service is None:
        return ()
    if not service.headless:
        return service.cluster_ips
    slices = services.slices.get((service.namespace, service.name), ())
    return tuple(_addresses(slices))


def _addresses(slices: Iterable[EndpointSlice]) -> Iterable[str]:
    for endpoint_slice in slices:
        for endpoint in endpoint_slice.endpoints:
            if endpoint.ready is not False:
                yield from endpoint.addresses
