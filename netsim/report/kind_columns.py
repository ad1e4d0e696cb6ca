"""The table of each kind, in kubectl's words (pkg/printers/internalversion/printers.go v1.36)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.report.columns import (
    AGE,
    NAME,
    SELECTOR,
    WORKLOAD_WIDE,
    at,
    count,
    get,
    label_selector,
    labels,
    listed,
    modes,
    ratio,
    size,
    spelled,
)
from netsim.report.tables import NONE, UNKNOWN, Column

Object = Mapping[str, Any]


def columns_of(kind: str) -> tuple[Column, ...]:
    """Return a kind's columns; NAME and AGE for kinds kubectl has no columns for."""
    return COLUMNS.get(kind, (NAME, AGE))


def service_ports(item: Object) -> str:
    """Return `80:30080/TCP,443/TCP`."""
    found = []
    for port in get(item, "spec", "ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        found.append(f"{port.get('port')}{node}/{port.get('protocol')}")
    return ",".join(found) or NONE


def external_ip(item: Object) -> str:
    """Return what can be dialled from outside, `<pending>` for a load balancer that has no address yet."""
    given = [str(ip) for ip in get(item, "spec", "externalIPs") or ()]
    match get(item, "spec", "type"):
        case "LoadBalancer":
            entries = get(item, "status", "loadBalancer", "ingress") or ()
            found = [str(get(entry, "ip") or get(entry, "hostname") or "") for entry in entries]
            return ",".join((*found, *given)) or "<pending>"
        case "ExternalName":
            return str(get(item, "spec", "externalName") or NONE)
        case _:
            return ",".join(given) or NONE


def slice_ports(item: Object) -> str:
    """Return the ports of a slice, `<unset>` where it has none."""
    ports = get(item, "ports") or ()
    return listed(str(get(port, "port") or "*") for port in ports) if ports else "<unset>"


def slice_endpoints(item: Object) -> str:
    """Return the addresses of a slice, `<unset>` where it has none."""
    found = [str(ip) for endpoint in get(item, "endpoints") or () for ip in get(endpoint, "addresses") or ()]
    return listed(found) if found else "<unset>"


def legacy_endpoints(item: Object) -> str:
    """Return `ip:port` of an Endpoints object's ready addresses."""
    found = []
    for subset in get(item, "subsets") or ():
        ports = [f":{get(port, 'port')}" for port in get(subset, "ports") or ()] or [""]
        for port in ports:
            for address in get(subset, "addresses") or ():
                ip = str(get(address, "ip"))
                found.append((f"[{ip}]" if ":" in ip and port else ip) + port)
    return listed(found)


def pod_ready(item: Object) -> str:
    """Return `READY/CONTAINERS`, sidecars counted; without container statuses the pod's own condition decides."""
    spec = get(item, "spec") or {}
    sidecars = [c for c in spec.get("initContainers") or () if get(c, "restartPolicy") == "Always"]
    total = len(spec.get("containers") or ()) + len(sidecars)
    statuses = get(item, "status", "containerStatuses")
    if statuses:
        return f"{sum(get(status, 'ready') is True for status in statuses)}/{total}"
    return f"{total if condition(item, 'Ready') == 'True' else 0}/{total}"


def condition(item: Object, kind: str) -> str:
    """Return the status of a condition, "" where absent."""
    found = (c for c in get(item, "status", "conditions") or () if get(c, "type") == kind)
    return str(get(next(found, {}), "status") or "")


def pod_status(item: Object) -> str:
    """Return the STATUS of a pod: Terminating, a container's reason, Completed, else the phase."""
    for status in get(item, "status", "containerStatuses") or ():
        reason = get(status, "state", "waiting", "reason") or get(status, "state", "terminated", "reason")
        if reason and not get(item, "metadata", "deletionTimestamp"):
            return str(reason)
    if get(item, "metadata", "deletionTimestamp"):
        return "Terminating"
    phase = str(get(item, "status", "reason") or get(item, "status", "phase") or UNKNOWN)
    return {"Succeeded": "Completed", "Failed": "Error"}.get(phase, phase)


def restarts(item: Object) -> str:
    """Return how often the pod's containers restarted."""
    return str(sum(int(get(status, "restartCount") or 0) for status in get(item, "status", "containerStatuses") or ()))


def node_status(item: Object) -> str:
    """Return Ready, NotReady or Unknown, and SchedulingDisabled."""
    ready = condition(item, "Ready")
    word = {"True": "Ready", "False": "NotReady", "": "Ready"}.get(ready, "Unknown")
    return word + (",SchedulingDisabled" if get(item, "spec", "unschedulable") else "")


def roles(item: Object) -> str:
    """Return the node's roles from its labels."""
    prefix = "node-role.kubernetes.io/"
    found = {key.removeprefix(prefix) for key in get(item, "metadata", "labels") or {} if key.startswith(prefix)}
    return ",".join(sorted(found - {""})) or NONE


def node_address(kind: str) -> Column:
    """Return the column of a node's address of one type."""

    def cell(item: Object) -> str:
        found = (a for a in get(item, "status", "addresses") or () if get(a, "type") == kind)
        return str(get(next(found, {}), "address") or NONE)

    return Column({"InternalIP": "INTERNAL-IP", "ExternalIP": "EXTERNAL-IP"}[kind], cell, wide=True)


def hosts(item: Object) -> str:
    """Return an Ingress's hosts, `*` for any."""
    found = [str(get(rule, "host") or "*") for rule in get(item, "spec", "rules") or ()]
    return listed(found) if found else "*"


def ingress_address(item: Object) -> str:
    """Return an Ingress's addresses."""
    entries = get(item, "status", "loadBalancer", "ingress") or ()
    return ",".join(str(get(entry, "ip") or get(entry, "hostname") or "") for entry in entries)


def job_status(item: Object) -> str:
    """Return a Job's status: Suspended, a final condition, else Running."""
    for kind in ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"):
        if condition(item, kind) == "True":
            return kind
    return "Suspended" if get(item, "spec", "suspend") else "Running"


def completions(item: Object) -> str:
    """Return `SUCCEEDED/COMPLETIONS`."""
    wanted, parallel = get(item, "spec", "completions"), get(item, "spec", "parallelism") or 0
    done = get(item, "status", "succeeded") or 0
    return f"{done}/{wanted}" if wanted is not None else f"{done}/1" + (f" of {parallel}" if parallel > 1 else "")


def class_parameters(item: Object) -> str:
    """Return `kind.group/name` of an IngressClass's parameters."""
    found = get(item, "spec", "parameters")
    group = f".{get(found, 'apiGroup')}" if get(found, "apiGroup") else ""
    return f"{get(found, 'kind')}{group}/{get(found, 'name')}" if found else NONE


def default_class(item: Object) -> str:
    """Return a StorageClass's name, marked when it is the default one."""
    annotation = get(item, "metadata", "annotations", "storageclass.kubernetes.io/is-default-class")
    return str(get(item, "metadata", "name")) + (" (default)" if annotation == "true" else "")


def claimed_by(item: Object) -> str:
    """Return `namespace/name` of the claim a volume is bound to."""
    found = get(item, "spec", "claimRef")
    return f"{get(found, 'namespace')}/{get(found, 'name')}" if found else ""


COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "Pod": (
        NAME,
        Column("READY", pod_ready),
        Column("STATUS", pod_status),
        Column("RESTARTS", restarts),
        AGE,
        Column("IP", at("status", "podIP"), wide=True),
        Column("NODE", at("spec", "nodeName"), wide=True),
        Column("NOMINATED NODE", at("status", "nominatedNodeName"), wide=True),
        Column("READINESS GATES", lambda item: NONE, wide=True),
    ),
    "Service": (
        NAME,
        Column("TYPE", at("spec", "type")),
        Column("CLUSTER-IP", at("spec", "clusterIP")),
        Column("EXTERNAL-IP", external_ip),
        Column("PORT(S)", service_ports),
        AGE,
        Column("SELECTOR", lambda item: labels(get(item, "spec", "selector")), wide=True),
    ),
    "EndpointSlice": (
        NAME,
        Column("ADDRESSTYPE", at("addressType")),
        Column("PORTS", slice_ports),
        Column("ENDPOINTS", slice_endpoints),
        AGE,
    ),
    "Endpoints": (NAME, Column("ENDPOINTS", legacy_endpoints), AGE),
    "Namespace": (NAME, Column("STATUS", at("status", "phase", default="Active")), AGE),
    "Node": (
        NAME,
        Column("STATUS", node_status),
        Column("ROLES", roles),
        AGE,
        Column("VERSION", at("status", "nodeInfo", "kubeletVersion", default="")),
        node_address("InternalIP"),
        node_address("ExternalIP"),
        Column("OS-IMAGE", at("status", "nodeInfo", "osImage", default=UNKNOWN), wide=True),
        Column("KERNEL-VERSION", at("status", "nodeInfo", "kernelVersion", default=UNKNOWN), wide=True),
        Column("CONTAINER-RUNTIME", at("status", "nodeInfo", "containerRuntimeVersion", default=UNKNOWN), wide=True),
    ),
    "Deployment": (
        NAME,
        Column("READY", ratio(("status", "readyReplicas"), ("spec", "replicas"))),
        Column("UP-TO-DATE", count("status", "updatedReplicas")),
        Column("AVAILABLE", count("status", "availableReplicas")),
        AGE,
        *WORKLOAD_WIDE,
        SELECTOR,
    ),
    "ReplicaSet": (
        NAME,
        Column("DESIRED", count("spec", "replicas")),
        Column("CURRENT", count("status", "replicas")),
        Column("READY", count("status", "readyReplicas")),
        AGE,
        *WORKLOAD_WIDE,
        SELECTOR,
    ),
    "StatefulSet": (
        NAME,
        Column("READY", ratio(("status", "readyReplicas"), ("spec", "replicas"))),
        AGE,
        *WORKLOAD_WIDE,
    ),
    "DaemonSet": (
        NAME,
        Column("DESIRED", count("status", "desiredNumberScheduled")),
        Column("CURRENT", count("status", "currentNumberScheduled")),
        Column("READY", count("status", "numberReady")),
        Column("UP-TO-DATE", count("status", "updatedNumberScheduled")),
        Column("AVAILABLE", count("status", "numberAvailable")),
        Column("NODE SELECTOR", lambda item: labels(get(item, "spec", "template", "spec", "nodeSelector"))),
        AGE,
        *WORKLOAD_WIDE,
        SELECTOR,
    ),
    "Job": (
        NAME,
        Column("STATUS", job_status),
        Column("COMPLETIONS", completions),
        Column("DURATION", lambda item: ""),
        AGE,
        *WORKLOAD_WIDE,
        SELECTOR,
    ),
    "CronJob": (
        NAME,
        Column("SCHEDULE", at("spec", "schedule")),
        Column("TIMEZONE", at("spec", "timeZone")),
        Column("SUSPEND", lambda item: "True" if get(item, "spec", "suspend") else "False"),
        Column("ACTIVE", lambda item: str(len(get(item, "status", "active") or ()))),
        Column("LAST SCHEDULE", at("status", "lastScheduleTime")),
        AGE,
    ),
    "Ingress": (
        NAME,
        Column("CLASS", at("spec", "ingressClassName")),
        Column("HOSTS", hosts),
        Column("ADDRESS", ingress_address),
        Column("PORTS", lambda item: "80, 443" if get(item, "spec", "tls") else "80"),
        AGE,
    ),
    "IngressClass": (
        NAME,
        Column("CONTROLLER", at("spec", "controller")),
        Column("PARAMETERS", class_parameters),
        AGE,
    ),
    "ConfigMap": (NAME, Column("DATA", size("data")), AGE),
    "Secret": (NAME, Column("TYPE", at("type", default="")), Column("DATA", size("data")), AGE),
    "NetworkPolicy": (
        NAME,
        Column("POD-SELECTOR", lambda item: label_selector(get(item, "spec", "podSelector"))),
        AGE,
    ),
    "PersistentVolume": (
        NAME,
        Column("CAPACITY", at("spec", "capacity", "storage", default="")),
        Column("ACCESS MODES", modes),
        Column("RECLAIM POLICY", at("spec", "persistentVolumeReclaimPolicy", default="")),
        Column("STATUS", at("status", "phase", default="")),
        Column("CLAIM", claimed_by),
        Column("STORAGECLASS", at("spec", "storageClassName", default="")),
        Column("VOLUMEATTRIBUTESCLASS", at("spec", "volumeAttributesClassName", default="<unset>")),
        Column("REASON", at("status", "reason", default="")),
        AGE,
    ),
    "PersistentVolumeClaim": (
        NAME,
        Column("STATUS", at("status", "phase", default="")),
        Column("VOLUME", at("spec", "volumeName", default="")),
        Column("CAPACITY", at("status", "capacity", "storage", default="")),
        Column("ACCESS MODES", modes),
        Column("STORAGECLASS", at("spec", "storageClassName", default="")),
        Column("VOLUMEATTRIBUTESCLASS", at("spec", "volumeAttributesClassName", default="<unset>")),
        AGE,
    ),
    "StorageClass": (
        Column("NAME", default_class),
        Column("PROVISIONER", at("provisioner")),
        Column("RECLAIMPOLICY", at("reclaimPolicy")),
        Column("VOLUMEBINDINGMODE", at("volumeBindingMode")),
        Column("ALLOWVOLUMEEXPANSION", lambda item: spelled(bool(get(item, "allowVolumeExpansion")))),
        AGE,
    ),
    "ServiceCIDR": (NAME, Column("CIDRS", at("spec", "cidrs")), AGE),
}
