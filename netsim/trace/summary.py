"""One sentence for an answer."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.trace.answer import Asked, Outcome

SENTENCES: dict[str, str] = {
    "NO_ENDPOINTS": "{what} has no endpoints",
    "NO_LOCAL_ENDPOINTS": "{what} has no endpoint on this node, and its traffic policy is Local",
    "SOURCE_RANGES": "the client is outside the loadBalancerSourceRanges of {what}",
    "UNUSED_CLUSTER_IP_PORT": "{dialled}/{protocol} is not a port of {what}",
    "UNALLOCATED_CLUSTER_IP": "no Service has the ClusterIP of {dialled}",
    "NOT_A_SERVICE_PORT": "{dialled}/{protocol} is not a port of {what}",
    "NOTHING_LISTENS": "nothing listens on {dialled}/{protocol}",
    "NODEPORT_NOT_ON_ADDRESS": "nodePorts are not served on {dialled}",
    "NO_HEALTHY_NODE": "no node would receive it: every health check of {what} fails",
    "PROXIED_VIP": "the address of {what} has ipMode Proxy and no proxy answers",
    "CLUSTER_IP_FROM_OUTSIDE": "nothing outside the cluster has a route to the ClusterIP {dialled}",
    "NOT_PROGRAMMED": "no rule of kube-proxy knows {what} on this node",
    "ASYMMETRIC_RETURN": "the answer cannot come back the way it has to",
    "HAIRPIN_OFF": "the bridge does not send a frame back to its port (hairpin mode is off)",
    "MARTIAN_SOURCE": "the kernel drops the packet: its source address cannot come from there",
    "MARTIAN_DESTINATION": "the kernel drops the packet: its destination is a loopback address",
    "REVERSE_PATH": "the kernel drops the packet: the reverse path filter refuses its source",
    "NO_ROUTE": "there is no route to {dialled}",
    "NO_NEIGHBOUR": "no machine has the address: nobody answers ARP or neighbour discovery",
    "NO_SOURCE_ADDRESS": "the client has no address of the family of {dialled}",
    "NXDOMAIN": "{target} does not exist in the DNS",
    "NODATA": "the name of {target} exists in the DNS, but has no address",
    "DNS_NO_ANSWER": "no DNS server gave a usable answer for {target}",
    "DNS_UNREACHABLE": "the DNS questions for {target} reach no server",
    "NOT_A_HOST_NAME": "{target} is not a host name that a resolver would ask for",
    "CT_INVALID": "connection tracking calls the packet INVALID, and a rule drops those",
    "DROPPED_BY_RULE": "a rule drops it",
    "REJECTED_BY_RULE": "a rule rejects it",
    "NOT_FORWARDING": "the host does not forward packets",
    "LOOP": "the packet runs in circles",
    "UNKNOWN_RULE": "a rule that the model does not know would decide",
}


def summarize(outcomes: Sequence[Outcome], asked: Asked) -> str:
    """Return the sentence of an answer."""
    delivered = [outcome for outcome in outcomes if outcome.disposition == "DELIVERED"]
    failed = [outcome for outcome in outcomes if outcome.disposition != "DELIVERED"]
    counted = f"{len(delivered)} of {len(outcomes)} outcomes reach{'es' if len(outcomes) == 1 else ''}"
    if not failed:
        return f"{counted.replace('1 of 1 outcomes', '1 of 1 outcome')} {_goal(delivered, asked)}"
    reasons = "; ".join(dict.fromkeys(reason(outcome, asked) for outcome in failed))
    return f"{counted} {_goal(delivered, asked)}: {reasons}" if delivered else reasons


def _goal(delivered: Sequence[Outcome], asked: Asked) -> str:
    if asked.about:
        return f"an endpoint of {asked.about}"
    places = {outcome.endpoint.text for outcome in delivered if outcome.endpoint}
    return next(iter(places)) if len(places) == 1 else asked.target


def reason(outcome: Outcome, asked: Asked) -> str:
    """Return why an outcome failed, in words; what a proxy on the way answered says so itself."""
    sentence = SENTENCES.get(outcome.code)
    if sentence is None:
        return outcome.detail or outcome.code
    what = asked.about or asked.dialled or asked.target
    return sentence.format(
        what=what, dialled=asked.dialled or asked.target, protocol=asked.protocol, target=asked.target
    )
