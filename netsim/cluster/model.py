"""The Cluster: every object that decides where a packet goes, defaulted and allocated, frozen.

Addresses are canonical text, CIDRs masked canonical text, protocols upper case ("TCP") as the API spells them.
`source` is the manifest of an object, None for what netsim assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar, cast

from netsim.manifests.objects import Manifest
from netsim.notes import Note

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HostAddress:
    """One address of a node: interface, address text, prefix length."""

    interface: str
    address: str
    prefix: int


@dataclass(frozen=True, slots=True)
class Taint:
    """spec.taints[]."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.

    internal_ips in status order (kube-proxy's node IP is the first of the family); pod_cidrs as in spec.podCIDRs
    (allocated when the input has none); extra_addresses from annotation `netsim.dev/host-addresses`.
    """

    name: str
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    internal_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    extra_addresses: tuple[HostAddress, ...] = ()
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    source: Manifest | None = None

    @property
    def zone(self) -> str:
        """Return label topology.kubernetes.io/zone, "" if absent."""
        return self.labels.get("topology.kubernetes.io/zone", "")


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A declared port of a container; container is its name, init whether it is a (sidecar) init container's."""

    name: str
    port: int
    protocol: str = "TCP"
    host_port: int = 0
    container: str = ""
    host_ip: str = ""
    init: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod, as given or as a controller would make it. ips: at most one per family; () while it has none."""

    namespace: str
    name: str
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    node_name: str = ""
    ips: tuple[str, ...] = ()
    host_network: bool = False
    ready: bool = True
    terminating: bool = False
    phase: str = "Running"
    ports: tuple[ContainerPort, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    dns_policy: str = "ClusterFirst"
    owner: str = ""
    why_not_ready: str = ""
    source: Manifest | None = None


@dataclass(frozen=True, slots=True)
class ServicePort:
    """spec.ports[i]; target_port is a number or a name, node_port 0 when there is none."""

    name: str
    port: int
    protocol: str = "TCP"
    target_port: int | str = 0
    node_port: int = 0
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class LoadBalancerIngress:
    """status.loadBalancer.ingress[i]; ip_mode VIP, Proxy or "" (absent, counts as VIP)."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service after defaulting and allocation. cluster_ips: () for ExternalName, ("None",) for headless.

    affinity_seconds is None with sessionAffinity None. selector None: absent (no slices are derived).
    """

    namespace: str
    name: str
    type: str = "ClusterIP"
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    cluster_ips: tuple[str, ...] = ()
    ip_families: tuple[str, ...] = ("IPv4",)
    ip_family_policy: str = "SingleStack"
    ports: tuple[ServicePort, ...] = ()
    selector: Labels | None = None
    external_ips: tuple[str, ...] = ()
    load_balancer_ip: str = ""
    ingress: tuple[LoadBalancerIngress, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int | None = None
    external_traffic_policy: str = ""
    internal_traffic_policy: str = "Cluster"
    health_check_node_port: int = 0
    allocate_node_ports: bool = True
    external_name: str = ""
    publish_not_ready: bool = False
    traffic_distribution: str = ""
    load_balancer_class: str = ""
    source: Manifest | None = None

    @property
    def headless(self) -> bool:
        """Return whether clusterIP is None."""
        return self.cluster_ips[:1] == ("None",)


class SlicePort(NamedTuple):
    """ports[i] of an EndpointSlice; None where the object has null."""

    name: str | None
    port: int | None
    protocol: str = "TCP"
    app_protocol: str = ""


class SliceEndpoint(NamedTuple):
    """endpoints[i] of an EndpointSlice; conditions are None where absent (their meaning is the reader's)."""

    addresses: tuple[str, ...]
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None
    node_name: str | None = None
    zone: str | None = None
    hostname: str | None = None
    target_kind: str = ""
    target_namespace: str = ""
    target_name: str = ""
    zone_hints: tuple[str, ...] | None = None
    node_hints: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """An EndpointSlice. `service` is label kubernetes.io/service-name, "" if absent.

    derived: netsim made it as a controller would.
    For derived slices `source` is the Service's manifest and `endpoint_sources[i]` the Pod's (or Endpoints') one.
    """

    namespace: str
    name: str
    service: str
    address_type: str
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    ports: tuple[SlicePort, ...] = ()
    endpoints: tuple[SliceEndpoint, ...] = ()
    derived: bool = False
    source: Manifest | None = None
    endpoint_sources: tuple[Manifest | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The whole cluster. Sequences are sorted by (namespace, name). `objects` holds every other manifest by kind.

    service_cidrs come from ServiceCIDR objects only (assumed ranges are in assumed_service_cidrs);
    cluster_cidrs are what kubeadm's podSubnet or the nodes' podCIDRs say (the CNI's view, contract "CNI").
    """

    nodes: tuple[Node, ...] = ()
    namespaces: Mapping[str, Labels] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    assumed_service_cidrs: tuple[str, ...] = ()
    cluster_cidrs: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    objects: Mapping[str, tuple[Manifest, ...]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    # Values computed from the rest, kept because every node and query asks for them; never part of what a Cluster is.
    memo: dict[object, object] = field(default_factory=dict, compare=False, repr=False)

    def node(self, name: str) -> Node | None:
        """Return a node by name."""
        return next((node for node in self.nodes if node.name == name), None)

    def pod(self, namespace: str, name: str) -> Pod | None:
        """Return a pod by name."""
        return by_name(self.memo, "pods", self.pods).get((namespace, name))

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a service by name."""
        return by_name(self.memo, "services", self.services).get((namespace, name))


class Named(Protocol):
    """An object with a namespace and a name."""

    @property
    def namespace(self) -> str:
        """Return the namespace."""

    @property
    def name(self) -> str:
        """Return the name."""


N = TypeVar("N", bound=Named)


def by_name(memo: dict[object, object], key: str, listed: Iterable[N]) -> dict[tuple[str, str], N]:
    """Return an index by (namespace, name), built once."""
    if key not in memo:
        memo[key] = {(item.namespace, item.name): item for item in listed}
    return cast("dict[tuple[str, str], N]", memo[key])
