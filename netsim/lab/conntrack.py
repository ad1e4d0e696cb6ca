"""UDP flows that outlive their endpoint: what kube-proxy forgets after it has changed the rules.

Connection tracking keeps a translation for as long as datagrams come, also to an endpoint that serves no longer.
kube-proxy removes every UDP entry of a Service's address whose answers come from no serving endpoint
(pkg/proxy/conntrack, CleanStaleEntries; v1.36).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from iptables_gen.values import format_endpoint
from netsim.cluster.model import Cluster, Service, ServicePort
from netsim.hosts.services import service_vips
from netsim.lab.ops import CleanUdp

ENTRY = re.compile(
    r"src=(?P<source>\S+) dst=(?P<target>\S+) sport=(?P<sport>\d+) dport=(?P<dport>\d+) .*?src=(?P<server>\S+) dst=\S+ "
    r"sport=(?P<server_port>\d+) "
)


class Flow(NamedTuple):
    """A tracked flow as its client sees it, and `ip:port` from which answers come."""

    source: str
    sport: int
    target: str
    dport: int
    server: str


def cleaning(cluster: Cluster, nodes: Iterable[str]) -> Iterator[CleanUdp]:
    """Yield what removes stale flows from nodes (`node/NAME`) whose rules changed; nothing without UDP Services."""
    serving = tuple(_serving(cluster))
    if serving:
        yield from (CleanUdp(node, serving) for node in nodes)


def _serving(cluster: Cluster) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Yield (address, port, serving endpoints) of every UDP port of a Service; address "" is any (a nodePort)."""
    for service in cluster.services:
        for port in service.ports:
            if port.protocol == "UDP":
                places = tuple(sorted(_endpoints(cluster, service, port)))
                yield from ((address, port.port, places) for address, _ in service_vips(service))
                if port.node_port:
                    yield "", port.node_port, places


def _endpoints(cluster: Cluster, service: Service, port: ServicePort) -> Iterator[str]:
    for item in cluster.slices:
        if (item.namespace, item.service) == (service.namespace, service.name):
            for found in item.ports:
                if (found.name or "") == (port.name or "") and found.protocol == "UDP":
                    for endpoint in item.endpoints:
                        # Serving endpoints count, also terminating ones.
                        if endpoint.serving is not False:
                            yield from (format_endpoint(ip, found.port or 0) for ip in endpoint.addresses[:1])


def flows(listing: str) -> Iterator[Flow]:
    """Yield the flows of `conntrack -L -p udp`'s text."""
    for found in ENTRY.finditer(listing):
        server = format_endpoint(found["server"], int(found["server_port"]))
        yield Flow(found["source"], int(found["sport"]), found["target"], int(found["dport"]), server)


def stale(listing: str, operation: CleanUdp) -> Iterator[Flow]:
    """Yield the flows that lead to a Service's address but are answered by none of its serving endpoints."""
    serving = {(address, port): frozenset(places) for address, port, places in operation.serving}
    for flow in flows(listing):
        places = serving.get((flow.target, flow.dport), serving.get(("", flow.dport)))
        if places is not None and flow.server not in places:
            yield flow


def delete_command(flow: Flow) -> tuple[str, ...]:
    """Return the command that removes one flow."""
    ends = ("--orig-src", flow.source, "--orig-dst", flow.target)
    return ("conntrack", "-D", "-p", "udp", *ends, "--sport", str(flow.sport), "--dport", str(flow.dport))
