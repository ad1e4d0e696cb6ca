"""Why two proxy modes answer a flow differently: the one list of documented differences, each with its source.

A difference that no cause explains is reported as UNEXPLAINED: it is a bug of netsim or news.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from iptables_gen.kubeproxy.inputs import Mode


@dataclass(frozen=True, slots=True)
class Cause:
    """One documented difference.

    `behaviour` says what each mode does; `advice` is what to do before a migration; `source` is where the difference
    was seen or decided.
    """

    code: str
    title: str
    behaviour: Mapping[Mode, str]
    advice: str
    source: str


_RECORDED = "recorded from kube-proxy v1.36.2 and the Linux kernel"

_LIST: Final = (
    Cause(
        "UNUSED_CLUSTER_IP_PORT",
        "a port, or a protocol, that an allocated ClusterIP does not have",
        {
            "iptables": "no rule matches; the packet leaves for the router and is lost (a timeout)",
            "nftables": "refused: chain cluster-ips-check rejects it with an ICMP port unreachable",
            "ipvs": "refused: the address is bound to kube-ipvs0 and KUBE-IPVS-FILTER rejects it",
        },
        "Nothing to do: clients fail faster. Probes that rely on a timeout see a refusal.",
        f"{_RECORDED} (kernel recordings, difference 1); KEP-3866",
    ),
    Cause(
        "UNUSED_VIP_PORT",
        "a port, or a protocol, that a load balancer or external IP does not have",
        {
            "iptables": "no rule matches; the packet leaves for the router and is lost",
            "nftables": "no rule matches; the packet leaves for the router and is lost",
            "ipvs": "refused: the address is bound to kube-ipvs0 and KUBE-IPVS-FILTER rejects it",
        },
        "Nothing to do unless something else answers on the same address: ipvs nodes never let it out.",
        f"{_RECORDED} (kernel recordings, section ipvs mode)",
    ),
    Cause(
        "LOCALHOST_NODEPORT",
        "nodePort at 127.0.0.1",
        {
            "iptables": "answered, IPv4 only, from the node and hostNetwork pods (route_localnet=1)",
            "nftables": "refused by the host: loopback is never a nodePort address",
            "ipvs": "refused by the host: no virtual server has a loopback address",
        },
        "Dial the node's InternalIP instead (registries and agents configured with localhost:NODEPORT break).",
        f"{_RECORDED} (kernel recordings, difference 2); KEP-3866",
    ),
    Cause(
        "IPV6_LOOPBACK_NODEPORT",
        "nodePort at ::1",
        {
            "iptables": "never answered; silence instead of a reset where a filter rule refuses the nodePort",
            "nftables": "reset: nothing listens there",
            "ipvs": "reset: nothing listens there",
        },
        "Nothing to do: it works in no mode.",
        f"{_RECORDED} (kernel recordings, difference 2)",
    ),
    Cause(
        "NODEPORT_ON_EVERY_ADDRESS",
        "nodePort at an address of the node that is not its primary one",
        {
            "iptables": "answered on every local address unless --nodeport-addresses says otherwise",
            "nftables": "answered on the node's primary addresses only, unless --nodeport-addresses says otherwise",
            "ipvs": "answered on every local address unless --nodeport-addresses says otherwise",
        },
        "Set --nodeport-addresses to the networks on which clients dial nodePorts; then the modes agree.",
        f"{_RECORDED} (kernel recordings, difference 3); KEP-3866",
    ),
    Cause(
        "NO_ENDPOINTS_FROM_HOST",
        "a process on a node dials an external or load balancer IP of a Service without endpoints",
        {
            "iptables": "silence: OUTPUT has no jump to KUBE-EXTERNAL-SERVICES, the packet leaves for the router",
            "nftables": "refused: filter-output checks service endpoints too",
            "ipvs": "refused: the virtual server has no real server",
        },
        "Nothing to do: clients fail faster.",
        f"{_RECORDED} (kernel recordings, difference 4)",
    ),
    Cause(
        "SOURCE_RANGES_BEFORE_ENDPOINTS",
        "a client outside loadBalancerSourceRanges dials a Service without endpoints",
        {
            "iptables": "refused: without endpoints there is no firewall chain",
            "nftables": "silence: source ranges are checked first",
            "ipvs": "silence: source ranges are checked first",
        },
        "Nothing to do.",
        f"{_RECORDED} (kernel recordings, difference 5)",
    ),
    Cause(
        "REMOTE_HAIRPIN",
        "a pod dials another node's nodePort or a VIP there, keeps its address on the way, and is picked itself",
        {
            "iptables": "delivered: a rule for each endpoint masquerades traffic that comes from that endpoint",
            "nftables": "lost: only hairpins to endpoints of the picking node are masqueraded",
            "ipvs": "lost: only hairpins to endpoints of the picking node are masqueraded",
        },
        "Dial the ClusterIP, or let the CNI masquerade pod traffic to nodes.",
        f"{_RECORDED} (kernel recordings, difference 6)",
    ),
    Cause(
        "INTERNAL_LOCAL_NO_ENDPOINT",
        "internalTrafficPolicy Local without an endpoint on the node",
        {
            "iptables": "silence: a filter rule drops it",
            "nftables": "silence: a filter rule drops it",
            "ipvs": "refused: the virtual server has no real server",
        },
        "Nothing to do: clients wait instead of failing at once after leaving ipvs.",
        f"{_RECORDED} (kernel recordings, section Surprises)",
    ),
    Cause(
        "LOCAL_POLICY_ONLY_LOCAL",
        "externalTrafficPolicy Local, dialled by pods and processes of a node that has endpoints",
        {
            "iptables": "all endpoints: traffic of the node's own pods and processes takes policy Cluster",
            "nftables": "all endpoints: traffic of the node's own pods and processes takes policy Cluster",
            "ipvs": "only the node's own endpoints",
        },
        "After leaving ipvs, cluster-internal clients of such a Service reach endpoints of other nodes too.",
        f"{_RECORDED} (kernel recordings, section ipvs mode)",
    ),
    Cause(
        "LOCAL_POLICY_FALLBACK",
        "externalTrafficPolicy Local on a node without endpoints",
        {
            "iptables": "silence for outsiders (a filter rule drops it); the node's own pods and processes reach all",
            "nftables": "silence for outsiders (a filter rule drops it); the node's own pods and processes reach all",
            "ipvs": "all endpoints are offered to everybody, without masquerade: replies may miss the node",
        },
        "Send outside traffic only to nodes whose health check answers 200.",
        f"{_RECORDED} (kernel recordings, section ipvs mode); kubernetes/kubernetes#97081",
    ),
    Cause(
        "HOST_SOURCE_KEPT",
        "a process on a node dials a nodePort or VIP and keeps its source address",
        {
            "iptables": "masqueraded: the server sees an address of the node on the way to it",
            "nftables": "masqueraded: the server sees an address of the node on the way to it",
            "ipvs": "policy Local is not masqueraded; dialling a VIP the source is the VIP itself, which is bound here",
        },
        "After leaving ipvs, servers see the node's address; connections to remote endpoints begin to work.",
        f"{_RECORDED} (kernel recordings, section ipvs mode)",
    ),
    Cause(
        "IPVS_BOUND_VIP",
        "a port on which the node itself listens, dialled at a virtual address",
        {
            "iptables": "no rule matches; the packet leaves for the router and is lost",
            "nftables": "no rule matches (a ClusterIP: refused)",
            "ipvs": "the address is bound to kube-ipvs0, so healthCheckNodePorts answer on it; other ports are refused",
        },
        "Do not rely on it.",
        "kube-proxy source (KUBE-IPVS-FILTER); kubernetes/kubernetes#72236",
    ),
    Cause(
        "IPVS_SCHEDULER",
        "the share of each endpoint",
        {
            "iptables": "every endpoint with the same probability",
            "nftables": "every endpoint with the same probability",
            "ipvs": "as the scheduler (--ipvs-scheduler) decides",
        },
        "Schedulers other than rr have no counterpart in the other modes.",
        "ipvsadm(8), SCHEDULING",
    ),
    Cause(
        "SOURCE_ADDRESS",
        "the source address that the server sees",
        {
            "iptables": "masqueraded as each Service's rules say",
            "nftables": "masqueraded by one rule for all ClusterIPs; hairpins by a set",
            "ipvs": "masqueraded by ipset; without a local traffic detector only what a bound VIP sends",
        },
        "Check what reads client addresses: NetworkPolicy, logs, allow-lists.",
        "kube-proxy v1.36.2, observed rules of the three modes",
    ),
    Cause(
        "UNDETERMINED",
        "a rule that the model does not know decides",
        {"iptables": "not known", "nftables": "not known", "ipvs": "not known"},
        "Ask the lab: netsim lab verify.",
        "netsim",
    ),
    Cause(
        "UNEXPLAINED",
        "a difference that no documented cause explains",
        {"iptables": "see the witness", "nftables": "see the witness", "ipvs": "see the witness"},
        "Please report it with the input.",
        "netsim",
    ),
)

CAUSES: Mapping[str, Cause] = {cause.code: cause for cause in _LIST}
"""Every cause by code, in the order of a report."""
