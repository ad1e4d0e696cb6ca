"""Gateway API v1.4: what its CustomResourceDefinitions refuse of routes.

Source: sigs.k8s.io/gateway-api apis/v1, the kubebuilder markers of httproute_types.go and grpcroute_types.go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from netsim.validate import names
from netsim.validate.cause import SPEC, At, Cause, Causes
from netsim.validate.fields import Object, has, items, number, obj, text
from netsim.validate.gateway import PRECISE_HOST, bounds, host, hostnames, one_of, parent_refs, pattern, rule
from netsim.validate.meta import metadata

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_PATH_TYPES: Final = ("Exact", "PathPrefix", "RegularExpression")
_HEADER: Final = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"
_PATH_CHARACTERS: Final = r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"
_TYPED: Final = "when type one of ['Exact', 'PathPrefix']"
_BAD_PARTS: Final = ("//", "/./", "/../", "%2f", "%2F", "#")
_BAD_ENDS: Final = ("/..", "/.")

# Filter types by kind of route: type -> field. Those of the first tuple may stand only once in a list.
_ONCE: Final = {
    "HTTPRoute": ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS"),
    "GRPCRoute": ("RequestHeaderModifier", "ResponseHeaderModifier"),
}
_FIELDS: Final = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "ExtensionRef": "extensionRef",
}
_TYPES: Final = {
    "HTTPRoute": tuple(_FIELDS),
    "GRPCRoute": ("ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"),
}


def http_route(data: Object) -> Causes:
    """Check an HTTPRoute."""
    yield from _common(data)
    rules = items(obj(data, "spec"), "rules")
    for index, one in enumerate(rules):
        at = SPEC.child("rules").index(index)
        for number_, match in enumerate(items(one, "matches")):
            yield from _match(match, at.child("matches").index(number_))
        yield from _rule(one, at, "HTTPRoute")
        yield from _http_rule(one, at)
    yield from _names(rules)
    total = sum(len(items(one, "matches")) or 1 for one in rules)
    message = (
        "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route "
        "must be less than 128"
    )
    if total > 128:
        yield Cause(SPEC.child("rules"), f'Invalid value: "array": {message}', "FieldValueInvalid")


def grpc_route(data: Object) -> Causes:
    """Check a GRPCRoute."""
    yield from _common(data)
    rules = items(obj(data, "spec"), "rules")
    for index, one in enumerate(rules):
        at = SPEC.child("rules").index(index)
        for number_, match in enumerate(items(one, "matches")):
            yield from _grpc_match(match, at.child("matches").index(number_))
        yield from _rule(one, at, "GRPCRoute")
    yield from _names(rules)


def stream_route(data: Object) -> Causes:
    """Check a TLSRoute, TCPRoute or UDPRoute."""
    yield from _common(data)
    for index, one in enumerate(items(obj(data, "spec"), "rules")):
        yield from _backends(one, SPEC.child("rules").index(index), "")


def _common(data: Object) -> Causes:
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain, custom=True)
    yield from parent_refs(obj(data, "spec"))
    yield from hostnames(obj(data, "spec"))


def _names(rules: Sequence[Object]) -> Causes:
    named = [text(one, "name") for one in rules if text(one, "name")]
    if len(named) != len(set(named)):
        message = 'Invalid value: "array": Rule name must be unique within the route'
        yield Cause(SPEC.child("rules"), message, "FieldValueInvalid")


def _rule(one: Object, at: At, kind: str) -> Causes:
    yield from _filters(items(one, "filters"), at.child("filters"), kind)
    yield from _backends(one, at, kind)


def _backends(one: Object, at: At, kind: str) -> Causes:
    for index, backend in enumerate(items(one, "backendRefs")):
        place = at.child("backendRefs").index(index)
        yield from bounds(place, backend, "weight", 0, 1000000)
        yield from bounds(place, backend, "port", 1, 65535)
        service = not text(backend, "group") and text(backend, "kind", "Service") == "Service"
        yield from rule(place, not service or has(backend, "port"), "Must have port for Service reference")
        if kind:
            yield from _filters(items(backend, "filters"), place.child("filters"), kind)


def _match(match: Object, at: At) -> Causes:
    if has(match, "path"):
        yield from _path(obj(match, "path"), at.child("path"))
    for name in ("headers", "queryParams"):
        for index, one in enumerate(items(match, name)):
            place = at.child(name).index(index)
            yield from one_of(place, one, "type", ("Exact", "RegularExpression"))
            yield from pattern(place.child("name"), text(one, "name"), _HEADER)
    yield from one_of(at, match, "method", METHODS)


def _path(path: Object, at: At) -> Causes:
    """The value of an exact path or prefix is an absolute, normal path; a regular expression is free."""
    kind = text(path, "type", "PathPrefix")
    value = path.get("value", "/")
    yield from one_of(at, path, "type", _PATH_TYPES)
    if kind not in ("Exact", "PathPrefix") or not isinstance(value, str):
        return
    yield from rule(at, value.startswith("/"), f"value must be an absolute path and start with '/' {_TYPED}")
    for part in _BAD_PARTS:
        yield from rule(at, part not in value, f"must not contain '{part}' {_TYPED}")
    for end in _BAD_ENDS:
        yield from rule(at, not value.endswith(end), f"must not end with '{end}' {_TYPED}")
    message = f"must only contain valid characters (matching {_PATH_CHARACTERS}) for types ['Exact', 'PathPrefix']"
    yield from rule(at, re.search(_PATH_CHARACTERS, value) is not None, message)


_SERVICE: Final = r"^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$"
_METHOD: Final = r"^[A-Za-z_][A-Za-z_0-9]*$"


def _grpc_match(match: Object, at: At) -> Causes:
    if has(match, "method"):
        method, place = obj(match, "method"), at.child("method")
        yield from one_of(place, method, "type", ("Exact", "RegularExpression"))
        given = has(method, "service") or has(method, "method")
        yield from rule(place, given, "One or both of 'service' or 'method' must be specified")
        if text(method, "type", "Exact") == "Exact":
            service, name = text(method, "service"), text(method, "method")
            fits = not service or re.search(f"(?i){_SERVICE.replace('(?i)', '')}", service) is not None
            yield from rule(place, fits, f"service must only contain valid characters (matching {_SERVICE})")
            fits = not name or re.search(_METHOD, name) is not None
            yield from rule(place, fits, f"method must only contain valid characters (matching {_METHOD})")
    for index, one in enumerate(items(match, "headers")):
        yield from pattern(at.child("headers").index(index).child("name"), text(one, "name"), _HEADER)


def _filters(filters: Sequence[Object], at: At, kind: str) -> Causes:
    for index, one in enumerate(filters):
        yield from _filter(one, at.index(index), kind)
    types = [text(one, "type") for one in filters]
    if kind == "HTTPRoute":
        message = "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both"
        yield from _list(at, not {"RequestRedirect", "URLRewrite"} <= set(types), message)
    for name in _ONCE[kind]:
        yield from _list(at, types.count(name) <= 1, f"{name} filter cannot be repeated")


def _list(at: At, holds: bool, message: str) -> Causes:
    if not holds:
        yield Cause(at, f'Invalid value: "array": {message}', "FieldValueInvalid")


def _filter(one: Object, at: At, kind: str) -> Causes:
    yield from one_of(at, one, "type", _TYPES[kind])
    kind_given = text(one, "type")
    for name in _TYPES[kind]:
        field = _FIELDS[name]
        if name == kind_given:
            message = f"filter.{field} must be specified for {name} filter.type"
            yield from rule(at, has(one, field), message)
        else:
            message = f"filter.{field} must be nil if the filter.type is not {name}"
            yield from rule(at, not has(one, field), message)
    yield from _mirror(obj(one, "requestMirror"), at.child("requestMirror"))
    redirect, place = obj(one, "requestRedirect"), at.child("requestRedirect")
    yield from one_of(place, redirect, "scheme", ("http", "https"))
    yield from host(place, redirect, "hostname", PRECISE_HOST)
    yield from bounds(place, redirect, "port", 1, 65535)
    yield from _status(redirect, place)
    yield from _modifier(obj(redirect, "path"), place.child("path"))
    rewrite, place = obj(one, "urlRewrite"), at.child("urlRewrite")
    yield from host(place, rewrite, "hostname", PRECISE_HOST)
    yield from _modifier(obj(rewrite, "path"), place.child("path"))


_STATUS: Final = (301, 302, 303, 307, 308)


def _status(redirect: Object, at: At) -> Causes:
    if has(redirect, "statusCode") and number(redirect, "statusCode") not in _STATUS:
        known = ", ".join(f'"{code}"' for code in _STATUS)
        message = f"Unsupported value: {number(redirect, 'statusCode')}: supported values: {known}"
        yield Cause(at.child("statusCode"), message, "FieldValueNotSupported")


def _mirror(mirror: Object, at: At) -> Causes:
    if not mirror:
        return
    message = "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter"
    yield from rule(at, not (has(mirror, "percent") and has(mirror, "fraction")), message)
    yield from bounds(at, mirror, "percent", 0, 100)
    fraction = obj(mirror, "fraction")
    if has(mirror, "fraction"):
        fits = number(fraction, "numerator") <= number(fraction, "denominator", 100)
        yield from rule(at.child("fraction"), fits, "numerator must be less than or equal to denominator")


_MODIFIERS: Final = (("ReplaceFullPath", "replaceFullPath"), ("ReplacePrefixMatch", "replacePrefixMatch"))


def _modifier(modifier: Object, at: At) -> Causes:
    if not modifier:
        return
    kind = text(modifier, "type")
    yield from one_of(at, modifier, "type", ("ReplaceFullPath", "ReplacePrefixMatch"))
    for name, field in _MODIFIERS:
        given = has(modifier, field)
        message = f"{field} must be specified when type is set to '{name}'"
        yield from rule(at, kind != name or given, message)
        yield from rule(at, not given or kind == name, f"type must be '{name}' when {field} is set")


def _http_rule(one: Object, at: At) -> Causes:
    """Rules between a rule's parts: redirects have no backends, a replaced prefix needs one prefix match."""
    filters = items(one, "filters")
    inside = [item for backend in items(one, "backendRefs") for item in items(backend, "filters")]
    redirects = any(has(item, "requestRedirect") for item in filters)
    message = "RequestRedirect filter must not be used together with backendRefs"
    yield from rule(at, not (redirects and items(one, "backendRefs")), message)
    one_prefix = _one_prefix(one)
    suffix = "filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified"
    checks = (
        ("When using RequestRedirect", filters, "requestRedirect"),
        ("When using URLRewrite", filters, "urlRewrite"),
        ("Within backendRefs, when using RequestRedirect", inside, "requestRedirect"),
        ("Within backendRefs, When using URLRewrite", inside, "urlRewrite"),
    )
    for prefix, listed, field in checks:
        yield from rule(at, one_prefix or not _replaces_prefix(listed, field), f"{prefix} {suffix}")


def _replaces_prefix(filters: Sequence[Object], field: str) -> bool:
    return any(has(obj(obj(item, field), "path"), "replacePrefixMatch") for item in filters)


def _one_prefix(one: Object) -> bool:
    matches = items(one, "matches") if has(one, "matches") else ({},)
    return len(matches) == 1 and text(obj(matches[0], "path"), "type", "PathPrefix") == "PathPrefix"
