"""Service: field validation as kube-apiserver v1.36 does it, after its defaulting. Allocation is in allocation.py."""

from __future__ import annotations

from typing import Any

from netsim.validate import addresses, names
from netsim.validate.cause import (
    META,
    SPEC,
    At,
    Causes,
    duplicate,
    forbidden,
    invalid,
    invalids,
    not_supported,
    required,
)
from netsim.validate.fields import Object, has, int_or_text, items, number, obj, strings, text, texts
from netsim.validate.labels import labels
from netsim.validate.meta import metadata
from netsim.validate.warnings import service_warnings

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_AFFINITIES = ("ClientIP", "None")
_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_MAX_AFFINITY_SECONDS = 86400
_HINTS = "service.kubernetes.io/topology-aware-hints"
_MODE = "service.kubernetes.io/topology-mode"


def service(data: Object) -> Causes:
    """Check a Service; `allocation.py` has looked at ClusterIPs and families before."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_label)
    yield from _topology_annotations(data)
    yield from _by_type(spec)
    yield from _ports(spec)
    yield from labels(strings(spec, "selector"), SPEC.child("selector"))
    yield from _affinity(spec)
    yield from _external_ips(spec)
    if service_type(spec) not in TYPES:
        yield not_supported(SPEC.child("type"), service_type(spec), TYPES)
    yield from _source_ranges(data)
    yield from _load_balancer(spec)
    yield from _external_policy(spec)
    yield from _policies(spec)
    yield from service_warnings(spec)


def service_type(spec: Object) -> str:
    """Return the type, ClusterIP by default."""
    return text(spec, "type", "ClusterIP")


def cluster_ips(spec: Object) -> list[str]:
    """Return clusterIPs as the server sees them: clusterIP alone stands for a list of one."""
    listed = list(texts(spec, "clusterIPs"))
    single = text(spec, "clusterIP")
    return [single] if single and not listed else listed


def is_headless(spec: Object) -> bool:
    """Return whether the only ClusterIP is `None`."""
    return cluster_ips(spec) == ["None"]


def externally_accessible(spec: Object) -> bool:
    """Return whether traffic from outside may arrive: NodePort, LoadBalancer, or ClusterIP with external IPs."""
    kind = service_type(spec)
    return kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(texts(spec, "externalIPs")))


def external_policy(spec: Object) -> str:
    """Return externalTrafficPolicy after defaulting."""
    return text(spec, "externalTrafficPolicy", "Cluster" if externally_accessible(spec) else "")


def needs_health_check(spec: Object) -> bool:
    """Return whether the Service has a healthCheckNodePort."""
    return service_type(spec) == "LoadBalancer" and external_policy(spec) == "Local"


def _topology_annotations(data: Object) -> Causes:
    found = strings(obj(data, "metadata"), "annotations")
    if _HINTS in found and _MODE in found and found[_HINTS] != found[_MODE]:
        why = f"must match annotations[{_HINTS}] when both are specified"
        yield invalid(META.child("annotations").key(_MODE), found[_MODE], why)


def _by_type(spec: Object) -> Causes:
    kind = service_type(spec)
    if not items(spec, "ports") and not is_headless(spec) and kind != "ExternalName":
        yield required(SPEC.child("ports"))
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        place = _first_cluster_ip(spec)
        yield invalid(place, "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        yield from _external_name(spec)


def _first_cluster_ip(spec: Object) -> At:
    """Return the place of the first ClusterIP: `spec.clusterIPs[0]`, written perhaps as `clusterIP`."""
    listed = SPEC.child("clusterIPs").index(0)
    return listed if texts(spec, "clusterIPs") else At(("spec", "clusterIP"), listed.text)


def _external_name(spec: Object) -> Causes:
    listed = SPEC.child("clusterIPs")
    if cluster_ips(spec):
        place = listed if texts(spec, "clusterIPs") else At(("spec", "clusterIP"), listed.text)
        yield forbidden(place, "may not be set for ExternalName services")
    for name, there in (("ipFamilies", texts(spec, "ipFamilies")), ("ipFamilyPolicy", has(spec, "ipFamilyPolicy"))):
        if there:
            yield forbidden(SPEC.child(name), "may not be set for ExternalName services")
    target = text(spec, "externalName").removesuffix(".")
    if target:
        yield from invalids(SPEC.child("externalName"), target, names.dns_subdomain(target))
    else:
        yield required(SPEC.child("externalName"))


def _ports(spec: Object) -> Causes:
    ports = items(spec, "ports")
    seen_names: set[str] = set()
    for index, found in enumerate(ports):
        yield from _port(found, SPEC.child("ports").index(index), seen_names, named=len(ports) > 1)
    if service_type(spec) == "ClusterIP":
        for index, found in enumerate(ports):
            if number(found, "nodePort"):
                place = SPEC.child("ports").index(index).child("nodePort")
                yield forbidden(place, "may not be used when `type` is 'ClusterIP'")
    yield from _duplicate_ports(ports)


def _port(found: Object, at: At, seen: set[str], *, named: bool) -> Causes:
    name = text(found, "name")
    if name:
        yield from invalids(at.child("name"), name, names.dns_label(name))
        if name in seen:
            yield duplicate(at.child("name"), name)
        seen.add(name)
    elif named:
        yield required(at.child("name"))
    yield from invalids(at.child("port"), number(found, "port"), names.port_number(number(found, "port")))
    protocol = text(found, "protocol", "TCP")
    if protocol not in PROTOCOLS:
        yield not_supported(at.child("protocol"), protocol, PROTOCOLS)
    # 0 and "" mean: the same as port.
    target = int_or_text(found, "targetPort") or number(found, "port")
    if int_or_text(found, "targetPort"):
        yield from invalids(at.child("targetPort"), target, names.port(target))
    elif names.port(target):
        # The port's own mistake shows a second time in the targetPort that is made from it.
        yield from invalids(At((*at.parts, "port"), f"{at.text}.targetPort"), target, names.port(target))
    if has(found, "appProtocol"):
        protocol = text(found, "appProtocol")
        yield from invalids(at.child("appProtocol"), protocol, names.qualified_name(protocol))


def _duplicate_ports(ports: Any) -> Causes:
    node_ports: set[tuple[str, int]] = set()
    service_ports: set[tuple[str, int]] = set()
    for index, found in enumerate(ports):
        at = SPEC.child("ports").index(index)
        protocol, node_port, port = text(found, "protocol", "TCP"), number(found, "nodePort"), number(found, "port")
        if node_port and (protocol, node_port) in node_ports:
            yield duplicate(at.child("nodePort"), node_port)
        node_ports.add((protocol, node_port))
        if (protocol, port) in service_ports:
            yield _duplicate_port(at, protocol, port)
        service_ports.add((protocol, port))


def _duplicate_port(at: At, protocol: str, port: int) -> Any:
    """Return the cause with the server's internal ServicePort, of which only the key's fields are set."""
    from netsim.validate.cause import Cause

    shown = f'"Name":"","Protocol":"{protocol}","AppProtocol":null,"Port":{port},"TargetPort":0,"NodePort":0'
    return Cause(at, f"Duplicate value: {{{shown}}}", "FieldValueDuplicate")


def _affinity(spec: Object) -> Causes:
    affinity = text(spec, "sessionAffinity", "None")
    if affinity not in _AFFINITIES:
        yield not_supported(SPEC.child("sessionAffinity"), affinity, _AFFINITIES)
    client = obj(obj(spec, "sessionAffinityConfig"), "clientIP")
    if affinity == "ClientIP" and has(client, "timeoutSeconds"):
        seconds = number(client, "timeoutSeconds")
        if not 0 < seconds <= _MAX_AFFINITY_SECONDS:
            place = SPEC.child("sessionAffinityConfig", "clientIP", "timeoutSeconds")
            yield invalid(place, seconds, f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}")


def _external_ips(spec: Object) -> Causes:
    for index, value in enumerate(texts(spec, "externalIPs")):
        at = SPEC.child("externalIPs").index(index)
        reasons = addresses.ip(value)
        yield from invalids(at, value, reasons or addresses.non_special(value))


def _source_ranges(data: Object) -> Causes:
    spec = obj(data, "spec")
    is_load_balancer = service_type(spec) == "LoadBalancer"
    ranges = texts(spec, "loadBalancerSourceRanges")
    annotation = strings(obj(data, "metadata"), "annotations").get(SOURCE_RANGES)
    if ranges:
        at = SPEC.child("loadBalancerSourceRanges", spelled="LoadBalancerSourceRanges")
        if not is_load_balancer:
            yield forbidden(at, "may only be used when `type` is 'LoadBalancer'")
        for index, value in enumerate(ranges):
            yield from invalids(at.index(index), value.strip(), addresses.cidr(value.strip()))
    elif annotation is not None:
        at = META.child("annotations").key(SOURCE_RANGES)
        if not is_load_balancer:
            yield forbidden(at, "may only be used when `type` is 'LoadBalancer'")
        for value in annotation.strip().split(",") if annotation.strip() else ():
            yield from invalids(at, value.strip(), addresses.cidr(value.strip()))


def _load_balancer(spec: Object) -> Causes:
    is_load_balancer = service_type(spec) == "LoadBalancer"
    if has(spec, "allocateLoadBalancerNodePorts") and not is_load_balancer:
        place = SPEC.child("allocateLoadBalancerNodePorts")
        yield forbidden(place, "may only be used when `type` is 'LoadBalancer'")
    if has(spec, "loadBalancerClass"):
        name, place = text(spec, "loadBalancerClass"), SPEC.child("loadBalancerClass")
        if is_load_balancer:
            yield from invalids(place, name, names.qualified_name(name))
        else:
            yield forbidden(place, "may only be used when `type` is 'LoadBalancer'")


def _external_policy(spec: Object) -> Causes:
    policy, place = external_policy(spec), SPEC.child("externalTrafficPolicy")
    if not externally_accessible(spec):
        if policy:
            yield invalid(place, policy, "may only be set for externally-accessible services")
    elif policy not in _POLICIES:
        yield not_supported(place, policy, _POLICIES)
    port, place = number(spec, "healthCheckNodePort"), SPEC.child("healthCheckNodePort")
    if not port:
        return
    if needs_health_check(spec):
        yield from invalids(place, port, names.port_number(port))
    else:
        yield invalid(
            place, port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )


def _policies(spec: Object) -> Causes:
    policy = text(spec, "internalTrafficPolicy", "Cluster")
    if policy not in _POLICIES and service_type(spec) != "ExternalName":
        yield not_supported(SPEC.child("internalTrafficPolicy"), policy, _POLICIES)
    if has(spec, "trafficDistribution"):
        wanted = text(spec, "trafficDistribution")
        if wanted not in _DISTRIBUTIONS:
            yield not_supported(SPEC.child("trafficDistribution"), wanted, _DISTRIBUTIONS)
