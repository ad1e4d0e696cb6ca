"""Gateway API v1.4: what its CustomResourceDefinitions refuse of Gateways and policies (CEL rules, patterns, bounds).

Source: sigs.k8s.io/gateway-api apis/v1, the kubebuilder markers of gateway_types.go, shared_types.go and
backendtlspolicy_types.go; the words are those of the API server for a CustomResourceDefinition.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from netsim.manifests.goformat import go_json, go_quote
from netsim.validate import names
from netsim.validate.cause import SPEC, At, Cause, Causes, not_supported
from netsim.validate.fields import Object, has, items, number, obj, text, texts
from netsim.validate.meta import metadata

PRECISE_HOST: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
HOST: Final = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
SECTION: Final = PRECISE_HOST
PROTOCOL: Final = (
    r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    r"(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$"
)
_WITHOUT_TLS: Final = ("HTTP", "TCP", "UDP")


def rule(at: At, holds: bool, message: str, value: Any = None) -> Causes:
    """Yield the cause of a CEL rule that does not hold: `Invalid value: "object": message` (or the value itself)."""
    if not holds:
        shown = '"object"' if value is None else go_quote(value) if isinstance(value, str) else go_json(value)
        yield Cause(at, f"Invalid value: {shown}: {message}", "FieldValueInvalid")


def pattern(at: At, value: str, wanted: str) -> Causes:
    """Yield the cause of a text that does not match its schema's pattern."""
    if not re.search(wanted, value):
        message = f"Invalid value: {go_quote(value)}: {at.text} in body should match '{wanted}'"
        yield Cause(at, message, "FieldValueInvalid")


def bounds(at: At, data: Object, name: str, least: int, most: int) -> Causes:
    """Yield the cause of a number outside its schema's bounds."""
    if not has(data, name):
        return
    value, place = number(data, name), at.child(name)
    if value < least:
        told = f"greater than or equal to {least}"
    elif value > most:
        told = f"less than or equal to {most}"
    else:
        return
    yield Cause(place, f"Invalid value: {value}: {place.text} in body should be {told}", "FieldValueInvalid")


def one_of(at: At, data: Object, name: str, allowed: Sequence[str]) -> Causes:
    """Yield the cause of a text that its schema's enum does not list."""
    value = data.get(name)
    if isinstance(value, str) and value not in allowed:
        yield not_supported(at.child(name), value, allowed)


def host(at: At, data: Object, name: str, wanted: str = HOST) -> Causes:
    """Yield the cause of a hostname that is none."""
    if has(data, name):
        yield from pattern(at.child(name), text(data, name), wanted)


def unique(values: Iterable[object]) -> bool:
    """Whether no value occurs twice."""
    return all(count == 1 for count in Counter(values).values())


def gateway_class(data: Object) -> Causes:
    """Check a GatewayClass."""
    yield from metadata(data, namespaced=False, rule=names.dns_subdomain, custom=True)
    name = text(obj(data, "spec"), "controllerName")
    wanted = PRECISE_HOST.removesuffix("$") + r"\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"
    yield from pattern(SPEC.child("controllerName"), name, wanted)


def gateway(data: Object) -> Causes:
    """Check a Gateway."""
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain, custom=True)
    listeners = items(obj(data, "spec"), "listeners")
    for index, listener in enumerate(listeners):
        yield from _listener(listener, SPEC.child("listeners").index(index))
    yield from _listeners(listeners, SPEC.child("listeners"))


def _listener(listener: Object, at: At) -> Causes:
    yield from pattern(at.child("name"), text(listener, "name"), SECTION)
    yield from host(at, listener, "hostname")
    yield from bounds(at, listener, "port", 1, 65535)
    yield from pattern(at.child("protocol"), text(listener, "protocol"), PROTOCOL)
    tls = obj(listener, "tls")
    if has(listener, "tls"):
        yield from one_of(at.child("tls"), tls, "mode", ("Terminate", "Passthrough"))
        terminates = text(tls, "mode", "Terminate") == "Terminate"
        given = bool(items(tls, "certificateRefs")) or bool(obj(tls, "options"))
        message = "certificateRefs or options must be specified when mode is Terminate"
        yield from rule(at.child("tls"), not terminates or given, message)
    allowed = obj(listener, "allowedRoutes")
    yield from one_of(
        at.child("allowedRoutes", "namespaces"), obj(allowed, "namespaces"), "from", ("All", "Selector", "Same")
    )


def _listeners(listeners: Sequence[Object], at: At) -> Causes:
    """The rules of the whole list, in the order of the markers."""
    shown: list[Object] = list(listeners)
    protocols = [(text(one, "protocol"), one) for one in shown]
    no_tls = all(not has(one, "tls") for protocol, one in protocols if protocol in _WITHOUT_TLS)
    yield from _list_rule(at, no_tls, "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']")
    modes = [(protocol, text(obj(one, "tls"), "mode"), has(one, "tls")) for protocol, one in protocols]
    https = all(mode in ("", "Terminate") for protocol, mode, _ in modes if protocol == "HTTPS")
    yield from _list_rule(at, https, "tls mode must be Terminate for protocol HTTPS")
    tls = all(given for protocol, _, given in modes if protocol == "TLS")
    yield from _list_rule(at, tls, "tls mode must be set for protocol TLS")
    hosts = all(not text(one, "hostname") for protocol, one in protocols if protocol in ("TCP", "UDP"))
    yield from _list_rule(at, hosts, "hostname must not be specified for protocols ['TCP', 'UDP']")
    yield from _list_rule(
        at, unique(text(one, "name") for one in shown), "Listener name must be unique within the Gateway"
    )
    keys = ((number(one, "port"), text(one, "protocol"), text(one, "hostname")) for one in shown)
    message = "Combination of port, protocol and hostname must be unique for each listener"
    yield from _list_rule(at, unique(keys), message)


def _list_rule(at: At, holds: bool, message: str) -> Causes:
    if not holds:
        yield Cause(at, f'Invalid value: "array": {message}', "FieldValueInvalid")


def parent_refs(spec: Object) -> Causes:
    """Check a route's parentRefs: several references to one parent need distinct section names."""
    at = SPEC.child("parentRefs")
    parents = items(spec, "parentRefs")
    groups: dict[tuple[str, str, str, str], list[tuple[str, int]]] = {}
    for index, ref in enumerate(parents):
        yield from bounds(at.index(index), ref, "port", 1, 65535)
        key = (text(ref, "group"), text(ref, "kind", "Gateway"), text(ref, "namespace"), text(ref, "name"))
        groups.setdefault(key, []).append((text(ref, "sectionName"), number(ref, "port")))
    several = [places for places in groups.values() if len(places) > 1]
    suffix = "when parentRefs includes 2 or more references to the same parent"
    named = all(section or port for places in several for section, port in places)
    yield from _list_rule(at, named, f"sectionName or port must be specified {suffix}")
    if named:
        yield from _list_rule(
            at, all(unique(places) for places in several), f"sectionName or port must be unique {suffix}"
        )


def hostnames(spec: Object) -> Causes:
    """Check a route's hostnames."""
    for index, name in enumerate(texts(spec, "hostnames")):
        yield from pattern(SPEC.child("hostnames").index(index), name, HOST)


def backend_tls_policy(data: Object) -> Causes:
    """Check a BackendTLSPolicy."""
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain, custom=True)
    spec = obj(data, "spec")
    validation, at = obj(spec, "validation"), SPEC.child("validation")
    refs, known = bool(items(validation, "caCertificateRefs")), bool(text(validation, "wellKnownCACertificates"))
    message = "must not contain both CACertificateRefs and WellKnownCACertificates"
    yield from rule(at, not (refs and known), message)
    yield from rule(at, refs or known, "must specify either CACertificateRefs or WellKnownCACertificates")
    yield from host(at, validation, "hostname", PRECISE_HOST)
    targets = items(spec, "targetRefs")
    groups: dict[tuple[str, str, str], list[str]] = {}
    for target in targets:
        key = (text(target, "group"), text(target, "kind"), text(target, "name"))
        groups.setdefault(key, []).append(text(target, "sectionName"))
    several = [sections for sections in groups.values() if len(sections) > 1]
    suffix = "when targetRefs includes 2 or more references to the same target"
    named = all(section for sections in several for section in sections)
    yield from _list_rule(SPEC.child("targetRefs"), named, f"sectionName must be specified {suffix}")
    distinct = all(unique(sections) for sections in several)
    yield from _list_rule(SPEC.child("targetRefs"), not named or distinct, f"sectionName must be unique {suffix}")
