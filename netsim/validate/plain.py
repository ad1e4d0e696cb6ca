"""Services and EndpointSlices that are plainly valid, recognised in Rust: most objects of a large dump.

A JSON schema stricter than the API server: an object that passes has no mistake and no warning, so the checks in Python
need not look at it. One that does not pass may still be valid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from netsim.manifests.objects import Manifest

Test = Callable[[Any], bool]

_MANY = 32
"""Objects of one kind from which compiling its schema pays."""

_LABEL = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_NAMES = "^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?){0,4}$"
_LABEL_VALUE = "^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$"
_PART = "[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?"
_LABEL_KEY = f"^({_PART}([.]{_PART}){{0,5}}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
_PORT_NAME = "^[a-z]([a-z0-9]{0,14})$"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# Neither 0.x, loopback and link-local nor multicast: what may be an endpoint.
_FIRST = "(1[0-1][0-9]|12[0-6]|12[89]|1[3-5][0-9]|16[0-8]|1[7-9][0-9]|2[01][0-9]|22[0-3]|[1-9][0-9]?)"
_IPV4 = f"^{_FIRST}[.]{_BYTE}[.]{_BYTE}[.]{_BYTE}$"

_ANY: dict[str, Any] = {}
_TEXT = {"type": "string"}
_BOOL = {"type": "boolean"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_PROTOCOL = {"enum": ["TCP", "UDP", "SCTP"]}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": list(required)}


def _text(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


_LABELS = {"type": "object", "propertyNames": _text(_LABEL_KEY), "additionalProperties": _text(_LABEL_VALUE)}
_ANNOTATIONS = {
    "type": "object",
    "maxProperties": 20,
    # The annotations of Services that the checks read.
    "properties": {
        "service.beta.kubernetes.io/load-balancer-source-ranges": False,
        "service.kubernetes.io/topology-aware-hints": False,
    },
    "propertyNames": _text(_LABEL_KEY),
    "additionalProperties": {"type": "string", "maxLength": 2000},
}
_OWNER = {
    "type": "object",
    "required": ["apiVersion", "kind", "name", "uid"],
    "additionalProperties": _ANY,
    "properties": {name: {"type": "string", "minLength": 1} for name in ("apiVersion", "kind", "name", "uid")},
}


def _metadata(name: str) -> dict[str, Any]:
    properties = {
        "name": _text(name),
        "namespace": _text(_LABEL),
        "labels": _LABELS,
        "annotations": _ANNOTATIONS,
        "ownerReferences": {"type": "array", "maxItems": 1, "items": _OWNER},
        "generation": {"type": "integer", "minimum": 0},
        **dict.fromkeys(("uid", "resourceVersion", "creationTimestamp", "managedFields", "generateName"), _ANY),
    }
    return _object(properties, "name")


def _service_ports(*, node_ports: bool) -> dict[str, Any]:
    fields = {
        "name": _text(_LABEL),
        "port": _PORT,
        "protocol": _PROTOCOL,
        "targetPort": {"anyOf": [_PORT, _text(_PORT_NAME)]},
        **({"nodePort": _PORT} if node_ports else {}),
    }
    one = {"type": "array", "minItems": 1, "maxItems": 1, "items": _object(fields, "port")}
    several = {"type": "array", "minItems": 2, "items": _object(fields, "port", "name")}
    return {"anyOf": [one, several]}


def _service() -> dict[str, Any]:
    common = {
        "clusterIP": _text(_IPV4),
        "clusterIPs": {"type": "array", "maxItems": 1, "items": _text(_IPV4)},
        "ipFamilies": {"type": "array", "maxItems": 1, "items": {"enum": ["IPv4"]}},
        "ipFamilyPolicy": {"enum": ["SingleStack", "PreferDualStack"]},
        "internalTrafficPolicy": {"enum": ["Cluster", "Local"]},
        "selector": _LABELS,
        "sessionAffinity": {"enum": ["None"]},
        "publishNotReadyAddresses": _BOOL,
    }
    inside = {**common, "type": {"enum": ["ClusterIP"]}, "ports": _service_ports(node_ports=False)}
    outside = {
        **common,
        "type": {"enum": ["NodePort", "LoadBalancer"]},
        "ports": _service_ports(node_ports=True),
        "externalTrafficPolicy": {"enum": ["Cluster"]},
    }
    spec = {"anyOf": [_object(inside, "ports"), _object(outside, "ports", "type")]}
    fields = {"apiVersion": _ANY, "kind": _ANY, "metadata": _metadata(_LABEL), "spec": spec, "status": _SERVICE_STATUS}
    return _object(fields, "metadata", "spec")


_POINT = {"ip": _text(f"^{_BYTE}[.]{_BYTE}[.]{_BYTE}[.]{_BYTE}$"), "hostname": _TEXT, "ipMode": _TEXT, "ports": _ANY}
_SERVICE_STATUS = {
    "type": "object",
    "properties": {"loadBalancer": _object({"ingress": {"type": "array", "items": _object(_POINT)}})},
}


def _endpoint_slice() -> dict[str, Any]:
    endpoint = {
        "addresses": {"type": "array", "minItems": 1, "maxItems": 100, "items": _text(_IPV4)},
        "conditions": _object(dict.fromkeys(("ready", "serving", "terminating"), _BOOL)),
        "nodeName": _text(_NAMES),
        "hostname": _text(_LABEL),
        "zone": _TEXT,
        "targetRef": _ANY,
    }
    port = {"name": {"anyOf": [_text(_LABEL), {"enum": [""]}]}, "port": _PORT, "protocol": _PROTOCOL}
    fields = {
        "apiVersion": _ANY,
        "kind": _ANY,
        "metadata": _metadata(_NAMES),
        "addressType": {"enum": ["IPv4"]},
        "endpoints": {"type": ["array", "null"], "maxItems": 1000, "items": _object(endpoint, "addresses")},
        "ports": {"type": ["array", "null"], "maxItems": 100, "items": _object(port)},
    }
    return _object(fields, "metadata", "addressType")


_SCHEMAS: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {
    ("v1", "Service"): _service,
    ("discovery.k8s.io/v1", "EndpointSlice"): _endpoint_slice,
}


def plain_tests(objects: Sequence[Manifest]) -> dict[tuple[str, str], Test]:
    """Return for each kind of which there are many a test whether an object is plainly valid."""
    counts = Counter((manifest.api_version, manifest.kind) for manifest in objects)
    wanted = [name for name in _SCHEMAS if counts[name] >= _MANY]
    if not wanted:
        return {}
    import jsonschema_rs

    return {
        name: _with_unique_ports(jsonschema_rs.Draft202012Validator(_SCHEMAS[name]()).is_valid, in_spec=name[0] == "v1")
        for name in wanted
    }


def _with_unique_ports(test: Callable[[Any], bool], *, in_spec: bool) -> Test:
    def both(data: Any) -> bool:
        return test(data) and _unique_ports((data["spec"] if in_spec else data).get("ports"), in_spec=in_spec)

    return both


def _unique_ports(ports: Any, *, in_spec: bool) -> bool:
    """Return whether no two ports share what they may not share, which a schema cannot say.

    That is the name, and in a Service the node port, and protocol and number together.
    """
    if not ports or len(ports) == 1:
        return True
    names = {port.get("name", "") for port in ports}
    numbers = {(port.get("protocol", "TCP"), port.get("port")) for port in ports}
    node_ports = [port["nodePort"] for port in ports if "nodePort" in port]
    own = not in_spec or (len(numbers) == len(ports) and len(set(node_ports)) == len(node_ports))
    return len(names) == len(ports) and own
