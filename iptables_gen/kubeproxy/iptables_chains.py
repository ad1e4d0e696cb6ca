"""The chains of one service port: KUBE-EXT-, KUBE-FW-, KUBE-SVC-, KUBE-SVL- and the endpoints' KUBE-SEP-.

Each function makes one kind of chain's rules. Source: observed on kube-proxy v1.36.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from iptables_gen.kubeproxy import origins
from iptables_gen.kubeproxy.iptables_port import Named, Port
from iptables_gen.kubeproxy.iptables_shapes import template
from iptables_gen.kubeproxy.nodeports import covered
from iptables_gen.kubeproxy.policy import Endpoints
from iptables_gen.values import parse_net
from iptables_gen.xtables.ir import Row


def masquerade_cluster_ip(port: Port) -> list[Row]:
    """Return the rule that masquerades traffic to the ClusterIP: all of it, or all but that of local pods."""
    if not port.decision.has_internal or not (port.settings.masquerade_all or port.settings.detector):
        return []
    shape = port.shapes["masquerade all" if port.settings.masquerade_all else "masquerade outsiders"]
    args = (port.internal_policy_chain, port.name, port.service.cluster_ip, str(port.service.port))
    return [Row(shape, args, origins.of_port(port.service, "cluster IP masquerade"))]


def external(port: Port) -> list[Row]:
    """Return the KUBE-EXT- chain: who is masqueraded, who may reach all endpoints, then the policy's own chain."""
    if not port.uses_external:
        return []
    rows = _local_policy(port) if port.service.external_local else _cluster_policy(port)
    if port.decision.has_external:
        args = (port.external_chain, port.external_policy_chain)
        rows.append(Row(port.shapes["onward"], args, origins.of_port(port.service, "external traffic")))
    return rows


def _cluster_policy(port: Port) -> list[Row]:
    # Another node's endpoint must answer through this node, so the source becomes this node.
    origin = origins.of_service(port.service, "spec.externalTrafficPolicy", "external traffic policy Cluster")
    return [Row(port.shapes["masquerade external"], (port.external_chain, port.name), origin)]


def _local_policy(port: Port) -> list[Row]:
    # Pods and the node itself are not outside: they reach all endpoints, as if they had used the ClusterIP.
    chain, name, target = port.external_chain, port.name, port.cluster_chain
    origin = origins.of_service(port.service, "spec.externalTrafficPolicy", "external traffic policy Local")
    pods = [Row(port.shapes["pods to external"], (chain, name, target), origin)] if port.settings.detector else []
    return [
        *pods,
        Row(port.shapes["masquerade local"], (chain, name), origin),
        Row(port.shapes["route local"], (chain, name, target), origin),
    ]


def firewall(port: Port) -> list[Row]:
    """Return the KUBE-FW- chain: allowed sources go on; the rest falls through to KUBE-PROXY-FIREWALL in filter."""
    if not port.uses_firewall:
        return []
    service, chain = port.service, port.firewall_chain
    rows = [_from_source(port, index, cidr) for index, cidr in enumerate(service.source_ranges)]
    if covered(port.settings.node.ip, service.source_ranges):
        # The node may own the VIP: its packets to it then carry it as their source.
        rows += [
            Row(port.shapes["from VIP"], (chain, port.name, ip, port.external_chain), origins.of_vip(service, index))
            for index, ip in enumerate(service.lb_vips)
        ]
    origin = origins.of_service(service, "spec.loadBalancerSourceRanges", "source ranges")
    return [*rows, Row(port.shapes["other traffic"], (chain, port.name), origin)]


def _from_source(port: Port, index: int, cidr: str) -> Row:
    origin, to = origins.of_source_range(port.service, index), port.external_chain
    if parse_net(cidr)[2] == 0:
        # iptables-save prints no clause for the whole address space, so this rule has a shape of its own.
        line = f'-A {{chain}} -m comment --comment "{{name}} loadbalancer IP" -s {cidr} -j {{to}}'
        shape = template(port.settings.family, "nat", line)
        return Row(shape, (port.firewall_chain, port.name, to), origin)
    return Row(port.shapes["from source"], (port.firewall_chain, port.name, cidr, to), origin)


def policy_chain(port: Port, chain: str, endpoints: Endpoints) -> Iterator[Row]:
    """Yield a KUBE-SVC- or KUBE-SVL- chain: clients with affinity first, then a fair choice of one endpoint."""
    chosen = port.named
    if endpoints is not port.decision.serving.reachable:
        # The chain keeps the order of its own list; only that of the endpoint chains is kube-proxy's random one.
        named = {entry[1]: entry for entry in port.named}
        chosen = [named[endpoint.key] for endpoint in endpoints]
    if port.service.affinity_seconds is not None:
        yield from _affinity(port, chain, chosen)
    yield from _silent_choice(port, chain, chosen) if port.settings.silent else _choice(port, chain, chosen)


def _affinity(port: Port, chain: str, chosen: Sequence[Named]) -> Iterator[Row]:
    seconds = str(port.service.affinity_seconds)
    origin = origins.of_service(port.service, "spec.sessionAffinity", "session affinity")
    silent, shape, name = port.settings.silent, port.shapes["affine"], port.name
    silent_shape = port.shapes["affine, silent"]
    for _, key, to in chosen:
        yield (
            Row(silent_shape, (chain, to, seconds), origin)
            if silent
            else Row(shape, (chain, name, key, to, seconds), origin)
        )


def _choice(port: Port, chain: str, chosen: Sequence[Named]) -> Iterator[Row]:
    shape, name, service, remaining = port.shapes["choose"], port.name, port.service, len(chosen)
    for endpoint, key, to in chosen:
        origin = origins.of_endpoint(service, endpoint)
        if remaining > 1:
            written, saved = probability(remaining)
            yield Row(shape, (chain, name, key, written, to, saved), origin)
        else:
            yield Row(port.shapes["choose last"], (chain, name, key, to), origin)
        remaining -= 1


def _silent_choice(port: Port, chain: str, chosen: Sequence[Named]) -> Iterator[Row]:
    shape, service, remaining = port.shapes["choose, silent"], port.service, len(chosen)
    for endpoint, _, to in chosen:
        origin = origins.of_endpoint(service, endpoint)
        if remaining > 1:
            written, saved = probability(remaining)
            yield Row(shape, (chain, written, to, saved), origin)
        else:
            yield Row(port.shapes["choose last, silent"], (chain, to), origin)
        remaining -= 1


@lru_cache(maxsize=1 << 12)
def probability(remaining: int) -> tuple[str, str]:
    """Return 1/remaining as kube-proxy writes it and as iptables-save prints it back.

    The kernel keeps a probability in units of 2^-31 (xt_statistic), iptables prints eleven decimals.
    """
    written = f"{1 / remaining:.10f}"
    return written, f"{round(float(written) * (1 << 31)) / (1 << 31):.11f}"


def endpoint_chains(port: Port) -> Iterator[Row]:
    """Yield the KUBE-SEP- chains: an endpoint that reaches itself is masqueraded, then the destination is rewritten."""
    affine = port.service.affinity_seconds is not None
    if port.settings.silent:
        yield from _silent_endpoint_chains(port, affine)
        return
    hairpin, dnat = port.shapes["hairpin"], port.shapes["DNAT affine" if affine else "DNAT"]
    name, bare, service = port.name, port.bare, port.service
    for endpoint, key, chain in port.named:
        origin = origins.of_endpoint(service, endpoint)
        yield Row(hairpin, (chain, bare, endpoint.ip, name), origin)
        yield Row(dnat, (chain, bare, key, name), origin)


def _silent_endpoint_chains(port: Port, affine: bool) -> Iterator[Row]:
    hairpin, service = port.shapes["hairpin, silent"], port.service
    dnat = port.shapes["DNAT affine, silent" if affine else "DNAT, silent"]
    for endpoint, key, chain in port.named:
        origin = origins.of_endpoint(service, endpoint)
        yield Row(hairpin, (chain, endpoint.ip), origin)
        yield Row(dnat, (chain, key), origin)
