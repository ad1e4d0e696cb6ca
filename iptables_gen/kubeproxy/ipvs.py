"""kube-proxy's ipvs mode: virtual servers, ipsets, bound addresses and a few iptables rules of one family on one node.

Deprecated since Kubernetes 1.35. Source: observed on kube-proxy v1.36.2 with ipvsadm, ipset and iptables-legacy.
Whoever lays out the host must bind `IpvsDataplane.bound_addresses` to kube-ipvs0: only then are virtual addresses LOCAL
to `addrtype`, delivered to INPUT, and taken by IPVS there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from iptables_gen.ipvs.dataplane import IpvsDataplane
from iptables_gen.ipvs.ir import Because, Entry, IpSet, RealServer, State, VirtualServer
from iptables_gen.ipvs.text import network_text
from iptables_gen.kubeproxy import ipvs_rules
from iptables_gen.kubeproxy.inputs import Endpoint, NodeInfo, ProxyInput, ServicePort
from iptables_gen.kubeproxy.ipvs_rules import Refused, set_name
from iptables_gen.kubeproxy.nodeports import covered, is_loopback, node_port_addresses
from iptables_gen.kubeproxy.origins import of_endpoint, of_external_ip, of_port, of_service, of_source_range, of_vip
from iptables_gen.kubeproxy.policy import Decision, decide
from iptables_gen.values import Family, in_net, parse_ip, parse_net

SETS: Final = (
    ("LOOP-BACK", "hash:ip,port,ip"),
    ("CLUSTER-IP", "hash:ip,port"),
    ("EXTERNAL-IP", "hash:ip,port"),
    ("EXTERNAL-IP-LOCAL", "hash:ip,port"),
    ("LOAD-BALANCER", "hash:ip,port"),
    ("LOAD-BALANCER-FW", "hash:ip,port"),
    ("LOAD-BALANCER-LOCAL", "hash:ip,port"),
    ("LOAD-BALANCER-SOURCE-IP", "hash:ip,port,ip"),
    ("LOAD-BALANCER-SOURCE-CIDR", "hash:ip,port,net"),
    ("NODE-PORT-TCP", "bitmap:port"),
    ("NODE-PORT-LOCAL-TCP", "bitmap:port"),
    ("NODE-PORT-UDP", "bitmap:port"),
    ("NODE-PORT-LOCAL-UDP", "bitmap:port"),
    ("NODE-PORT-SCTP-HASH", "hash:ip,port"),
    ("NODE-PORT-LOCAL-SCTP-HASH", "hash:ip,port"),
    ("HEALTH-CHECK-NODE-PORT", "bitmap:port"),
    ("IPVS-IPS", "hash:ip"),
)
"""Every set that kube-proxy makes, empty or not: short name and type."""

_LINK_LOCAL = {4: parse_net("169.254.0.0/16"), 6: parse_net("fe80::/10")}


def compile_input(proxy_input: ProxyInput) -> IpvsDataplane:
    """Return what kube-proxy programs; raise CompileError for a port that IPVS cannot serve."""
    draft = _Draft(proxy_input)
    for service in proxy_input.services:
        if service.cluster_ip:
            _write_port(draft, service, decide(service, proxy_input.node))
    for address, because in draft.bound.items():
        draft.entry("IPVS-IPS", Entry(address, because=because))
    filled = frozenset(short for short, entries in draft.entries.items() if entries)
    written = ipvs_rules.rows(proxy_input, filled, draft.refused)
    sets = tuple(_finished(proxy_input.family, short, kind, draft.entries.get(short, {})) for short, kind in SETS)
    state = State(proxy_input.family, tuple(draft.servers.values()), sets, tuple(draft.bound))
    return IpvsDataplane(
        state, ipvs_rules.loaded_ruleset(proxy_input.family, written), lambda: ipvs_rules.restore_text(written)
    )


def _finished(family: Family, short: str, kind: str, entries: dict[tuple[str, str, int, str], Entry]) -> IpSet:
    if kind == "bitmap:port":
        options = "range 0-65535"
    else:
        options = f"family {'inet' if family == 4 else 'inet6'} hashsize 1024 maxelem 65536 bucketsize 12"
    return IpSet(set_name(family, short), kind, family, tuple(entries.values()), options)


@dataclass(slots=True)
class _Draft:
    """What has been written so far. `bound` maps each address of kube-ipvs0 to the reason for it."""

    proxy_input: ProxyInput
    servers: dict[tuple[str, str, int], VirtualServer] = field(default_factory=dict)
    entries: dict[str, dict[tuple[str, str, int, str], Entry]] = field(default_factory=dict)
    bound: dict[str, Because] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    node_ips: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.own = frozenset(address.address for address in self.proxy_input.node.addresses)
        if any(service.node_port for service in self.proxy_input.services):
            self.node_ips = tuple(node_ips(self.proxy_input))

    def entry(self, short: str, entry: Entry) -> None:
        """Add an entry to a set; a set holds each once."""
        self.entries.setdefault(short, {}).setdefault(entry[:4], entry)


def node_ips(proxy_input: ProxyInput) -> Iterator[str]:
    """Yield the addresses on which nodePorts are served: no loopback; link-local only when the settings name it."""
    node, wanted = proxy_input.node, node_port_addresses(proxy_input)
    if wanted.match_all:
        yield from dict.fromkeys(a.address for a in node.addresses if _global(a.address, proxy_input.family))
    else:
        yield from (address for address in wanted.addresses(node) if not is_loopback(address))


def _global(address: str, family: Family) -> bool:
    _, network, prefix = _LINK_LOCAL[family]
    return not is_loopback(address) and not in_net(parse_ip(address)[1], network, prefix, family)


class _Port:
    """One service port with the real servers of each policy."""

    __slots__ = ("cluster", "external", "internal", "service")

    def __init__(self, service: ServicePort, decision: Decision) -> None:
        serving = decision.serving
        self.service = service
        self.cluster = _reals(service, serving.cluster)
        # Policy Local without a local endpoint falls back to all of them: the node's own pods stay served.
        local = _reals(service, serving.local) if serving.local else self.cluster
        self.internal = local if service.internal_local else self.cluster
        self.external = local if service.external_local else self.cluster


def _reals(service: ServicePort, endpoints: tuple[Endpoint, ...]) -> tuple[RealServer, ...]:
    return tuple([RealServer(e.ip, e.port, 1, "m", of_endpoint(service, e)) for e in endpoints])


def _write_port(draft: _Draft, service: ServicePort, decision: Decision) -> None:
    port = _Port(service, decision)
    for endpoint in service.endpoints:
        if endpoint.local:
            back = Entry(endpoint.ip, service.protocol, endpoint.port, endpoint.ip, of_endpoint(service, endpoint))
            draft.entry("LOOP-BACK", back)
    because = of_service(service, "spec.clusterIP", "cluster IP")
    draft.entry("CLUSTER-IP", Entry(service.cluster_ip, service.protocol, service.port, "", because))
    _serve(draft, service, service.cluster_ip, service.port, port.internal, because)
    draft.bound.setdefault(service.cluster_ip, because)
    for index, ip in enumerate(service.external_ips):
        _write_external_ip(draft, port, ip, of_external_ip(service, index))
    for index, ip in enumerate(service.lb_vips):
        _write_vip(draft, port, ip, of_vip(service, index))
    if service.node_port and not draft.node_ips:
        return
    if service.node_port:
        _write_node_port(draft, port)
    if service.health_check_node_port:
        health = of_service(service, "spec.healthCheckNodePort", "health check")
        draft.entry("HEALTH-CHECK-NODE-PORT", Entry(port=service.health_check_node_port, because=health))


def _serve(
    draft: _Draft, service: ServicePort, ip: str, port: int, reals: tuple[RealServer, ...], because: Because
) -> None:
    scheduler = draft.proxy_input.config.ipvs_scheduler or "rr"
    flags = ("mh-port",) if scheduler == "mh" else ()
    server = VirtualServer(
        service.protocol, ip, port, scheduler, service.affinity_seconds or 0, flags, reals, because=because
    )
    draft.servers[service.protocol, ip, port] = server


def _bind(draft: _Draft, ip: str, because: Because) -> None:
    # An address that another interface has is local already.
    if ip not in draft.own:
        draft.bound.setdefault(ip, because)


def _write_external_ip(draft: _Draft, port: _Port, ip: str, because: Because) -> None:
    service = port.service
    short = "EXTERNAL-IP-LOCAL" if service.external_local else "EXTERNAL-IP"
    draft.entry(short, Entry(ip, service.protocol, service.port, "", because))
    _serve(draft, service, ip, service.port, port.external, because)
    _bind(draft, ip, because)


def _write_vip(draft: _Draft, port: _Port, ip: str, because: Because) -> None:
    service = port.service
    entry = Entry(ip, service.protocol, service.port, "", because)
    draft.entry("LOAD-BALANCER", entry)
    if service.external_local:
        draft.entry("LOAD-BALANCER-LOCAL", entry)
    if service.source_ranges:
        _write_source_ranges(draft, service, ip, entry)
    _serve(draft, service, ip, service.port, port.external, because)
    _bind(draft, ip, because)


def _write_source_ranges(draft: _Draft, service: ServicePort, ip: str, entry: Entry) -> None:
    draft.entry("LOAD-BALANCER-FW", entry)
    node: NodeInfo = draft.proxy_input.node
    for index, cidr in enumerate(service.source_ranges):
        network = network_text(cidr, draft.proxy_input.family)
        because = of_source_range(service, index)
        draft.entry("LOAD-BALANCER-SOURCE-CIDR", entry._replace(second=network, because=because))
    if covered(node.ip, service.source_ranges):
        draft.entry("LOAD-BALANCER-SOURCE-IP", entry._replace(second=ip))
    else:
        # The node dials a bound address from that address itself, so no source range can tell it from outside.
        draft.refused.append(Refused(ip, service.protocol, service.port))


def _write_node_port(draft: _Draft, port: _Port) -> None:
    service = port.service
    because = of_port(service, "node port", "nodePort")
    hashed = service.protocol == "sctp"
    suffix = "SCTP-HASH" if hashed else service.protocol.upper()
    policies = ("NODE-PORT-", "NODE-PORT-LOCAL-") if service.external_local else ("NODE-PORT-",)
    for prefix in policies:
        for ip in draft.node_ips if hashed else ("",):
            protocol = service.protocol if hashed else ""
            draft.entry(prefix + suffix, Entry(ip, protocol, service.node_port, "", because))
    for ip in draft.node_ips:
        _serve(draft, service, ip, service.node_port, port.external, because)
