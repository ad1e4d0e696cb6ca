"""resolv.conf and /etc/hosts as the kubelet writes them for a pod, for every dnsPolicy.

Source: pkg/kubelet/network/dns/dns.go, pkg/kubelet/kubelet_pods.go (managedHostsFileContent) of v1.36; containerd's
order of lines. What a node's own files say is not in the manifests: NODE_RESOLV_CONF is assumed, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netsim.cluster.model import Cluster, Pod
from netsim.cluster.read import dig, mapping, objects, spec_of, text, texts
from netsim.dns.stub.conf import read_resolv_conf
from netsim.notes import Note

MAX_NAMESERVERS, MAX_SEARCH, MAX_SEARCH_CHARS = 3, 32, 2048
# RFC 5737 address: some resolver outside the cluster that answers what --upstream says.
NODE_RESOLV_CONF = "nameserver 192.0.2.53\n"
LOCAL_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
POD_HOSTS = f"""# Kubernetes-managed hosts file.
{LOCAL_HOSTS}fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
MAX_HOSTNAME = 63


@dataclass(frozen=True, slots=True)
class PodFiles:
    """What a process in a pod (or on a node) finds in /etc: resolv_conf and hosts as text; hostname; assumptions."""

    resolv_conf: str
    hosts: str
    hostname: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Kubelet:
    """What every kubelet is configured with: clusterDNS, clusterDomain, and the node's own resolv.conf."""

    cluster_dns: tuple[str, ...]
    domain: str
    node_resolv_conf: str = NODE_RESOLV_CONF


def pod_files(pod: Pod, kubelet: Kubelet) -> PodFiles:
    """Return the files of a pod's containers."""
    spec = spec_of(pod.source) if pod.source else {}
    pod_spec = _template_spec(spec)
    text_, notes = _resolv_conf(pod, pod_spec, kubelet)
    hostname = _hostname(pod)
    return PodFiles(text_, _hosts(pod, pod_spec, hostname, kubelet), hostname, notes)


def node_files(kubelet: Kubelet) -> PodFiles:
    """Return the files of a process on a node."""
    return PodFiles(kubelet.node_resolv_conf, LOCAL_HOSTS, "", _assumed(kubelet))


def default_files() -> PodFiles:
    """Return the files of a process whose resolv.conf is given: nothing but loopback names in its hosts file."""
    return PodFiles("", LOCAL_HOSTS)


def _template_spec(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the pod spec: the object's own, or its template's where the source of a made pod is its workload."""
    for path in (("template", "spec"), ("jobTemplate", "spec", "template", "spec")):
        found = dig(spec, *path)
        if isinstance(found, dict):
            return found
    return spec


def _resolv_conf(pod: Pod, spec: Mapping[str, Any], kubelet: Kubelet) -> tuple[str, tuple[Note, ...]]:
    policy = pod.dns_policy or "ClusterFirst"
    clustered = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.host_network)
    node = read_resolv_conf(kubelet.node_resolv_conf, "glibc")
    node_options = _options_of(kubelet.node_resolv_conf)
    notes: tuple[Note, ...] = ()
    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    if policy == "None":
        pass
    elif clustered and kubelet.cluster_dns:
        own = tuple(f"{part}{kubelet.domain}" for part in (f"{pod.namespace}.svc.", "svc.", ""))
        servers, search, options = kubelet.cluster_dns, (*own, *node.search), ("ndots:5",)
    else:
        servers, search, options = node.nameservers, node.search, node_options
        notes = _assumed(kubelet)
    config = mapping(spec.get("dnsConfig"))
    servers = _unique((*servers, *texts(config.get("nameservers"))))[:MAX_NAMESERVERS]
    search = _fitting(_unique((*search, *texts(config.get("searches")))))
    return render(servers, search, _merged(options, objects(config.get("options")))), notes


def _assumed(kubelet: Kubelet) -> tuple[Note, ...]:
    if kubelet.node_resolv_conf != NODE_RESOLV_CONF:
        return ()
    text_ = "the node's resolv.conf is not in the input: one resolver outside, no search (--node-resolv-conf)"
    return (Note("ASSUMED_NODE_RESOLV_CONF", text_),)


def _options_of(resolv_conf: str) -> tuple[str, ...]:
    lines = [line.split() for line in resolv_conf.splitlines()]
    return tuple(word for words in lines if words[:1] == ["options"] for word in words[1:])


def _merged(options: Iterable[str], added: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return options with those of dnsConfig, which win by name."""
    merged = {name: value for name, _, value in (option.partition(":") for option in options)}
    merged |= {text(option.get("name")): text(option.get("value")) for option in added if text(option.get("name"))}
    return tuple(f"{name}:{value}" if value else name for name, value in merged.items())


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _fitting(search: tuple[str, ...]) -> tuple[str, ...]:
    """Return the search list cut to what the kubelet accepts: 32 domains, 2048 characters with the blanks."""
    kept = search[:MAX_SEARCH]
    while len(" ".join(kept)) > MAX_SEARCH_CHARS:
        kept = kept[:-1]
    return kept


def render(servers: Iterable[str], search: tuple[str, ...], options: tuple[str, ...]) -> str:
    """Return the file: search, nameservers, options."""
    lines = [f"search {' '.join(search)}"] if search else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(options)}"] if options else []
    return "".join(f"{line}\n" for line in lines)


def _hostname(pod: Pod) -> str:
    if pod.host_network:
        return pod.node_name
    name = pod.hostname or pod.name
    return name if len(name) <= MAX_HOSTNAME else name[:MAX_HOSTNAME].rstrip("-.")


def _hosts(pod: Pod, spec: Mapping[str, Any], hostname: str, kubelet: Kubelet) -> str:
    if pod.host_network:
        content = f"# Kubernetes-managed hosts file (host network).\n{LOCAL_HOSTS}"
    else:
        domain = f"{pod.subdomain}.{pod.namespace}.svc.{kubelet.domain}" if pod.subdomain else ""
        names = f"{hostname}.{domain}\t{hostname}" if domain else hostname
        content = POD_HOSTS + "".join(f"{ip}\t{names}\n" for ip in pod.ips)
    aliases = [(text(a.get("ip")), texts(a.get("hostnames"))) for a in objects(spec.get("hostAliases"))]
    if not aliases:
        return content
    lines = "".join("\t".join((ip, *names)) + "\n" for ip, names in aliases)
    return f"{content}\n# Entries added by HostAliases.\n{lines}"


def kubelet_of(cluster: Cluster, cluster_dns: tuple[str, ...], node_resolv_conf: str = NODE_RESOLV_CONF) -> Kubelet:
    """Return the kubelets' settings: KubeletConfiguration of ConfigMap kubelet-config, else *cluster_dns*."""
    config = _kubelet_config(cluster)
    given = tuple(texts(config.get("clusterDNS")))
    domain = text(config.get("clusterDomain")) or cluster.cluster_domain
    return Kubelet(given or cluster_dns, domain.strip("."), node_resolv_conf)


def _kubelet_config(cluster: Cluster) -> Mapping[str, Any]:
    for manifest in cluster.objects.get("ConfigMap", ()):
        if manifest.namespace == "kube-system" and manifest.name.startswith("kubelet-config"):
            return _yaml_of(text(dig(manifest.data, "data", "kubelet")))
    return {}


def _yaml_of(content: str) -> Mapping[str, Any]:
    import yaml

    try:
        return mapping(yaml.safe_load(content))
    except yaml.YAMLError:
        return {}
