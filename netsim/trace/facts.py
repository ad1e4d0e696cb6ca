"""Facts about a cluster that explain an outcome: what an address and a port belong to, indexed once."""

from __future__ import annotations

from typing import NamedTuple

from iptables_gen.values import Family, format_ip, in_net, parse_net
from netsim.cluster.model import Cluster, Service, ServicePort
from netsim.hosts.network import Network
from netsim.hosts.services import Vip, VipKind, vip_index

ASSUMED_RANGES = ("10.96.0.0/16", "fd00:10:96::/112")


class Meaning(NamedTuple):
    """What an (address, port, protocol) is to the cluster's Services.

    kind: what address it is, "" for none; service and port: the Service port that owns it (port None: the Service has
    no such port). proxied: a load balancer address with ipMode Proxy.
    """

    kind: VipKind | str = ""
    service: Service | None = None
    port: ServicePort | None = None
    proxied: bool = False

    @property
    def name(self) -> str:
        """Return `ns/name` or `ns/name:port`, "" when no Service is meant."""
        if self.service is None:
            return ""
        label = f"{self.service.namespace}/{self.service.name}"
        return f"{label}:{self.port.name}" if self.port is not None and self.port.name else label


class Facts:
    """Indices over one cluster, made on first use."""

    def __init__(self, cluster: Cluster, network: Network) -> None:
        self.cluster = cluster
        self._network = network
        self._vips: dict[str, tuple[Vip, ...]] | None = None
        self._node_ports: dict[tuple[str, int], tuple[Service, ServicePort]] | None = None
        self._meanings: dict[tuple[Family, int, int, str], Meaning] = {}
        ranges = cluster.service_cidrs or cluster.assumed_service_cidrs or ASSUMED_RANGES
        self._ranges = [parse_net(cidr) for cidr in ranges]

    def meaning(self, family: Family, address: int, port: int, protocol: str) -> Meaning:
        """Return what an address and port mean to the cluster's Services."""
        key = (family, address, port, protocol)
        found = self._meanings.get(key)
        if found is None:
            found = self._meanings[key] = self._meaning(*key)
        return found

    def vips(self, address: str) -> tuple[Vip, ...]:
        """Return what a virtual address belongs to."""
        if self._vips is None:
            self._vips = vip_index(self.cluster)
        return self._vips.get(address, ())

    def _meaning(self, family: Family, address: int, port: int, protocol: str) -> Meaning:
        vips = self.vips(format_ip(family, address))
        for vip in vips:
            for item in vip.service.ports:
                if item.port == port and item.protocol.lower() == protocol:
                    return Meaning(vip.kind, vip.service, item, vip.proxied)
        owner = self._network.owner(family, address)
        loopback = address >> 24 == 127 if family == 4 else address == 1
        if loopback or (owner is not None and owner.kind == "node"):
            found = self._node_port(protocol, port)
            if found is not None:
                return Meaning("nodePort", *found)
        if vips:
            return Meaning(vips[0].kind, vips[0].service, None, vips[0].proxied)
        return Meaning("unallocated" if self.in_service_range(family, address) else "")

    def _node_port(self, protocol: str, port: int) -> tuple[Service, ServicePort] | None:
        if self._node_ports is None:
            self._node_ports = {
                (item.protocol.lower(), item.node_port): (service, item)
                for service in self.cluster.services
                for item in service.ports
                if item.node_port
            }
        return self._node_ports.get((protocol, port))

    def in_service_range(self, family: Family, address: int) -> bool:
        """Whether an address lies in a range that ClusterIPs come from."""
        return any(f == family and in_net(address, network, prefix, f) for f, network, prefix in self._ranges)
