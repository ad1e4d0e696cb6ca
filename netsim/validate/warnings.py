"""What the API server accepts with a warning, in its words."""

from __future__ import annotations

from netsim.validate import addresses, names
from netsim.validate.cause import META, ROOT, SPEC, At, Causes, warning
from netsim.validate.fields import Object, has, items, number, obj, strings, text, texts


def service_warnings(spec: Object) -> Causes:
    """Yield the warnings of a Service."""
    ips = list(texts(spec, "clusterIPs")) or [text(spec, "clusterIP")]
    headless = ips == ["None"]
    if headless:
        yield from _headless(spec)
    for index, value in enumerate(ips):
        yield from _ip(value, SPEC.child("clusterIPs").index(index))
    for index, value in enumerate(texts(spec, "externalIPs")):
        yield from _ip(value, SPEC.child("externalIPs").index(index))
    yield from _ip(text(spec, "loadBalancerIP"), SPEC.child("loadBalancerIP"))
    for index, value in enumerate(texts(spec, "loadBalancerSourceRanges")):
        at = SPEC.child("loadBalancerSourceRanges").index(index)
        if said := addresses.canonical_cidr_warning(value.strip(), at.text):
            yield warning(at, said)
    if texts(spec, "externalIPs"):
        said = "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
        yield warning(SPEC.child("externalIPs"), said)
    if text(spec, "type") != "ExternalName" and text(spec, "externalName"):
        said = 'spec.externalName is ignored when spec.type is not "ExternalName"'
        yield warning(SPEC.child("externalName"), said)
    if text(spec, "trafficDistribution") == "PreferClose":
        said = 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
        yield warning(SPEC.child("trafficDistribution"), said)


def _headless(spec: Object) -> Causes:
    if text(spec, "loadBalancerIP"):
        yield warning(SPEC.child("loadBalancerIP"), "spec.loadBalancerIP is ignored for headless services")
    if texts(spec, "externalIPs"):
        yield warning(SPEC.child("externalIPs"), "spec.externalIPs is ignored for headless services")
    if text(spec, "sessionAffinity", "None") != "None":
        yield warning(SPEC.child("sessionAffinity"), "spec.SessionAffinity is ignored for headless services")


def _ip(value: str, at: At) -> Causes:
    if value and value != "None" and (said := addresses.canonical_warning(value, at.text)):
        yield warning(at, said)


def slice_warnings(data: Object) -> Causes:
    """Yield the warnings of an EndpointSlice."""
    if text(data, "addressType") == "FQDN":
        yield warning(ROOT.child("addressType"), "spec.addressType: FQDN endpoints are deprecated")
    for index, endpoint in enumerate(items(data, "endpoints")):
        for place, value in enumerate(texts(endpoint, "addresses")):
            yield from _ip(value, ROOT.child("endpoints").index(index).child("addresses").index(place))


def endpoints_warnings() -> Causes:
    """Yield the warning that every Endpoints object gets."""
    said = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    yield warning(ROOT.child("apiVersion"), said)


def ingress_warnings(data: Object) -> Causes:
    """Yield the warning of a class named by annotation only."""
    key = "kubernetes.io/ingress.class"
    if key in strings(obj(data, "metadata"), "annotations") and not has(obj(data, "spec"), "ingressClassName"):
        said = f"annotation \"{key}\" is deprecated, please use 'spec.ingressClassName' instead"
        yield warning(META.child("annotations").key(key), said)


def pod_name_warning(data: Object) -> Causes:
    """Yield the warning of a pod whose name is no label."""
    name = text(obj(data, "metadata"), "name")
    reasons = names.dns_label(name) if name and not names.dns_subdomain(name) else []
    if reasons:
        why = "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended"
        yield warning(META.child("name"), f"metadata.name: {why}: [{' '.join(reasons)}]")


def port_warnings(spec: Object, at: At) -> Causes:
    """Yield the warnings of container ports that are declared twice or share a name across containers."""
    definitions: dict[tuple[str, int, int, str], str] = {}
    named: dict[str, tuple[int, str]] = {}
    for index, container in enumerate(items(spec, "containers")):
        ports = at.child("containers").index(index).child("ports")
        for place, port in enumerate(items(container, "ports")):
            here = ports.index(place)
            yield from _port_twice(port, here, definitions)
            name = text(port, "name")
            if name and name in named and named[name][0] != index:
                first = named[name][1]
                use = f"services and probes that select ports by name will use {first}"
                yield warning(here, f'{here.text}: duplicate port name "{name}" with {first}, {use}')
            elif name:
                named.setdefault(name, (index, here.text))


def _port_twice(port: Object, here: At, definitions: dict[tuple[str, int, int, str], str]) -> Causes:
    protocol = text(port, "protocol", "TCP")
    key = (protocol, number(port, "containerPort"), number(port, "hostPort"), text(port, "hostIP"))
    if key in definitions:
        yield warning(here, f"{here.text}: duplicate port definition with {definitions[key]}")
    else:
        definitions[key] = here.text
