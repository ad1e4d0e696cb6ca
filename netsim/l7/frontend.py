"""Where a controller is reached: its Services, its Pods, and the ports on which its proxy listens.

For a trace from a URL (`netsim trace external http://shop.example.com/cart`):

    front = find(cluster, router)
    front.services      # what DNS names or the Ingress' address lead to; () when the input has none
    front.pods          # where connections end and from where the proxy connects to endpoints
    front.scheme(8443)  # "https": how the proxy reads connections to this container port
    front.note          # said when no workload of the controller is in the input: one is assumed per class
    addresses_of(answer.decision.matched)   # status.loadBalancer of the object that matched
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from iptables_gen.values import decimal
from netsim.cluster.model import Cluster, Pod, Service
from netsim.cluster.read import dig, labels_of, mapping, objects, text
from netsim.cluster.selectors import matches_map
from netsim.l7.controller import nginx_workloads
from netsim.l7.decision import Matched
from netsim.l7.gateway.table import GatewayTable
from netsim.l7.router import Router
from netsim.manifests.objects import Manifest
from netsim.notes import Note

GATEWAY_LABEL: Final = "gateway.networking.k8s.io/gateway-name"
NAME_LABEL: Final = "app.kubernetes.io/name"
# What an assumed controller's Pod and Service carry; the value is the dialect.
ASSUMED_LABEL: Final = "netsim.dev/assumed-controller"
_NAMES: Final = {"ingress-nginx": "ingress-nginx", "apisix": "apisix", "spec": "", "gateway-api": ""}
_SCHEMES: Final = {"http": "http", "https": "https", 80: "http", 443: "https"}


@dataclass(frozen=True, slots=True)
class Frontend:
    """How a controller is reached. `schemes` are http or https by container port; assumed: the input has no such
    workload.
    """

    services: tuple[Service, ...] = ()
    pods: tuple[Pod, ...] = ()
    schemes: Mapping[int, str] = field(default_factory=dict)
    note: Note | None = None

    @property
    def assumed(self) -> bool:
        """Whether nothing of the controller is in the input."""
        return self.note is not None

    def scheme(self, port: int) -> str:
        """Return http or https for a container port, "" when the proxy does not listen there."""
        return self.schemes.get(port, "")


def find(cluster: Cluster, router: Router) -> Frontend:
    """Return the Services and Pods of a router's controller."""
    labels = _labels(cluster, router)
    services = tuple(service for service in cluster.services if _leads(service, labels))
    pods = tuple(pod for pod in cluster.pods if any(_belongs(pod, namespace, wanted) for namespace, wanted in labels))
    if not pods and not services:
        what = router.name or router.dialect
        text_ = (
            f"no workload of the controller of {what} is in the input: one proxy outside the cluster's pods is assumed"
        )
        return Frontend(schemes={80: "http", 443: "https"}, note=Note("CONTROLLER_ASSUMED", text_))
    return Frontend(services, pods, _schemes(router, services))


Labels = tuple[tuple[str, Mapping[str, str]], ...]


def _labels(cluster: Cluster, router: Router) -> Labels:
    """Return (namespace, labels) pairs that the controller's pods carry; namespace "" is any."""
    if isinstance(router.table, GatewayTable):
        return tuple((gateway.namespace, {GATEWAY_LABEL: gateway.name}) for gateway in router.table.gateways.values())
    workload = router.controller.workload
    if workload is not None:
        return ((workload.namespace or "default", _template_labels(workload)),)
    name = _NAMES[router.dialect]
    # What runs ingress-nginx here without serving this class carries the same name.
    others = router.dialect == "ingress-nginx" and any(True for _ in nginx_workloads(cluster))
    return (("", {NAME_LABEL: name} if name and not others else {ASSUMED_LABEL: router.dialect}),)


def _template_labels(workload: Manifest) -> Mapping[str, str]:
    if workload.kind == "Pod":
        return labels_of(dig(workload.data, "metadata", "labels"))
    selector = labels_of(dig(workload.data, "spec", "selector", "matchLabels"))
    return selector or labels_of(dig(workload.data, "spec", "template", "metadata", "labels"))


def _belongs(pod: Pod, namespace: str, labels: Mapping[str, str]) -> bool:
    return bool(labels) and namespace in ("", pod.namespace) and matches_map(labels, pod.labels)


def _leads(service: Service, labels: Labels) -> bool:
    """Whether a Service with HTTP ports selects the controller's pods (its admission webhook's Service does not
    count).
    """
    if not service.selector or not any(_port_scheme(port.target_port, port.name, port.port) for port in service.ports):
        return False
    return any(
        wanted and namespace in ("", service.namespace) and _agree(service.selector, wanted)
        for namespace, wanted in labels
    )


def _agree(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether no pod label contradicts the selector, and at least one meets it: templates carry more than selectors
    do.
    """
    shared = selector.keys() & labels.keys()
    return bool(shared) and all(selector[key] == labels[key] for key in shared)


def _port_scheme(target: int | str, name: str, number: int) -> str:
    return _SCHEMES.get(target, "") or _SCHEMES.get(name, "") or _SCHEMES.get(number, "")


def _schemes(router: Router, services: tuple[Service, ...]) -> dict[int, str]:
    """The proxy's ports: its flags, else 80 and 443, and whatever its Services' http and https ports lead to."""
    found = {_flag(router, "http-port", 80): "http", _flag(router, "https-port", 443): "https"}
    if isinstance(router.table, GatewayTable):
        return found | dict(_listener_schemes(router.table))
    for service in services:
        for port in service.ports:
            scheme = _SCHEMES.get(port.name, "") or _SCHEMES.get(port.port, "")
            if scheme and isinstance(port.target_port, int) and port.target_port:
                found.setdefault(port.target_port, scheme)
    return found


def _listener_schemes(table: GatewayTable) -> Iterator[tuple[int, str]]:
    for gateway in table.gateways.values():
        for listener in gateway.listeners:
            if listener.protocol in ("HTTP", "HTTPS"):
                yield listener.port, listener.protocol.lower()


def _flag(router: Router, name: str, default: int) -> int:
    value = decimal(router.controller.flag(name))
    return default if value is None else value


def addresses_of(matched: Matched | None) -> tuple[str, ...]:
    """Return the addresses in status.loadBalancer (Ingress) or status.addresses (Gateway) of what matched."""
    return () if matched is None or matched.source is None else status_addresses(matched.source)


def status_addresses(manifest: Manifest) -> tuple[str, ...]:
    """Return the addresses in the status of an Ingress or a Gateway."""
    status = mapping(manifest.data.get("status"))
    listed = objects(dig(status, "loadBalancer", "ingress")) or objects(status.get("addresses"))
    found = (text(one.get("ip")) or text(one.get("hostname")) or text(one.get("value")) for one in listed)
    return tuple(address for address in found if address)
