"""Pods and pod templates."""

from __future__ import annotations

from typing import Any

from netsim.validate import addresses, names
from netsim.validate.affinity import affinity, spread_constraints
from netsim.validate.cause import SPEC, At, Causes, duplicate, forbidden, invalid, invalids, not_supported, required
from netsim.validate.containers import containers, init_containers, only_for_pods
from netsim.validate.fields import Object, flag, has, items, number, obj, strings, text, texts
from netsim.validate.labels import check_annotations, labels
from netsim.validate.meta import metadata
from netsim.validate.security import security
from netsim.validate.volumes import volumes
from netsim.validate.warnings import pod_name_warning, port_warnings

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_MAX_SECONDS = 2**31 - 1


def pod(data: Object) -> Causes:
    """Check a Pod."""
    spec = with_host_ports(obj(data, "spec"))
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    yield from pod_spec(spec, SPEC, is_pod=True)
    yield from only_for_pods(spec, SPEC)
    yield from _only_at_creation(data)
    yield from pod_name_warning(data)
    yield from port_warnings(spec, SPEC)


def _only_at_creation(data: Object) -> Causes:
    """Check what a pod may only get later; one that an API server has stored may have got it."""
    spec = obj(data, "spec")
    if text(obj(data, "metadata"), "uid"):
        return
    if items(spec, "ephemeralContainers"):
        yield forbidden(SPEC.child("ephemeralContainers"), "cannot be set on create")
    if items(spec, "schedulingGates") and text(spec, "nodeName"):
        yield forbidden(SPEC.child("nodeName"), "cannot be set until all schedulingGates have been cleared")


def template(found: Object, at: At) -> Causes:
    """Check a pod template; its metadata's errors leave `metadata` out of the path, as the server does."""
    meta = obj(found, "metadata")
    for field, check in (("labels", labels), ("annotations", check_annotations)):
        place = At((*at.parts, "metadata", field), f"{at.text}.{field}")
        yield from check(strings(meta, field), place)
    yield from pod_spec(obj(found, "spec"), at.child("spec"), is_pod=False)
    if items(obj(found, "spec"), "ephemeralContainers"):
        yield forbidden(at.child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template")


def with_host_ports(spec: Object) -> Object:
    """Return a pod's spec with the host ports that hostNetwork implies (in pods, not in templates)."""
    if not flag(spec, "hostNetwork"):
        return spec
    changed: dict[str, Any] = dict(spec)
    for field in ("containers", "initContainers"):
        if items(spec, field):
            changed[field] = [_with_host_ports(container) for container in items(spec, field)]
    return changed


def _with_host_ports(container: Object) -> Object:
    ports = items(container, "ports")
    filled = [
        port if number(port, "hostPort") else {**port, "hostPort": number(port, "containerPort")} for port in ports
    ]
    return {**container, "ports": filled} if ports else container


def pod_spec(spec: Object, at: At, *, is_pod: bool) -> Causes:
    """Check a pod spec, in a Pod or in a template."""
    by_name = {text(volume, "name"): volume for volume in items(spec, "volumes")}
    yield from volumes(spec, at)
    yield from containers(spec, by_name, at)
    yield from init_containers(spec, by_name, at)
    yield from _host_network(spec, at, is_pod=is_pod)
    yield from _policies(spec, at)
    yield from labels(strings(spec, "nodeSelector"), at.child("nodeSelector"))
    yield from affinity(obj(spec, "affinity"), at.child("affinity"))
    yield from _dns(spec, at.child("dnsConfig"))
    yield from security(spec, at)
    yield from _gates(spec, at)
    yield from spread_constraints(spec, at.child("topologySpreadConstraints"))
    yield from _names(spec, at)
    yield from _hostname_override(spec, at)
    yield from tolerations(spec, at.child("tolerations"))
    yield from _host_aliases(spec, at.child("hostAliases"))


def _host_network(spec: Object, at: At, *, is_pod: bool) -> Causes:
    if not flag(spec, "hostNetwork"):
        return
    for index, container in enumerate(items(spec, "containers")):
        for place, port in enumerate(items(container, "ports")):
            outside, inside = number(port, "hostPort"), number(port, "containerPort")
            if (is_pod or outside) and outside != inside:
                here = at.child("containers").index(index).child("ports").index(place).child("hostPort")
                yield invalid(here, outside, "must match `containerPort` when `hostNetwork` is true")


def _policies(spec: Object, at: At) -> Causes:
    restart = text(spec, "restartPolicy", "Always")
    if restart not in RESTART_POLICIES:
        yield not_supported(at.child("restartPolicy"), restart, RESTART_POLICIES)
    dns = text(spec, "dnsPolicy", "ClusterFirst")
    if dns not in _DNS_POLICIES:
        yield not_supported(at.child("dnsPolicy"), dns, _DNS_POLICIES)
    if has(spec, "activeDeadlineSeconds"):
        seconds = number(spec, "activeDeadlineSeconds")
        if not 1 <= seconds <= _MAX_SECONDS:
            yield invalid(
                at.child("activeDeadlineSeconds"), seconds, f"must be between 1 and {_MAX_SECONDS}, inclusive"
            )


def _dns(spec: Object, at: At) -> Causes:
    config = obj(spec, "dnsConfig")
    servers, searches = list(texts(config, "nameservers")), list(texts(config, "searches"))
    if text(spec, "dnsPolicy") == "None":
        if not has(spec, "dnsConfig"):
            yield required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not servers:
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(at.child("nameservers"), why)
            return
    if len(servers) > 3:
        yield invalid(at.child("nameservers"), servers, "must not have more than 3 nameservers")
    for index, server in enumerate(servers):
        yield from invalids(at.child("nameservers").index(index), server, addresses.ip(server))
    yield from _searches(searches, at.child("searches"))
    for index, option in enumerate(items(config, "options")):
        if not text(option, "name"):
            yield required(at.child("options").index(index), "must not be empty")


def _searches(found: list[str], at: At) -> Causes:
    if len(found) > 32:
        yield invalid(at, found, "must not have more than 32 search paths")
    if len(" ".join(found)) > 2048:
        yield invalid(at, found, "must not have more than 2048 characters (including spaces) in the search list")
    for index, search in enumerate(found):
        yield from invalids(at.index(index), search.removesuffix("."), names.search_domain(search))


def _gates(spec: Object, at: At) -> Causes:
    for index, gate in enumerate(items(spec, "readinessGates")):
        kind = text(gate, "conditionType")
        place = at.child("readinessGates").index(index).child("conditionType")
        yield from invalids(place, kind, names.qualified_name(kind))
    seen: set[str] = set()
    for index, gate in enumerate(items(spec, "schedulingGates")):
        name, place = text(gate, "name"), at.child("schedulingGates").index(index)
        yield from invalids(place, name, names.qualified_name(name))
        if name in seen:
            yield duplicate(place, name)
        seen.add(name)


def _names(spec: Object, at: At) -> Causes:
    rules = (
        ("serviceAccountName", names.dns_subdomain),
        ("nodeName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
        ("priorityClassName", names.dns_subdomain),
        ("runtimeClassName", names.dns_subdomain),
    )
    for field, rule in rules:
        if name := text(spec, field):
            yield from invalids(at.child(field), name, rule(name))


def _hostname_override(spec: Object, at: At) -> Causes:
    place, name = at.child("hostnameOverride"), text(spec, "hostnameOverride")
    if not has(spec, "hostnameOverride"):
        return
    for field in ("setHostnameAsFQDN", "hostNetwork"):
        if flag(spec, field):
            yield forbidden(place, f"may not be specified when {field} is true")
    if len(name) > 64:
        yield invalid(place, name, "must be no more than 64 characters")
    yield from invalids(place, name, names.dns_subdomain(name))


def tolerations(spec: Object, at: At) -> Causes:
    """Check the tolerations of a pod spec."""
    for index, found in enumerate(items(spec, "tolerations")):
        place = at.index(index)
        key, operator, value = text(found, "key"), text(found, "operator"), text(found, "value")
        effect = text(found, "effect")
        if key:
            yield from invalids(place.child("key"), key, names.qualified_name(key))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid(place.child("operator"), operator, why)
        if has(found, "tolerationSeconds") and effect != "NoExecute":
            yield invalid(place.child("effect"), effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        yield from _toleration_value(operator, value, place.child("operator"))
        if effect and effect not in _EFFECTS:
            yield not_supported(place.child("effect"), effect, _EFFECTS)


def _toleration_value(operator: str, value: str, at: At) -> Causes:
    match operator:
        case "Equal" | "":
            if reasons := names.label_value(value):
                yield invalid(at, value, ";".join(reasons))
        case "Exists":
            if value:
                yield invalid(at, value, "value must be empty when `operator` is 'Exists'")
        case _:
            yield not_supported(at, operator, ("Equal", "Exists"))


def _host_aliases(spec: Object, at: At) -> Causes:
    for index, alias in enumerate(items(spec, "hostAliases")):
        place, value = at.index(index), text(alias, "ip")
        yield from invalids(place.child("ip"), value, addresses.ip(value))
        for position, name in enumerate(texts(alias, "hostnames")):
            yield from invalids(place.child("hostnames").index(position), name, names.dns_subdomain(name))
