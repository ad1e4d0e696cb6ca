"""Random clusters, from a seed: every Service feature, both families, 1 to 4 nodes; plain manifests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.extras import extras

Manifest = dict[str, Any]
PORTS = (("http", 8080, "TCP"), ("admin", 9090, "TCP"), ("stats", 8125, "UDP"))


@dataclass(frozen=True, slots=True)
class RandomCluster:
    """Manifests and kube-proxy flags of one case."""

    seed: int
    manifests: tuple[Manifest, ...]
    flags: tuple[str, ...]


def random_cluster(seed: int, mode: str = "") -> RandomCluster:
    """Return the cluster of a seed, in the mode that the dice choose or in a given one."""
    dice = random.Random(seed)
    families = dice.choice((("IPv4",), ("IPv4",), ("IPv4", "IPv6"), ("IPv6",)))
    nodes = [_node(number, families, dice) for number in range(1, dice.randint(1, 4) + 1)]
    apps = [f"app{number}" for number in range(dice.randint(1, 3))]
    pods = [pod for app in apps for pod in _pods(app, nodes, families, dice)]
    services = [_service(number, apps, nodes, families, dice) for number in range(dice.randint(2, 5))]
    cidrs = [{"IPv4": "10.96.0.0/16", "IPv6": "fd00:10:96::/112"}[family] for family in families]
    ranges = _object("networking.k8s.io/v1", "ServiceCIDR", "kubernetes", spec={"cidrs": cidrs}, namespace="")
    flags = tuple(_flags(families, dice, mode))
    more = extras(seed, families, len(nodes))
    return RandomCluster(seed, (*nodes, ranges, *pods, *services, *more), flags)


def _flags(families: tuple[str, ...], dice: random.Random, mode: str) -> Iterator[str]:
    chosen = dice.choice(("iptables", "nftables"))
    yield f"--proxy-mode={mode or chosen}"
    cidr = ",".join({"IPv4": "10.244.0.0/16", "IPv6": "fd00:10:244::/48"}[family] for family in families)
    detector = dice.random()
    if detector < 0.6:
        yield f"--cluster-cidr={cidr}"
    elif detector < 0.8:
        yield "--detect-local-mode=NodeCIDR"
    if dice.random() < 0.15:
        yield "--masquerade-all"
    if dice.random() < 0.2 and "IPv4" in families:
        yield "--iptables-localhost-nodeports=false"
    if dice.random() < 0.2 and families == ("IPv4",):
        yield "--nodeport-addresses=192.168.10.0/24"


def _object(version: str, kind: str, name: str, *, namespace: str = "default", **fields: Any) -> Manifest:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def _node(number: int, families: tuple[str, ...], dice: random.Random) -> Manifest:
    cidrs = [{"IPv4": f"10.244.{number}.0/24", "IPv6": f"fd00:10:244:{number}::/64"}[family] for family in families]
    ips = [{"IPv4": f"192.168.10.{number}", "IPv6": f"fd00:192:168:10::{number}"}[family] for family in families]
    zone = {"topology.kubernetes.io/zone": f"zone-{dice.choice('ab')}"}
    return _object(
        "v1",
        "Node",
        f"node-{number}",
        namespace="",
        metadata={"labels": zone},
        spec={"podCIDR": cidrs[0], "podCIDRs": cidrs},
        status={"addresses": [{"type": "InternalIP", "address": ip} for ip in ips]},
    )


def _pods(app: str, nodes: list[Manifest], families: tuple[str, ...], dice: random.Random) -> Iterator[Manifest]:
    host_network = dice.random() < 0.12
    for count in range(dice.randint(0, 4)):
        node = dice.randrange(len(nodes)) + 1
        yield _pod(app, count, node, families, dice, host_network=host_network)


def _pod(
    app: str, count: int, node: int, families: tuple[str, ...], dice: random.Random, *, host_network: bool
) -> Manifest:
    suffix = 10 + 10 * int(app[3:]) + count
    ips = [{"IPv4": f"10.244.{node}.{suffix}", "IPv6": f"fd00:10:244:{node}::{suffix}"}[family] for family in families]
    if host_network:
        ips = [{"IPv4": f"192.168.10.{node}", "IPv6": f"fd00:192:168:10::{node}"}[family] for family in families]
    base = 10 * int(app[3:])
    ports = [{"name": name, "containerPort": port + base, "protocol": proto} for name, port, proto in PORTS]
    metadata: Manifest = {"labels": {"app": app}}
    fate = dice.random()
    if fate < 0.12:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ready = "True" if fate < 0.06 or fate > 0.25 else "False"
    spec: Manifest = {"nodeName": f"node-{node}", "containers": [{"name": "c", "image": "echo:1", "ports": ports}]}
    if host_network:
        spec["hostNetwork"] = True
    status = {
        "phase": "Running",
        "podIP": ips[0],
        "podIPs": [{"ip": ip} for ip in ips],
        "conditions": [{"type": "Ready", "status": ready}],
    }
    return _object("v1", "Pod", f"{app}-{count}-{node}", metadata=metadata, spec=spec, status=status)


def _service(
    number: int, apps: list[str], nodes: list[Manifest], families: tuple[str, ...], dice: random.Random
) -> Manifest:
    kind = dice.choice(("ClusterIP", "NodePort", "NodePort", "LoadBalancer", "LoadBalancer"))
    chosen = dice.choice((families, families, (dice.choice(families),)))
    ips = [{"IPv4": f"10.96.1.{number + 1}", "IPv6": f"fd00:10:96::1{number + 1}"}[family] for family in chosen]
    spec: Manifest = {
        "type": kind,
        "clusterIP": ips[0],
        "clusterIPs": ips,
        "ipFamilies": list(chosen),
        "ipFamilyPolicy": "RequireDualStack" if len(chosen) == 2 else "SingleStack",
        "selector": {"app": dice.choice([*apps, apps[0], "nobody"])},
        "ports": list(_ports(number, kind, dice)),
    }
    _policies(spec, kind, chosen, number, dice)
    status = {"loadBalancer": {"ingress": _ingress(number, chosen, dice)}} if kind == "LoadBalancer" else {}
    return _object("v1", "Service", f"svc{number}", spec=spec, status=status)


def _ports(number: int, kind: str, dice: random.Random) -> Iterator[Manifest]:
    for index, (name, _, protocol) in enumerate(dice.sample(PORTS, dice.randint(1, 3))):
        port: Manifest = {"name": name, "port": 80 + index, "protocol": protocol, "targetPort": name}
        if kind != "ClusterIP":
            port["nodePort"] = 30100 + 10 * number + index
        yield port


def _policies(spec: Manifest, kind: str, families: tuple[str, ...], number: int, dice: random.Random) -> None:
    if dice.random() < 0.25:
        spec["internalTrafficPolicy"] = "Local"
    if dice.random() < 0.25:
        spec["sessionAffinity"] = "ClientIP"
    if dice.random() < 0.25:
        spec["externalIPs"] = [_outer(families[0], 100 + number)]
    if dice.random() < 0.2:
        spec["publishNotReadyAddresses"] = True
    if dice.random() < 0.25:
        spec["trafficDistribution"] = dice.choice(("PreferSameZone", "PreferSameNode", "PreferClose"))
    if (kind != "ClusterIP" or "externalIPs" in spec) and dice.random() < 0.4:
        spec["externalTrafficPolicy"] = "Local"
    if kind == "LoadBalancer":
        _load_balancer(spec, families, number, dice)


def _load_balancer(spec: Manifest, families: tuple[str, ...], number: int, dice: random.Random) -> None:
    if spec.get("externalTrafficPolicy") == "Local":
        spec["healthCheckNodePort"] = 31000 + number
    ranges = {"IPv4": ("198.51.100.0/24", "10.244.1.0/24", "192.168.10.1/32"), "IPv6": ("2001:db8:51::/64",)}
    if dice.random() < 0.35:
        spec["loadBalancerSourceRanges"] = [dice.choice(ranges[family]) for family in families]


def _ingress(number: int, families: tuple[str, ...], dice: random.Random) -> list[Manifest]:
    mode = {"ipMode": "Proxy"} if dice.random() < 0.15 else {}
    return [{"ip": _outer(family, number + 1), **mode} for family in families]


def _outer(family: str, number: int) -> str:
    return f"203.0.113.{number}" if family == "IPv4" else f"2001:db8:ff::{number}"
