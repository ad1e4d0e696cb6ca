"""EndpointSlice and Endpoints."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.validate import addresses, names
from netsim.validate.cause import ROOT, At, Causes, duplicate, invalid, invalids, not_supported, required, too_many
from netsim.validate.fields import Object, has, items, number, obj, strings, text, texts
from netsim.validate.labels import labels
from netsim.validate.meta import metadata
from netsim.validate.warnings import endpoints_warnings, slice_warnings

_TYPES = ("FQDN", "IPv4", "IPv6")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MAX_ENDPOINTS, _MAX_ADDRESSES, _MAX_PORTS, _MAX_HINTS, _MAX_TOPOLOGY = 1000, 100, 20000, 8, 16


def endpoint_slice(data: Object) -> Causes:
    """Check an EndpointSlice. Port numbers are not looked at: the API server takes any."""
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    kind, at = text(data, "addressType"), ROOT.child("addressType")
    if not kind:
        yield required(at)
    elif kind not in _TYPES:
        yield not_supported(at, kind, _TYPES)
    yield from _endpoints(items(data, "endpoints"), kind)
    yield from _slice_ports(items(data, "ports"))
    yield from slice_warnings(data)


def _endpoints(found: Sequence[Object], kind: str) -> Causes:
    at = ROOT.child("endpoints")
    if len(found) > _MAX_ENDPOINTS:
        yield too_many(at, len(found), _MAX_ENDPOINTS)
        return
    for index, endpoint in enumerate(found):
        place = at.index(index)
        yield from _endpoint_addresses(texts(endpoint, "addresses"), kind, place.child("addresses"))
        topology = strings(endpoint, "deprecatedTopology")
        if len(topology) > _MAX_TOPOLOGY:
            yield too_many(place.child("deprecatedTopology"), len(topology), _MAX_TOPOLOGY)
        yield from labels(topology, place.child("deprecatedTopology"))
        if has(endpoint, "hostname"):
            name = text(endpoint, "hostname")
            yield from invalids(place.child("hostname"), name, names.dns_label(name))
        if has(endpoint, "nodeName"):
            name = text(endpoint, "nodeName")
            yield from invalids(place.child("nodeName"), name, names.dns_subdomain(name))
        if has(endpoint, "hints"):
            yield from _hints(obj(endpoint, "hints"), place.child("hints"))


def _endpoint_addresses(found: Sequence[str], kind: str, at: At) -> Causes:
    if not found:
        yield required(at, "must contain at least 1 address")
    elif len(found) > _MAX_ADDRESSES:
        yield too_many(at, len(found), _MAX_ADDRESSES)
        return
    for index, value in enumerate(found):
        place = at.index(index)
        match kind:
            case "IPv4" | "IPv6":
                yield from _ip(value, kind, at, place)
            case "FQDN":
                yield from _fqdn(value, place)


def _ip(value: str, kind: str, at: At, place: At) -> Causes:
    reasons = addresses.ip(value)
    if reasons:
        yield from invalids(place, value, reasons)
    elif addresses.is_ipv6(value) != (kind == "IPv6"):
        # The server names the list here, not the element.
        yield invalid(At(place.parts, at.text), value, f"must be an {kind} address")
    else:
        yield from invalids(place, value, addresses.non_special(value))


def _fqdn(value: str, at: At) -> Causes:
    name = value.removesuffix(".")
    reasons = names.dns_subdomain(name)
    if not name:
        yield required(at)
    elif reasons:
        yield from invalids(at, value, reasons)
    elif "." not in name:
        yield invalid(at, value, "should be a domain with at least two segments separated by dots")


def _hints(found: Object, at: At) -> Causes:
    for field, noun in (("forZones", "zone"), ("forNodes", "node")):
        listed, place = items(found, field), at.child(field)
        if len(listed) > _MAX_HINTS:
            yield too_many(place, len(listed), _MAX_HINTS)
            continue
        seen: set[str] = set()
        for index, hint in enumerate(listed):
            name = text(hint, "name")
            here = place.index(index).child("name")
            if name in seen:
                yield duplicate(here, name)
            seen.add(name)
            if noun == "zone":
                reasons = names.label_value(name) if name else []
                yield from invalids(here, name, reasons)
            else:
                yield from invalids(here, name, names.dns_subdomain(name))


def _slice_ports(found: Sequence[Object]) -> Causes:
    at = ROOT.child("ports")
    if len(found) > _MAX_PORTS:
        yield too_many(at, len(found), _MAX_PORTS)
        return
    seen: set[str] = set()
    for index, port in enumerate(found):
        place, name = at.index(index), text(port, "name")
        if name:
            yield from invalids(place.child("name"), name, names.dns_label(name))
        if name in seen:
            yield duplicate(place.child("name"), name)
        seen.add(name)
        protocol = text(port, "protocol", "TCP")
        if protocol not in _PROTOCOLS:
            yield not_supported(place.child("protocol"), protocol, _PROTOCOLS)
        if has(port, "appProtocol"):
            value = text(port, "appProtocol")
            yield from invalids(place.child("appProtocol"), value, names.qualified_name(value))


def endpoints(data: Object) -> Causes:
    """Check a v1 Endpoints object."""
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    for index, subset in enumerate(items(data, "subsets")):
        at = ROOT.child("subsets").index(index)
        if not items(subset, "addresses") and not items(subset, "notReadyAddresses"):
            yield required(at, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(items(subset, field)):
                yield from _address(address, at.child(field).index(place))
        ports = items(subset, "ports")
        for place, port in enumerate(ports):
            yield from _port(port, at.child("ports").index(place), named=len(ports) > 1)
    yield from endpoints_warnings()


def _address(found: Object, at: At) -> Causes:
    value, place = text(found, "ip"), at.child("ip")
    reasons = addresses.ip(value)
    yield from invalids(place, value, reasons)
    wrong = bool(reasons)
    if name := text(found, "hostname"):
        yield from invalids(at.child("hostname"), name, names.dns_label(name))
        wrong = wrong or bool(names.dns_label(name))
    if has(found, "nodeName"):
        name = text(found, "nodeName")
        yield from invalids(at.child("nodeName"), name, names.dns_subdomain(name))
        wrong = wrong or bool(names.dns_subdomain(name))
    # An address that cannot be parsed is reported a second time, by the check for special ones.
    if not wrong or addresses.parse(value) is None:
        yield from invalids(place, value, addresses.non_special(value))


def _port(found: Object, at: At, *, named: bool) -> Causes:
    name, value = text(found, "name"), number(found, "port")
    if name:
        yield from invalids(at.child("name"), name, names.dns_label(name))
    elif named:
        yield required(at.child("name"))
    yield from invalids(at.child("port"), value, names.port_number(value))
    protocol = text(found, "protocol", "TCP")
    if protocol not in _PROTOCOLS:
        yield not_supported(at.child("protocol"), protocol, _PROTOCOLS)
    if has(found, "appProtocol"):
        value_text = text(found, "appProtocol")
        yield from invalids(at.child("appProtocol"), value_text, names.qualified_name(value_text))
