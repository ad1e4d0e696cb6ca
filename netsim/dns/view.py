"""ZoneView: the objects of a Cluster as CoreDNS' informers index them.

CoreDNS reads objects as stored, so text counts: the spelling of an address in an EndpointSlice is a name, an empty
clusterIP is an answer. Where an object came from the input, such text is read from its manifest; what the model changed
on purpose (readiness, phases, allocated addresses) is read from the Cluster.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from netsim.cluster.model import Cluster, EndpointSlice, Pod, Service, ServicePort, SliceEndpoint
from netsim.cluster.read import mapping, objects, spec_of, status_of, text, texts
from netsim.dns import selector
from netsim.dns.names import Host, host_of
from netsim.dns.settings import KubernetesSettings
from netsim.manifests.objects import Manifest

BUILT_IN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
GONE_PHASES = frozenset(("Succeeded", "Failed", "Unknown"))
NO_PORT = -1
DEFAULT_SERVICE_CIDR = "10.96.0.0/16"


class Found(NamedTuple):
    """One candidate of a look-up: a host and port (-1: none declared) under `prefix`, the name left of the zone.

    port_name and protocol are lower-case, for comparison.
    """

    host: Host
    port: int
    prefix: str
    port_name: str = ""
    protocol: str = ""


class Address(NamedTuple):
    """A ready address of a slice and its label."""

    label: str
    host: Host


@dataclass(frozen=True, slots=True)
class SliceEntry:
    """An EndpointSlice: owner is `service.namespace` as PTR targets spell it; only ready addresses."""

    namespace: str
    service: str
    ports: tuple[tuple[int, str, str], ...]
    addresses: tuple[Address, ...]

    @property
    def owner(self) -> str:
        """Return the service's key, `.namespace` for a slice without service."""
        return f"{self.service}.{self.namespace}"


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A Service: `bare` is what its own name finds, `hosts` the distinct hosts of that, `endpoints` by label."""

    namespace: str
    name: str
    external: bool
    headless: bool
    cluster_hosts: tuple[Host, ...]
    bare: tuple[Found, ...]
    hosts: tuple[Host, ...]
    endpoints: Mapping[str, tuple[Found, ...]]

    @property
    def prefix(self) -> str:
        """Return the service's name left of the zone, with its dot."""
        return f"{self.name}.{self.namespace}.svc."


Key = tuple[str, str]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ZoneView:
    """Indexes over one Cluster for one kubernetes plugin. `synced` False: the API server never answered."""

    settings: KubernetesSettings
    exposed: frozenset[str] = frozenset()
    services: Mapping[Key, ServiceEntry] = field(default_factory=dict)
    services_by_ip: Mapping[str, tuple[ServiceEntry, ...]] = field(default_factory=dict)
    slices_by_ip: Mapping[str, tuple[SliceEntry, ...]] = field(default_factory=dict)
    pods_by_ip: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    synced: bool = True


def build_view(cluster: Cluster, settings: KubernetesSettings, *, synced: bool = True) -> ZoneView:
    """Return the indexes of a cluster; the cost of an answer does not depend on its size afterwards."""
    if not synced:
        return ZoneView(settings, synced=False)
    slices = [] if settings.no_endpoints else list(_slices(cluster.slices, settings))
    by_service: dict[Key, list[SliceEntry]] = defaultdict(list)
    for entry in slices:
        by_service[entry.namespace, entry.service].append(entry)
    services = list(_services((*cluster.services, *_assumed(cluster, settings)), by_service, settings))
    return ZoneView(
        settings,
        _exposed(cluster, settings),
        {(entry.namespace, entry.name): entry for entry, visible in services if visible},
        _index((raw, entry) for entry, _ in services for raw in {host.raw: None for host in entry.cluster_hosts}),
        _index((raw, entry) for entry in slices for raw in {address.host.raw: None for address in entry.addresses}),
        _index(_pods(cluster.pods, settings)) if settings.pods == "verified" else {},
    )


def _index(pairs: Iterable[tuple[str, Item]]) -> dict[str, tuple[Item, ...]]:
    found: dict[str, list[Item]] = defaultdict(list)
    for key, item in pairs:
        found[key].append(item)
    return {key: tuple(items) for key, items in found.items()}


def stored(manifest: Manifest | None) -> bool:
    """Whether an object has been through an API server: what is empty in it was stored empty."""
    return manifest is not None and (manifest.stored or "status" in manifest.data)


def _exposed(cluster: Cluster, settings: KubernetesSettings) -> frozenset[str]:
    """Return the namespaces that names may use: they exist, and `namespaces` and `namespace_labels` let them by."""
    return frozenset(
        name
        for name, labels in existing_namespaces(cluster).items()
        if (not settings.namespaces or name in settings.namespaces)
        and selector.matches(settings.namespace_labels, labels)
    )


def existing_namespaces(cluster: Cluster) -> dict[str, Mapping[str, str]]:
    """Return the namespaces that exist: the input's Namespace objects, or every one in use if it has none of its own.

    The four that every cluster has exist in any case.
    """
    given = {m.name for m in cluster.objects.get("Namespace", ()) if m.group == ""}
    names = given if given - set(BUILT_IN_NAMESPACES) else set(cluster.namespaces)
    return {
        name: cluster.namespaces.get(name, {"kubernetes.io/metadata.name": name})
        for name in sorted(names | set(BUILT_IN_NAMESPACES))
    }


def _slices(slices: Iterable[EndpointSlice], settings: KubernetesSettings) -> Iterator[SliceEntry]:
    for item in slices:
        if not selector.matches(settings.labels, item.labels):
            continue
        ports = tuple(
            (NO_PORT if port.port is None else port.port, (port.name or "").lower(), port.protocol.lower())
            for port in item.ports
        )
        addresses = tuple(_addresses(item, settings))
        yield SliceEntry(item.namespace, item.service, ports or ((NO_PORT, "", ""),), addresses)


def _addresses(item: EndpointSlice, settings: KubernetesSettings) -> Iterator[Address]:
    for endpoint, spelled in zip(item.endpoints, _spellings(item), strict=True):
        if endpoint.ready is False:
            continue
        for address in spelled:
            yield Address(_label(endpoint, address, settings.endpoint_pod_names), host_of(address))


def _spellings(item: EndpointSlice) -> list[tuple[str, ...]]:
    """Return each endpoint's addresses as the manifest spells them."""
    plain = [endpoint.addresses for endpoint in item.endpoints]
    if item.derived or item.source is None:
        return plain
    given = item.source.data.get("endpoints")
    spelled = [texts(mapping(entry).get("addresses")) for entry in given] if isinstance(given, list) else []
    return spelled if len(spelled) == len(plain) else plain


def _label(endpoint: SliceEndpoint, address: str, pod_names: bool) -> str:
    if endpoint.hostname:
        return endpoint.hostname
    if pod_names and 0 < len(endpoint.target_name) < 64:
        return endpoint.target_name
    if "." in address:
        return address.replace(".", "-")
    dashed = address.replace(":", "-")
    return dashed + "0" if dashed.endswith("-") else dashed


def _services(
    services: Iterable[Service], slices: Mapping[Key, list[SliceEntry]], settings: KubernetesSettings
) -> Iterator[tuple[ServiceEntry, bool]]:
    """Yield every service with whether its own names exist (`ignore empty_service` hides some)."""
    for service in services:
        if not selector.matches(settings.labels, service.labels):
            continue
        entry = _service(service, slices.get((service.namespace, service.name), []))
        ignorable = settings.ignore_empty_service and not entry.external and not entry.headless
        yield entry, not (ignorable and not entry.endpoints)


def _assumed(cluster: Cluster, settings: KubernetesSettings) -> Iterator[Service]:
    """Yield default/kubernetes, which every API server makes, where the input lacks it: the range's first address."""
    if settings.labels or cluster.service("default", "kubernetes"):
        return
    cidrs = cluster.service_cidrs or cluster.assumed_service_cidrs or (DEFAULT_SERVICE_CIDR,)
    network = ipaddress.ip_network(cidrs[0])
    # No API server starts with a range too small for its own address.
    if network.num_addresses > 1:
        yield Service("default", "kubernetes", cluster_ips=(str(network[1]),), ports=(ServicePort("https", 443),))


def _service(service: Service, slices: list[SliceEntry]) -> ServiceEntry:
    cluster_ips = stored_cluster_ips(service)
    external, headless = service.type == "ExternalName", cluster_ips[0] == "None"
    prefix = f"{service.name}.{service.namespace}.svc."
    hosts = tuple(map(host_of, cluster_ips))
    by_label: dict[str, list[Found]] = defaultdict(list)
    everything: list[Found] = []
    for found in _endpoints(slices, prefix) if not external else ():
        by_label[found.prefix[: -len(prefix) - 1].lower()].append(found)
        everything.append(found)
    if external:
        host = host_of(service_text(service, "externalName") or service.external_name)
        bare = [Found(host, 0, prefix)] if host.kind == "CNAME" else []
    elif headless:
        bare = everything
    else:
        bare = [
            Found(host, number, prefix, name, protocol) for number, name, protocol in _ports(service) for host in hosts
        ]
    return ServiceEntry(
        service.namespace,
        service.name,
        external,
        headless,
        hosts,
        tuple(bare),
        tuple({found.host.raw: found.host for found in bare}.values()),
        {label: tuple(items) for label, items in by_label.items()},
    )


def _endpoints(slices: Iterable[SliceEntry], prefix: str) -> Iterator[Found]:
    for entry in slices:
        for address in entry.addresses:
            own = f"{address.label}.{prefix}"
            for number, name, protocol in entry.ports:
                yield Found(address.host, number, own, name, protocol)


def service_text(service: Service, field_name: str) -> str:
    """Return a text field of the service's spec as stored."""
    return text(spec_of(service.source).get(field_name)) if service.source else ""


def stored_cluster_ips(service: Service) -> tuple[str, ...]:
    """Return clusterIPs as stored, at least one; a manifest that was never stored has what netsim allocated."""
    spec = spec_of(service.source) if service.source else {}
    given = texts(spec.get("clusterIPs"))
    single = text(spec.get("clusterIP"))
    if stored(service.source) or (given and all(given) and len(given) >= len(service.cluster_ips)):
        return given or (single,)
    return service.cluster_ips or (single,)


def _ports(service: Service) -> list[tuple[int, str, str]]:
    """Return (number, name, protocol), lower-case; a stored port without protocol has none."""
    if not service.ports:
        return [(NO_PORT, "", "")]
    raw = objects(spec_of(service.source).get("ports")) if stored(service.source) and service.source else []
    absent = [len(raw) == len(service.ports) and not text(port.get("protocol")) for port in raw]
    absent = absent if len(absent) == len(service.ports) else [False] * len(service.ports)
    return [
        (port.port, port.name.lower(), "" if none else port.protocol.lower())
        for port, none in zip(service.ports, absent, strict=True)
    ]


def _pods(pods: Iterable[Pod], settings: KubernetesSettings) -> Iterator[tuple[str, str]]:
    """Yield (IP as stored, namespace) of the pods that CoreDNS watches: not finished, not being deleted."""
    for pod in pods:
        if pod.phase in GONE_PHASES or pod.terminating or not selector.matches(settings.labels, pod.labels):
            continue
        ip = pod_ip(pod)
        if ip:
            yield ip, pod.namespace


def pod_ip(pod: Pod) -> str:
    """Return status.podIP as stored, else the first address that netsim gave the pod."""
    given = text(status_of(pod.source).get("podIP")) if pod.source else ""
    return given or (pod.ips[0] if pod.ips else "")


__all__ = ["Address", "Found", "ServiceEntry", "SliceEntry", "ZoneView", "build_view"]
