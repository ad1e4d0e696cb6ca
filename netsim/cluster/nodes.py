"""Nodes: as given, or assumed; their addresses and pod ranges, allocated where the input has none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from iptables_gen.values import decimal
from netsim.cluster.model import HostAddress, Node, Taint
from netsim.cluster.read import (
    IPV4,
    canonical_cidrs,
    canonical_ip,
    canonical_ips,
    family_of,
    labels_of,
    metadata_of,
    objects,
    spec_of,
    status_of,
    text,
    texts,
)
from netsim.manifests.objects import Manifest
from netsim.notes import Note

HOST_ADDRESSES = "netsim.dev/host-addresses"
ASSUMED_NODES = ("node-1", "node-2")
POD_CIDRS = ("10.244.{}.0/24", "fd00:10:244:{:x}::/64")
NODE_ADDRESSES = ("192.168.10.{}", "fd00:192:168:10::{:x}")


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The nodes, and what had to be assumed for them."""

    nodes: tuple[Node, ...]
    notes: tuple[Note, ...]


def read_node(manifest: Manifest) -> Node:
    """Return a Node as its object says."""
    metadata, spec, status = metadata_of(manifest), spec_of(manifest), status_of(manifest)
    addresses = [(text(item.get("type")), text(item.get("address"))) for item in objects(status.get("addresses"))]
    annotations = labels_of(metadata.get("annotations"))
    pod_cidrs = texts(spec.get("podCIDRs")) or (text(spec.get("podCIDR")),)
    return Node(
        name=manifest.name,
        labels=_node_labels(manifest, labels_of(metadata.get("labels"))),
        annotations=annotations,
        internal_ips=canonical_ips(address for kind, address in addresses if kind == "InternalIP"),
        external_ips=canonical_ips(address for kind, address in addresses if kind == "ExternalIP"),
        pod_cidrs=canonical_cidrs(pod_cidrs),
        extra_addresses=tuple(host_addresses(annotations.get(HOST_ADDRESSES, ""))),
        unschedulable=spec.get("unschedulable") is True,
        taints=tuple(_taint(item) for item in objects(spec.get("taints"))),
        ready=_is_ready(status),
        source=manifest,
    )


def _node_labels(manifest: Manifest, given: Mapping[str, str]) -> Mapping[str, str]:
    """Return a node's labels; a hand-written one gets those that its kubelet would set."""
    return given if manifest.stored else {**kubelet_labels(manifest.name), **given}


def kubelet_labels(name: str) -> dict[str, str]:
    """Return the labels that every kubelet sets on its node."""
    return {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}


def _taint(item: Mapping[str, object]) -> Taint:
    return Taint(text(item.get("key")), text(item.get("value")), text(item.get("effect")))


def _is_ready(status: Mapping[str, object]) -> bool:
    found = [item for item in objects(status.get("conditions")) if item.get("type") == "Ready"]
    return all(item.get("status") == "True" for item in found)


def host_addresses(annotation: str) -> Iterator[HostAddress]:
    """Yield the addresses of `netsim.dev/host-addresses`: a comma-separated list of `[IFACE=]ADDR/LEN` (default eth0).

    Words that are no address are left out; the loader has reported them.
    """
    for word in annotation.split(","):
        interface, equals, rest = word.strip().rpartition("=")
        address, _, prefix = rest.partition("/")
        ip = canonical_ip(address)
        bits = 32 if family_of(ip) == IPV4 else 128
        length = bits if (given := decimal(prefix)) is None else given
        if ip and length <= bits:
            yield HostAddress(interface if equals else "eth0", ip, length)


def plan_nodes(
    manifests: Iterable[Manifest], used_names: Callable[[], set[str]], used_ips: Callable[[], set[str]]
) -> NodePlan:
    """Return all nodes with addresses and pod ranges; without any Node, those that Pods and slices name, else two.

    used_names: nodeNames of Pods and slices; used_ips: addresses that must not be given to a node. Both are asked only
    when needed.
    """
    given = {manifest.name: read_node(manifest) for manifest in manifests}
    notes: list[Note] = []
    if not given:
        names = sorted(used_names() - {""}) or list(ASSUMED_NODES)
        given = {name: Node(name, kubelet_labels(name)) for name in names}
        notes.append(Note("ASSUMED_NODES", f"no Node in the input: assuming {', '.join(names)}"))
    nodes = [given[name] for name in sorted(given)]
    nodes, addressed = _with_addresses(nodes, used_ips)
    nodes, ranged = _with_pod_cidrs(nodes)
    if addressed:
        notes.append(Note("ASSUMED_NODE_ADDRESSES", f"no address in status.addresses: {_pairs(addressed)}"))
    if ranged:
        notes.append(Note("ASSUMED_POD_CIDRS", f"no spec.podCIDR: {_pairs(ranged)}"))
    return NodePlan(tuple(nodes), tuple(notes))


def _pairs(assumed: Mapping[str, tuple[str, ...]]) -> str:
    return "assuming " + "; ".join(f"{name} has {', '.join(values)}" for name, values in assumed.items())


def _with_addresses(
    nodes: Sequence[Node], used_ips: Callable[[], set[str]]
) -> tuple[list[Node], dict[str, tuple[str, ...]]]:
    homeless = [node.name for node in nodes if not (node.internal_ips or node.external_ips)]
    if not homeless:
        return list(nodes), {}
    taken = used_ips()
    taken |= {ip for node in nodes for ip in (*node.internal_ips, *node.external_ips)}
    taken |= {extra.address for node in nodes for extra in node.extra_addresses}
    numbers = _numbers(homeless, NODE_ADDRESSES, taken)
    assumed = {name: tuple(form.format(n) for form in NODE_ADDRESSES) for name, n in numbers.items()}
    return [replace(n, internal_ips=assumed[n.name]) if n.name in assumed else n for n in nodes], assumed


def _with_pod_cidrs(nodes: Sequence[Node]) -> tuple[list[Node], dict[str, tuple[str, ...]]]:
    taken = {cidr for node in nodes for cidr in node.pod_cidrs}
    numbers = _numbers([node.name for node in nodes if not node.pod_cidrs], POD_CIDRS, taken)
    assumed = {name: tuple(form.format(n) for form in POD_CIDRS) for name, n in numbers.items()}
    return [replace(n, pod_cidrs=assumed[n.name]) if n.name in assumed else n for n in nodes], assumed


def _numbers(names: Sequence[str], forms: Sequence[str], taken: set[str]) -> dict[str, int]:
    """Give each node a number whose addresses are free: the one its name ends with (node-7), else the lowest."""

    def free(n: int) -> bool:
        return not any(form.format(n) in taken for form in forms) and n not in chosen.values()

    chosen: dict[str, int] = {}
    wishes = {name: int(found.group()) if (found := re.search(r"[1-9]\d{0,2}$", name)) else 0 for name in names}
    for name in names:
        if 0 < wishes[name] < 251 and free(wishes[name]):
            chosen[name] = wishes[name]
    for name in names:
        if name not in chosen:
            n = next((n for n in range(1, 251) if free(n)), None)
            if n is not None:
                chosen[name] = n
    return {name: chosen[name] for name in names if name in chosen}
