"""Before a Service is validated the API server gives it addresses and node ports, and stops at the first that fails."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from netsim.validate import addresses
from netsim.validate.cause import SPEC, At, Cause, Causes, duplicate, invalid, invalids, not_supported
from netsim.validate.fields import Object, has, items, number, obj, strings, text, texts
from netsim.validate.service import cluster_ips, is_headless, needs_health_check, service_type

NODE_PORTS = range(30000, 32768)
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_OUT_OF_NODE_PORTS = "provided port is not in the valid range. The range of valid ports is 30000-32767"
_PORT_TAKEN = "provided port is already allocated"
_IPS = SPEC.child("clusterIPs")
_POLICY = SPEC.child("ipFamilyPolicy")

Owner = tuple[str, str]
"""Namespace and name of a Service."""


@dataclass(slots=True)
class Allocator:
    """The ClusterIPs and node ports that the Services so far hold.

    `ranges` are the cluster's service CIDRs; none means that what is asked for is never out of range.
    """

    ranges: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    ips: dict[str, Owner] = field(default_factory=dict)
    ports: dict[int, Owner] = field(default_factory=dict)

    def families(self) -> tuple[str, ...]:
        """Return the families that the cluster has addresses of, the default one first."""
        found = dict.fromkeys(f"IPv{network.version}" for network in self.ranges)
        return tuple(found) or _FAMILIES


@dataclass(frozen=True, slots=True)
class Claim:
    """What a Service asks for: committed to the allocator once the Service turns out valid."""

    ips: tuple[str, ...]
    ports: tuple[int, ...]


def allocator(cidrs: Iterable[str]) -> Allocator:
    """Return an allocator in which the API server's own Service holds the first address of the first range."""
    ranges = tuple(network for cidr in cidrs if (network := addresses.parse_cidr(cidr)) is not None)
    made = Allocator(ranges)
    if ranges:
        made.ips[str(ranges[0].network_address + 1)] = ("default", "kubernetes")
    return made


def allocate(data: Object, owner: Owner, state: Allocator, *, in_ranges: bool = True) -> tuple[list[Cause], Claim]:
    """Return why a Service gets no addresses or ports, at the first step that fails, and what it claims.

    Source:  observed on kube-apiserver v1.36 (`dry_run_differs` in tests/conformance/api/validation).
    """
    spec = obj(data, "spec")
    for step in (_related_fields, _one_policy, _known_families):
        if causes := list(step(spec, state)):
            return causes, Claim((), ())
    causes = list(_addresses(spec, owner, state, in_ranges=in_ranges))
    if not causes and not (text(obj(data, "metadata"), "name") or text(obj(data, "metadata"), "generateName")):
        causes = list(_nameless(spec))
    if not causes:
        causes = list(_node_ports(spec, owner, state, in_ranges=in_ranges))
    return causes, Claim(_wanted(spec), tuple(_ports(spec)))


def claim_plainly(spec: Object, owner: Owner, state: Allocator, *, in_ranges: bool) -> bool:
    """Take what a plainly valid Service asks for; False, with nothing taken, when the long way has to say more."""
    listed, single = spec.get("clusterIPs"), spec.get("clusterIP")
    if listed and listed[0] != single:
        return False
    ips = (single,) if single else ()
    ports = tuple(_ports(spec)) if spec.get("type", "ClusterIP") != "ClusterIP" else ()
    if any(_refusal(ip, owner, state, in_ranges=in_ranges) for ip in ips):
        return False
    if ports and any(True for _ in _node_ports(spec, owner, state, in_ranges=in_ranges)):
        return False
    commit(Claim(ips, ports), owner, state)
    return True


def commit(claim: Claim, owner: Owner, state: Allocator) -> None:
    """Mark what a valid Service holds."""
    for ip in claim.ips:
        state.ips.setdefault(_canonical(ip), owner)
    for port in claim.ports:
        state.ports.setdefault(port, owner)


def _related_fields(spec: Object, state: Allocator) -> Causes:
    """Check ClusterIPs, families and policy against each other."""
    if service_type(spec) == "ExternalName":
        return
    ips = cluster_ips(spec)
    yield from _in_sync(spec)
    yield from _families(spec)
    policy = text(spec, "ipFamilyPolicy")
    if has(spec, "ipFamilyPolicy") and policy not in _FAMILY_POLICIES:
        yield not_supported(_POLICY, policy, _FAMILY_POLICIES)
    wrong = list(_not_addresses(spec, ips))
    yield from wrong
    if len(ips) > 2:
        yield invalid(_IPS, ips, "may only hold up to 2 values")
    if not wrong:
        yield from _stacks(spec, ips)


def _in_sync(spec: Object) -> Causes:
    single, listed = text(spec, "clusterIP"), list(texts(spec, "clusterIPs"))
    if single and listed and listed[0] != single:
        yield invalid(_IPS, listed, "first value must match `clusterIP`")
    if not single and listed:
        yield invalid(_IPS, listed, "must be empty when `clusterIP` is not specified")


def _families(spec: Object) -> Causes:
    at = SPEC.child("ipFamilies")
    seen: set[str] = set()
    for index, family in enumerate(texts(spec, "ipFamilies")):
        if family not in _FAMILIES:
            yield not_supported(at.index(index), family, _FAMILIES)
        if family in seen:
            yield duplicate(at.index(index), family)
        seen.add(family)


def _not_addresses(spec: Object, ips: Sequence[str]) -> Causes:
    for index, value in enumerate(ips):
        if index == 0 and value == "None":
            if len(ips) > 1:
                yield invalid(_IPS, list(ips), "'None' must be the first and only value")
            continue
        yield from invalids(_place(spec, index), value, addresses.ip(value))


def _place(spec: Object, index: int) -> At:
    """Return the place of a ClusterIP, which may be written as `clusterIP` alone."""
    listed = _IPS.index(index)
    return listed if texts(spec, "clusterIPs") else At(("spec", "clusterIP"), listed.text)


def _whole(spec: Object) -> At:
    return _IPS if texts(spec, "clusterIPs") else At(("spec", "clusterIP"), _IPS.text)


def _stacks(spec: Object, ips: Sequence[str]) -> Causes:
    versions = [addresses.is_ipv6(ip) for ip in ips]
    if len(ips) > 1 and len(set(versions)) != len(versions) and len(set(versions)) < 2:
        yield invalid(_IPS, list(ips), "may specify no more than one IP for each IP family")
    families = texts(spec, "ipFamilies")
    if is_headless(spec):
        return
    for index, (ip, family) in enumerate(zip(ips, families, strict=False)):
        if family in _FAMILIES and (family == "IPv6") != addresses.is_ipv6(ip):
            why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            yield invalid(_place(spec, index), ip, why)


def _one_policy(spec: Object, state: Allocator) -> Causes:
    """Refuse two addresses or families where the policy is SingleStack, which it is by default."""
    if service_type(spec) == "ExternalName" or text(spec, "ipFamilyPolicy", "SingleStack") != "SingleStack":
        return
    for count, what in ((len(cluster_ips(spec)), "cluster IPs"), (len(texts(spec, "ipFamilies")), "IP families")):
        if count == 2:
            why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            yield invalid(_POLICY, "SingleStack", why)


def _known_families(spec: Object, state: Allocator) -> Causes:
    """Refuse families that the cluster has no addresses of."""
    known = state.families()
    if service_type(spec) == "ExternalName" or set(known) == set(_FAMILIES):
        return
    if is_headless(spec) and not strings(spec, "selector"):
        return
    if text(spec, "ipFamilyPolicy") == "RequireDualStack":
        yield invalid(_POLICY, "RequireDualStack", "this cluster is not configured for dual-stack services")
    for index, family in enumerate(texts(spec, "ipFamilies")):
        if family not in known:
            yield invalid(SPEC.child("ipFamilies").index(index), family, "not configured on this cluster")


def _wanted(spec: Object) -> tuple[str, ...]:
    if service_type(spec) == "ExternalName" or is_headless(spec):
        return ()
    return tuple(ip for ip in cluster_ips(spec) if ip)


def _addresses(spec: Object, owner: Owner, state: Allocator, *, in_ranges: bool) -> Causes:
    for ip in _wanted(spec):
        why = _refusal(ip, owner, state, in_ranges=in_ranges)
        if why:
            yield invalid(_whole(spec), cluster_ips(spec), f"failed to allocate IP {ip}: {why}")
            return


def _refusal(ip: str, owner: Owner, state: Allocator, *, in_ranges: bool) -> str:
    address = addresses.parse(ip)
    if address is None:
        return ""
    if in_ranges and state.ranges and not any(_usable(address, network) for network in state.ranges):
        return "the provided network does not match the current range"
    holder = state.ips.get(_canonical(ip))
    return "provided IP is already allocated" if holder not in (None, owner) else ""


def _usable(address: addresses.IPAddress, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Return whether an address of a range can be given away: not the network's own, nor IPv4's broadcast."""
    if address.version != network.version or address not in network or address == network.network_address:
        return False
    return network.version == 6 or address != network.broadcast_address


def _canonical(ip: str) -> str:
    return str(addresses.parse(ip) or ip)


def _nameless(spec: Object) -> Causes:
    """Return the odd error of a Service without a name: its IPAddress object has no parent to name."""
    if service_type(spec) != "ExternalName" and not is_headless(spec):
        why = 'IPAddress.networking.k8s.io "<allocated-v4>" is invalid: spec.parentRef.name: Required value'
        yield invalid(_whole(spec), cluster_ips(spec) or [""], f"failed to allocate IP: {why}")


def _needs_node_ports(spec: Object) -> bool:
    return service_type(spec) in ("NodePort", "LoadBalancer")


def _ports(spec: Object) -> Iterator[int]:
    """Yield every node port that is asked for."""
    if _needs_node_ports(spec):
        for port in items(spec, "ports"):
            if number(port, "nodePort"):
                yield number(port, "nodePort")
    if needs_health_check(spec) and number(spec, "healthCheckNodePort"):
        yield number(spec, "healthCheckNodePort")


def _node_ports(spec: Object, owner: Owner, state: Allocator, *, in_ranges: bool) -> Causes:
    """Ask for the node ports in order; one number serves a service port's protocols together, and nobody else."""
    mine: dict[int, int] = {}
    held = state.ports
    for index, port in enumerate(items(spec, "ports") if _needs_node_ports(spec) else ()):
        wanted = number(port, "nodePort")
        if not wanted or mine.get(number(port, "port")) == wanted:
            continue
        place = SPEC.child("ports").index(index).child("nodePort")
        if in_ranges and wanted not in NODE_PORTS:
            yield invalid(place, wanted, _OUT_OF_NODE_PORTS)
            return
        if wanted in mine.values() or held.get(wanted, owner) != owner:
            yield invalid(place, wanted, _PORT_TAKEN)
            return
        mine[number(port, "port")] = wanted
    if number(spec, "healthCheckNodePort"):
        yield from _health_check_port(
            spec, owner, {**held, **dict.fromkeys(mine.values(), ("", ""))}, in_ranges=in_ranges
        )


def _health_check_port(spec: Object, owner: Owner, held: dict[int, Owner], *, in_ranges: bool) -> Causes:
    wanted = number(spec, "healthCheckNodePort")
    if not wanted or not needs_health_check(spec):
        return
    why = (
        _OUT_OF_NODE_PORTS
        if in_ranges and wanted not in NODE_PORTS
        else _PORT_TAKEN
        if held.get(wanted, owner) != owner
        else ""
    )
    if why:
        # The server answers 500 here: an internal error without a field or a reason.
        place = At(("spec", "healthCheckNodePort"), "")
        yield Cause(place, f"failed to allocate requested HealthCheck NodePort {wanted}: {why}", "")
