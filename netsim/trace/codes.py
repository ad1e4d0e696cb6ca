"""Codes: why a packet ended where it did, from the closed list of docs/codes.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from iptables_gen.effects import RuleRef
from iptables_gen.values import in_net, parse_net
from netsim.hosts.network import Network
from netsim.packet.packet import Packet
from netsim.trace.facts import Facts, Meaning
from netsim.trace.passage import Delivered, End, Lost, Refused
from netsim.trace.walk import Hop, Leaf

RULE_CODES = ("DROPPED_BY_RULE", "REJECTED_BY_RULE", "NO_ENDPOINTS")


class Landing(NamedTuple):
    """How a host takes a packet that reached its sockets."""

    end: End
    code: str
    pod: tuple[str, str] | None = None
    undeclared: bool = False


def land(facts: Facts, network: Network, hop: Hop) -> Landing:
    """Return who takes the packet that a hop delivered, or that nobody does."""
    machine, packet = hop.machine, hop.out
    host = machine.host
    if host.accepts_any:
        if host.kind == "pod":
            declared = host.declared_ports
            missing = host.pod is not None and (packet.protocol, packet.dport) not in declared
            return Landing(hop.passage.end, "OK", host.pod, missing)
        known = network.owner(packet.family, packet.dst) is not None
        return Landing(hop.passage.end, "OK" if known else "OUTSIDE", host.pod)
    found = machine.listener(packet.protocol, packet.family, packet.dst, packet.dport)
    if found is not None:
        return Landing(hop.passage.end, "OK", found.pod)
    meaning = facts.meaning(packet.family, packet.dst, packet.dport, packet.protocol)
    code = "NODEPORT_NOT_ON_ADDRESS" if meaning.kind == "nodePort" else "NOTHING_LISTENS"
    kind = "tcp-reset" if packet.protocol == "tcp" else "icmp-port-unreachable"
    return Landing(Refused(code, None, kind), code)


def code_of(facts: Facts, leaf: Leaf) -> str:
    """Return the code of a leaf that was not delivered."""
    end = leaf.end
    if isinstance(end, Delivered):
        return "OK"
    if not isinstance(end, Lost | Refused):
        return "UNKNOWN_RULE"
    packet = leaf.hops[-1].packet
    meaning = facts.meaning(packet.family, packet.dst, packet.dport, packet.protocol)
    if end.code == "NO_ROUTE":
        outside = leaf.hops[0].machine.host.kind == "outside" and leaf.hops[-1].machine.host.kind == "router"
        return _unrouted(meaning, from_outside=outside and len(leaf.hops) == 2)
    if end.code not in RULE_CODES:
        return end.code
    if end.rule is not None and not from_proxy(end.rule):
        return end.code
    return _by_proxy(meaning, packet, end)


def from_proxy(rule: RuleRef) -> bool:
    """Whether a rule is kube-proxy's: its chains, its nftables table, or a rule made for an object."""
    return rule.chain.startswith("KUBE-") or "kube-proxy" in rule.table or rule.origin is not None


def _unrouted(meaning: Meaning, *, from_outside: bool) -> str:
    if meaning.proxied:
        return "PROXIED_VIP"
    if from_outside and meaning.kind in ("clusterIP", "unallocated"):
        return "CLUSTER_IP_FROM_OUTSIDE"
    if meaning.port is not None:
        return "NOT_PROGRAMMED" if meaning.kind == "clusterIP" else "NO_ENDPOINTS"
    return _no_such_port(meaning) or "NO_ROUTE"


def _no_such_port(meaning: Meaning) -> str:
    match meaning.kind:
        case "clusterIP":
            return "UNUSED_CLUSTER_IP_PORT"
        case "unallocated":
            return "UNALLOCATED_CLUSTER_IP"
        case "externalIP" | "loadBalancer":
            return "NOT_A_SERVICE_PORT"
        case _:
            return ""


def _by_proxy(meaning: Meaning, packet: Packet, end: Lost | Refused) -> str:
    if meaning.port is None:
        if end.rule is not None and "INVALID" in end.rule.text:
            return "CT_INVALID"
        if end.rule is not None and end.rule.chain == "KUBE-FIREWALL":
            return "MARTIAN_DESTINATION"
        return _no_such_port(meaning) or end.code
    if isinstance(end, Refused):
        return "NO_ENDPOINTS"
    service = meaning.service
    ranges = service.source_ranges if service is not None else ()
    if meaning.kind == "loadBalancer" and ranges and not _within(packet, ranges):
        return "SOURCE_RANGES"
    return "NO_LOCAL_ENDPOINTS"


def _within(packet: Packet, ranges: Iterable[str]) -> bool:
    for text in ranges:
        try:
            family, network, prefix = parse_net(text.strip())
        except ValueError:
            continue
        if family == packet.family and in_net(packet.src, network, prefix, family):
            return True
    return False
