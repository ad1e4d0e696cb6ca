"""Rules that send (or refuse) packets by destination: KUBE-SERVICES, KUBE-NODEPORTS and the like.

Each function makes one kind of rule for one service port. Source: observed on kube-proxy v1.36.2.
"""

from __future__ import annotations

from iptables_gen.kubeproxy import origins
from iptables_gen.kubeproxy.iptables_port import Port
from iptables_gen.kubeproxy.iptables_shapes import template
from iptables_gen.xtables.ir import Row, RowTemplate

_VERDICTS = {True: ("has no local endpoints", "DROP"), False: ("has no endpoints", "REJECT")}
"""What becomes of packets that no endpoint may have: with endpoints elsewhere (policy Local) silence, else an error."""


def cluster_ip(port: Port) -> list[Row]:
    """Return the ClusterIP's jump, when something serves it from here."""
    if not port.decision.has_internal:
        return []
    service = port.service
    args = (port.name, service.cluster_ip, str(service.port), port.internal_policy_chain)
    return [Row(port.shapes["cluster IP"], args, origins.of_port(service, "cluster IP"))]


def external_ips(port: Port) -> list[Row]:
    """Return one jump per external IP."""
    if not port.decision.has_endpoints:
        return []
    shape, number, chain = port.shapes["external IP"], str(port.service.port), port.external_chain
    return [
        Row(shape, (port.name, ip, number, chain), origins.of_external_ip(port.service, index))
        for index, ip in enumerate(port.service.external_ips)
    ]


def vips(port: Port) -> list[Row]:
    """Return one jump per load balancer address, through the firewall chain when there are source ranges."""
    if not port.decision.has_endpoints:
        return []
    chain = port.firewall_chain if port.uses_firewall else port.external_chain
    return [
        Row(port.shapes["VIP"], (port.name, ip, str(port.service.port), chain), origins.of_vip(port.service, index))
        for index, ip in enumerate(port.service.lb_vips)
    ]


def node_port(port: Port) -> list[Row]:
    """Return the nodePort's jumps: on IPv4 one that counts use through localhost, then the general one."""
    service = port.service
    if not service.node_port or not port.decision.has_endpoints:
        return []
    args = (port.bare, str(service.node_port), port.external_chain, port.name)
    origin = origins.of_port(service, "node port", "nodePort")
    counted = port.settings.localhost and port.settings.counted
    first = [Row(port.shapes["localhost nodePort"], args, origin)] if counted else []
    return [*first, Row(port.shapes["nodePort"], args, origin)]


def not_accepted(port: Port) -> list[Row]:
    """Return the filter rules that drop what the firewall chain did not let through, one per load balancer address."""
    if not port.uses_firewall:
        return []
    shape, number, chain = port.shapes["not accepted"], str(port.service.port), port.firewall_chain
    return [
        Row(shape, (port.name, chain, ip, number), origins.of_vip(port.service, index))
        for index, ip in enumerate(port.service.lb_vips)
    ]


def health_check(port: Port) -> list[Row]:
    """Return the filter rule that lets health checks in."""
    number = port.service.health_check_node_port
    if not number:
        return []
    origin = origins.of_service(port.service, "spec.healthCheckNodePort", "health check node port")
    return [Row(port.shapes["health check"], (port.name, str(number)), origin)]


def refuse_internal(port: Port) -> list[Row]:
    """Return the filter rule that refuses packets to a ClusterIP that nothing serves from here."""
    if port.decision.has_internal:
        return []
    origin = origins.of_port(port.service, "cluster IP")
    args = (port.name, port.service.cluster_ip, str(port.service.port))
    return [Row(_refusal(port, "KUBE-SERVICES", by_address=True), args, origin)]


def refuse_external_ips(port: Port) -> list[Row]:
    """Return the filter rules that refuse packets to external IPs that nothing serves from here."""
    service = port.service
    return _refuse(port, [(ip, origins.of_external_ip(service, i)) for i, ip in enumerate(service.external_ips)])


def refuse_vips(port: Port) -> list[Row]:
    """Return the filter rules that refuse packets to load balancer addresses that nothing serves from here."""
    service = port.service
    return _refuse(port, [(ip, origins.of_vip(service, i)) for i, ip in enumerate(service.lb_vips)])


def _refuse(port: Port, addresses: list[tuple[str, origins.Provenance]]) -> list[Row]:
    if port.decision.has_external or not addresses:
        return []
    shape, number = _refusal(port, "KUBE-EXTERNAL-SERVICES", by_address=True), str(port.service.port)
    return [Row(shape, (port.name, ip, number), origin) for ip, origin in addresses]


def refuse_node_port(port: Port) -> list[Row]:
    """Return the filter rule that refuses packets to a nodePort that nothing serves from here."""
    service = port.service
    if port.decision.has_external or not service.node_port:
        return []
    shape = _refusal(port, "KUBE-EXTERNAL-SERVICES", by_address=False)
    return [Row(shape, (port.name, str(service.node_port)), origins.of_port(service, "node port", "nodePort"))]


def _refusal(port: Port, chain: str, *, by_address: bool) -> RowTemplate:
    text, verdict = _VERDICTS[port.decision.has_endpoints]
    protocol = f"-m {port.service.protocol} -p {port.service.protocol}"
    where = f"{protocol} -d {{ip}}" if by_address else f"-m addrtype --dst-type LOCAL {protocol}"
    line = f'-A {chain} -m comment --comment "{{name}} {text}" {where} --dport {{port}} -j {verdict}'
    return template(port.settings.family, "filter", line)
