"""What kube-proxy's health check of a Service says where a packet reached one: a load balancer reads the status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netsim.cluster.model import Cluster, Service
from netsim.hosts.services import external_local, local_endpoints
from netsim.notes import Note
from netsim.trace.answer import Outcome


def health_notes(cluster: Cluster, outcomes: Sequence[Outcome]) -> Iterator[Note]:
    """Yield a note for each node on whose healthCheckNodePort an outcome ends.

    Source: observed on kube-proxy v1.36.2: 200 while the node has a ready endpoint of the Service, else 503.
    """
    for outcome in outcomes:
        place = outcome.endpoint
        if place is not None and place.pod is None and place.node:
            service = _checked(cluster, place.port)
            if service is not None:
                name = f"{service.namespace}/{service.name}"
                count = local_endpoints(cluster, place.node, name, place.family)
                answer = f"answers {200 if count else 503} (localEndpoints {count})"
                yield Note("HEALTH_CHECK", f"the health check of Service {name} on {place.node} {answer}")


def _checked(cluster: Cluster, port: int) -> Service | None:
    return next(
        (
            service
            for service in cluster.services
            if service.health_check_node_port == port and service.type == "LoadBalancer" and external_local(service)
        ),
        None,
    )
