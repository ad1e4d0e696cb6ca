"""kube-proxy's nftables mode: a ProxyInput becomes the transaction of the first full sync of one family on one node.

The typed commands are the only copy: their text is what `nft -f -` reads, and the tables they leave are evaluated.
Source: observed on kube-proxy v1.36.2 with nft 1.0.6; KEP-3866.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from iptables_gen.kubeproxy import nftables_static as static
from iptables_gen.kubeproxy.inputs import Endpoint, ProxyInput, ServicePort
from iptables_gen.kubeproxy.naming import nft_base, nft_endpoint_base
from iptables_gen.kubeproxy.nftables_static import L4PROTO, Spelling, spelling_of, static_commands
from iptables_gen.kubeproxy.nodeports import covered
from iptables_gen.kubeproxy.origins import of_endpoint, of_external_ip, of_port, of_service, of_source_range, of_vip
from iptables_gen.kubeproxy.policy import Decision, decide
from iptables_gen.nft.dataplane import NftDataplane
from iptables_gen.nft.expressions import Constant, Fib, Numgen
from iptables_gen.nft.ir import ChainRule, Command, Elements, Rule
from iptables_gen.nft.literals import Address, Number, Word, parse_literal
from iptables_gen.nft.matches import Match, Vmap
from iptables_gen.nft.sets import AnonymousSet, Because, Element, SetDefinition, SetReference
from iptables_gen.nft.sets import Decision as Go
from iptables_gen.nft.statements import Lookup, Nat, UpdateSet, VerdictStatement

_SAFE = re.compile(r"[A-Za-z0-9/_.-]+\Z")
"""Letters of a chain's name: what the scanner of nft calls a string."""


def compile_input(proxy_input: ProxyInput) -> NftDataplane:
    """Return what kube-proxy programs; raise CompileError for a name that cannot stand in a rule."""
    spelling = spelling_of(proxy_input)
    pages = _Pages(spelling, static_commands(proxy_input, spelling))
    for service in proxy_input.services:
        if service.cluster_ip:
            _write_port(pages, service, decide(service, proxy_input.node), proxy_input.node.ip)
    return NftDataplane(proxy_input.family, commands=tuple(pages.commands))


@dataclass(slots=True)
class _Pages:
    """What has been written so far; `known` are the elements that exist, by set and key (Services may share them)."""

    spelling: Spelling
    commands: list[Command]
    known: dict[tuple[str, tuple[object, ...]], object] = field(default_factory=dict)

    def element(self, name: str, word: str, element: Element) -> None:
        """Add an element unless it exists; one with other data is replaced, as the program does."""
        key = (name, element.key)
        present = self.known.get(key, self)
        if present == element.data:
            return
        family = self.spelling.family
        if present is not self:
            gone = Elements(name, word, (Element(element.key),))
            self.commands.append(Command("delete", family, static.TABLE, gone))
        self.known[key] = element.data
        self.commands.append(Command("add", family, static.TABLE, Elements(name, word, (element,))))

    def rule(self, chain: str, rule: Rule) -> None:
        """Append a rule to a chain."""
        self.commands.append(Command("add", self.spelling.family, static.TABLE, ChainRule(chain, rule)))


@dataclass(frozen=True, slots=True)
class _Port:
    """One service port: decided, and with its chain names."""

    service: ServicePort
    decision: Decision
    base: str
    protocol: Word

    @property
    def uses_cluster(self) -> bool:
        return self.decision.uses_cluster and bool(self.decision.serving.cluster)

    @property
    def uses_local(self) -> bool:
        return self.decision.uses_local and bool(self.decision.serving.local)

    @property
    def uses_external(self) -> bool:
        return self.decision.has_endpoints and self.decision.accessible

    @property
    def uses_firewall(self) -> bool:
        return bool(self.service.lb_vips and self.service.source_ranges)

    @property
    def affine(self) -> bool:
        return self.service.affinity_seconds is not None

    def endpoint_base(self, endpoint: Endpoint) -> str:
        service = self.service
        return nft_endpoint_base(
            service.namespace, service.name, service.protocol, service.port_name, endpoint.ip, endpoint.port
        )


def _write_port(pages: _Pages, service: ServicePort, decision: Decision, node_ip: str) -> None:
    base = nft_base(service.namespace, service.name, service.protocol, service.port_name)
    if not _SAFE.match(base):
        raise service.refuse("ports[].name", f"{service.name_string!r}: nft takes no such name for a chain")
    port = _Port(service, decision, base, Word(service.protocol))
    _write_endpoint_names(pages, port)
    _write_chains(pages, port)
    _write_dispatch(pages, port)
    if port.uses_external:
        _write_external(pages, port)
    if port.uses_firewall:
        _write_firewall(pages, port, node_ip)
    _write_policies(pages, port)


def _write_endpoint_names(pages: _Pages, port: _Port) -> None:
    for endpoint in port.decision.serving.reachable:
        because = of_endpoint(port.service, endpoint)
        if port.affine:
            pages.commands += pages.spelling.chain("endpoint-" + port.endpoint_base(endpoint), because)
        if endpoint.local:
            address = Address(endpoint.ip)
            key = (address, address, port.protocol, Number(endpoint.port))
            pages.element(static.HAIRPINS, "set", Element(key, because=because))


def _write_chains(pages: _Pages, port: _Port) -> None:
    wanted = ("service-", port.uses_cluster), ("local-", port.uses_local), ("external-", port.uses_external)
    for prefix, needed in wanted:
        if needed:
            pages.commands += pages.spelling.chain(prefix + port.base, of_port(port.service, prefix + "chain"))


def _write_dispatch(pages: _Pages, port: _Port) -> None:
    service, decision = port.service, port.decision
    because = of_service(service, "spec.clusterIP", "cluster IP")
    pages.element(static.CLUSTER_IPS, "set", Element((Address(service.cluster_ip),), because=because))
    policy = "local-" if service.internal_local else "service-"
    _write_address(pages, port, service.cluster_ip, of_port(service, "cluster IP"), decision.has_internal and policy)
    for index, ip in enumerate(service.external_ips):
        _write_outside(pages, port, ip, of_external_ip(service, index))
    if port.uses_firewall:
        pages.commands += pages.spelling.chain("firewall-" + port.base, of_source_range(service, 0))
    _write_vips(pages, port)
    if service.node_port:
        _write_node_port(pages, port)


def _write_address(pages: _Pages, port: _Port, ip: str, because: Because, chain: str | bool) -> None:
    """Send an address to a chain, or to the refusal that stands for missing endpoints."""
    key = (Address(ip), port.protocol, Number(port.service.port))
    if chain:
        element = Element(key, Go("goto", f"{chain}{port.base}"), because=because)
        pages.element(static.SERVICES, "map", element)
    else:
        pages.element(static.NO_ENDPOINT_SERVICES, "map", _refusal(key, port, because))


def _refusal(key: tuple[Address | Word | Number, ...], port: _Port, because: Because) -> Element:
    verdict = Go("drop") if port.decision.has_endpoints else Go("goto", static.REJECT_CHAIN)
    return Element(key, verdict, port.service.name_string, because=because)


def _write_outside(pages: _Pages, port: _Port, ip: str, because: Because) -> None:
    # Both may exist: pods and the node itself still reach endpoints elsewhere when policy Local has none here.
    if port.decision.has_endpoints:
        _write_address(pages, port, ip, because, "external-")
    if not port.decision.has_external:
        _write_address(pages, port, ip, because, False)


def _write_vips(pages: _Pages, port: _Port) -> None:
    service = port.service
    for index, ip in enumerate(service.lb_vips):
        because = of_vip(service, index)
        if port.decision.has_endpoints:
            _write_address(pages, port, ip, because, "external-")
        if port.uses_firewall:
            key = (Address(ip), port.protocol, Number(service.port))
            element = Element(key, Go("goto", "firewall-" + port.base), because=because)
            pages.element(static.FIREWALL, "map", element)
    if not port.decision.has_external:
        for index, ip in enumerate(service.lb_vips):
            _write_address(pages, port, ip, of_vip(service, index), False)


def _write_node_port(pages: _Pages, port: _Port) -> None:
    because = of_port(port.service, "node port", "nodePort")
    key = (port.protocol, Number(port.service.node_port))
    if port.decision.has_endpoints:
        element = Element(key, Go("goto", "external-" + port.base), because=because)
        pages.element(static.NODE_PORTS, "map", element)
    if not port.decision.has_external:
        pages.element(static.NO_ENDPOINT_NODE_PORTS, "map", _refusal(key, port, because))


_LOCAL_SOURCE = Match(Fib(("saddr",), "type"), Word("local"))


def _write_external(pages: _Pages, port: _Port) -> None:
    chain, service, spelling = "external-" + port.base, port.service, pages.spelling
    because = of_service(service, "spec.externalTrafficPolicy", "external traffic policy")
    if not service.external_local:
        pages.rule(chain, Rule((spelling.set_mark(),), "masquerade", because))
    else:
        short_circuit = VerdictStatement(Go("goto", "service-" + port.base))
        from_pods = spelling.local_source()
        if from_pods is not None:
            pages.rule(chain, Rule((from_pods, short_circuit), "short-circuit pod traffic", because))
        pages.rule(chain, Rule((_LOCAL_SOURCE, spelling.set_mark()), "masquerade local traffic", because))
        pages.rule(chain, Rule((_LOCAL_SOURCE, short_circuit), "short-circuit local traffic", because))
    if port.decision.has_external:
        policy = "local-" if service.external_local else "service-"
        pages.rule(chain, Rule((VerdictStatement(Go("goto", policy + port.base)),), "", because))


def _write_firewall(pages: _Pages, port: _Port, node_ip: str) -> None:
    service = port.service
    allowed = [
        Element((parse_literal(cidr),), because=of_source_range(service, index))
        for index, cidr in enumerate(service.source_ranges)
    ]
    if covered(node_ip, service.source_ranges):
        # A node that may come in may also come in under the load balancer's address, which is often bound to it.
        allowed += [Element((Address(ip),)) for ip in service.lb_vips]
    refused = Match(pages.spelling.saddr, AnonymousSet(tuple(allowed)), "!=")
    because = of_source_range(service, 0)
    pages.rule("firewall-" + port.base, Rule((refused, VerdictStatement(Go("drop"))), "", because))


def _write_policies(pages: _Pages, port: _Port) -> None:
    serving = port.decision.serving
    if port.affine:
        pages.commands += _affinity_sets(pages.spelling, port)
    for prefix, needed, endpoints in (
        ("service-", port.uses_cluster, serving.cluster),
        ("local-", port.uses_local, serving.local),
    ):
        if needed and port.affine:
            _write_affine(pages, port, prefix + port.base, endpoints)
        elif needed:
            because = of_port(port.service, "endpoints")
            pages.rule(prefix + port.base, Rule(_random_endpoint(port, endpoints), "", because))
    if port.affine:
        for endpoint in serving.reachable:
            _write_endpoint_chain(pages, port, endpoint)


def _affinity_sets(spelling: Spelling, port: _Port) -> Iterator[Command]:
    seconds = port.service.affinity_seconds or 0
    for endpoint in port.decision.serving.reachable:
        name = "affinity-" + port.endpoint_base(endpoint)
        because = of_service(port.service, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "session affinity")
        kind, flags = (spelling.address_type,), ("dynamic", "timeout")
        yield spelling.command("add", SetDefinition(name, kind, (), flags, seconds, because=because))


def _random_endpoint(port: _Port, endpoints: tuple[Endpoint, ...]) -> tuple[Match, Nat]:
    choices = tuple(
        [
            Element((Number(place),), (Address(endpoint.ip), Number(endpoint.port)))
            for place, endpoint in enumerate(endpoints)
        ]
    )
    pick = Lookup(Numgen("random", len(endpoints)), AnonymousSet(choices))
    family = "ip6" if ":" in endpoints[0].ip else "ip"
    return _protocol_match(port.service.protocol), Nat("dnat", pick, 0, family, (), True)


@lru_cache(maxsize=8)
def _protocol_match(protocol: str) -> Match:
    return Match(L4PROTO, Word(protocol))


def _write_affine(pages: _Pages, port: _Port, chain: str, endpoints: tuple[Endpoint, ...]) -> None:
    because = of_service(port.service, "spec.sessionAffinity", "session affinity")
    bases = [port.endpoint_base(endpoint) for endpoint in endpoints]
    for base in bases:
        known = Match(pages.spelling.saddr, SetReference("affinity-" + base))
        pages.rule(chain, Rule((known, VerdictStatement(Go("goto", "endpoint-" + base))), "", because))
    choices = tuple(Element((Number(place),), Go("goto", "endpoint-" + base)) for place, base in enumerate(bases))
    pages.rule(chain, Rule((Vmap(Numgen("random", len(bases)), AnonymousSet(choices)),), "", because))


def _write_endpoint_chain(pages: _Pages, port: _Port, endpoint: Endpoint) -> None:
    base, because = port.endpoint_base(endpoint), of_endpoint(port.service, endpoint)
    remember = UpdateSet("update", "affinity-" + base, pages.spelling.saddr)
    target = Nat("dnat", Constant(Address(endpoint.ip)), endpoint.port)
    pages.rule("endpoint-" + base, Rule((remember,), "", because))
    pages.rule("endpoint-" + base, Rule((_protocol_match(port.service.protocol), target), "", because))
