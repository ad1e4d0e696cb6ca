"""What the API server leaves out of a stored object: nulls, unknown fields, and empty values of `omitempty` fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.manifests.kinds import struct_of, table

# Go fields without omitempty: their empty value is stored. `*` stands for any struct.
KEPT_EMPTY = frozenset(
    (
        "apps.v1.StatefulSetSpec.serviceName",
        "discovery.v1.EndpointSlice.endpoints",
        "discovery.v1.EndpointSlice.ports",
        "networking.v1.IngressRule.host",
        "core.v1.HostPathVolumeSource.type",
        "core.v1.GRPCAction.service",
        "core.v1.EndpointSubset.addresses",
        "discovery.v1.EndpointPort.name",
        "discovery.v1.EndpointPort.appProtocol",
        "networking.v1.IngressSpec.ingressClassName",
        "core.v1.PersistentVolumeClaimSpec.storageClassName",
        "core.v1.ServicePort.appProtocol",
        "storage.v1.StorageClass.provisioner",
    )
)
# Plain (not pointer) Go numbers and booleans with omitempty: zero and false are stored as absent.
ZERO_OMITTED = frozenset((
    "nodePort", "hostPort", "healthCheckNodePort", "publishNotReadyAddresses", "hostNetwork", "hostPID", "hostIPC",
    "stdin", "stdinOnce", "tty", "paused", "readOnly", "minReadySeconds", "initialDelaySeconds", "timeoutSeconds",
    "periodSeconds", "successThreshold", "failureThreshold", "unschedulable", "generation", "optionalWhenFalse",
))  # fmt: skip


def omit_empty(data: Mapping[str, Any], api_version: str, kind: str) -> dict[str, Any]:
    """Return an object as Go would write it back; an object of a kind that v1.36 does not serve only loses nulls."""
    struct = struct_of(api_version, kind)
    if not struct:
        return without_nulls(data)
    return _struct(data, struct)


def without_nulls(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without null members, at any depth of objects."""
    return {
        key: without_nulls(value) if isinstance(value, dict) else value
        for key, value in data.items()
        if value is not None
    }


def _struct(data: Mapping[str, Any], struct: str) -> dict[str, Any]:
    fields = table().structs[struct]
    found: dict[str, Any] = {}
    for key, value in data.items():
        kind = fields.get(key)
        if kind is not None and value is not None:
            written = _value(value, kind)
            if not _omitted(written, kind, key, f"{struct}.{key}"):
                found[key] = written
    return found


def _value(value: Any, kind: str) -> Any:
    """Return a value written back: `@NAME` a struct, `[T` a list, `{T` a map; integers may be written 8e1."""
    match kind[0]:
        case "@" if isinstance(value, dict):
            return _struct(value, kind[1:])
        case "[" if isinstance(value, list):
            return [_value(item, kind[1:]) for item in value]
        case "{" if isinstance(value, dict):
            return {
                key: "" if item is None and kind[1:2] == "s" else _value(item, kind[1:]) for key, item in value.items()
            }
        case "i" | "l" if isinstance(value, float) and value.is_integer():
            return int(value)
        case _:
            return value


def _omitted(value: Any, kind: str, key: str, path: str) -> bool:
    if path in KEPT_EMPTY:
        return False
    if kind[0] in "s[{":
        return value in ("", [], {})
    return key in ZERO_OMITTED and not value and kind[0] in "ilb"
