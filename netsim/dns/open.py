"""ClusterDns: everything that answers names for one Cluster, opened once and used by `netsim dns`, traces and routes.

dns = open_dns(cluster)                                  # Corefile, addresses and defaults found in the cluster
dns.server.answer(Query("api.shop.svc.cluster.local."))  # as if asked over the network
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.cluster.model import Cluster, Pod, Service
from netsim.cluster.read import dig, text
from netsim.dns.assemble import Setup, make_server
from netsim.dns.corefile import KUBEADM
from netsim.dns.forward import UNREACHABLE, Upstream
from netsim.dns.podconf import NODE_RESOLV_CONF, Kubelet, kubelet_of
from netsim.dns.records import Answer, Query
from netsim.dns.server import Server, fit
from netsim.dns.stub.wire import Silence
from netsim.dns.view import DEFAULT_SERVICE_CIDR, existing_namespaces
from netsim.notes import Note

DEFAULT_COREDNS_IP = "10.244.0.2"
DEFAULT_CLUSTER_DNS = "10.96.0.10"
DNS_LABEL, DNS_NAMESPACE, DNS_SERVICE = "kube-dns", "kube-system", "kube-dns"


@dataclass(frozen=True, slots=True)
class DnsOptions:
    """What the command line may set. corefile: its text ("" to find it); coredns_ips: () to find them;
    servers: what stands at a nameserver's address (coredns, upstream, silent, refused), before anything else;
    reachable: whether CoreDNS ever reached the API server (None: decided from the input)."""

    corefile: str = ""
    corefile_name: str = "Corefile"
    upstream: Upstream = UNREACHABLE
    coredns_ips: tuple[str, ...] = ()
    serial: int = 0
    node_resolv_conf: str = NODE_RESOLV_CONF
    servers: tuple[tuple[str, str], ...] = ()
    reachable: bool | None = None


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """server answers; server_ips are the addresses that lead to it (Services' and pods'); it is a stub's Network."""

    server: Server
    upstream: Upstream
    coredns_ips: tuple[str, ...]
    server_ips: frozenset[str]
    kubelet: Kubelet
    service_cidrs: tuple[str, ...]
    known_ips: frozenset[str]
    servers: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]

    def ask(self, server: str, query: Query, now: float = 0.0) -> Answer | Silence:
        """Return what a nameserver's address answers: CoreDNS, the world outside, nobody, or a closed port."""
        match self.place(server):
            case "coredns":
                return self.server.answer(query, now)
            case "refused":
                return "refused"
            case "silent":
                return "silent"
            case _:
                return fit(query, self.upstream.resolve(query))

    def distance(self, server: str) -> int:
        """Return 0 for the cluster's own DNS, 1 for a server outside."""
        return 0 if self.place(server) == "coredns" else 1

    def place(self, server: str) -> str:
        """Return what stands at an address: coredns, refused (loopback, a pod), silent (unused ClusterIP), upstream."""
        given = dict(self.servers).get(server)
        if given:
            return given
        if server in self.server_ips:
            return "coredns"
        if server.startswith("127.") or server == "::1" or server in self.known_ips:
            return "refused"
        return "silent" if _inside(server, self.service_cidrs) else "upstream"


def _inside(address: str, cidrs: tuple[str, ...]) -> bool:
    import ipaddress

    ip = ipaddress.ip_address(address)
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    return any(ip.version == network.version and ip in network for network in networks)


def open_dns(cluster: Cluster, options: DnsOptions | None = None) -> ClusterDns:
    """Return the DNS of a cluster; raises CorefileError for a Corefile that CoreDNS would refuse."""
    options = options or DnsOptions()
    pods = dns_pods(cluster)
    found = tuple(dict.fromkeys(ip for pod in pods[:1] for ip in pod.ips))
    coredns_ips = options.coredns_ips or found or (DEFAULT_COREDNS_IP,)
    service = dns_service(cluster)
    cluster_dns = tuple(ip for ip in (service.cluster_ips if service else ()) if ip != "None")[:1]
    kubelet = kubelet_of(cluster, cluster_dns or (DEFAULT_CLUSTER_DNS,), options.node_resolv_conf)
    missing = sorted(set(cluster.namespaces) - set(existing_namespaces(cluster)))
    synced = _synced(cluster) if options.reachable is None else options.reachable
    setup = Setup(cluster, coredns_ips, options.upstream, options.serial, synced, options.corefile_name)
    corefile, corefile_notes = _corefile(cluster, options, kubelet.domain)
    server, notes = make_server(corefile, setup)
    own = {ip for pod in pods for ip in pod.ips} | set(coredns_ips) | set(kubelet.cluster_dns)
    own |= set(service.cluster_ips) if service else set()
    assumed = _assumptions(bool(options.coredns_ips or found), service is not None, kubelet, synced)
    if missing and synced:
        text_ = f"Namespaces are given, but none for {', '.join(missing)}: to CoreDNS no name in them exists"
        assumed.append(Note("NAMESPACE_MISSING", text_))
    return ClusterDns(
        server,
        options.upstream,
        coredns_ips,
        frozenset(own),
        kubelet,
        cluster.service_cidrs or cluster.assumed_service_cidrs or (DEFAULT_SERVICE_CIDR,),
        frozenset(ip for pod in cluster.pods for ip in pod.ips),
        options.servers,
        (*corefile_notes, *notes, *assumed),
    )


def upstream_note(dns: ClusterDns, answer: Answer) -> tuple[Note, ...]:
    """Return the note that an answer depends on the world outside, which nobody described."""
    last = answer.answer[-1].type if answer.answer else ""
    open_end = last == "CNAME" and answer.query.type in ("A", "AAAA")
    if dns.upstream.reachable or not (answer.rcode == "SERVFAIL" or open_end):
        return ()
    return (Note("NO_UPSTREAM", "names outside the cluster are SERVFAIL without --upstream FILE"),)


def dns_pods(cluster: Cluster) -> list[Pod]:
    """Return the ready CoreDNS pods: kube-system, label k8s-app=kube-dns."""
    return [
        pod
        for pod in cluster.pods
        if pod.namespace == DNS_NAMESPACE and pod.labels.get("k8s-app") == DNS_LABEL and pod.ready and pod.ips
    ]


def dns_service(cluster: Cluster) -> Service | None:
    """Return kube-system/kube-dns, else a Service of kube-system that selects the CoreDNS pods by their label."""
    own = [service for service in cluster.services if service.namespace == DNS_NAMESPACE]
    named = next((service for service in own if service.name == DNS_SERVICE), None)
    return named or next((s for s in own if (s.selector or {}).get("k8s-app") == DNS_LABEL), None)


def _synced(cluster: Cluster) -> bool:
    """Whether CoreDNS reached the API server.

    One that answers has at least default/kubernetes, so an input of Namespaces and nothing else is one that did not.
    """
    if any(kind != "Namespace" for kind in cluster.objects) or cluster.services or cluster.pods or cluster.slices:
        return True
    return not cluster.objects.get("Namespace")


def _corefile(cluster: Cluster, options: DnsOptions, domain: str) -> tuple[str, tuple[Note, ...]]:
    if options.corefile:
        return options.corefile, ()
    for manifest in cluster.objects.get("ConfigMap", ()):
        if (manifest.namespace, manifest.name) == (DNS_NAMESPACE, "coredns"):
            content = text(dig(manifest.data, "data", "Corefile"))
            if content:
                return content, ()
    note = Note("ASSUMED_COREFILE", "no ConfigMap kube-system/coredns and no --corefile: kubeadm's Corefile")
    return KUBEADM.format(domain=domain), (note,)


def _assumptions(has_ips: bool, has_service: bool, kubelet: Kubelet, synced: bool) -> list[Note]:
    notes = []
    if not synced:
        text_ = "only Namespaces in the input, not even Service default/kubernetes: as if "
        notes.append(Note("API_NOT_SYNCED", text_ + "CoreDNS never reached the API server (--api-server up)"))
    if not has_ips:
        text_ = f"no ready pod with k8s-app=kube-dns in kube-system: CoreDNS is at {DEFAULT_COREDNS_IP} (--coredns-ip)"
        notes.append(Note("ASSUMED_COREDNS_IP", text_))
    if not has_service and kubelet.cluster_dns == (DEFAULT_CLUSTER_DNS,):
        text_ = f"no Service kube-system/kube-dns: pods ask {DEFAULT_CLUSTER_DNS}, which is taken to lead to CoreDNS"
        notes.append(Note("ASSUMED_CLUSTER_DNS", text_))
    return notes
