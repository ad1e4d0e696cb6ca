"""Namespace, Node, ConfigMap, Secret, ServiceCIDR, ServiceAccount and what has metadata only."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence

from netsim.validate import addresses, names
from netsim.validate.cause import (
    META,
    ROOT,
    SPEC,
    Causes,
    duplicate,
    invalid,
    invalids,
    not_supported,
    required,
    too_long,
)
from netsim.validate.fields import Object, items, obj, strings, text, texts
from netsim.validate.meta import metadata

_MAX_DATA = 1024 * 1024
_REDACTED = "<secret contents redacted>"
_REQUIRED_KEYS: Mapping[str, Sequence[str]] = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT = "kubernetes.io/service-account.name"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def namespace(data: Object) -> Causes:
    """Check a Namespace, whose name becomes a label too."""
    yield from metadata(data, namespaced=False, rule=names.dns_label)
    name = text(obj(data, "metadata"), "name")
    if len(name.encode()) > 63:
        yield from invalids(META.child("labels"), name, names.label_value(name))


def node(data: Object) -> Causes:
    """Check a Node."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=False, rule=names.dns_subdomain)
    yield from _taints(items(spec, "taints"))
    at, cidrs = SPEC.child("podCIDRs"), list(texts(spec, "podCIDRs"))
    for index, value in enumerate(cidrs):
        yield from invalids(at.index(index), value, addresses.cidr(value))
        if value in cidrs[:index]:
            yield duplicate(at.index(index), value)
    versions = [network.version for value in cidrs if (network := addresses.parse_cidr(value))]
    if len(cidrs) > 1 and len(versions) == len(cidrs) and (len(cidrs) > 2 or len(set(versions)) < 2):
        yield invalid(at, cidrs, "may specify no more than one CIDR for each IP family")


def _taints(found: Sequence[Object]) -> Causes:
    # The server's path is below metadata, although the field is in spec.
    for index, taint in enumerate(found):
        place = META.child("taints").index(index)
        key, value, effect = text(taint, "key"), text(taint, "value"), text(taint, "effect")
        yield from invalids(place.child("key"), key, names.qualified_name(key))
        if reasons := names.label_value(value):
            yield invalid(place.child("value"), value, ";".join(reasons))
        if not effect:
            yield required(place.child("effect"))
        elif effect not in _EFFECTS:
            yield not_supported(place.child("effect"), effect, _EFFECTS)


def config_map(data: Object) -> Causes:
    """Check a ConfigMap."""
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    plain, binary = strings(data, "data"), strings(data, "binaryData")
    for field, found, other in (("data", plain, "binaryData"), ("binaryData", binary, "data")):
        for key in found:
            place = ROOT.child(field).key(key)
            yield from invalids(place, key, names.config_key(key))
            if key in (binary if field == "data" else plain):
                yield invalid(place, key, f"duplicate of key present in {other}")
    size = sum(len(value.encode()) for value in plain.values()) + sum(len(value) * 3 // 4 for value in binary.values())
    if size > _MAX_DATA:
        yield too_long(ROOT, _MAX_DATA)


def secret(data: Object) -> Causes:
    """Check a Secret; `stringData` counts as data."""
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    given = {**strings(data, "data"), **strings(data, "stringData")}
    for key in given:
        yield from invalids(ROOT.child("data").key(key), key, names.config_key(key))
    kind, at = text(data, "type", "Opaque"), ROOT.child("data")
    for key in _REQUIRED_KEYS.get(kind, ()):
        if key not in given:
            yield required(at.key(key))
        elif key.startswith(".docker"):
            yield from _json_inside(data, key)
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & given.keys():
        yield required(at.key("username"))
        yield required(at.key("password"))
    if kind == "kubernetes.io/service-account-token" and not _annotations(data).get(_ACCOUNT):
        yield required(META.child("annotations").key(_ACCOUNT))


def _annotations(data: Object) -> Mapping[str, str]:
    return strings(obj(data, "metadata"), "annotations")


def _json_inside(data: Object, key: str) -> Causes:
    plain = strings(data, "stringData").get(key)
    try:
        content = plain.encode() if plain is not None else base64.b64decode(strings(data, "data")[key])
        value = json.loads(content)
    except (ValueError, binascii.Error, RecursionError):
        yield invalid(ROOT.child("data").key(key), _REDACTED, "invalid character looking for beginning of value")
        return
    if not isinstance(value, dict):
        why = "json: cannot unmarshal into Go value of type map[string]interface {}"
        yield invalid(ROOT.child("data").key(key), _REDACTED, why)


def service_cidr(data: Object) -> Causes:
    """Check a ServiceCIDR."""
    yield from metadata(data, namespaced=False, rule=names.dns_subdomain)
    cidrs, at = list(texts(obj(data, "spec"), "cidrs")), SPEC.child("cidrs")
    if not cidrs:
        yield required(at, "at least one CIDR required")
    if len(cidrs) > 2:
        yield invalid(at, cidrs, "may only hold up to 2 values")
    for index, value in enumerate(cidrs):
        yield from invalids(at.index(index), value, addresses.cidr(value))


def namespaced(data: Object) -> Causes:
    """Check the metadata of a kind of which nothing else is checked."""
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)


def cluster_scoped(data: Object) -> Causes:
    """Check the metadata of a kind without a namespace of which nothing else is checked."""
    yield from metadata(data, namespaced=False, rule=names.dns_subdomain)


def free_namespaced(data: Object) -> Causes:
    """Check a Role or RoleBinding, whose names are free."""
    yield from metadata(data, namespaced=True, rule=names.path_segment)


def free_cluster_scoped(data: Object) -> Causes:
    """Check a ClusterRole, an APIService and their like, whose names are free (`system:node`, `v1.`)."""
    yield from metadata(data, namespaced=False, rule=names.path_segment)


def ip_address(data: Object) -> Causes:
    """Check an IPAddress, which is named by the address that it stands for."""
    yield from metadata(data, namespaced=False, rule=addresses.canonical_name)
