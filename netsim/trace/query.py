"""A trace query, and what its words mean in a cluster: where the packet starts and where it wants to go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from iptables_gen.values import Family, decimal, format_ip, parse_ip
from netsim.cluster.model import Cluster, Pod, Service, ServicePort
from netsim.errors import UsageError
from netsim.hosts.layout import FAMILIES
from netsim.hosts.network import Network
from netsim.notes import Note
from netsim.packet.names import hint
from netsim.packet.words import (
    AddressRef,
    External,
    FromWord,
    HostRef,
    NodeRef,
    PodRef,
    ServiceRef,
    ToWord,
    UrlRef,
)

if TYPE_CHECKING:
    from netsim.trace.answer import Lookup
    from netsim.trace.facts import Meaning

DEFAULT_SOURCE_PORT = 40000
USUAL_CLIENT: dict[Family, int] = {4: parse_ip("198.51.100.10")[1], 6: parse_ip("2001:db8:51::10")[1]}


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """One question: words as the command line has them. protocol None is tcp unless TO says otherwise."""

    source: str
    target: str
    via: str | None = None
    protocol: str | None = None
    source_port: int = DEFAULT_SOURCE_PORT
    established: bool = False
    pick: str | None = None
    with_return: bool = False


class Start(NamedTuple):
    """Where a packet starts: a process on `host`, or an address that enters at `node` (a stranger).

    address None leaves the choice to the kernel. addresses: those the source has, by family.
    """

    host: str
    address: tuple[Family, int] | None = None
    stranger: bool = False
    outside: bool = False
    families: tuple[Family, ...] = (4, 6)
    pod: tuple[str, str] | None = None


class Goal(NamedTuple):
    """One (address, port) that the packet is sent to; `share` of all when a name has several."""

    family: Family
    address: int
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """What resolving a host name or URL gave: goals with equal chances, or the reason there are none."""

    goals: tuple[Goal, ...] = ()
    code: str = "OK"
    notes: tuple[Note, ...] = ()
    lookup: Lookup | None = None
    meaning: Meaning | None = None
    """What the first goal is to the cluster's Services, once somebody knows."""
    dialled: str = ""
    about: str = ""
    """`IP:PORT` of the first goal, and the name of its Service port."""


Resolver = Callable[[HostRef | UrlRef, Start, str], Resolved]
"""(the word, who asks, protocol) -> goals; made by the dns and l7 packages."""


def start_of(word: FromWord, network: Network, via: str | None, goal_family: Family | None = None) -> Start:
    """Return where FROM is; raise UsageError for a pod or node that does not exist or has no address."""
    cluster = network.cluster
    match word:
        case PodRef(namespace, name):
            return pod_start(find_pod(cluster, namespace, name), network)
        case NodeRef(name):
            return Start(find_node(network, name), families=node_families(network, name))
        case External(None):
            return Start("external", None, outside=True)
        case External(address):
            assert address is not None
            return _outside(*address)
        case AddressRef(family, value):
            return _address_start(network, family, value, via)


def pod_start(pod: Pod, network: Network) -> Start:
    """Return the start for a process in a pod."""
    name = (pod.namespace, pod.name)
    if pod.host_network and pod.node_name in network.facts:
        return Start(pod.node_name, families=node_families(network, pod.node_name), pod=name)
    if not pod.ips:
        raise UsageError(f"pod/{pod.namespace}/{pod.name} has no IP address (phase {pod.phase})")
    families = tuple(parse_ip(ip)[0] for ip in pod.ips)
    family, value = parse_ip(pod.ips[0])
    owner = network.owner(family, value)
    if owner is None or owner.pod != name:
        raise UsageError(f"pod/{pod.namespace}/{pod.name} is not running (phase {pod.phase})")
    return Start(owner.host, families=families, pod=name)


def node_families(network: Network, name: str) -> tuple[Family, ...]:
    """Return the families a node has an address of on the node network."""
    facts = network.facts[name]
    return tuple(family for family in FAMILIES if facts.primary(family) is not None)


def _outside(family: Family, value: int) -> Start:
    return Start(f"external/{format_ip(family, value)}", (family, value), outside=True, families=(family,))


def _address_start(network: Network, family: Family, value: int, via: str | None) -> Start:
    loopback = value >> 24 == 127 if family == 4 else value == 1
    own = any(a.family == family and a.value == value for a in _addresses(network, via)) if via else False
    if loopback or own:
        if via is None:
            raise UsageError(f"{format_ip(family, value)} is an address of every node: say which with --via node/NAME")
        return Start(via, (family, value), families=(family,))
    owner = network.owner(family, value)
    if owner is None or owner.kind == "outside":
        if via is None:
            return _outside(family, value)
        return Start(via, (family, value), stranger=True, families=(family,))
    return Start(owner.host, (family, value), families=(family,), pod=owner.pod)


def _addresses(network: Network, node: str) -> Iterable[AddressRef]:
    for interface in network.host(node).interfaces:
        for address in interface.addresses:
            yield AddressRef(address.family, address.value)


def find_pod(cluster: Cluster, namespace: str, name: str) -> Pod:
    """Return a pod; raise UsageError with the nearest name when there is none."""
    pod = cluster.pod(namespace, name)
    if pod is None:
        known = [f"{p.namespace}/{p.name}" for p in cluster.pods]
        raise UsageError(f"pod/{namespace}/{name}: no such pod{hint(f'{namespace}/{name}', known)}")
    return pod


def find_node(network: Network, name: str) -> str:
    """Return the node's name; raise UsageError with the nearest name when there is none."""
    if name not in network.facts:
        known = ", ".join(network.facts) or "none"
        raise UsageError(f"node/{name}: no such node{hint(name, network.facts)}; there are {known}")
    return name


def find_service(cluster: Cluster, namespace: str, name: str) -> Service:
    """Return a Service; raise UsageError with the nearest name when there is none."""
    service = cluster.service(namespace, name)
    if service is None:
        known = [f"{s.namespace}/{s.name}" for s in cluster.services]
        raise UsageError(f"svc/{namespace}/{name}: no such Service{hint(f'{namespace}/{name}', known)}")
    return service


def goals_of(word: ToWord, start: Start, network: Network, protocol: str | None) -> Resolved | None:
    """Return where TO is as seen from a start; None for a name that a resolver has to look up."""
    said = protocol or "tcp"
    match word:
        case AddressRef(family, value, port):
            return Resolved((Goal(family, value, port, said),))
        case PodRef(namespace, name, port):
            pod = find_pod(network.cluster, namespace, name)
            if not pod.ips:
                raise UsageError(f"pod/{namespace}/{name} has no IP address (phase {pod.phase})")
            return Resolved((Goal(*_suitable(pod.ips, start), port, said),))
        case NodeRef(name, port):
            facts = network.facts[find_node(network, name)]
            ips = [format_ip(a.family, a.value) for f in start.families if (a := facts.primary(f))]
            if not ips:
                raise UsageError(f"node/{name} has no address of a family that {start.host} has")
            return Resolved((Goal(*_suitable(ips, start), port, said),))
        case ServiceRef(namespace, name, port_word):
            return service_goals(find_service(network.cluster, namespace, name), port_word, start, network, protocol)
        case HostRef() | UrlRef():
            return None


def _suitable(ips: Sequence[str], start: Start) -> tuple[Family, int]:
    parsed = [parse_ip(ip) for ip in ips]
    return next((address for family in start.families for address in parsed if address[0] == family), parsed[0])


def service_goals(
    service: Service, port_word: str, start: Start, network: Network, protocol: str | None
) -> Resolved | None:
    """Return the ClusterIP and port of a Service, or the endpoints of a headless one."""
    port, said = service_port(service, port_word, protocol)
    if service.type == "ExternalName":
        raise UsageError(
            f"svc/{service.namespace}/{service.name} is an ExternalName for {service.external_name}: "
            f"write {service.name}.{service.namespace}:{port or 'PORT'} to resolve it as the source would"
        )
    if service.headless or not service.cluster_ips:
        return _headless_goals(service, port, start, network, said)
    return Resolved((Goal(*_suitable(service.cluster_ips, start), port, said),))


def _headless_goals(service: Service, port: int, start: Start, network: Network, protocol: str) -> Resolved:
    goals = []
    for item in network.cluster.slices:
        if (item.namespace, item.service) != (service.namespace, service.name) or item.address_type == "FQDN":
            continue
        number = next((p.port for p in item.ports if p.port and p.protocol.lower() == protocol), port) or port
        for endpoint in item.endpoints:
            if endpoint.ready is not False:
                goals += [Goal(*parse_ip(a), number, protocol) for a in endpoint.addresses[:1]]
    usable = [goal for goal in goals if goal.family == (start.families[:1] or (4,))[0]] or goals
    note = Note("HEADLESS", f"svc/{service.namespace}/{service.name} is headless: its name stands for its endpoints")
    unique = tuple(dict.fromkeys(usable))
    return Resolved(unique, "OK" if unique else "NXDOMAIN", (note,))


def service_port(service: Service, word: str, protocol: str | None) -> tuple[int, str]:
    """Return (port number, protocol) of a port word of a Service; raise UsageError when it is none or ambiguous."""
    label = f"svc/{service.namespace}/{service.name}"
    ports = [p for p in service.ports if protocol is None or p.protocol.lower() == protocol]
    if word.isdecimal():
        number = decimal(word) or 0
        if not 0 < number < 65536:
            raise UsageError(f"{label}: port {word} is not a number from 1 to 65535")
        return number, protocol or "tcp"
    named = [p for p in ports if p.name == word] if word else ports
    if len({(p.port, p.protocol) for p in named}) == 1:
        return named[0].port, named[0].protocol.lower()
    known = ", ".join(_port_text(p) for p in service.ports) or "none"
    if word:
        names = [p.name for p in service.ports if p.name]
        raise UsageError(f"{label} has no port {word!r}{hint(word, names)}; its ports: {known}")
    raise UsageError(f"{label}: which port? its ports: {known}")


def _port_text(port: ServicePort) -> str:
    return f"{port.name + ' ' if port.name else ''}{port.port}/{port.protocol.lower()}"
