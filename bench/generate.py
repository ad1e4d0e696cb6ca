"""A large cluster as `kubectl get -o json` prints it: Services and their EndpointSlices in one List, and one Node.

Seeded: the same arguments give the same bytes. Nothing in it is special to netsim.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import uuid
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

SERVICE_BASE = int(IPv4Address("10.96.0.10"))
POD_BASE = int(IPv4Address("10.128.0.0"))
NODES = 100


def cluster(services: int, endpoints: int, seed: int) -> dict[str, Any]:
    """Return the List: *services* Services with *endpoints* ready endpoints each."""
    rng = random.Random(seed)
    return {
        "apiVersion": "v1",
        "items": list(_items(services, endpoints, rng)),
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }


def _items(services: int, endpoints: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    yield _node(rng)
    for index in range(services):
        namespace, name = f"team-{index % 50:02d}", f"service-{index:05d}"
        uid = _uid(rng)
        yield _service(index, namespace, name, uid, rng)
        yield _slice(index, endpoints, namespace, name, uid, rng)


def _uid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _metadata(name: str, rng: random.Random, **more: Any) -> dict[str, Any]:
    return {
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "name": name,
        "resourceVersion": str(rng.randrange(10**6, 10**7)),
        "uid": _uid(rng),
        **more,
    }


def _node(rng: random.Random) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": "node-00", "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "zone-a"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": _metadata("node-00", rng, labels=labels),
        "spec": {"podCIDR": "10.128.0.0/24", "podCIDRs": ["10.128.0.0/24"]},
        "status": {
            "addresses": [{"address": "192.168.10.1", "type": "InternalIP"}, {"address": "node-00", "type": "Hostname"}]
        },
    }


def _service(index: int, namespace: str, name: str, uid: str, rng: random.Random) -> dict[str, Any]:
    ip = str(IPv4Address(SERVICE_BASE + index))
    metadata = _metadata(name, rng, namespace=namespace, labels={"app": name})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**metadata, "uid": uid},
        "spec": {
            "clusterIP": ip,
            "clusterIPs": [ip],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
            "selector": {"app": name},
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }


def _slice(index: int, endpoints: int, namespace: str, name: str, uid: str, rng: random.Random) -> dict[str, Any]:
    suffix = "".join(rng.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
    labels = {
        "app": name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": name,
    }
    owner = {
        "apiVersion": "v1",
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": "Service",
        "name": name,
        "uid": uid,
    }
    metadata = _metadata(f"{name}-{suffix}", rng, namespace=namespace, labels=labels, generateName=f"{name}-")
    return {
        "addressType": "IPv4",
        "apiVersion": "discovery.k8s.io/v1",
        "endpoints": [_endpoint(index * endpoints + i, namespace, name, rng) for i in range(endpoints)],
        "kind": "EndpointSlice",
        "metadata": {**metadata, "ownerReferences": [owner]},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def _endpoint(number: int, namespace: str, name: str, rng: random.Random) -> dict[str, Any]:
    return {
        "addresses": [str(IPv4Address(POD_BASE + 2 + number))],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{rng.randrange(NODES):02d}",
        "targetRef": {"kind": "Pod", "name": f"{name}-{number:06d}", "namespace": namespace, "uid": _uid(rng)},
        "zone": f"zone-{'abc'[number % 3]}",
    }


def main() -> None:
    """Write the List to stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--endpoints", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    json.dump(cluster(arguments.services, arguments.endpoints, arguments.seed), sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
