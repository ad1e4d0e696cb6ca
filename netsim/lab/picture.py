"""What a lab looks like: nodes, their bridges and pods, the switch, the router and the world outside. Pure.

`picture` collects it once; `netsim.lab.graph` draws it as text and DOT, `netsim.lab.graph_svg` as SVG.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from iptables_gen.values import format_ip
from netsim.cluster.model import Cluster, Pod
from netsim.hosts.model import Host, Interface
from netsim.hosts.network import Network
from netsim.lab.build import vip_routes
from netsim.lab.ingress import proxies
from netsim.lab.listen import is_dns
from netsim.lab.ops import AddRoute, Operation, Serve, Spawn
from netsim.lab.plan import namespace_name


class PodBox(NamedTuple):
    """One pod or endpoint. `state`: "" for one that is ready, else why not; `role`: dns, ingress, hostNetwork or ""."""

    name: str
    addresses: tuple[str, ...]
    ports: tuple[str, ...]
    state: str = ""
    role: str = ""

    @property
    def line(self) -> str:
        """Return everything in one line of text."""
        marks = [f"({mark})" for mark in (self.role, self.state) if mark]
        return "  ".join((self.name, " ".join(self.addresses), " ".join((*self.ports, *marks)))).rstrip()


class NodeBox(NamedTuple):
    """One node: its addresses on the switch, its bridge, what runs on it."""

    name: str
    addresses: tuple[str, ...]
    bridge: str
    bridge_addresses: tuple[str, ...]
    pods: tuple[PodBox, ...]


class Picture(NamedTuple):
    """A whole lab. `vips` are the router's routes to virtual addresses, as (address, node)."""

    title: str
    mode: str
    outside: tuple[PodBox, ...]
    router: tuple[str, ...]
    vips: tuple[tuple[str, str], ...]
    nodes: tuple[NodeBox, ...]


def picture(title: str, mode: str, network: Network, hosts: Iterable[Host], plan: Iterable[Operation] = ()) -> Picture:
    """Return the picture of a cluster's lab; *plan* says which servers run."""
    listed = tuple(hosts)
    steps = tuple(plan)
    ports = _ports(steps)
    for proxy in proxies(network.cluster):
        words = ports.setdefault(proxy.namespace, [])
        words.extend(word for word in (f"{proxy.http}/tcp", f"{proxy.https}/tcp") if word not in words)
    spawned = {step.namespace for step in steps if isinstance(step, Spawn)}
    pods = {h.name: (h, _pod_box(h, network.cluster, ports, spawned)) for h in listed if h.kind == "pod"}
    nodes = tuple(
        _node_box(host, network.cluster, tuple(box for owner, box in pods.values() if owner.node == host.node))
        for host in listed
        if host.kind == "node"
    )
    # The name of a host outside is its address.
    outside = tuple(
        _pod_box(host, network.cluster, ports, spawned)._replace(addresses=())
        for host in listed
        if host.kind == "outside"
    )
    router = tuple(text for host in listed if host.kind == "router" for i in host.interfaces for text in _addresses(i))
    return Picture(title, mode, outside, router, _vips(network, nodes), nodes)


def _addresses(interface: Interface | None) -> tuple[str, ...]:
    if interface is None or interface.kind == "loopback":
        return ()
    return tuple(str(address) for address in interface.addresses)


def _ports(plan: Iterable[Operation]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in plan:
        if isinstance(step, Serve):
            words = found.setdefault(step.namespace, [])
            word = f"{step.port}/{step.protocol}"
            words.extend([word] if word not in words else [])
    return found


def _pod_box(host: Host, cluster: Cluster, ports: dict[str, list[str]], spawned: set[str]) -> PodBox:
    pod = cluster.pod(*host.pod) if host.pod else None
    plain = [format_ip(a.family, a.value) for i in host.interfaces if i.kind != "loopback" for a in i.addresses]
    name = namespace_name(host)
    role = "ingress" if name in spawned else "dns" if pod and is_dns(pod) else ""
    return PodBox(name, tuple(plain), tuple(ports.get(name, ())), _state(pod), role)


def _state(pod: Pod | None) -> str:
    if pod is None:
        return ""
    if pod.terminating:
        return "terminating"
    return "" if pod.ready else "not ready"


def _node_box(host: Host, cluster: Cluster, pods: tuple[PodBox, ...]) -> NodeBox:
    bridge = next((link for link in host.interfaces if link.kind == "bridge"), None)
    uplinks = tuple(a for link in host.interfaces if link.kind == "ethernet" for a in _addresses(link))
    shared = tuple(
        PodBox(f"pod/{p.namespace}/{p.name}", (), tuple(f"{d.port}/{d.protocol.lower()}" for d in p.ports), _state(p),
               "hostNetwork")
        for p in cluster.pods
        if p.host_network and p.node_name == host.name
    )  # fmt: skip
    return NodeBox(host.name, uplinks, bridge.name if bridge else "", _addresses(bridge), (*shared, *pods))


def _vips(network: Network, nodes: Iterable[NodeBox]) -> tuple[tuple[str, str], ...]:
    owners = {address.partition("/")[0]: node.name for node in nodes for address in node.addresses}
    routes = (step for step in vip_routes(network) if isinstance(step, AddRoute))
    return tuple((route.destination.partition("/")[0], owners.get(route.via, route.via)) for route in routes)
