"""What an arbitrary trace query is about, so that a difference in its answers can be explained like any other."""

from __future__ import annotations

from typing import cast

from iptables_gen.kubeproxy.nodeports import covered
from iptables_gen.values import Family, format_ip
from netsim.diff.questions import Client, Kind, Question
from netsim.packet.words import AddressRef, External, FromWord, NodeRef, PodRef, parse_from, parse_to
from netsim.trace.query import TraceQuery, find_pod
from netsim.trace.tracer import Tracer


def question_about(tracer: Tracer, query: TraceQuery) -> Question | None:
    """Return a query with an address as target as a Question; None when it is about no Service."""
    target, protocol = parse_to(query.target, tracer.namespace, query.protocol)
    if not isinstance(target, AddressRef):
        return None
    family, address = target.family, target.value
    meaning = tracer.facts.meaning(family, address, target.port, protocol or "tcp")
    if meaning.service is None:
        return None
    client, home = _client(tracer, parse_from(query.source, tracer.namespace), query)
    place = cast("Kind", meaning.kind)
    kind = place if meaning.port is not None else _strange(meaning.service, target.port, protocol)
    if place == "nodePort":
        kind = _node_port_kind(tracer, family, address)
    owner = tracer.network.owner(family, address)
    entry = owner.node if owner is not None and owner.kind == "node" else (query.via or home).removeprefix("node/")
    return Question(query, kind, client, entry, family, meaning.service, meaning.port, place)


def _strange(service: object, number: int, protocol: str | None) -> Kind:
    ports = getattr(service, "ports", ())
    return "wrongProtocol" if any(port.port == number for port in ports) else "unusedPort"


def _node_port_kind(tracer: Tracer, family: Family, address: int) -> Kind:
    text = format_ip(family, address)
    if text.startswith("127.") or text == "::1":
        return "localhostNodePort"
    owner = tracer.network.owner(family, address)
    facts = tracer.network.facts.get(owner.node) if owner is not None else None
    primary = facts.primary(family) if facts is not None else None
    return "nodePort" if primary is not None and primary.value == address else "otherNodePort"


def _client(tracer: Tracer, word: FromWord, query: TraceQuery) -> tuple[Client, str]:
    """Return the class of a client and the node it is on, "" outside."""
    match word:
        case PodRef(namespace, name):
            pod = find_pod(tracer.cluster, namespace, name)
            return ("node" if pod.host_network else "endpoint"), pod.node_name
        case NodeRef(name):
            return "node", name
        case External():
            return "external", ""
        case AddressRef(family, value):
            owner = tracer.network.owner(family, value)
            text = format_ip(family, value)
            if text.startswith("127.") or text == "::1" or (owner is not None and owner.kind == "node"):
                return "node", owner.node if owner is not None else (query.via or "")
            if owner is not None and owner.node:
                return "endpoint", owner.node
            # An address without an object counts as a pod's where the CNI takes it for one.
            return ("pod" if covered(text, tracer.network.cni.excluded) else "external"), ""
