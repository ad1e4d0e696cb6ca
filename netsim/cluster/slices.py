"""EndpointSlices as the input has them: stored objects, hand-made or a controller's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.cluster.model import EndpointSlice, SliceEndpoint, SlicePort
from netsim.cluster.read import EMPTY, canonical_ip, labels_of, mapping, metadata_of, objects, optional_number, text
from netsim.manifests.objects import Manifest

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
MIRRORING = "endpointslicemirroring-controller.k8s.io"


def read_slice(manifest: Manifest) -> EndpointSlice:
    """Return an EndpointSlice; addresses that are none are left out, of FQDN slices they are kept as they are."""
    metadata = metadata_of(manifest)
    labels = labels_of(metadata.get("labels"))
    address_type = text(manifest.data.get("addressType"))
    fqdn = address_type == "FQDN"
    return EndpointSlice(
        namespace=manifest.namespace,
        name=manifest.name,
        service=labels.get(SERVICE_NAME, ""),
        address_type=address_type,
        labels=labels,
        annotations=labels_of(metadata.get("annotations")),
        ports=tuple([_port(port) for port in objects(manifest.data.get("ports"))]),
        endpoints=tuple([_endpoint(item, fqdn) for item in _dicts(manifest.data.get("endpoints"))]),
        source=manifest,
    )


def _dicts(value: object) -> list[Any]:
    """Return a list's objects with every index kept: what is no object stands as an empty one."""
    return [item if isinstance(item, dict) else {} for item in value] if isinstance(value, list) else []


def _port(port: Mapping[str, Any]) -> SlicePort:
    """Return ports[i]: the API server defaults name "" and protocol TCP (defaults.go of discovery/v1)."""
    name = port.get("name")
    return SlicePort(
        text(name),
        optional_number(port.get("port")),
        text(port.get("protocol")) or "TCP",
        text(port.get("appProtocol")),
    )


def _endpoint(item: dict[str, Any], fqdn: bool) -> SliceEndpoint:
    # The hottest loop of a large cluster: no helper calls for what is nearly always there.
    get = item.get
    conditions = get("conditions")
    ready, serving, terminating = _flags(conditions) if type(conditions) is dict else (None, None, None)
    target = get("targetRef")
    target = target.get if type(target) is dict else EMPTY.get
    hints = get("hints")
    return SliceEndpoint(
        _addresses(get("addresses"), fqdn),
        ready,
        serving,
        terminating,
        get("nodeName") or None,
        get("zone") or None,
        get("hostname") or None,
        target("kind") or "",
        target("namespace") or "",
        target("name") or "",
        _names(hints, "forZones") if hints else None,
        _names(hints, "forNodes") if hints else None,
    )


def _addresses(raw: object, fqdn: bool) -> tuple[str, ...]:
    if type(raw) is not list:
        return ()
    if len(raw) == 1 and not fqdn:
        return (canonical_ip(raw[0]),)
    return tuple(map(text if fqdn else canonical_ip, raw))


def _flags(conditions: dict[str, Any]) -> tuple[bool | None, bool | None, bool | None]:
    get = conditions.get
    return get("ready"), get("serving"), get("terminating")


def _names(hints: object, key: str) -> tuple[str, ...] | None:
    listed = objects(mapping(hints).get(key))
    return tuple(text(item.get("name")) for item in listed) if listed else None
