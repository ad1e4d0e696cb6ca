"""Containers: images, ports, environment, mounts, probes, hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netsim.validate import names
from netsim.validate.cause import (
    At,
    Causes,
    duplicate,
    forbidden,
    invalid,
    invalids,
    not_found,
    not_supported,
    required,
)
from netsim.validate.fields import Object, has, int_or_text, items, number, obj, text, texts
from netsim.validate.resources import resources

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_NEGATIVE = "must be greater than or equal to 0"

Volumes = Mapping[str, Object]
"""The pod's volumes by name."""


def containers(spec: Object, volumes: Volumes, at: At) -> Causes:
    """Check the containers of a pod spec."""
    listed, place = items(spec, "containers"), at.child("containers")
    if not listed:
        yield required(place)
        return
    seen: set[str] = set()
    for index, container in enumerate(listed):
        here = place.index(index)
        yield from _common(container, volumes, here)
        yield from _unique_name(container, seen, here)
        yield from _hooks_and_probes(container, here)
        if has(container, "restartPolicy") and not has(container, "restartPolicyRules"):
            yield from _restart_policy(container, here)
    yield from host_port_conflicts(listed, place)


def init_containers(spec: Object, volumes: Volumes, at: At) -> Causes:
    """Check the init containers; those with restartPolicy Always are sidecars, which may have probes."""
    place = at.child("initContainers")
    seen = {text(container, "name") for container in items(spec, "containers")}
    for index, container in enumerate(items(spec, "initContainers")):
        here = place.index(index)
        yield from _common(container, volumes, here)
        yield from _unique_name(container, seen, here)
        if has(container, "restartPolicy"):
            yield from _restart_policy(container, here)
        yield from host_port_conflicts([container], place)
        if text(container, "restartPolicy") == "Always":
            yield from _hooks_and_probes(container, here)
            continue
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if has(container, field):
                yield forbidden(here.child(field), "may not be set for init containers without restartPolicy=Always")


def only_for_pods(spec: Object, at: At) -> Causes:
    """Check what templates may do and pods may not: white space around an image."""
    for field in ("containers", "initContainers"):
        for index, container in enumerate(items(spec, field)):
            image = text(container, "image")
            if image != image.strip():
                place = at.child(field).index(index).child("image")
                yield invalid(place, image, "must not have leading or trailing whitespace")


def _restart_policy(container: Object, at: At) -> Causes:
    policy = text(container, "restartPolicy")
    if policy not in ("Always", "OnFailure", "Never"):
        yield not_supported(at.child("restartPolicy"), policy, ("Always", "Never", "OnFailure"))


def _unique_name(container: Object, seen: set[str], at: At) -> Causes:
    name = text(container, "name")
    if name in seen:
        yield duplicate(at.child("name"), name)
    elif name:
        seen.add(name)


def _common(container: Object, volumes: Volumes, at: At) -> Causes:
    name = text(container, "name")
    if name:
        yield from invalids(at.child("name"), name, names.dns_label(name))
    else:
        yield required(at.child("name"))
    if not text(container, "image"):
        yield required(at.child("image"))
    message = text(container, "terminationMessagePolicy", "File")
    if message not in ("File", "FallbackToLogsOnError"):
        place = at.child("terminationMessagePolicy")
        yield not_supported(place, message, ("File", "FallbackToLogsOnError"))
    yield from _ports(items(container, "ports"), at.child("ports"))
    yield from _environment(container, at)
    yield from _mounts(container, volumes, at)
    yield from _devices(container, volumes, at)
    policy = text(container, "imagePullPolicy", "Always")
    if policy not in _PULL_POLICIES:
        yield not_supported(at.child("imagePullPolicy"), policy, _PULL_POLICIES)
    yield from resources(obj(container, "resources"), at.child("resources"))


def _ports(found: Sequence[Object], at: At) -> Causes:
    seen: set[str] = set()
    for index, port in enumerate(found):
        place, name = at.index(index), text(port, "name")
        if name:
            reasons = names.port_name(name)
            yield from invalids(place.child("name"), name, reasons)
            if name in seen:
                yield duplicate(place.child("name"), name)
            elif not reasons:
                seen.add(name)
        yield from _port_numbers(port, place)
        protocol = text(port, "protocol", "TCP")
        if protocol not in _PROTOCOLS:
            yield not_supported(place.child("protocol"), protocol, _PROTOCOLS)


def _port_numbers(port: Object, at: At) -> Causes:
    inside, outside = number(port, "containerPort"), number(port, "hostPort")
    if inside:
        yield from invalids(at.child("containerPort"), inside, names.port_number(inside))
    else:
        yield required(at.child("containerPort"))
    if outside:
        yield from invalids(at.child("hostPort"), outside, names.port_number(outside))


def host_port_conflicts(listed: Sequence[Object], at: At) -> Causes:
    """Check that no two ports of these containers take one port of the host."""
    seen: set[str] = set()
    for index, container in enumerate(listed):
        for place, port in enumerate(items(container, "ports")):
            if taken := number(port, "hostPort"):
                key = f"{text(port, 'protocol', 'TCP')}/{text(port, 'hostIP')}/{taken}"
                if key in seen:
                    yield duplicate(at.index(index).child("ports").index(place).child("hostPort"), key)
                seen.add(key)


def _environment(container: Object, at: At) -> Causes:
    for index, variable in enumerate(items(container, "env")):
        place, name = at.child("env").index(index), text(variable, "name")
        if name:
            yield from invalids(place.child("name"), name, names.environment_name(name))
        else:
            yield required(place.child("name"))
        if has(variable, "valueFrom"):
            yield from _value_from(variable, place.child("valueFrom"))
    for index, source in enumerate(items(container, "envFrom")):
        yield from _environment_from(source, at.child("envFrom"), index)


def _value_from(variable: Object, at: At) -> Causes:
    source = obj(variable, "valueFrom")
    known = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
    there = [field for field in known if has(source, field)]
    for field in ("configMapKeyRef", "secretKeyRef"):
        if field in there:
            yield from _key_reference(obj(source, field), at.child(field))
    if "fieldRef" in there and not text(obj(source, "fieldRef"), "fieldPath"):
        yield required(at.child("fieldRef", "fieldPath"))
    if "resourceFieldRef" in there and not text(obj(source, "resourceFieldRef"), "resource"):
        yield required(at.child("resourceFieldRef", "resource"))
    if not there:
        options = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(at, "", f"must specify one of: {options}")
    elif text(variable, "value"):
        yield invalid(at, "", "may not be specified when `value` is not empty")
    elif len(there) > 1:
        yield invalid(at, "", "may not have more than one field specified at a time")


def _key_reference(found: Object, at: At) -> Causes:
    name, key = text(found, "name"), text(found, "key")
    yield from invalids(at.child("name"), name, names.dns_subdomain(name))
    if key:
        yield from invalids(at.child("key"), key, names.config_key(key))
    else:
        yield required(at.child("key"))


def _environment_from(source: Object, at: At, index: int) -> Causes:
    place = at.index(index)
    there = [field for field in ("configMapRef", "secretRef") if has(source, field)]
    for field in there:
        name = text(obj(source, field), "name")
        if name:
            yield from invalids(place.child(field, "name"), name, names.dns_subdomain(name))
        else:
            yield required(place.child(field, "name"))
    if not there:
        yield invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(there) > 1:
        yield invalid(at, "", "may not have more than one field specified at a time")


def _mounts(container: Object, volumes: Volumes, at: At) -> Causes:
    seen: set[str] = set()
    devices = {text(device, "name") for device in items(container, "volumeDevices")}
    for index, mount in enumerate(items(container, "volumeMounts")):
        place = at.child("volumeMounts").index(index)
        name, path = text(mount, "name"), text(mount, "mountPath")
        if not name:
            yield required(place.child("name"))
        if name not in volumes:
            yield not_found(place.child("name"), name)
        if not path:
            yield required(place.child("mountPath"))
        if path in seen:
            yield invalid(place.child("mountPath"), path, "must be unique")
        seen.add(path)
        if name in devices:
            yield invalid(place.child("name"), name, "must not already exist in volumeDevices")
        yield from _sub_path(mount, at, place)


def _sub_path(mount: Object, at: At, place: At) -> Causes:
    path, expression = text(mount, "subPath"), text(mount, "subPathExpr")
    # The server names the list, not the mount, for these two.
    for field, value in (("subPath", path), ("subPathExpr", expression)):
        yield from descending_path(value, At(place.child(field).parts, f"{at.text}.volumeMounts.{field}"))
    if path and expression:
        yield invalid(place.child("subPathExpr"), expression, "subPathExpr and subPath are mutually exclusive")
    propagation = text(mount, "mountPropagation")
    options = ("Bidirectional", "HostToContainer", "None")
    if propagation and propagation not in options:
        here = At(place.child("mountPropagation").parts, f"{at.text}.volumeMounts.mountPropagation")
        yield not_supported(here, propagation, options)


def descending_path(path: str, at: At) -> Causes:
    """Check that a path stays below where it starts."""
    if path.startswith("/"):
        yield invalid(at, path, "must be a relative path")
    if ".." in path.split("/"):
        yield invalid(at, path, "must not contain '..'")


def _devices(container: Object, volumes: Volumes, at: At) -> Causes:
    for index, device in enumerate(items(container, "volumeDevices")):
        place, name = at.child("volumeDevices").index(index), text(device, "name")
        if not name:
            yield required(place.child("name"))
        if name not in volumes:
            yield not_found(place.child("name"), name)
        elif not (has(volumes[name], "persistentVolumeClaim") or has(volumes[name], "ephemeral")):
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            yield invalid(place.child("name"), name, why)
        if not text(device, "devicePath"):
            yield required(place.child("devicePath"))


def _hooks_and_probes(container: Object, at: At) -> Causes:
    lifecycle = obj(container, "lifecycle")
    for field in ("postStart", "preStop"):
        if has(lifecycle, field):
            yield from _handler(
                obj(lifecycle, field), at.child("lifecycle", field), ("exec", "httpGet", "tcpSocket", "sleep")
            )
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if has(container, field):
            yield from _probe(obj(container, field), at.child(field), once=field != "readinessProbe")


def _probe(probe: Object, at: At, *, once: bool) -> Causes:
    yield from _handler(probe, at, ("exec", "httpGet", "tcpSocket", "grpc"))
    for field in _COUNTS:
        if number(probe, field) < 0:
            yield invalid(at.child(field), number(probe, field), _NEGATIVE)
    if has(probe, "terminationGracePeriodSeconds"):
        seconds, place = number(probe, "terminationGracePeriodSeconds"), at.child("terminationGracePeriodSeconds")
        if seconds <= 0:
            yield invalid(place, seconds, "must be greater than 0")
        if not once:
            yield invalid(place, seconds, "must not be set for readinessProbes")
    successes = number(probe, "successThreshold") or 1
    if once and successes != 1:
        yield invalid(at.child("successThreshold"), successes, "must be 1")


def _handler(found: Object, at: At, kinds: Sequence[str]) -> Causes:
    there = [kind for kind in _HANDLERS if kind in kinds and has(found, kind)]
    if not there:
        yield required(at, "must specify a handler type")
        return
    yield from _one_handler(there[0], obj(found, there[0]), at.child(there[0]))
    for extra in there[1:]:
        yield forbidden(at.child(extra), "may not specify more than 1 handler type")


def _one_handler(kind: str, found: Object, at: At) -> Causes:
    match kind:
        case "exec":
            if not texts(found, "command"):
                yield required(at.child("command"))
        case "httpGet":
            yield from _http_get(found, at)
        case "tcpSocket" | "grpc":
            port = int_or_text(found, "port") or 0
            yield from invalids(at.child("port"), port, names.port(port))
        case _:
            if number(found, "seconds") < 0:
                yield invalid(
                    at, number(found, "seconds"), "must be non-negative and less than terminationGracePeriodSeconds"
                )


def _http_get(found: Object, at: At) -> Causes:
    port = int_or_text(found, "port")
    yield from invalids(at.child("port"), port or 0 if port != "" else "", names.port(port or 0 if port != "" else ""))
    scheme = text(found, "scheme", "HTTP")
    if scheme not in ("HTTP", "HTTPS"):
        yield not_supported(at.child("scheme"), scheme, ("HTTP", "HTTPS"))
    for header in items(found, "httpHeaders"):
        name = text(header, "name")
        yield from invalids(at.child("httpHeaders"), name, names.header_name(name))


def all_containers(spec: Object) -> Iterator[tuple[str, int, Object]]:
    """Yield field, index and container of every container of a pod spec."""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(items(spec, field)):
            yield field, index, container
