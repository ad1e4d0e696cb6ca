"""Manifests to Cluster: defaulting, allocation and the controllers' work, in one deterministic pass.

Objects are taken in (namespace, name) order, so their order in the input does not matter; of two objects with one
name the later replaces the earlier, as `kubectl apply` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from netsim.cluster import mirror
from netsim.cluster.collector import paused_collector
from netsim.cluster.endpointslices import Maker, PodIndex, derive, has_selector
from netsim.cluster.hints import hint_nodes
from netsim.cluster.model import Cluster, EndpointSlice, Labels, Node, Pod, Service
from netsim.cluster.nodes import plan_nodes
from netsim.cluster.options import BuildOptions
from netsim.cluster.podplan import Setting, plan_pods
from netsim.cluster.pods import pod_ips
from netsim.cluster.ranges import Kubeadm, Ranges, plan_ranges, read_kubeadm
from netsim.cluster.read import dig, family_of, labels_of, mapping, metadata_of, spec_of, status_of, text
from netsim.cluster.scope import named
from netsim.cluster.service_allocation import allocate
from netsim.cluster.services import read_service
from netsim.cluster.slices import CONTROLLER, MANAGED_BY, MIRRORING, read_slice
from netsim.cluster.what_if import check_names, named_pods, rewritten
from netsim.cluster.workloads import CONTROLLERS
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
    """Return the cluster that these objects describe; raises UsageError for a what-if about a pod that is not there."""
    with paused_collector():
        return _build(named(manifests, options.default_namespace), options)


def _build(manifests: Sequence[Manifest], options: BuildOptions) -> Cluster:
    kinds, others, notes = sort_by_kind(manifests)
    kubeadm = read_kubeadm(others)
    given_slices = [read_slice(manifest) for manifest in kinds["EndpointSlice"]]
    used = partial(_used_ips, kinds["Pod"], given_slices)
    plan = plan_nodes(kinds["Node"], partial(_node_names, kinds["Pod"], others, given_slices), used)
    ranges = plan_ranges(kinds["ServiceCIDR"], kubeadm, needed=any(map(_lacks_cluster_ip, kinds["Service"])))
    services = _services(kinds["Service"], ranges)
    namespaces = _namespaces(kinds, others)
    planned = plan_pods(kinds["Pod"], Setting(plan.nodes, not kinds["Node"], namespaces, others, options, used))
    slices = _slices(services, planned.pods, plan.nodes, given_slices, kinds["Endpoints"], options)
    told = (*notes, *plan.notes, *ranges.notes, *planned.notes, *_mirror_notes(kinds["Endpoints"]))
    return Cluster(
        nodes=plan.nodes,
        namespaces=namespaces,
        pods=planned.pods,
        services=services,
        slices=slices,
        service_cidrs=ranges.service_cidrs,
        assumed_service_cidrs=ranges.assumed_service_cidrs,
        cluster_cidrs=_cluster_cidrs(kubeadm, plan.nodes),
        cluster_domain=kubeadm.domain or "cluster.local",
        objects=_kept(others, kinds, planned.objects),
        notes=tuple(dict.fromkeys(told)),
    )


def _slices(
    services: Sequence[Service],
    pods: Sequence[Pod],
    nodes: Sequence[Node],
    given: Sequence[EndpointSlice],
    endpoints: Sequence[Manifest],
    options: BuildOptions,
) -> tuple[EndpointSlice, ...]:
    """Return given and derived slices; what-ifs change the given ones too."""
    if named_pods(options):
        by_name = {(pod.namespace, pod.name): pod for pod in pods}
        targets = {
            f"{e.target_namespace}/{e.target_name}" for s in given for e in s.endpoints if e.target_kind == "Pod"
        }
        check_names(options, {*map("/".join, by_name), *targets})
        given = rewritten(given, by_name, {(s.namespace, s.name): s for s in services}, options)
    return _sorted_slices([*given, *derive_slices(services, pods, nodes, given, endpoints)])


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


def _kept(
    others: Mapping[str, tuple[Manifest, ...]], kinds: Kinds, made: Mapping[str, tuple[Manifest, ...]]
) -> dict[str, tuple[Manifest, ...]]:
    """Return what `objects` holds: every kind the model does not read, some that it does, and what controllers made."""
    kept = dict(others)
    for kind in ("Endpoints", "ServiceCIDR", "Namespace"):
        if kinds.get(kind):
            kept[kind] = (*kinds[kind], *others.get(kind, ()))
    for kind, listed in made.items():
        given = kept.get(kind, ())
        known = {(m.namespace, m.name) for m in given}
        kept[kind] = (*given, *(m for m in listed if (m.namespace, m.name) not in known))
    return dict(sorted(kept.items()))


def _node_names(pods: Iterable[Manifest], others: Kinds, slices: Iterable[EndpointSlice]) -> set[str]:
    """Return the nodes that pods, pod templates and slices name."""
    specs = [spec_of(pod) for pod in pods]
    specs += [mapping(dig(spec_of(m), "template", "spec")) for kind in CONTROLLERS for m in others.get(kind, ())]
    names = {text(spec.get("nodeName")) for spec in specs}
    return names | {e.node_name or "" for item in slices for e in item.endpoints}


def _used_ips(pods: Iterable[Manifest], slices: Iterable[EndpointSlice]) -> set[str]:
    used = {ip for pod in pods for ip in pod_ips(status_of(pod))}
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
