"""EndpointSlices as the endpointslice controller makes them from Services with a selector and Pods.

Source: staging/src/k8s.io/endpointslice reconciler.go and utils.go of v1.36; observed on kube-controller-manager.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netsim.cluster.allocate import generated_name
from netsim.cluster.hints import HintNodes, with_hints
from netsim.cluster.model import EndpointSlice, Node, Pod, Service, SliceEndpoint, SlicePort
from netsim.cluster.read import family_of
from netsim.cluster.slices import CONTROLLER, MANAGED_BY, SERVICE_NAME
from netsim.manifests.objects import Manifest

HEADLESS = "service.kubernetes.io/headless"
RESERVED = frozenset((SERVICE_NAME, MANAGED_BY, HEADLESS))
MAX_ENDPOINTS = 100
Ports = tuple[SlicePort, ...]
Located = tuple[SliceEndpoint, Manifest | None]


class PodIndex:
    """Pods by namespace and by each label pair, so that a selector looks at few of them."""

    __slots__ = ("_by_label", "_by_namespace")

    def __init__(self, pods: Iterable[Pod]) -> None:
        self._by_namespace: defaultdict[str, list[Pod]] = defaultdict(list)
        self._by_label: defaultdict[tuple[str, str, str], list[Pod]] = defaultdict(list)
        for pod in pods:
            self._by_namespace[pod.namespace].append(pod)
            for key, value in pod.labels.items():
                self._by_label[pod.namespace, key, value].append(pod)

    def select(self, namespace: str, selector: Mapping[str, str]) -> list[Pod]:
        """Return the pods of a namespace that carry every pair of a selector, in order; an empty one selects all."""
        if not selector:
            return self._by_namespace.get(namespace, [])
        lists = [self._by_label.get((namespace, key, value), []) for key, value in selector.items()]
        smallest = min(lists, key=len)
        pairs = selector.items()
        return [pod for pod in smallest if pairs <= pod.labels.items()]


@dataclass(frozen=True, slots=True)
class Maker:
    """What deriving slices reads of the cluster."""

    pods: PodIndex
    nodes: Mapping[str, Node]
    hints: HintNodes


def has_selector(service: Service) -> bool:
    """Whether the controller works on a Service at all."""
    return bool(service.selector) and service.type != "ExternalName"


def derive(service: Service, maker: Maker, *, placeholder: bool = True) -> Iterator[EndpointSlice]:
    """Yield the slices of one Service; without any endpoint one empty slice per family, if `placeholder`."""
    pods = [pod for pod in maker.pods.select(service.namespace, service.selector or {}) if counts(pod)]
    located = [pod for pod in pods if service.publish_not_ready or pod.node_name in maker.nodes]
    for family in service.ip_families:
        groups = _groups(service, located, family, maker.nodes)
        if not groups and placeholder:
            yield _slice(service, family, (), [], 0)
        hinted = with_hints(service, groups, maker.hints)
        for ports in sorted(hinted, key=str):
            for start in range(0, len(hinted[ports]), MAX_ENDPOINTS):
                yield _slice(service, family, ports, hinted[ports][start : start + MAX_ENDPOINTS], start)


def counts(pod: Pod) -> bool:
    """Whether a pod can be an endpoint: it has an address and has not ended."""
    return bool(pod.ips) and pod.phase not in ("Succeeded", "Failed")


def _groups(
    service: Service, pods: Sequence[Pod], family: str, nodes: Mapping[str, Node]
) -> dict[Ports, list[Located]]:
    """Return endpoints by the set of ports they resolve to, sorted by address."""
    groups: dict[Ports, list[Located]] = {}
    for pod in pods:
        ip = next((ip for ip in pod.ips if family_of(ip) == family), "")
        if ip:
            endpoint = endpoint_of(service, pod, ip, nodes.get(pod.node_name))
            groups.setdefault(resolve_ports(service, pod), []).append((endpoint, pod.source))
    return {
        ports: sorted(group, key=lambda item: (*item[0].addresses, item[0].target_name))
        for ports, group in groups.items()
    }


def endpoint_of(service: Service, pod: Pod, ip: str, node: Node | None) -> SliceEndpoint:
    """Return the endpoint of a pod; publishNotReadyAddresses makes it ready even while it terminates."""
    named = bool(pod.hostname) and pod.subdomain == service.name
    return SliceEndpoint(
        addresses=(ip,),
        ready=service.publish_not_ready or (pod.ready and not pod.terminating),
        serving=pod.ready,
        terminating=pod.terminating,
        node_name=pod.node_name or None,
        zone=(node.zone or None) if node else None,
        hostname=pod.hostname if named else None,
        target_kind="Pod",
        target_namespace=pod.namespace,
        target_name=pod.name,
    )


def resolve_ports(service: Service, pod: Pod) -> Ports:
    """Return the ports a pod offers for a Service; a named targetPort that it does not declare is left out."""
    found = []
    for port in service.ports:
        target = port.target_port
        number = target if isinstance(target, int) else named_port(pod, target, port.protocol)
        if number is not None:
            found.append(SlicePort(port.name, number, port.protocol, port.app_protocol))
    return tuple(sorted(found, key=lambda item: (item.name or "", item.protocol)))


def named_port(pod: Pod, name: str, protocol: str) -> int | None:
    """Return the number of a declared port, by name and protocol; the first container that has it wins."""
    return next((port.port for port in pod.ports if port.name == name and port.protocol == protocol), None)


def slice_labels(service: Service) -> dict[str, str]:
    """Return the labels of a Service's slices: its own, the reserved ones overwritten."""
    labels = {key: value for key, value in service.labels.items() if key not in RESERVED}
    if service.headless:
        labels[HEADLESS] = ""
    return labels | {SERVICE_NAME: service.name, MANAGED_BY: CONTROLLER}


def _slice(service: Service, family: str, ports: Ports, endpoints: Sequence[Located], start: int) -> EndpointSlice:
    words = [service.namespace, family, start, *(f"{p.name}/{p.port}/{p.protocol}" for p in ports)]
    return EndpointSlice(
        namespace=service.namespace,
        name=generated_name(f"{service.name}-", *words),
        service=service.name,
        address_type=family,
        labels=slice_labels(service),
        ports=ports,
        endpoints=tuple(endpoint for endpoint, _ in endpoints),
        derived=True,
        source=service.source,
        endpoint_sources=tuple(source for _, source in endpoints),
    )
