"""What a random cluster has besides plain pods and Services, by dice of its own: seeds stay what they are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]
CIDRS = {"IPv4": "10.244.0.0/16", "IPv6": "fd00:10:244::/48"}


def extras(seed: int, families: tuple[str, ...], nodes: int) -> Iterator[Manifest]:
    """Yield hand-made EndpointSlices and their Service, an ip-masq-agent, an SCTP Service."""
    dice = random.Random(f"extras of {seed}")
    if dice.random() < 0.5:
        yield from _by_hand(families, nodes, dice)
    if dice.random() < 0.15:
        yield _masquerading(families, dice)
    if dice.random() < 0.15:
        yield _service("association", families, "SCTP", 61, {"selector": {"app": "app0"}}, dice)


def _object(version: str, kind: str, name: str, namespace: str = "default", **fields: Any) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def _by_hand(families: tuple[str, ...], nodes: int, dice: random.Random) -> Iterator[Manifest]:
    """Yield a Service without selector, and slices with endpoints outside, without a Pod, and not ready."""
    yield _service("manual", families, "TCP", 51, {}, dice)
    for family in families:
        endpoints = [_endpoint(family, kind, nodes, dice) for kind in dice.sample(KINDS, dice.randint(1, len(KINDS)))]
        slice_ = _object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            f"manual-{family.lower()}",
            addressType=family,
            endpoints=endpoints,
            ports=[{"name": "main", "port": 7070, "protocol": "TCP"}],
        )
        slice_["metadata"]["labels"] = {"kubernetes.io/service-name": "manual"}
        yield slice_


KINDS = ("outside", "stray", "late")


def _endpoint(family: str, kind: str, nodes: int, dice: random.Random) -> Manifest:
    node = dice.randint(1, nodes)
    outside = {"IPv4": "192.0.2.50", "IPv6": "2001:db8:77::50"}[family]
    last = {"stray": 200, "late": 201}.get(kind, 0)
    inside = {"IPv4": f"10.244.{node}.{last}", "IPv6": f"fd00:10:244:{node}::{last}"}[family]
    if kind == "outside":
        return {"addresses": [outside], "conditions": {}}
    conditions = {"ready": kind == "stray", "serving": True, "terminating": kind == "late"}
    return {"addresses": [inside], "conditions": conditions, "nodeName": f"node-{node}"}


def _service(
    name: str, families: tuple[str, ...], protocol: str, last: int, more: Manifest, dice: random.Random
) -> Manifest:
    ips = [{"IPv4": f"10.96.1.{last}", "IPv6": f"fd00:10:96::1{last}"}[family] for family in families]
    spec: Manifest = {
        "type": "NodePort",
        "clusterIP": ips[0],
        "clusterIPs": ips,
        "ipFamilies": list(families),
        "ipFamilyPolicy": "RequireDualStack" if len(families) == 2 else "SingleStack",
        "ports": [{"name": "main", "port": 80, "protocol": protocol, "targetPort": 7070, "nodePort": 30900 + last}],
        **more,
    }
    if dice.random() < 0.3:
        spec["sessionAffinity"] = "ClientIP"
    if dice.random() < 0.3:
        spec["externalTrafficPolicy"] = "Local"
    return _object("v1", "Service", name, spec=spec)


def _masquerading(families: tuple[str, ...], dice: random.Random) -> Manifest:
    """Return what tells the CNI not to masquerade: the pods' networks, sometimes the nodes' too."""
    kept = [CIDRS[family] for family in families]
    if dice.random() < 0.5:
        kept += [{"IPv4": "192.168.10.0/24", "IPv6": "fd00:192:168:10::/64"}[family] for family in families]
    text = "nonMasqueradeCIDRs:\n" + "".join(f"- {cidr}\n" for cidr in kept)
    return _object("v1", "ConfigMap", "ip-masq-agent", "kube-system", data={"config": text})
