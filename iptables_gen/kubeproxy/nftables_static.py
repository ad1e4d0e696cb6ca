"""nftables mode, the part that does not depend on Services: base chains, fixed chains, sets, maps and their rules.

Source: order and spelling observed on kube-proxy v1.36.2 (first full sync).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from iptables_gen.kubeproxy.detect import Detector, detector
from iptables_gen.kubeproxy.inputs import ProxyInput
from iptables_gen.kubeproxy.nodeports import PRIMARY, NodePortAddresses, is_loopback, node_port_addresses
from iptables_gen.nft.expressions import Bitwise, Concat, Ct, Fib, Meta, Payload
from iptables_gen.nft.ir import Base, Chain, ChainRule, Command, Elements, Rule, Thing, Verb
from iptables_gen.nft.literals import Address, Literal, Number, Prefix, Word, parse_literal
from iptables_gen.nft.matches import Match, Vmap
from iptables_gen.nft.sets import AnonymousSet, Because, Decision, Element, SetDefinition, SetReference
from iptables_gen.nft.statements import Assign, MasqueradeStatement, RejectStatement, Statement, VerdictStatement
from iptables_gen.origin import Origin
from iptables_gen.values import Family

TABLE: Final = "kube-proxy"
SERVICES, NODE_PORTS, FIREWALL = "service-ips", "service-nodeports", "firewall-ips"
NO_ENDPOINT_SERVICES, NO_ENDPOINT_NODE_PORTS = "no-endpoint-services", "no-endpoint-nodeports"
CLUSTER_IPS, NODE_PORT_IPS, HAIRPINS = "cluster-ips", "nodeport-ips", "hairpin-connections"
REJECT_CHAIN: Final = "reject-chain"

_BASES: Final = (
    ("filter-prerouting-pre-dnat", "filter", "prerouting", -110),
    ("filter-output-pre-dnat", "filter", "output", -110),
    ("filter-input", "filter", "input", 0),
    ("filter-forward", "filter", "forward", 0),
    ("filter-output", "filter", "output", 0),
    ("nat-prerouting", "nat", "prerouting", -100),
    ("nat-output", "nat", "output", -100),
    ("nat-postrouting", "nat", "postrouting", 100),
)
# chain, base chains that jump to it, only for new connections
_JUMPS: Final = (
    ("nodeport-endpoints-check", ("filter-input",), True),
    ("service-endpoints-check", ("filter-input", "filter-forward", "filter-output"), True),
    ("firewall-check", ("filter-prerouting-pre-dnat", "filter-output-pre-dnat"), True),
    ("services", ("nat-output", "nat-prerouting"), False),
    ("masquerading", ("nat-postrouting",), False),
    ("cluster-ips-check", ("filter-forward", "filter-output"), True),
)
L4PROTO: Final = Meta("l4proto")
DPORT: Final = Payload("th", "dport")
MARK: Final = Meta("mark")
_NEW: Final = Match(Ct("state"), Word("new"))


@dataclass(frozen=True, slots=True)
class Spelling:
    """What depends on the family and the settings: nft's family word, address type, mark, fields, local detection."""

    number: Family
    family: str
    address_type: str
    mark: Number
    saddr: Payload
    daddr: Payload
    detector: Detector | None
    node_ports: NodePortAddresses

    def command(self, verb: Verb, thing: Thing) -> Command:
        """Return a command on the table kube-proxy."""
        return Command(verb, self.family, TABLE, thing)

    def rule(self, chain: str, *statements: Statement, comment: str = "", because: Because | None = None) -> Command:
        """Return `add rule`."""
        return Command("add", self.family, TABLE, ChainRule(chain, Rule(statements, comment, because)))

    def chain(self, name: str, because: Because | None = None) -> tuple[Command, Command]:
        """Return `add chain` and `flush chain`: the chain exists and is empty."""
        made = Chain(name, because=because)
        return Command("add", self.family, TABLE, made), Command("flush", self.family, TABLE, made)

    def set_mark(self) -> Assign:
        """Return `mark set mark or M`: masquerade later."""
        return Assign(MARK, Bitwise(MARK, "or", self.mark))

    def local_source(self, *, negated: bool = False) -> Match | None:
        """Return the match on traffic (not) from the node's own pods; None without a detector."""
        sign = "!=" if negated else ""
        if self.detector is None:
            return None
        if self.detector.kind == "source":
            return Match(self.saddr, parse_literal(self.detector.value), sign)
        suffix = "*" if self.detector.kind == "prefix" else ""
        return Match(Meta("iifname"), Word(self.detector.value + suffix), sign)


def spelling_of(proxy_input: ProxyInput) -> Spelling:
    """Return the spelling of one family; nodePorts answer on the node's primary address unless the settings differ."""
    config = proxy_input.config
    if not config.node_port_addresses:
        proxy_input = replace(proxy_input, config=replace(config, node_port_addresses=(PRIMARY,)))
    word, kind = ("ip", "ipv4_addr") if proxy_input.family == 4 else ("ip6", "ipv6_addr")
    return Spelling(
        proxy_input.family,
        word,
        kind,
        Number(1 << config.nftables_masquerade_bit, True),
        Payload(word, "saddr"),
        Payload(word, "daddr"),
        detector(proxy_input),
        node_port_addresses(proxy_input),
    )


def static_commands(proxy_input: ProxyInput, spelling: Spelling) -> list[Command]:
    """Return everything that comes before the first Service."""
    return [
        Command("add", spelling.family, TABLE, None, "rules for kube-proxy"),
        *_base_chains(spelling),
        *_jumps(spelling),
        *_masquerading(spelling),
        *_cluster_ips(spelling, proxy_input),
        *_node_port_ips(spelling, proxy_input),
        *_endpoint_checks(spelling),
        *_firewall_check(spelling),
        *_services(spelling, proxy_input.config.masquerade_all),
    ]


def _base_chains(spelling: Spelling) -> Iterator[Command]:
    # Deleting first resets a base chain whose hook or priority an older version set differently.
    for name, *_ in _BASES:
        yield spelling.command("add", Chain(name))
        yield spelling.command("delete", Chain(name))
    for name, kind, hook, priority in _BASES:
        yield spelling.command("add", Chain(name, Base(kind, hook, priority)))
        yield spelling.command("flush", Chain(name))


def _jumps(spelling: Spelling) -> Iterator[Command]:
    for chain, bases, only_new in _JUMPS:
        yield from spelling.chain(chain)
        jump = VerdictStatement(Decision("jump", chain))
        for base in bases:
            yield spelling.rule(base, *((_NEW, jump) if only_new else (jump,)))


def _set(spelling: Spelling, name: str, kind: tuple[str, ...], comment: str, data: tuple[str, ...] = ()) -> Command:
    return spelling.command("add", SetDefinition(name, kind, data, comment=comment))


def _masquerading(spelling: Spelling) -> Iterator[Command]:
    address = spelling.address_type
    kind = (address, address, "inet_proto", "inet_service")
    yield _set(spelling, HAIRPINS, kind, "service hairpin connections")
    masquerade = MasqueradeStatement(("fully-random",))
    yield spelling.rule(
        "masquerading",
        Match(Bitwise(MARK, "and", spelling.mark), Number(0), "!="),
        Assign(MARK, Bitwise(MARK, "xor", spelling.mark)),
        masquerade,
    )
    connection = Concat((spelling.saddr, spelling.daddr, L4PROTO, DPORT))
    translated = Match(Ct("status"), Word("dnat"))
    yield spelling.rule("masquerading", translated, Match(connection, SetReference(HAIRPINS)), masquerade)


def _cluster_ips(spelling: Spelling, proxy_input: ProxyInput) -> Iterator[Command]:
    yield _set(spelling, CLUSTER_IPS, (spelling.address_type,), "Active ClusterIPs")
    yield spelling.rule(
        "cluster-ips-check",
        Match(spelling.daddr, SetReference(CLUSTER_IPS)),
        RejectStatement(),
        comment="Reject traffic to invalid ports of ClusterIPs",
    )
    ranges = tuple(Element((parse_literal(cidr),)) for cidr in proxy_input.service_cidrs)
    if ranges:
        yield spelling.rule(
            "cluster-ips-check",
            Match(spelling.daddr, AnonymousSet(ranges)),
            VerdictStatement(Decision("drop")),
            comment="Drop traffic to unallocated ClusterIPs",
            because=partial(Origin, "ServiceCIDR", "", "kubernetes", "spec.cidrs", None, "service range"),
        )


def _node_port_ips(spelling: Spelling, proxy_input: ProxyInput) -> Iterator[Command]:
    named = SetDefinition(NODE_PORT_IPS, (spelling.address_type,), comment="IPs that accept NodePort traffic")
    yield spelling.command("add", named)
    if spelling.node_ports.match_all:
        yield spelling.command("delete", named)
        return
    yield spelling.command("flush", named)
    node = proxy_input.node
    for address in spelling.node_ports.addresses(node):
        if not is_loopback(address):
            because = partial(Origin, "Node", "", node.name, "status.addresses", node.locator, "nodePort address")
            element = Element((Address(address),), because=because)
            yield spelling.command("add", Elements(NODE_PORT_IPS, "set", (element,)))


def _endpoint_checks(spelling: Spelling) -> Iterator[Command]:
    service_key = (spelling.address_type, "inet_proto", "inet_service")
    to_services = "vmap to drop or reject packets to services with no endpoints"
    to_node_ports = "vmap to drop or reject packets to service nodeports with no endpoints"
    yield _set(spelling, NO_ENDPOINT_SERVICES, service_key, to_services, ("verdict",))
    yield _set(spelling, NO_ENDPOINT_NODE_PORTS, service_key[1:], to_node_ports, ("verdict",))
    helper = "helper for @no-endpoint-services / @no-endpoint-nodeports"
    yield spelling.command("add", Chain(REJECT_CHAIN, comment=helper))
    yield spelling.command("flush", Chain(REJECT_CHAIN))
    yield spelling.rule(REJECT_CHAIN, RejectStatement())
    yield spelling.rule("service-endpoints-check", _by_address(spelling, NO_ENDPOINT_SERVICES))
    yield spelling.rule("nodeport-endpoints-check", *_by_node_port(spelling, NO_ENDPOINT_NODE_PORTS, dispatch=False))


def _by_address(spelling: Spelling, name: str) -> Vmap:
    return Vmap(Concat((spelling.daddr, L4PROTO, DPORT)), SetReference(name))


def _by_node_port(spelling: Spelling, name: str, *, dispatch: bool) -> tuple[Statement, ...]:
    look_up = Vmap(Concat((L4PROTO, DPORT)), SetReference(name))
    if not spelling.node_ports.match_all:
        return Match(spelling.daddr, SetReference(NODE_PORT_IPS)), look_up
    loopback: Literal = Prefix("127.0.0.0", 8) if spelling.number == 4 else Address("::1")
    not_loopback = Match(spelling.daddr, loopback, "!=")
    # The endpoint check hooks INPUT, where every destination is local already.
    local = (Match(Fib(("daddr",), "type"), Word("local")),) if dispatch else ()
    return *local, not_loopback, look_up


def _firewall_check(spelling: Spelling) -> Iterator[Command]:
    key = (spelling.address_type, "inet_proto", "inet_service")
    yield _set(spelling, FIREWALL, key, "destinations that are subject to LoadBalancerSourceRanges", ("verdict",))
    yield spelling.rule("firewall-check", _by_address(spelling, FIREWALL))


def _services(spelling: Spelling, masquerade_all: bool) -> Iterator[Command]:
    key = (spelling.address_type, "inet_proto", "inet_service")
    yield _set(spelling, SERVICES, key, "ClusterIP, ExternalIP and LoadBalancer IP traffic", ("verdict",))
    yield _set(spelling, NODE_PORTS, key[1:], "NodePort traffic", ("verdict",))
    to_cluster_ip = Match(spelling.daddr, SetReference(CLUSTER_IPS))
    foreign = spelling.local_source(negated=True)
    if masquerade_all:
        comment = "masquerade all clusterIP traffic"
        yield spelling.rule("services", to_cluster_ip, spelling.set_mark(), comment=comment)
    elif foreign is not None:
        comment = "masquerade clusterIP traffic from outside cluster"
        yield spelling.rule("services", to_cluster_ip, foreign, spelling.set_mark(), comment=comment)
    yield spelling.rule("services", _by_address(spelling, SERVICES))
    yield spelling.rule("services", *_by_node_port(spelling, NODE_PORTS, dispatch=True))
