"""What the compilers see: never a manifest, always these (the seam of kube-proxy itself).

All addresses are canonical text of the input's own family, already filtered by family; ports are ints.
Service ports and endpoints arrive sorted as kube-proxy orders them where it has an order
(services by namespace/name, port name, protocol; endpoints by the *string* `ip:port`) and deduplicated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from iptables_gen.errors import CompileError
from iptables_gen.origin import Locator
from iptables_gen.values import Family

Mode = Literal["iptables", "ipvs", "nftables"]


class Endpoint(NamedTuple):
    """One `ip:port` behind a service port. Conditions are resolved (nil ready is True …).

    `zone_hints`/`node_hints` are None when the slice endpoint has no hint of that kind.
    `locator`/`field` lead to the endpoint in its EndpointSlice (or Pod).
    """

    ip: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    local: bool = False
    node: str | None = None
    zone_hints: frozenset[str] | None = None
    node_hints: frozenset[str] | None = None
    locator: Locator | None = None
    field: str = ""

    @property
    def key(self) -> str:
        """Return `ip:port`, brackets around IPv6."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One (namespace/name, port name, protocol) of a Service in one family.

    protocol is lower case ("tcp", "udp", "sctp"); affinity_seconds None means sessionAffinity None;
    lb_vips hold only ingress IPs with ipMode VIP; source_ranges are masked CIDRs;
    health_check_node_port is 0 when absent; index is the port's index in spec.ports (for origins).
    The positions are each value's index in the manifest's own list (for origins), () when none was filtered out.
    """

    namespace: str
    name: str
    port_name: str
    protocol: str
    port: int
    cluster_ip: str
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    lb_vips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int | None = None
    external_local: bool = False
    internal_local: bool = False
    health_check_node_port: int = 0
    type: str = "ClusterIP"
    endpoints: tuple[Endpoint, ...] = ()
    index: int = 0
    locator: Locator | None = None
    external_ip_positions: tuple[int, ...] = ()
    lb_vip_positions: tuple[int, ...] = ()
    source_range_positions: tuple[int, ...] = ()

    @property
    def name_string(self) -> str:
        """Return kube-proxy's `ns/name:port`, or `ns/name` when the port has no name."""
        base = f"{self.namespace}/{self.name}"
        return f"{base}:{self.port_name}" if self.port_name else base

    def refuse(self, field: str, problem: str) -> CompileError:
        """Return the error of a field from which no rule can be made, with its place; `ports[]` is this port."""
        path = "spec." + field.replace("ports[]", f"ports[{self.index}]")
        place = "{}:{}:{}: ".format(*self.locator.locate(path)) if self.locator else ""
        owner = f"{self.namespace}/{self.name}"
        return CompileError(f"{place}Service {owner if owner.isprintable() else repr(owner)}: {path}: {problem}")


@dataclass(frozen=True, slots=True)
class HostAddress:
    """One address of one interface of the node.

    `assumed`: the input does not name it; the CNI layout gives it (the bridge's own address). kube-proxy serves it, but
    what `compile` prints holds only what the input names.
    """

    interface: str
    address: str
    prefix: int
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """The node whose rules are made.

    `ip` is kube-proxy's node IP of this family ("127.0.0.1"/"::1" when the node has none of it),
    `addresses` every address of the family on every interface, loopback included, in interface order.
    """

    name: str
    ip: str
    zone: str = ""
    pod_cidrs: tuple[str, ...] = ()
    addresses: tuple[HostAddress, ...] = ()
    locator: Locator | None = None


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """kube-proxy's settings that change a rule; names follow KubeProxyConfiguration.

    cluster_cidrs of both families, as given (the compilers pick and mask the first of their family).
    nfacct: whether the kernel has the accounting objects (command line `--no-nfacct` clears it).
    """

    mode: Mode = "iptables"
    cluster_cidrs: tuple[str, ...] = ()
    detect_local_mode: str = "ClusterCIDR"
    bridge_interface: str = ""
    interface_name_prefix: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    nftables_masquerade_bit: int = 14
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()
    conntrack_tcp_be_liberal: bool = False
    ipvs_scheduler: str = "rr"
    ipvs_strict_arp: bool = False
    ipvs_exclude_cidrs: tuple[str, ...] = ()
    nfacct: bool = True


@dataclass(frozen=True, slots=True)
class ProxyInput:
    """Everything one proxier of one family on one node reads."""

    family: Family
    node: NodeInfo
    config: ProxyConfig
    services: tuple[ServicePort, ...]
    service_cidrs: tuple[str, ...] = ()


def named_addresses_only(proxy_input: ProxyInput) -> ProxyInput:
    """Return the input without node addresses that only the assumed CNI layout gives: what `compile` works from."""
    addresses = proxy_input.node.addresses
    if not any(address.assumed for address in addresses):
        return proxy_input
    kept = tuple(address for address in addresses if not address.assumed)
    return replace(proxy_input, node=replace(proxy_input.node, addresses=kept))
