"""Who can reach a Service: every way to dial it, from where, and what stops it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netsim.cluster.model import Service


@dataclass(frozen=True, slots=True)
class Reach:
    """One way in: `client` pod, node or outside; `via` what is dialled; `nodes` those where it works, () for all."""

    client: str
    via: str
    works: bool
    text: str = ""
    nodes: tuple[str, ...] = ()


def reach(service: Service, usable: bool, local: Sequence[str]) -> tuple[Reach, ...]:
    """Return every way in. *usable*: any endpoint would be sent traffic; *local*: nodes with such an endpoint."""
    return (*_inside(service, usable, local), *_outside(service, usable, local))


def _inside(service: Service, usable: bool, local: Sequence[str]) -> Iterator[Reach]:
    if service.type == "ExternalName":
        yield Reach("pod", service.external_name, True, "an alias: DNS answers with this name")
        return
    if service.headless:
        yield Reach("pod", "DNS", usable, "headless: DNS answers with the pods' addresses" if usable else "no answer")
        return
    for client in ("pod", "node"):
        via = ", ".join(service.cluster_ips)
        if service.internal_traffic_policy == "Local" and usable:
            text = f"on {', '.join(local)} only (internalTrafficPolicy Local)" if local else "dropped on every node"
            yield Reach(client, via, bool(local), text, tuple(local))
        else:
            yield Reach(client, via, usable, "" if usable else "refused: no endpoints")


def _outside(service: Service, usable: bool, local: Sequence[str]) -> Iterator[Reach]:
    ways = list(_ways(service))
    if not ways:
        if service.type in ("ClusterIP", "NodePort"):
            yield Reach("outside", "", False, f"type {service.type} has no address outside the cluster")
        elif service.type == "LoadBalancer":
            yield Reach("outside", "", False, "the load balancer has no address yet")
        return
    bound = service.external_traffic_policy == "Local"
    for via, limit in ways:
        works = usable and (bool(local) or not bound)
        text = f"through {', '.join(local)} only (externalTrafficPolicy Local)" if bound and local else ""
        if not works:
            text = "dropped: no node has an endpoint" if bound and usable else "refused: no endpoints"
        yield Reach("outside", via, works, "; ".join(filter(None, (text, limit))), tuple(local) if bound else ())


def _ways(service: Service) -> Iterator[tuple[str, str]]:
    """Yield (what is dialled, what limits it)."""
    ports = [port.node_port for port in service.ports if port.node_port]
    if ports:
        yield f"any node:{','.join(map(str, ports))}", ""
    ranges = f"from {', '.join(service.source_ranges)} only" if service.source_ranges else ""
    for entry in service.ingress:
        if entry.ip or entry.hostname:
            yield entry.ip or entry.hostname, ranges
    for address in service.external_ips:
        yield address, ""
