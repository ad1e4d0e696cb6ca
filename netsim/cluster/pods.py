"""Pods as their objects say: what counts for addresses, ports, readiness and selectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netsim.cluster.model import ContainerPort, Pod
from netsim.cluster.read import (
    canonical_ip,
    canonical_ips,
    dig,
    labels_of,
    mapping,
    metadata_of,
    number,
    objects,
    spec_of,
    status_of,
    text,
)
from netsim.manifests.objects import Manifest


def read_pod(manifest: Manifest) -> Pod:
    """Return a Pod; with a status it is as stored, without one it still has no address and counts as ready."""
    metadata, spec, status = metadata_of(manifest), spec_of(manifest), status_of(manifest)
    ready = not status or condition(status, "Ready") == "True"
    return Pod(
        namespace=manifest.namespace,
        name=manifest.name,
        labels=labels_of(metadata.get("labels")),
        annotations=labels_of(metadata.get("annotations")),
        node_name=text(spec.get("nodeName")),
        ips=pod_ips(status),
        host_network=spec.get("hostNetwork") is True,
        ready=ready,
        terminating=bool(metadata.get("deletionTimestamp")),
        phase=text(status.get("phase")) or ("Pending" if status else "Running"),
        ports=tuple(container_ports(spec)),
        hostname=text(spec.get("hostname")),
        subdomain=text(spec.get("subdomain")),
        dns_policy=text(spec.get("dnsPolicy")) or "ClusterFirst",
        owner=owner_of(metadata),
        why_not_ready="" if ready else not_ready_reason(status),
        source=manifest,
    )


def pod_ips(status: Mapping[str, Any]) -> tuple[str, ...]:
    """Return status.podIPs, else status.podIP; at most one per family."""
    listed = [text(item.get("ip")) for item in objects(status.get("podIPs"))]
    found: dict[bool, str] = {}
    for ip in canonical_ips(listed or [text(status.get("podIP"))]):
        found.setdefault(":" in ip, ip)
    return tuple(found.values())


def condition(status: Mapping[str, Any], kind: str) -> str:
    """Return the status ("True", "False", "Unknown") of a condition, "" where it is absent."""
    return next((text(c.get("status")) for c in objects(status.get("conditions")) if c.get("type") == kind), "")


def not_ready_reason(status: Mapping[str, Any]) -> str:
    """Return why a stored pod is not ready, in the words of its own status."""
    for item in objects(status.get("containerStatuses")):
        waiting = dig(item, "state", "waiting") or dig(item, "state", "terminated")
        if waiting:
            return f"container {text(item.get('name'))} {text(mapping(waiting).get('reason')) or 'is not running'}"
    found = [c for c in objects(status.get("conditions")) if c.get("type") == "Ready"]
    if not found:
        return "its status has no condition Ready"
    said = ": ".join(filter(None, (text(found[0].get("reason")), text(found[0].get("message")))))
    return f"condition Ready is {text(found[0].get('status'))}" + (f" ({said})" if said else "")


def owner_of(metadata: Mapping[str, Any]) -> str:
    """Return `Kind/name` of the controlling owner, "" if there is none."""
    owners = [o for o in objects(metadata.get("ownerReferences")) if o.get("controller") is True]
    return f"{text(owners[0].get('kind'))}/{text(owners[0].get('name'))}" if owners else ""


def container_ports(spec: Mapping[str, Any]) -> Iterator[ContainerPort]:
    """Yield declared ports in the order the endpointslice controller looks for names.

    Containers come first, then sidecars (init containers with restartPolicy Always); other init containers do not.
    Source: pkg/api/v1/pod FindPort, component-helpers podutil.
    """
    sidecars = [c for c in objects(spec.get("initContainers")) if c.get("restartPolicy") == "Always"]
    for init, containers in ((False, objects(spec.get("containers"))), (True, sidecars)):
        for container in containers:
            for port in objects(container.get("ports")):
                yield _container_port(port, text(container.get("name")), init, spec)


def _container_port(port: Mapping[str, Any], container: str, init: bool, spec: Mapping[str, Any]) -> ContainerPort:
    containers_port = number(port.get("containerPort"))
    host_port = number(port.get("hostPort"))
    if not host_port and spec.get("hostNetwork") is True:
        host_port = containers_port
    return ContainerPort(
        name=text(port.get("name")),
        port=containers_port,
        protocol=text(port.get("protocol")) or "TCP",
        host_port=host_port,
        container=container,
        init=init,
        host_ip=canonical_ip(port.get("hostIP")),
    )
