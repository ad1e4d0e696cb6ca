"""ClusterIPs, nodePorts and healthCheckNodePorts for Services that have none, never clashing with those given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netsim.cluster.allocate import first_address, ip_number, pick_cluster_ip, pick_node_port
from netsim.cluster.model import Service, ServicePort
from netsim.cluster.read import family_of


def allocate(services: Sequence[Service], cidrs: Sequence[str]) -> tuple[Service, ...]:
    """Return the services with everything allocated; order of *services* decides who keeps a contested place."""
    return _with_node_ports(_with_cluster_ips(services, cidrs))


def _with_cluster_ips(services: Sequence[Service], cidrs: Sequence[str]) -> Sequence[Service]:
    """Return services with one ClusterIP per family; a family without range gets none.

    The first address of every range stays for default/kubernetes.
    """
    if not any(_lacks_ip(service) for service in services):
        return services
    by_family = {family_of(cidr): cidr for cidr in reversed(cidrs)}
    used = {ip_number(ip) for service in services for ip in service.cluster_ips if ip != "None"}
    used |= {ip_number(first_address(cidr)) for cidr in cidrs}
    return [_with_ips(service, by_family, used) if _lacks_ip(service) else service for service in services]


def _lacks_ip(service: Service) -> bool:
    return len(service.cluster_ips) < len(service.ip_families) and not service.headless


def _with_ips(service: Service, cidrs: dict[str, str], used: set[int]) -> Service:
    ips = {family_of(ip): ip for ip in service.cluster_ips}
    for family in service.ip_families:
        if family not in ips and family in cidrs:
            ip = _kubernetes_ip(service, cidrs[family]) or pick_cluster_ip(
                cidrs[family], used, "clusterIP", service.namespace, service.name, family
            )
            if ip:
                ips[family] = ip
                used.add(ip_number(ip))
    families = tuple(family for family in service.ip_families if family in ips)
    return replace(service, cluster_ips=tuple(ips[family] for family in families), ip_families=families)


def _kubernetes_ip(service: Service, cidr: str) -> str:
    return first_address(cidr) if (service.namespace, service.name) == ("default", "kubernetes") else ""


def _with_node_ports(services: Sequence[Service]) -> tuple[Service, ...]:
    if not any(_lacks_node_port(service) or _lacks_health_port(service) for service in services):
        return tuple(services)
    used = {port.node_port for service in services for port in service.ports}
    used |= {service.health_check_node_port for service in services}
    return tuple([_with_ports(service, used) for service in services])


def _wants_node_ports(service: Service) -> bool:
    return service.type == "NodePort" or (service.type == "LoadBalancer" and service.allocate_node_ports)


def _lacks_node_port(service: Service) -> bool:
    return _wants_node_ports(service) and any(port.node_port == 0 for port in service.ports)


def _lacks_health_port(service: Service) -> bool:
    return needs_health_check(service) and service.health_check_node_port == 0


def needs_health_check(service: Service) -> bool:
    """Whether a Service has a healthCheckNodePort (apiservice.NeedsHealthCheck)."""
    return service.type == "LoadBalancer" and service.external_traffic_policy == "Local"


def _with_ports(service: Service, used: set[int]) -> Service:
    if _lacks_node_port(service):
        service = replace(service, ports=tuple(_node_ports(service, used)))
    if _lacks_health_port(service):
        found = pick_node_port(used, "healthCheckNodePort", service.namespace, service.name) or 0
        used.add(found)
        service = replace(service, health_check_node_port=found)
    return service


def _node_ports(service: Service, used: set[int]) -> Iterable[ServicePort]:
    """Yield ports with a nodePort each; the same port number in another protocol shares it (initNodePorts)."""
    shared = {port.port: port.node_port for port in reversed(service.ports) if port.node_port}
    for port in service.ports:
        if port.node_port == 0:
            found = shared.get(port.port) or pick_node_port(
                used, "nodePort", service.namespace, service.name, port.port
            )
            used.add(found or 0)
            shared[port.port] = found or 0
            port = (
                port._replace(node_port=found or 0) if isinstance(port, tuple) else replace(port, node_port=found or 0)
            )
        yield port
