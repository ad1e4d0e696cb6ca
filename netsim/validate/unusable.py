"""Values from which no rule can be made: what is neither an address, nor a range, nor a port number.

Other verbs use what `validate` would reject as the real programs use it; this is what they cannot use at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netsim.validate import addresses
from netsim.validate.cause import ROOT, SPEC, At, Causes, invalid
from netsim.validate.fields import Object, has, int_or_text, items, obj, text, texts

_NO_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_NO_PORT = "must be between 1 and 65535, inclusive"
_STATUS = ROOT.child("status")


def unusable(kind: str, data: Object) -> Causes:
    """Yield what cannot be used in an object that the model reads."""
    check = _CHECKS.get(kind)
    if check is not None:
        yield from check(data)


def _ip(value: str, at: At) -> Causes:
    if addresses.parse(value) is None:
        yield invalid(at, value, _NO_IP)


def _ips(values: Sequence[str], at: At) -> Causes:
    for index, value in enumerate(values):
        yield from _ip(value, at.index(index))


def _cidrs(values: Sequence[str], at: At) -> Causes:
    for index, value in enumerate(values):
        if addresses.parse_cidr(value.strip()) is None:
            yield invalid(at.index(index), value, _NO_CIDR)


def _port(found: Object, field: str, at: At) -> Causes:
    value = int_or_text(found, field)
    if isinstance(value, int) and not 0 <= value <= 65535:
        yield invalid(at.child(field), value, _NO_PORT)


def _is_no_address(value: str) -> bool:
    """Return whether a ClusterIP says that there is none; the programs that read `none` take it for headless too."""
    return value.lower() in ("", "none")


def _service(data: Object) -> Causes:
    spec = obj(data, "spec")
    single = text(spec, "clusterIP")
    if not _is_no_address(single):
        yield from _ip(single, At(("spec", "clusterIP"), "spec.clusterIPs[0]"))
    for index, value in enumerate(texts(spec, "clusterIPs")):
        if not _is_no_address(value) and value != single:
            yield from _ip(value, SPEC.child("clusterIPs").index(index))
    yield from _ips(texts(spec, "externalIPs"), SPEC.child("externalIPs"))
    ranges = SPEC.child("loadBalancerSourceRanges", spelled="LoadBalancerSourceRanges")
    yield from _cidrs(texts(spec, "loadBalancerSourceRanges"), ranges)
    for index, port in enumerate(items(spec, "ports")):
        at = SPEC.child("ports").index(index)
        for field in ("port", "targetPort", "nodePort"):
            yield from _port(port, field, at)
    at = _STATUS.child("loadBalancer", "ingress")
    for index, point in enumerate(items(obj(obj(data, "status"), "loadBalancer"), "ingress")):
        if value := text(point, "ip"):
            yield from _ip(value, at.index(index).child("ip"))


def _slice(data: Object) -> Causes:
    if text(data, "addressType") != "FQDN":
        for index, endpoint in enumerate(items(data, "endpoints")):
            yield from _ips(texts(endpoint, "addresses"), ROOT.child("endpoints").index(index).child("addresses"))
    for index, port in enumerate(items(data, "ports")):
        yield from _port(port, "port", ROOT.child("ports").index(index))


def _endpoints(data: Object) -> Causes:
    for index, subset in enumerate(items(data, "subsets")):
        at = ROOT.child("subsets").index(index)
        for field in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(items(subset, field)):
                yield from _ip(text(address, "ip"), at.child(field).index(place).child("ip"))
        for place, port in enumerate(items(subset, "ports")):
            yield from _port(port, "port", at.child("ports").index(place))


def _pod(data: Object) -> Causes:
    status = obj(data, "status")
    if value := text(status, "podIP"):
        yield from _ip(value, _STATUS.child("podIP"))
    for index, entry in enumerate(items(status, "podIPs")):
        if has(entry, "ip"):
            yield from _ip(text(entry, "ip"), _STATUS.child("podIPs").index(index).child("ip"))


def _node(data: Object) -> Causes:
    spec = obj(data, "spec")
    yield from _cidrs(texts(spec, "podCIDRs"), SPEC.child("podCIDRs"))
    for index, address in enumerate(items(obj(data, "status"), "addresses")):
        if text(address, "type") in ("InternalIP", "ExternalIP"):
            yield from _ip(text(address, "address"), _STATUS.child("addresses").index(index).child("address"))


def _service_cidr(data: Object) -> Causes:
    yield from _cidrs(texts(obj(data, "spec"), "cidrs"), SPEC.child("cidrs"))


_CHECKS: dict[str, Callable[[Object], Causes]] = {
    "Service": _service,
    "EndpointSlice": _slice,
    "Endpoints": _endpoints,
    "Pod": _pod,
    "Node": _node,
    "ServiceCIDR": _service_cidr,
}
