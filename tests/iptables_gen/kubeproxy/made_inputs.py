"""Proxy inputs made by hand or by hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from iptables_gen.kubeproxy.inputs import Endpoint, HostAddress, NodeInfo, ProxyConfig, ProxyInput, ServicePort
from iptables_gen.values import Family, format_ip

NODE = NodeInfo(
    "node-1",
    "192.168.10.1",
    zone="zone-a",
    pod_cidrs=("10.244.1.0/24",),
    addresses=(
        HostAddress("lo", "127.0.0.1", 8),
        HostAddress("eth0", "192.168.10.1", 24),
        HostAddress("cni0", "10.244.1.1", 24),
    ),
)
NODE6 = replace(
    NODE,
    ip="fd00:192:168:10::1",
    pod_cidrs=("fd00:10:244:1::/64",),
    addresses=(HostAddress("lo", "::1", 128), HostAddress("eth0", "fd00:192:168:10::1", 64)),
)


def endpoint(last: int, **more: Any) -> Endpoint:
    """Return 10.244.1.LAST:8080."""
    return Endpoint(f"10.244.1.{last}", 8080, **more)


def service(*endpoints: Endpoint, **more: Any) -> ServicePort:
    """Return default/web:http on 10.96.0.10:80 with these endpoints."""
    given = {"namespace": "default", "name": "web", "port_name": "http", "protocol": "tcp", "port": 80}
    return ServicePort(**{**given, "cluster_ip": "10.96.0.10", "endpoints": endpoints, **more})


def proxy_input(*services: ServicePort, family: Family = 4, node: NodeInfo | None = None, **config: Any) -> ProxyInput:
    """Return the input of one family on node-1."""
    return ProxyInput(family, node or (NODE if family == 4 else NODE6), ProxyConfig(**config), services)


def addresses(family: Family) -> st.SearchStrategy[str]:
    low, high = (0x0A000001, 0xDFFFFFFE) if family == 4 else (0xFC00 << 112, (0xFDFF << 112) + 0xFFFF)
    return st.integers(low, high).map(lambda value: format_ip(family, value))


NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
PORTS = st.integers(1, 65535)


def endpoints(family: Family) -> st.SearchStrategy[tuple[Endpoint, ...]]:
    one = st.builds(
        Endpoint,
        addresses(family),
        PORTS,
        ready=st.booleans(),
        serving=st.booleans(),
        terminating=st.booleans(),
        local=st.booleans(),
        zone_hints=st.sampled_from([None, frozenset(), frozenset({"zone-a"}), frozenset({"zone-b"})]),
        node_hints=st.sampled_from([None, frozenset({"node-1"}), frozenset({"node-2"})]),
        locator=st.none(),
    )
    listed = st.lists(one, max_size=5, unique_by=lambda found: found.key)
    return listed.map(lambda found: tuple(sorted(found, key=lambda entry: entry.key)))


def services(family: Family) -> st.SearchStrategy[ServicePort]:
    ranges = ("10.0.0.0/8", "192.168.10.0/24", "0.0.0.0/0") if family == 4 else ("fd00::/8", "::/0")
    return st.builds(
        ServicePort,
        NAMES,
        NAMES,
        st.one_of(st.just(""), NAMES),
        st.sampled_from(["tcp", "udp", "sctp"]),
        PORTS,
        addresses(family),
        node_port=st.one_of(st.just(0), st.integers(30000, 32767)),
        external_ips=st.lists(addresses(family), max_size=2, unique=True).map(tuple),
        lb_vips=st.lists(addresses(family), max_size=2, unique=True).map(tuple),
        source_ranges=st.lists(st.sampled_from(ranges), max_size=2, unique=True).map(tuple),
        affinity_seconds=st.sampled_from([None, 1, 10800]),
        external_local=st.booleans(),
        internal_local=st.booleans(),
        health_check_node_port=st.sampled_from([0, 32000]),
        endpoints=endpoints(family),
        locator=st.none(),
    )


def inputs() -> st.SearchStrategy[ProxyInput]:
    return st.sampled_from([4, 6]).flatmap(_inputs)


def _inputs(family: Family) -> st.SearchStrategy[ProxyInput]:
    key = lambda one: (f"{one.namespace}/{one.name}", one.port_name, one.protocol)  # noqa: E731
    listed = st.lists(services(family), max_size=3, unique_by=key).map(lambda found: tuple(sorted(found, key=key)))
    configs = st.builds(
        ProxyConfig,
        cluster_cidrs=st.sampled_from([(), ("10.244.0.0/16", "fd00:10:244::/56"), ("0.0.0.0/0",)]),
        detect_local_mode=st.sampled_from(["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"]),
        bridge_interface=st.just("cni0"),
        interface_name_prefix=st.just("veth"),
        masquerade_all=st.booleans(),
        masquerade_bit=st.integers(0, 31),
        localhost_node_ports=st.booleans(),
        node_port_addresses=st.sampled_from([(), ("192.168.10.0/24", "127.0.0.0/8"), ("0.0.0.0/0",), ("primary",)]),
        conntrack_tcp_be_liberal=st.booleans(),
        nfacct=st.booleans(),
    )
    return st.builds(ProxyInput, st.just(family), st.just(NODE if family == 4 else NODE6), configs, listed)
