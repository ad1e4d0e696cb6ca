"""Manifests to Cluster: defaulting, allocation and the controllers' work, in one deterministic pass.

Objects are taken in (namespace, name) order, so their order in the input does not matter; of two objects with one
name the later replaces the earlier, as `kubectl apply` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from netsim.cluster import mirror
from netsim.cluster.allocate import ip_number, pick_pod_ip
from netsim.cluster.collector import paused_collector
from netsim.cluster.endpointslices import Maker, PodIndex, derive, has_selector
from netsim.cluster.hints import hint_nodes
from netsim.cluster.model import Cluster, EndpointSlice, Labels, Node, Pod, Service
from netsim.cluster.nodes import plan_nodes
from netsim.cluster.options import BuildOptions
from netsim.cluster.pods import read_pod
from netsim.cluster.ranges import Kubeadm, Ranges, plan_ranges, read_kubeadm
from netsim.cluster.read import canonical_ip, family_of, labels_of, metadata_of, spec_of, text
from netsim.cluster.scope import named
from netsim.cluster.service_allocation import allocate
from netsim.cluster.services import read_service
from netsim.cluster.slices import CONTROLLER, MANAGED_BY, MIRRORING, read_slice
from netsim.manifests.objects import Manifest
from netsim.notes import Note

# Kinds that the model reads itself, with the API group in which they mean what it thinks.
MODELLED = {
    "Node": "",
    "Namespace": "",
    "Pod": "",
    "Service": "",
    "EndpointSlice": "discovery.k8s.io",
    "Endpoints": "",
    "ServiceCIDR": "networking.k8s.io",
}
NAME_LABEL = "kubernetes.io/metadata.name"
Kinds = Mapping[str, Sequence[Manifest]]
Key = tuple[str, str]


def build(manifests: Sequence[Manifest], options: BuildOptions) -> Cluster:
    """Return the cluster that these objects describe; never raises for what they contain."""
    with paused_collector():
        return _build(named(manifests, options.default_namespace))


def _build(manifests: Sequence[Manifest]) -> Cluster:
    kinds, others, notes = sort_by_kind(manifests)
    kubeadm = read_kubeadm(others)
    given_slices = [read_slice(manifest) for manifest in kinds["EndpointSlice"]]
    given_pods = [read_pod(manifest) for manifest in kinds["Pod"]]
    used = partial(_used_ips, given_pods, given_slices)
    plan = plan_nodes(kinds["Node"], partial(_node_names, given_pods, given_slices), used)
    ranges = plan_ranges(kinds["ServiceCIDR"], kubeadm, needed=any(map(_lacks_cluster_ip, kinds["Service"])))
    services = _services(kinds["Service"], ranges)
    pods = place_pods(given_pods, plan.nodes, used)
    derived = derive_slices(services, pods, plan.nodes, given_slices, kinds["Endpoints"])
    return Cluster(
        nodes=plan.nodes,
        namespaces=_namespaces(kinds, others),
        pods=tuple(pods),
        services=services,
        slices=_sorted_slices([*given_slices, *derived]),
        service_cidrs=ranges.service_cidrs,
        assumed_service_cidrs=ranges.assumed_service_cidrs,
        cluster_cidrs=_cluster_cidrs(kubeadm, plan.nodes),
        cluster_domain=kubeadm.domain or "cluster.local",
        objects=_kept(others, kinds),
        notes=tuple(dict.fromkeys((*notes, *plan.notes, *ranges.notes, *_mirror_notes(kinds["Endpoints"])))),
    )


def sort_by_kind(
    manifests: Iterable[Manifest],
) -> tuple[defaultdict[str, list[Manifest]], dict[str, tuple[Manifest, ...]], list[Note]]:
    """Return modelled objects and all others by kind, each sorted by name, and a note for each object given twice.

    Only objects without a name (which the loader has reported) may share a key; all of them are kept.
    """
    found: defaultdict[Key, dict[Key, Manifest]] = defaultdict(dict)
    notes: list[Note] = []
    for manifest in manifests:
        of_kind = found[manifest.kind, manifest.group]
        key = (manifest.namespace, manifest.name or f"\0{len(of_kind)}")
        if key in of_kind:
            notes.append(_duplicate(manifest, of_kind[key]))
        of_kind[key] = manifest
    kinds: defaultdict[str, list[Manifest]] = defaultdict(list)
    others: defaultdict[str, list[Manifest]] = defaultdict(list)
    for (kind, group), of_kind in sorted(found.items()):
        target = kinds if MODELLED.get(kind) == group else others
        target[kind].extend([of_kind[key] for key in sorted(of_kind)])
    return kinds, {kind: tuple(listed) for kind, listed in others.items()}, notes


def _duplicate(manifest: Manifest, earlier: Manifest) -> Note:
    name = f"{manifest.namespace}/{manifest.name}" if manifest.namespace else manifest.name
    return Note(
        "DUPLICATE_OBJECT", f"{manifest.kind} {name} at {manifest.where()} replaces the one at {earlier.where()}"
    )


def _kept(others: Mapping[str, tuple[Manifest, ...]], kinds: Kinds) -> dict[str, tuple[Manifest, ...]]:
    """Return what `objects` holds: every kind the model does not read, and the Endpoints as they were given."""
    kept = dict(others)
    for kind in ("Endpoints", "ServiceCIDR", "Namespace"):
        if kinds.get(kind):
            kept[kind] = (*kinds[kind], *others.get(kind, ()))
    return dict(sorted(kept.items()))


def _node_names(pods: Iterable[Pod], slices: Iterable[EndpointSlice]) -> set[str]:
    return {pod.node_name for pod in pods} | {e.node_name or "" for item in slices for e in item.endpoints}


def _used_ips(pods: Iterable[Pod], slices: Iterable[EndpointSlice]) -> set[str]:
    used = {ip for pod in pods for ip in pod.ips}
    for item in slices:
        for endpoint in item.endpoints:
            used.update(endpoint.addresses)
    return used


def _lacks_cluster_ip(manifest: Manifest) -> bool:
    spec = spec_of(manifest)
    return not text(spec.get("clusterIP")) and spec.get("type") != "ExternalName"


def _services(manifests: Sequence[Manifest], ranges: Ranges) -> tuple[Service, ...]:
    families = tuple(dict.fromkeys(map(family_of, ranges.allocation)))
    return allocate([read_service(manifest, families) for manifest in manifests], ranges.allocation)


def place_pods(pods: Sequence[Pod], nodes: Sequence[Node], used: Callable[[], Iterable[str]]) -> list[Pod]:
    """Return pods with a node and addresses where a pod without status lacks them."""
    if not any(_unplaced(pod) for pod in pods):
        return list(pods)
    by_name = {node.name: node for node in nodes}
    taken = {ip_number(ip) for ip in used() if canonical_ip(ip)}
    taken |= {ip_number(ip) for node in nodes for ip in (*node.internal_ips, *node.external_ips)}
    return [_place(pod, by_name, taken) if _unplaced(pod) else pod for pod in pods]


def _unplaced(pod: Pod) -> bool:
    return not pod.ips and pod.phase == "Running" and not (pod.source and pod.source.data.get("status"))


def _place(pod: Pod, nodes: Mapping[str, Node], taken: set[int]) -> Pod:
    node = nodes.get(pod.node_name) if pod.node_name else next(iter(nodes.values()), None)
    if node is None:
        why = f"node {pod.node_name} does not exist"
        return replace(pod, ready=False, phase="Pending", why_not_ready=why)
    if pod.host_network:
        return replace(pod, node_name=node.name, ips=_one_per_family(node.internal_ips))
    ips = [pick_pod_ip(cidr, taken, "pod", pod.namespace, pod.name) for cidr in _one_per_family(node.pod_cidrs)]
    taken.update(ip_number(ip) for ip in ips if ip)
    return replace(pod, node_name=node.name, ips=tuple(filter(None, ips)))


def _one_per_family(addresses: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for address in addresses:
        found.setdefault(family_of(address), address)
    return tuple(found.values())


def derive_slices(
    services: Sequence[Service],
    pods: Sequence[Pod],
    nodes: Sequence[Node],
    given: Sequence[EndpointSlice],
    endpoints: Sequence[Manifest],
) -> Iterator[EndpointSlice]:
    """Yield what the two EndpointSlice controllers would make, for Services that have none of them in the input."""
    managed = {(s.namespace, s.service, s.labels.get(MANAGED_BY)) for s in given}
    hand_made = {(s.namespace, s.service) for s in given if s.labels.get(MANAGED_BY) not in (CONTROLLER, MIRRORING)}
    wanted = [s for s in services if has_selector(s) and (s.namespace, s.name, CONTROLLER) not in managed]
    if wanted:
        maker = Maker(PodIndex(pods), {node.name: node for node in nodes}, hint_nodes(nodes))
        for service in wanted:
            yield from derive(service, maker, placeholder=(service.namespace, service.name) not in hand_made)
    by_name = {(service.namespace, service.name): service for service in services} if endpoints else {}
    for manifest in endpoints:
        key = (manifest.namespace, manifest.name)
        if (*key, MIRRORING) not in managed and mirror.should_mirror(manifest, by_name.get(key)):
            yield from mirror.mirror(manifest)


def _sorted_slices(slices: Iterable[EndpointSlice]) -> tuple[EndpointSlice, ...]:
    return tuple(sorted(slices, key=lambda item: (item.namespace, item.name)))


def _mirror_notes(endpoints: Iterable[Manifest]) -> Iterator[Note]:
    yield from filter(None, map(mirror.dropped_note, endpoints))


def _cluster_cidrs(kubeadm: Kubeadm, nodes: Iterable[Node]) -> tuple[str, ...]:
    return kubeadm.pod_cidrs or tuple(dict.fromkeys(cidr for node in nodes for cidr in node.pod_cidrs))


def _namespaces(kinds: Kinds, others: Kinds) -> dict[str, Labels]:
    """Return namespaces given and used; the API server labels each with its name."""
    given = {m.name: labels_of(metadata_of(m).get("labels")) for m in kinds.get("Namespace", ())}
    used = {m.namespace for by_kind in (kinds, others) for listed in by_kind.values() for m in listed}
    return {name: {**given.get(name, {}), NAME_LABEL: name} for name in sorted({*given, *used} - {""})}
