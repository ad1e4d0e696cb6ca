"""Hints: what would change an answer that is not the hoped-for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netsim.trace.answer import Hint, Outcome
from netsim.trace.facts import Meaning

ADVICE: dict[str, str] = {
    "NO_ENDPOINTS": "{service} has no ready endpoint: look at its selector and at the pods' readiness",
    "NO_LOCAL_ENDPOINTS": "{service} has a Local traffic policy and no endpoint on that node: "
    "use policy Cluster, or send to a node that has one",
    "SOURCE_RANGES": "{service} admits only its loadBalancerSourceRanges: add the client's network",
    "UNUSED_CLUSTER_IP_PORT": "{service} has no such port for this protocol: its ports are {ports}",
    "NOT_A_SERVICE_PORT": "{service} has no such port for this protocol: its ports are {ports}",
    "NODEPORT_NOT_ON_ADDRESS": "nodePorts are not served on this address: see --nodeport-addresses and the proxy mode",
    "CLUSTER_IP_FROM_OUTSIDE": "dial a node port or load balancer address, or say with --via which node receives it",
    "ASYMMETRIC_RETURN": "the answer goes around the node that translated the request: "
    "masquerade this traffic, or enter at a node with an endpoint",
    "HAIRPIN_OFF": "a pod reaches itself through its bridge only with hairpinMode on in the CNI configuration",
    "NO_HEALTHY_NODE": "no node has a ready endpoint of {service}, so no health check answers 200",
    "PROXIED_VIP": "the address has ipMode Proxy: only the load balancer itself answers there, nodes do not",
}


def hints_for(outcomes: Sequence[Outcome], meaning: Meaning) -> tuple[Hint, ...]:
    """Return a hint for each code that has one, in order, once."""
    return tuple(dict.fromkeys(_hints(outcomes, meaning)))


def _hints(outcomes: Sequence[Outcome], meaning: Meaning) -> Iterator[Hint]:
    for outcome in outcomes:
        advice = ADVICE.get(outcome.code)
        if advice is not None:
            yield Hint(outcome.code, advice.format(service=_service(meaning), ports=_ports(meaning)))


def _service(meaning: Meaning) -> str:
    return f"Service {meaning.name}" if meaning.name else "the Service"


def _ports(meaning: Meaning) -> str:
    ports = meaning.service.ports if meaning.service else ()
    return ", ".join(f"{port.port}/{port.protocol.lower()}" for port in ports) or "none"
