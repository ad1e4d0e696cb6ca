"""Endpoints as the endpoints controller makes them; nothing reads them any more, but `get endpoints` shows them.

Source: pkg/controller/endpoint of v1.36, pkg/api/v1/endpoints RepackSubsets; observed on kube-controller-manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netsim.cluster.default_pods import Object
from netsim.cluster.endpointslices import HEADLESS, PodIndex, counts, has_selector, named_port
from netsim.cluster.model import Cluster, Pod, Service
from netsim.cluster.read import family_of

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
Port = tuple[str, int, str, str]
# Sort key (ip, pod) with the address itself, and whether it is ready.
Entry = tuple[tuple[str, str], bool]


def derived(cluster: Cluster) -> Iterator[Object]:
    """Yield the Endpoints of Services with a selector, for those the input has none of."""
    given = {(m.namespace, m.name) for m in cluster.objects.get("Endpoints", ())}
    index = PodIndex(cluster.pods)
    for service in cluster.services:
        if has_selector(service) and (service.namespace, service.name) not in given:
            yield endpoints(service, index.select(service.namespace, service.selector or {}))


def endpoints(service: Service, pods: Iterable[Pod]) -> Object:
    """Return the Endpoints of one Service; a pod without any of its ports does not appear."""
    by_port: dict[Port, set[Entry]] = {}
    addresses: dict[tuple[str, str], Object] = {}
    for pod in pods:
        ip = _address(service, pod)
        if ip:
            addresses[ip, pod.name] = _entry(service, pod, ip)
            ready = service.publish_not_ready or pod.ready
            for port in _ports(service, pod):
                by_port.setdefault(port, set()).add(((ip, pod.name), ready))
    groups: dict[frozenset[Entry], list[Port]] = {}
    for port, entries in sorted(by_port.items()):
        groups.setdefault(frozenset(entries), []).append(port)
    subsets = [_subset(entries, ports, addresses) for entries, ports in groups.items()]
    found: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": _metadata(service)}
    return {**found, "subsets": subsets} if subsets else found


def _metadata(service: Service) -> Object:
    labels = {key: value for key, value in service.labels.items() if key != HEADLESS}
    if service.headless:
        labels[HEADLESS] = ""
    labels[MANAGED_BY] = "endpoint-controller"
    return {"name": service.name, "namespace": service.namespace, "labels": labels}


def _address(service: Service, pod: Pod) -> str:
    """Return the pod's address of the first family; deleted pods count only where unready ones are published."""
    if not counts(pod) or (pod.terminating and not service.publish_not_ready):
        return ""
    return next((ip for ip in pod.ips if family_of(ip) in service.ip_families[:1]), "")


def _entry(service: Service, pod: Pod, ip: str) -> Object:
    entry: Object = {"ip": ip, "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name}}
    if pod.node_name:
        entry["nodeName"] = pod.node_name
    if pod.hostname and pod.subdomain == service.name:
        entry["hostname"] = pod.hostname
    return entry


def _ports(service: Service, pod: Pod) -> Iterator[Port]:
    for port in service.ports:
        target = port.target_port
        number = target if isinstance(target, int) else named_port(pod, target, port.protocol)
        if number is not None:
            yield port.name, number, port.protocol, port.app_protocol
    if service.headless and not service.ports:
        yield "", 0, "", ""


def _subset(entries: frozenset[Entry], ports: list[Port], addresses: dict[tuple[str, str], Object]) -> Object:
    ready = [addresses[key] for key, is_ready in sorted(entries) if is_ready]
    others = [addresses[key] for key, is_ready in sorted(entries) if not is_ready]
    listed = [_port(port) for port in ports if port[1]]
    optional = {"addresses": ready, "notReadyAddresses": others, "ports": listed}
    return {key: value for key, value in optional.items() if value}


def _port(port: Port) -> Object:
    name, number, protocol, app_protocol = port
    found: Object = {"port": number, "protocol": protocol}
    return {**({"name": name} if name else {}), **found, **({"appProtocol": app_protocol} if app_protocol else {})}
