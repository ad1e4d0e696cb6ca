"""Ingress, IngressClass and NetworkPolicy."""

from __future__ import annotations

from netsim.validate import addresses, names
from netsim.validate.cause import (
    META,
    SPEC,
    At,
    Causes,
    forbidden,
    invalid,
    invalids,
    not_supported,
    required,
    too_long,
)
from netsim.validate.fields import Object, has, int_or_text, items, number, obj, strings, text, texts
from netsim.validate.labels import selector
from netsim.validate.meta import metadata
from netsim.validate.warnings import ingress_warnings

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")
_SCOPES = ("Cluster", "Namespace")
_MAX_CONTROLLER = 250


def ingress(data: Object) -> Causes:
    """Check a networking.k8s.io/v1 Ingress."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    if not items(spec, "rules") and not has(spec, "defaultBackend"):
        yield invalid(SPEC, None, "either `defaultBackend` or `rules` must be specified")
    if has(spec, "defaultBackend"):
        yield from _backend(obj(spec, "defaultBackend"), SPEC.child("defaultBackend"))
    for index, rule in enumerate(items(spec, "rules")):
        yield from _rule(rule, SPEC.child("rules").index(index))
    for index, tls in enumerate(items(spec, "tls")):
        yield from _tls(tls, SPEC.child("tls").index(index))
    yield from _class(data)
    yield from ingress_warnings(data)


def _class(data: Object) -> Causes:
    spec = obj(data, "spec")
    if not has(spec, "ingressClassName"):
        return
    name = text(spec, "ingressClassName")
    yield from invalids(SPEC.child("ingressClassName"), name, names.dns_subdomain(name))
    annotation = strings(obj(data, "metadata"), "annotations").get(CLASS_ANNOTATION)
    if annotation is not None and annotation != name:
        # The server's path leaves `metadata` out.
        place = At(META.child("annotations").key(CLASS_ANNOTATION).parts, f"annotations.{CLASS_ANNOTATION}")
        yield invalid(place, annotation, "must match `ingressClassName` when both are specified")


def _rule(rule: Object, at: At) -> Causes:
    host = text(rule, "host")
    if host:
        if addresses.parse(host) is not None:
            yield invalid(at.child("host"), host, "must be a DNS name, not an IP address")
        yield from _host(host, at.child("host"))
    if has(rule, "http"):
        paths = items(obj(rule, "http"), "paths")
        place = at.child("http", "paths")
        if not paths:
            yield required(place)
        for index, path in enumerate(paths):
            yield from _path(path, place.index(index))


def _host(host: str, at: At) -> Causes:
    yield from invalids(at, host, names.wildcard_subdomain(host) if "*" in host else names.dns_subdomain(host))


def _path(found: Object, at: At) -> Causes:
    kind, path, place = text(found, "pathType"), text(found, "path"), at.child("path")
    if not has(found, "pathType"):
        yield required(at.child("pathType"), "pathType must be specified")
        return
    match kind:
        case "Exact" | "Prefix":
            if not path.startswith("/"):
                yield invalid(place, path, "must be an absolute path")
            yield from invalids(place, path, [f"must not contain '{part}'" for part in _BAD_PARTS if part in path])
            yield from invalids(place, path, [f"cannot end with '{end}'" for end in _BAD_ENDS if path.endswith(end)])
        case "ImplementationSpecific":
            if path and not path.startswith("/"):
                yield invalid(place, path, "must be an absolute path")
        case _:
            yield not_supported(at.child("pathType"), kind, _PATH_TYPES)
    yield from _backend(obj(found, "backend"), at.child("backend"))


def _backend(found: Object, at: At) -> Causes:
    if has(found, "resource") and has(found, "service"):
        yield invalid(at, "", "cannot set both resource and service backends")
    elif has(found, "resource"):
        yield from _reference(obj(found, "resource"), at.child("resource"))
    elif has(found, "service"):
        yield from _service(obj(found, "service"), at)
    else:
        yield invalid(at, "", "resource or service backend is required")


def _service(found: Object, at: At) -> Causes:
    name, place = text(found, "name"), at.child("service")
    if name:
        yield from invalids(place.child("name"), name, names.dns_label(name))
    else:
        yield required(place.child("name"))
    port = obj(found, "port")
    port_name, port_number = text(port, "name"), number(port, "number")
    if port_name and port_number:
        yield invalid(at, "", "cannot set both port name & port number")
    elif port_name:
        yield from invalids(place.child("port", "name"), port_name, names.port_name(port_name))
    elif port_number:
        yield from invalids(place.child("port", "number"), port_number, names.port_number(port_number))
    else:
        yield required(at, "port name or number is required")


def _reference(found: Object, at: At) -> Causes:
    if has(found, "apiGroup"):
        group = text(found, "apiGroup")
        yield from invalids(at.child("apiGroup"), group, names.dns_subdomain(group))
    for field in ("kind", "name"):
        value = text(found, field)
        if value:
            yield from invalids(at.child(field), value, names.path_segment(value))
        else:
            yield required(at.child(field), f"{field} is required")


def _tls(found: Object, at: At) -> Causes:
    for index, host in enumerate(texts(found, "hosts")):
        yield from _host(host, at.child("hosts").index(index))
    if name := text(found, "secretName"):
        yield from invalids(at.child("secretName"), name, names.dns_subdomain(name))


def ingress_class(data: Object) -> Causes:
    """Check an IngressClass; a namespace on it is ignored."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=False, rule=names.dns_subdomain)
    controller, at = text(spec, "controller"), SPEC.child("controller")
    if controller:
        if len(controller.encode()) > _MAX_CONTROLLER:
            yield too_long(at, _MAX_CONTROLLER)
        yield from _controller(controller, at)
    else:
        yield required(at)
    if has(spec, "parameters"):
        yield from _parameters(obj(spec, "parameters"), SPEC.child("parameters"))


def _controller(controller: str, at: At) -> Causes:
    host, _, path = controller.partition("/")
    if not host or not path:
        yield invalid(at, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    # The server quotes the part that is wrong, not the whole.
    yield from invalids(at, host, names.dns_subdomain(host))
    yield from invalids(at, path, names.http_path(path))


def _parameters(found: Object, at: At) -> Causes:
    yield from _reference(found, at)
    scope = text(found, "scope", "Cluster")
    namespace, place = text(found, "namespace"), at.child("namespace")
    if scope not in _SCOPES:
        yield not_supported(at.child("scope"), scope, _SCOPES)
    elif scope == "Namespace":
        if has(found, "namespace"):
            yield from invalids(place, namespace, names.dns_label(namespace))
        else:
            yield required(place, "`parameters.scope` is set to 'Namespace'")
    elif has(found, "namespace"):
        yield forbidden(place, "`parameters.scope` is set to 'Cluster'")


def network_policy(data: Object) -> Causes:
    """Check a NetworkPolicy."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    yield from selector(spec, "podSelector", SPEC)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(items(spec, direction)):
            at = SPEC.child(direction).index(index)
            for place, port in enumerate(items(rule, "ports")):
                yield from _policy_port(port, at.child("ports").index(place))
            for place, peer in enumerate(items(rule, peers)):
                yield from _peer(peer, at.child(peers).index(place))
    types, at = list(texts(spec, "policyTypes")), SPEC.child("policyTypes")
    if len(types) > 2:
        yield invalid(at, types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            yield not_supported(at.index(index), kind, ("Ingress", "Egress"))


def _policy_port(found: Object, at: At) -> Causes:
    protocols = ("TCP", "UDP", "SCTP")
    if has(found, "protocol") and text(found, "protocol") not in protocols:
        yield not_supported(at.child("protocol"), text(found, "protocol"), protocols)
    port, end = int_or_text(found, "port"), number(found, "endPort")
    place = at.child("endPort")
    if port is not None:
        yield from invalids(at.child("port"), port, names.port(port))
    if not has(found, "endPort"):
        return
    if port is None:
        yield invalid(place, end, "may not be specified when `port` is not specified")
    elif isinstance(port, str):
        yield invalid(place, end, "may not be specified when `port` is non-numeric")
    else:
        if end < port:
            yield invalid(place, end, "must be greater than or equal to `port`")
        yield from invalids(place, end, names.port_number(end))


def _peer(found: Object, at: At) -> Causes:
    there = [field for field in ("podSelector", "namespaceSelector", "ipBlock") if has(found, field)]
    for field in ("podSelector", "namespaceSelector"):
        yield from selector(found, field, at)
    if "ipBlock" in there:
        yield from _ip_block(obj(found, "ipBlock"), at.child("ipBlock"))
    if not there:
        yield required(at, "must specify a peer")
    elif len(there) > 1 and "ipBlock" in there:
        yield forbidden(at, "may not specify both ipBlock and another peer")


def _ip_block(found: Object, at: At) -> Causes:
    value, place = text(found, "cidr"), at.child("cidr")
    if not value:
        yield required(place)
        return
    yield from invalids(place, value, addresses.cidr(value))
    network = addresses.parse_cidr(value)
    if network is None:
        return
    for index, excepted in enumerate(texts(found, "except")):
        here = at.child("except").index(index)
        yield from invalids(here, excepted, addresses.cidr(excepted))
        inner = addresses.parse_cidr(excepted)
        if inner is None:
            continue
        within = inner.version == network.version and inner.network_address in network
        if not within or inner.prefixlen <= network.prefixlen:
            yield invalid(here, excepted, "must be a strict subset of `cidr`")
