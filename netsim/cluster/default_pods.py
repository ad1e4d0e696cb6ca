"""Defaults of Pods and pod templates, as pkg/apis/core/v1/defaults.go and admission fill them in (v1.36)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from netsim.cluster.read import mapping, objects, text

Object = dict[str, Any]
Read = Mapping[str, Any]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
POD_SPEC: Read = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
ADMITTED: Read = {"priority": 0, "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority"}
CONTAINER: Read = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
EVICTED_AFTER = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
MODES = {"configMap": 0o644, "secret": 0o644, "projected": 0o644, "downwardAPI": 0o644}


def filled(data: Read, defaults: Read) -> Object:
    """Return data with every default whose key is absent."""
    return {**defaults, **data}


def replaced(data: Read, key: str, change: Callable[[Any], Any]) -> Object:
    """Return data with the value of a key changed, as it is when the key is absent."""
    return {**data, key: change(data[key])} if key in data else dict(data)


def template_defaults(template: Read) -> Object:
    """Return a pod template with the defaults of its spec."""
    return {**template, "spec": pod_spec(mapping(template.get("spec")))}


def pod_defaults(spec: Read) -> Object:
    """Return the spec of a Pod: a template's defaults, hostPorts of the host network, and what admission adds."""
    found = filled(pod_spec(spec), ADMITTED)
    if found.get("hostNetwork"):
        found = _with_host_ports(found)
    found["tolerations"] = [*objects(found.get("tolerations")), *_missing_tolerations(found)]
    if found["terminationGracePeriodSeconds"] < 0:
        found["terminationGracePeriodSeconds"] = 1
    return found


def pod_spec(spec: Read) -> Object:
    """Return a pod spec with the defaults that templates get too."""
    found = filled(spec, POD_SPEC)
    for key in ("initContainers", "containers", "ephemeralContainers"):
        found = replaced(found, key, lambda listed: [container(item) for item in objects(listed)])
    found = replaced(found, "volumes", lambda listed: [volume(item) for item in objects(listed)])
    account = text(found.get("serviceAccountName")) or text(found.get("serviceAccount"))
    if account:
        found["serviceAccountName"] = found["serviceAccount"] = account
    return found


def container(data: Read) -> Object:
    """Return a container with its defaults; the pull policy follows the image's tag."""
    found = filled(data, {**CONTAINER, "imagePullPolicy": pull_policy(text(data.get("image")))})
    found = replaced(found, "ports", lambda listed: [filled(item, {"protocol": "TCP"}) for item in objects(listed)])
    found = replaced(found, "env", lambda listed: [_env(item) for item in objects(listed)])
    found = replaced(found, "resources", resources)
    found = replaced(found, "lifecycle", _lifecycle)
    for key in PROBES:
        found = replaced(found, key, probe)
    return found


def pull_policy(image: str) -> str:
    """Return Always for `:latest` or no tag, IfNotPresent for any other tag or a digest."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def resources(data: Any) -> Object:
    """Return resources; requests that are absent equal the limits."""
    found = dict(mapping(data))
    limits = mapping(found.get("limits"))
    if limits:
        found["requests"] = {**limits, **mapping(found.get("requests"))}
    return found


def probe(data: Any) -> Object:
    """Return a probe with its timings, scheme and gRPC service."""
    return filled(_handler(mapping(data)), PROBE)


def _handler(data: Read) -> Object:
    found = replaced(data, "httpGet", lambda item: filled(mapping(item), {"path": "/", "scheme": "HTTP"}))
    return replaced(found, "grpc", lambda item: filled(mapping(item), {"service": ""}))


def _lifecycle(data: Any) -> Object:
    found = dict(mapping(data))
    for key in ("postStart", "preStop"):
        found = replaced(found, key, lambda item: _handler(mapping(item)))
    return found


def _env(data: Read) -> Object:
    def source(item: Any) -> Object:
        return replaced(mapping(item), "fieldRef", lambda ref: filled(mapping(ref), {"apiVersion": "v1"}))

    return replaced(data, "valueFrom", source)


def volume(data: Read) -> Object:
    """Return a volume with its source's defaults; one without any source is an emptyDir."""
    if set(data) <= {"name"}:
        return {**data, "emptyDir": {}}
    found = replaced(data, "hostPath", lambda item: filled(mapping(item), {"type": ""}))
    for key, mode in MODES.items():
        found = replaced(found, key, partial(_with_mode, mode))
    found = replaced(found, "downwardAPI", _downward)
    return replaced(
        found, "projected", lambda item: replaced(item, "sources", lambda ss: [_source(s) for s in objects(ss)])
    )


def _with_mode(mode: int, data: Any) -> Object:
    return filled(mapping(data), {"defaultMode": mode})


def _downward(data: Any) -> Object:
    def item(entry: Read) -> Object:
        return replaced(entry, "fieldRef", lambda ref: filled(mapping(ref), {"apiVersion": "v1"}))

    return replaced(mapping(data), "items", lambda listed: [item(entry) for entry in objects(listed)])


def _source(data: Read) -> Object:
    found = replaced(data, "serviceAccountToken", lambda token: filled(mapping(token), {"expirationSeconds": 3600}))
    return replaced(found, "downwardAPI", _downward)


def _with_host_ports(spec: Object) -> Object:
    def ports(listed: Any) -> list[Object]:
        return [filled(port, {"hostPort": port.get("containerPort")}) for port in objects(listed)]

    def containers(listed: Any) -> list[Object]:
        return [replaced(item, "ports", ports) for item in objects(listed)]

    return replaced(replaced(spec, "containers", containers), "initContainers", containers)


def _missing_tolerations(spec: Read) -> list[Object]:
    """Return the tolerations of 300 s that admission adds for a lost node, unless the pod tolerates it already."""
    given = objects(spec.get("tolerations"))
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in EVICTED_AFTER
        if not any(_tolerates(toleration, key) for toleration in given)
    ]


def _tolerates(toleration: Read, key: str) -> bool:
    effect = toleration.get("effect") in (None, "", "NoExecute")
    return effect and toleration.get("key") in (None, "", key)


def qos_class(spec: Read) -> str:
    """Return BestEffort, Guaranteed or Burstable (component-helpers qos)."""
    listed = [
        resources(item.get("resources")) for key in ("containers", "initContainers") for item in objects(spec.get(key))
    ]
    requests = [mapping(item.get("requests")) for item in listed]
    limits = [mapping(item.get("limits")) for item in listed]
    if not any(set(item) & {"cpu", "memory"} for item in (*requests, *limits)):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(one) and one == other for one, other in zip(limits, requests, strict=True)
    )
    return "Guaranteed" if guaranteed else "Burstable"
