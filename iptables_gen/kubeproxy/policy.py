"""Which endpoints serve whom: the one place where traffic policies, hints and terminating endpoints are decided.

The three proxy modes read the same answer; how each spells it differs (kube-proxy's own seam, CategorizeEndpoints).
Sources: KEP-1669 (terminating endpoints), KEP-2086 (internalTrafficPolicy), KEP-2433 and KEP-3015 (hints);
observed on kube-proxy v1.36.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from iptables_gen.kubeproxy.inputs import Endpoint, NodeInfo, ProxyInput, ServicePort
from iptables_gen.kubeproxy.versions import DEFAULT, Version, understands_node_hints

Endpoints = tuple[Endpoint, ...]

LARGE_CLUSTER_ENDPOINTS = 1000
"""Above this many endpoints (ready or not, over all proxied service ports) iptables mode leaves comments out."""


class Serving(NamedTuple):
    """The endpoints of one service port, by the traffic that they serve, as one node sees them.

    cluster:   serve traffic under policy Cluster (and pods of a Local Service from inside).
    local:     serve traffic under policy Local.
    reachable: every endpoint that any of the two may choose; kube-proxy's order is random where both differ.
    any_usable: an endpoint anywhere could serve (else REJECT, not DROP).
    """

    cluster: Endpoints = ()
    local: Endpoints = ()
    reachable: Endpoints = ()
    any_usable: bool = False


NOTHING_SERVES = Serving()


class Decision(NamedTuple):
    """All that a compiler needs to know of one service port.

    has_endpoints/has_internal/has_external: usable endpoints exist anywhere, for traffic to the ClusterIP, for traffic
    from outside. uses_cluster/uses_local: a chain over that list is needed. accessible: reachable from outside at all.
    """

    serving: Serving
    has_endpoints: bool
    has_internal: bool
    has_external: bool
    uses_cluster: bool
    uses_local: bool
    accessible: bool


def decide(service: ServicePort, node: NodeInfo, version: Version = DEFAULT) -> Decision:
    """Return the decision for one service port on one node."""
    accessible = externally_accessible(service)
    uses_cluster = not service.internal_local or accessible
    uses_local = service.internal_local or (service.external_local and accessible)
    serving = serve(service.endpoints, node, uses_cluster, uses_local, version)
    some = serving.any_usable
    local = bool(serving.local)
    return Decision(
        serving,
        some,
        some and (local or not service.internal_local),
        some and (local or not service.external_local),
        uses_cluster,
        uses_local,
        accessible,
    )


def externally_accessible(service: ServicePort) -> bool:
    """Whether anything but the ClusterIP leads to the service port."""
    return bool(service.node_port or service.lb_vips or service.external_ips)


def serve(
    endpoints: Endpoints, node: NodeInfo, uses_cluster: bool, uses_local: bool, version: Version = DEFAULT
) -> Serving:
    """Return which endpoints serve which traffic; lists that are not used are empty."""
    if not endpoints:
        return NOTHING_SERVES
    ready = tuple([e for e in endpoints if e.ready])
    hinted = preferred(ready, node, version) if uses_cluster else ready
    cluster = (hinted or draining(endpoints)) if uses_cluster else ()
    if not uses_local:
        return Serving(cluster, (), cluster, bool(cluster))
    local = local_endpoints(endpoints)
    reachable = union(cluster, local) if uses_cluster else local
    return Serving(cluster, local, reachable, bool(cluster or ready or draining(endpoints)))


def draining(endpoints: Iterable[Endpoint]) -> Endpoints:
    """Return the endpoints that still serve while terminating (KEP-1669): the last resort of either policy."""
    return tuple([e for e in endpoints if not e.ready and e.serving and e.terminating])


def local_endpoints(endpoints: Iterable[Endpoint]) -> Endpoints:
    """Return the node's own ready endpoints, else its draining ones."""
    here = tuple([e for e in endpoints if e.local])
    return tuple([e for e in here if e.ready]) or draining(here)


def union(cluster: Endpoints, local: Endpoints) -> Endpoints:
    """Return both lists without duplicates, in endpoint order (kube-proxy: random where they differ)."""
    known = {e.key for e in cluster}
    extra = tuple([e for e in local if e.key not in known])
    # The order inside the chains is kube-proxy's; only the order of endpoint chains is free, so ours is cluster first.
    return cluster + extra


def preferred(ready: Endpoints, node: NodeInfo, version: Version = DEFAULT) -> Endpoints:
    """Return the ready endpoints that hints leave to this node; all of them unless hints apply.

    KEP-3015: node hints count when every ready endpoint has one and some name this node; otherwise KEP-2433: zone
    hints count when every ready endpoint has one and some name this node's zone.
    """
    if not ready or not (ready[0].zone_hints or ready[0].node_hints):
        return ready
    if understands_node_hints(version) and all(e.node_hints for e in ready):
        mine = tuple([e for e in ready if node.name in (e.node_hints or ())])
        if mine:
            return mine
    if all(e.zone_hints for e in ready):
        near = tuple([e for e in ready if node.zone in (e.zone_hints or ())])
        if near:
            return near
    return ready


def large_cluster(proxy_input: ProxyInput) -> bool:
    """Whether iptables mode drops its per-endpoint comments; exactly 1000 endpoints keep them."""
    return sum(len(service.endpoints) for service in proxy_input.services) > LARGE_CLUSTER_ENDPOINTS


def health_check_endpoints(services: Iterable[ServicePort]) -> int:
    """Return the number that the healthCheckNodePort of a Service reports for these ports of it.

    Distinct addresses of *ready* local endpoints: a node that serves only draining endpoints answers 503 (observed).
    """
    return len({e.ip for service in services for e in service.endpoints if e.local and e.ready})
