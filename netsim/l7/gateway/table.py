"""The routing table of a Gateway: listeners by port and name, and on each the entries of its own routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netsim.cluster.model import Cluster
from netsim.l7.gateway.attach import Attached, Attachment, attach
from netsim.l7.gateway.backends import Resolver
from netsim.l7.gateway.hostnames import covers, specificity
from netsim.l7.gateway.listeners import ListenerState, judge_listeners
from netsim.l7.gateway.matches import Entry, grpc_entries, http_entries, ordered
from netsim.l7.gateway.objects import Gateway, Listener, Route, controllers, read_gateways, read_grants, read_routes
from netsim.l7.gateway.policies import Policies, read_policies
from netsim.l7.services import Services
from netsim.l7.table import HostTable, host_table
from netsim.l7.tls import Certificate


@dataclass(frozen=True, slots=True)
class ListenerTable:
    """One listener: its state, and what serves it. HTTP and gRPC entries by hostname; layer-4 routes by hostname,
    oldest first.
    """

    listener: Listener
    state: ListenerState
    http: HostTable[tuple[Entry, ...]] = field(default_factory=HostTable)
    grpc: HostTable[tuple[Entry, ...]] = field(default_factory=HostTable)
    streams: HostTable[tuple[Route, ...]] = field(default_factory=HostTable)

    @property
    def serves(self) -> bool:
        """Whether the listener takes connections at all."""
        return self.state.programmed


@dataclass(frozen=True, slots=True)
class GatewayTable:
    """All Gateways of the controller with their listeners, and what references resolve against."""

    gateways: Mapping[str, Gateway]
    listeners: Mapping[str, tuple[ListenerTable, ...]]
    routes: tuple[Route, ...]
    attached: Attached
    resolver: Resolver
    policies: Policies
    certificates: Mapping[str, Certificate]
    controller_names: Mapping[str, str]
    classes: frozenset[str] = frozenset()

    def candidates(self, gateway: str) -> Iterator[tuple[str, tuple[ListenerTable, ...]]]:
        """Yield the named Gateway's listeners, or every Gateway's."""
        if gateway:
            if gateway in self.listeners:
                yield gateway, self.listeners[gateway]
        else:
            yield from self.listeners.items()


def build_gateways(
    cluster: Cluster,
    services: Services,
    certificates: Mapping[str, Certificate],
    *,
    class_name: str = "",
    controller: str = "",
) -> GatewayTable:
    """Return the table of the Gateways whose class is ours: of *class_name*, else of *controller*, else of any known
    class.
    """
    names = controllers(cluster)
    wanted = controller or names.get(class_name, "")
    ours = frozenset(name for name, owner in names.items() if not wanted or owner == wanted)
    gateways = {found.key: found for found in read_gateways(cluster) if found.class_name in ours}
    grants, policies = read_grants(cluster), read_policies(cluster)
    routes = read_routes(cluster)
    attached = attach(routes, gateways, cluster.namespaces)
    states = {key: judge_listeners(found, grants, certificates) for key, found in gateways.items()}
    listeners = {
        key: tuple(
            _listener_table(one, states[key][one.index], attached.listeners.get((key, one.index), ()))
            for one in found.listeners
        )
        for key, found in gateways.items()
    }
    resolver = Resolver(services, grants, policies.targets)
    return GatewayTable(gateways, listeners, routes, attached, resolver, policies, certificates, names, ours)


def _listener_table(listener: Listener, state: ListenerState, attachments: Sequence[Attachment]) -> ListenerTable:
    streams = [one for one in attachments if one.route.kind in ("TLSRoute", "TCPRoute", "UDPRoute")]
    by_host = {host: tuple(one.route for one in streams if host in one.hostnames) for host in _hosts(streams)}
    return ListenerTable(
        listener,
        state,
        _entries([one for one in attachments if one.route.kind == "HTTPRoute"]),
        _entries([one for one in attachments if one.route.kind == "GRPCRoute"]),
        host_table(by_host, any_depth=True),
    )


def _hosts(attachments: Iterable[Attachment]) -> set[str]:
    return {host for one in attachments for host in one.hostnames}


def _entries(attachments: Sequence[Attachment]) -> HostTable[tuple[Entry, ...]]:
    made = [
        (one, tuple((http_entries if one.route.kind == "HTTPRoute" else grpc_entries)(one.route)))
        for one in attachments
    ]
    by_host = {
        host: ordered(entry for one, entries in made if host in one.hostnames for entry in entries)
        for host in _hosts(attachments)
    }
    return host_table(by_host, any_depth=True)


def best_listener(listeners: Iterable[ListenerTable], host: str) -> ListenerTable | None:
    """Return the listener whose hostname covers *host* most specifically."""
    covering = [one for one in listeners if covers(one.listener.hostname, host)]
    return max(covering, key=lambda one: specificity(one.listener.hostname), default=None)
