"""What every rule of one service port is made from, in iptables mode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from iptables_gen.kubeproxy.detect import Detector, detector
from iptables_gen.kubeproxy.inputs import Endpoint, NodeInfo, ProxyInput, ServicePort
from iptables_gen.kubeproxy.iptables_shapes import Shapes, local_clause
from iptables_gen.kubeproxy.naming import base32_80, service_hash
from iptables_gen.kubeproxy.nodeports import NodePortAddresses, node_port_addresses
from iptables_gen.kubeproxy.policy import Decision, Endpoints, decide, large_cluster
from iptables_gen.kubeproxy.versions import DEFAULT, Version, counts_with_nfacct
from iptables_gen.values import Family
from iptables_gen.xtables.words import quoted, restore_string


@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for all service ports of one run.

    localhost: nodePorts answer on 127.0.0.0/8 (IPv4 only). counted: the kernel has the nfacct objects.
    silent: no comments on endpoint rules (large cluster).
    """

    family: Family
    node: NodeInfo
    detector: Detector | None
    node_ports: NodePortAddresses
    masquerade_all: bool
    masquerade_mark: str
    conntrack_liberal: bool
    localhost: bool
    counted: bool
    silent: bool
    version: Version = DEFAULT


def settings_of(proxy_input: ProxyInput, version: Version = DEFAULT) -> Settings:
    """Return the settings of one run."""
    config, family = proxy_input.config, proxy_input.family
    node_ports = node_port_addresses(proxy_input)
    return Settings(
        family,
        proxy_input.node,
        detector(proxy_input),
        node_ports,
        config.masquerade_all,
        f"{1 << config.masquerade_bit:#010x}",
        config.conntrack_tcp_be_liberal,
        # kube-proxy turns localhost nodePorts off when --nodeport-addresses leaves loopback out (observed).
        localhost=family == 4 and config.localhost_node_ports and node_ports.covers_loopback,
        counted=config.nfacct and counts_with_nfacct(version),
        silent=large_cluster(proxy_input),
        version=version,
    )


Named = tuple[Endpoint, str, str]
"""An endpoint with its `ip:port` and its KUBE-SEP- chain."""


class Port(NamedTuple):
    """One service port on one node.

    `name` fits inside a quoted comment, `bare` is a word of its own; `named` are the reachable endpoints, in order.
    """

    settings: Settings
    service: ServicePort
    decision: Decision
    shapes: Shapes
    name: str
    bare: str
    hashed: str
    named: list[Named]

    @property
    def cluster_chain(self) -> str:
        """Return KUBE-SVC-…, the chain over all endpoints."""
        return "KUBE-SVC-" + self.hashed

    @property
    def local_chain(self) -> str:
        """Return KUBE-SVL-…, the chain over the node's own endpoints."""
        return "KUBE-SVL-" + self.hashed

    @property
    def external_chain(self) -> str:
        """Return KUBE-EXT-…, where traffic from outside goes first."""
        return "KUBE-EXT-" + self.hashed

    @property
    def firewall_chain(self) -> str:
        """Return KUBE-FW-…, which checks the source ranges."""
        return "KUBE-FW-" + self.hashed

    @property
    def internal_policy_chain(self) -> str:
        """Return the chain that serves the ClusterIP."""
        return self.local_chain if self.service.internal_local else self.cluster_chain

    @property
    def external_policy_chain(self) -> str:
        """Return the chain that serves traffic from outside."""
        return self.local_chain if self.service.external_local else self.cluster_chain

    @property
    def uses_external(self) -> bool:
        """Whether KUBE-EXT- exists."""
        return self.decision.has_endpoints and self.decision.accessible

    @property
    def uses_firewall(self) -> bool:
        """Whether KUBE-FW- exists."""
        return self.decision.has_endpoints and bool(self.service.lb_vips and self.service.source_ranges)

    @property
    def uses_cluster(self) -> bool:
        """Whether KUBE-SVC- exists."""
        return self.decision.uses_cluster and bool(self.decision.serving.cluster)

    @property
    def uses_local(self) -> bool:
        """Whether KUBE-SVL- exists."""
        return self.decision.uses_local and bool(self.decision.serving.local)


MOST_BYTES = 900
"""Of a service port's name: iptables-restore takes words of 1,023 bytes, and the comments say a little more."""


def port_of(service: ServicePort, settings: Settings) -> Port:
    """Return a service port with everything decided; raise CompileError when its name cannot stand in a rule."""
    name, protocol = service.name_string, service.protocol
    try:
        inside, bare = quoted(name)[1:-1], restore_string(name)
    except ValueError as error:
        raise service.refuse("ports[].name", f"{name!r}: {error}") from error
    if len(name.encode("utf-8", "surrogateescape")) > MOST_BYTES:
        raise service.refuse("ports[].name", f"{len(name)} letters in all: iptables-restore reads no such word")
    decision = decide(service, settings.node, settings.version)
    return Port(
        settings,
        service,
        decision,
        shapes_of(settings, protocol),
        inside,
        bare,
        service_hash(name, protocol),
        _named(name + protocol, decision.serving.reachable),
    )


def _named(prefix: str, endpoints: Endpoints) -> list[Named]:
    named = []
    for endpoint in endpoints:
        key = endpoint.key
        named.append((endpoint, key, "KUBE-SEP-" + base32_80(sha256((prefix + key).encode()).digest())))
    return named


def shapes_of(settings: Settings, protocol: str) -> Shapes:
    """Return the shapes of a protocol's rules."""
    return _shapes(settings.family, protocol, settings.detector)


@lru_cache(maxsize=64)
def _shapes(family: Family, protocol: str, found: Detector | None) -> Shapes:
    return Shapes(family, protocol, local_clause(found))
