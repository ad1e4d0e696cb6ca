"""EndpointSlices as the endpointslicemirroring controller makes them from Endpoints of Services without a selector.

Source: pkg/controller/endpointslicemirroring of v1.36; observed on kube-controller-manager.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netsim.cluster.allocate import generated_name
from netsim.cluster.model import EndpointSlice, Service, SliceEndpoint, SlicePort
from netsim.cluster.read import (
    canonical_ip,
    family_of,
    labels_of,
    mapping,
    metadata_of,
    objects,
    optional_number,
    text,
)
from netsim.cluster.slices import MANAGED_BY, MIRRORING, SERVICE_NAME
from netsim.manifests.objects import Manifest
from netsim.notes import Note

SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
NOT_COPIED = ("endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration")
MAX_ENDPOINTS = 1000
Ports = tuple[SlicePort, ...]


def should_mirror(endpoints: Manifest, service: Service | None) -> bool:
    """Whether Endpoints are mirrored: the Service exists without selector, and no label or annotation forbids it."""
    metadata = metadata_of(endpoints)
    skipped = labels_of(metadata.get("labels")).get(SKIP_LABEL) == "true"
    leader = LEADER_ANNOTATION in mapping(metadata.get("annotations"))
    return service is not None and not service.selector and not skipped and not leader


def mirror(endpoints: Manifest) -> Iterator[EndpointSlice]:
    """Yield the slices of an Endpoints object, by family and set of ports, of at most 1000 endpoints each."""
    groups: dict[tuple[str, Ports], list[SliceEndpoint]] = {}
    for subset in objects(endpoints.data.get("subsets")):
        ports = tuple(_port(port) for port in objects(subset.get("ports")))
        for endpoint in _addresses(subset):
            family = family_of(endpoint.addresses[0])
            groups.setdefault((family, tuple(sorted(ports, key=_by_name))), []).append(endpoint)
    for (family, ports), group in sorted(groups.items(), key=lambda item: (item[0][0], str(item[0][1]))):
        distinct = {endpoint.addresses[0]: endpoint for endpoint in reversed(group)}
        listed = [distinct[ip] for ip in sorted(distinct)]
        for start in range(0, len(listed), MAX_ENDPOINTS):
            yield _slice(endpoints, family, ports, listed[start : start + MAX_ENDPOINTS], start)


def _by_name(port: SlicePort) -> tuple[str, str]:
    return port.name or "", port.protocol


def _addresses(subset: Mapping[str, Any]) -> list[SliceEndpoint]:
    """Return the first 1000 endpoints of a subset, ready ones first; further ones are left out with an event."""
    listed = [(item, True) for item in objects(subset.get("addresses"))]
    listed += [(item, False) for item in objects(subset.get("notReadyAddresses"))]
    found = [_endpoint(item, ready) for item, ready in listed if canonical_ip(item.get("ip"))]
    return found[:MAX_ENDPOINTS]


def dropped_note(endpoints: Manifest) -> Note | None:
    """Return the note for a subset of more than 1000 addresses (the controller's event TooManyAddressesToMirror)."""
    for subset in objects(endpoints.data.get("subsets")):
        count = len(objects(subset.get("addresses"))) + len(objects(subset.get("notReadyAddresses")))
        if count > MAX_ENDPOINTS:
            what = f"{count - MAX_ENDPOINTS} addresses beyond 1000 of a subset are not mirrored"
            return Note("ENDPOINTS_NOT_MIRRORED", f"Endpoints {endpoints.namespace}/{endpoints.name}: {what}")
    return None


def _endpoint(item: Mapping[str, Any], ready: bool) -> SliceEndpoint:
    target = mapping(item.get("targetRef"))
    return SliceEndpoint(
        addresses=(canonical_ip(item.get("ip")),),
        ready=ready,
        node_name=text(item.get("nodeName")) or None,
        hostname=text(item.get("hostname")) or None,
        target_kind=text(target.get("kind")),
        target_namespace=text(target.get("namespace")),
        target_name=text(target.get("name")),
    )


def _port(port: Mapping[str, Any]) -> SlicePort:
    number = optional_number(port.get("port"))
    return SlicePort(text(port.get("name")), number, text(port.get("protocol")) or "TCP", text(port.get("appProtocol")))


def _slice(endpoints: Manifest, family: str, ports: Ports, group: list[SliceEndpoint], start: int) -> EndpointSlice:
    metadata = metadata_of(endpoints)
    annotations = labels_of(metadata.get("annotations"))
    words = [endpoints.namespace, family, *(f"{p.name}/{p.port}/{p.protocol}" for p in ports)]
    words += [str(start)] if start else []
    return EndpointSlice(
        namespace=endpoints.namespace,
        name=generated_name(f"{endpoints.name}-", *words),
        service=endpoints.name,
        address_type=family,
        labels={**labels_of(metadata.get("labels")), SERVICE_NAME: endpoints.name, MANAGED_BY: MIRRORING},
        annotations={key: value for key, value in annotations.items() if key not in NOT_COPIED},
        ports=ports,
        endpoints=tuple(group),
        derived=True,
        source=endpoints,
        endpoint_sources=(endpoints,) * len(group),
    )
