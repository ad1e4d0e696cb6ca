"""Which documented cause explains a difference. Rules go from the most to the least specific."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from iptables_gen.kubeproxy.inputs import Mode, NodeInfo, ProxyInput
from iptables_gen.kubeproxy.inputs import ServicePort as ProxyPort
from iptables_gen.kubeproxy.policy import Decision, decide
from iptables_gen.values import Family, in_net, parse_ip, parse_net
from netsim.diff.compare import Endings, dispositions, endpoints, what_differs
from netsim.diff.questions import Question
from netsim.hosts.services import external_local

Inputs = Callable[[str, Family], ProxyInput]
"""(node, family) -> what kube-proxy there sees."""


class Pair(NamedTuple):
    """One flow's answers in both modes."""

    question: Question
    before: Endings
    after: Endings
    modes: tuple[Mode, Mode]

    @property
    def with_ipvs(self) -> bool:
        """Whether ipvs is one of the two modes."""
        return "ipvs" in self.modes


class Classifier:
    """Explains differences; reads the policies of the entry node."""

    def __init__(self, inputs: Inputs, client_addresses: Callable[[Question], frozenset[str]]) -> None:
        self._ports = lru_cache(maxsize=64)(lambda node, family: _index(inputs(node, family)))
        self._client_addresses = client_addresses

    def cause(self, pair: Pair) -> str:
        """Return the code of the cause; UNEXPLAINED when none fits."""
        if "UNDETERMINED" in dispositions(pair.before) | dispositions(pair.after):
            return "UNDETERMINED"
        return _by_kind(pair) or self._by_policy(pair) or _by_source(pair) or "UNEXPLAINED"

    def _decision(self, question: Question) -> tuple[ProxyPort, Decision] | None:
        if question.port is None:
            return None
        node, ports = self._ports(question.entry, question.family)
        port = question.port
        found = ports.get((question.service.namespace, question.service.name, port.name, port.protocol.lower()))
        return (found, decide(found, node)) if found is not None else None

    def _by_policy(self, pair: Pair) -> str:
        question = pair.question
        found = self._decision(question)
        if found is None:
            return ""
        port, decision = found
        if not decision.has_endpoints:
            return self._without_endpoints(pair)
        if question.kind == "clusterIP":
            return "INTERNAL_LOCAL_NO_ENDPOINT" if port.internal_local and not decision.serving.local else ""
        local_policy = pair.with_ipvs and external_local(question.service)
        if local_policy and decision.serving.local:
            return _by_local_policy(pair)
        if self._picks_itself(pair):
            return "REMOTE_HAIRPIN"
        if local_policy:
            return "HOST_SOURCE_KEPT" if _from_host(question) else "LOCAL_POLICY_FALLBACK"
        return "HOST_SOURCE_KEPT" if pair.with_ipvs and _from_host(question) else ""

    def _without_endpoints(self, pair: Pair) -> str:
        question = pair.question
        if question.kind == "loadBalancer" and question.service.source_ranges and not self._in_ranges(question):
            return "SOURCE_RANGES_BEFORE_ENDPOINTS" if not _from_host(question) else "NO_ENDPOINTS_FROM_HOST"
        if _from_host(question) and question.kind in ("externalIP", "loadBalancer"):
            return "NO_ENDPOINTS_FROM_HOST"
        return ""

    def _in_ranges(self, question: Question) -> bool:
        addresses = [parse_ip(text) for text in self._client_addresses(question)]
        ranges = [parse_net(text.strip()) for text in question.service.source_ranges]
        return any(
            f == family and in_net(value, net, length, f) for f, value in addresses for family, net, length in ranges
        )

    def _picks_itself(self, pair: Pair) -> bool:
        """Whether the only thing that changes is what becomes of the client when it is chosen as its own endpoint."""
        question = pair.question
        if question.client != "endpoint":
            return False
        own = self._client_addresses(question)
        changed = endpoints(pair.before) ^ endpoints(pair.after)
        return bool(changed) and all(text.rpartition(":")[0].strip("[]") in own for text in changed)


def _index(proxy_input: ProxyInput) -> tuple[NodeInfo, dict[tuple[str, str, str, str], ProxyPort]]:
    ports = {(p.namespace, p.name, p.port_name, p.protocol): p for p in proxy_input.services}
    return proxy_input.node, ports


def _by_kind(pair: Pair) -> str:
    question = pair.question
    match question.kind:
        case "unusedPort" | "wrongProtocol":
            return "UNUSED_CLUSTER_IP_PORT" if question.place == "clusterIP" else "UNUSED_VIP_PORT"
        case "boundHostPort":
            return "IPVS_BOUND_VIP" if pair.with_ipvs else "UNUSED_CLUSTER_IP_PORT"
        case "localhostNodePort":
            return "IPV6_LOOPBACK_NODEPORT" if question.family == 6 else "LOCALHOST_NODEPORT"
        case "otherNodePort":
            # With ipvs on one side the two may both answer, and differ for another reason.
            return "NODEPORT_ON_EVERY_ADDRESS" if "nftables" in pair.modes else ""
        case _:
            return ""


def _from_host(question: Question) -> bool:
    return question.client == "node"


def _by_local_policy(pair: Pair) -> str:
    question = pair.question
    if question.client == "external":
        return ""
    same = endpoints(pair.before) == endpoints(pair.after)
    return "HOST_SOURCE_KEPT" if same and _from_host(question) else "LOCAL_POLICY_ONLY_LOCAL"


def _by_source(pair: Pair) -> str:
    differs = what_differs(pair.before, pair.after)
    if differs == ("probability",) and pair.with_ipvs:
        return "IPVS_SCHEDULER"
    return "SOURCE_ADDRESS" if differs == ("source",) else ""
