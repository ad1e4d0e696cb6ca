"""Would this pod be ready? What its manifest refers to, its probes and gates decide where no kubelet reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from netsim.cluster.read import mapping, objects, text
from netsim.notes import Note

Spec = Mapping[str, Any]
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """The ConfigMaps and Secrets of the input as (kind, namespace, name); *strict*: all others do not exist."""

    objects: frozenset[Key]
    strict: bool = False


class Assumption(NamedTuple):
    """Something taken for granted; assumptions of one code become one note."""

    code: str
    what: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the kubelet would make of a placed pod. `sandbox` false: it does not even get an address."""

    ready: bool = True
    phase: str = "Running"
    why: str = ""
    sandbox: bool = True
    assumed: tuple[Assumption, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A ConfigMap or Secret that a pod needs; a volume stops the sandbox, an environment only its container."""

    kind: str
    name: str
    where: str
    volume: bool


def judge(namespace: str, name: str, spec: Spec, known: Known) -> Judgement:
    """Return whether a pod becomes ready; *name* is whom assumptions are told about (the pod or its owner)."""
    absent = [r for r in references(spec) if (r.kind, namespace, r.name) not in known.objects]
    if known.strict and absent:
        first = min(absent, key=lambda r: not r.volume)
        reason = "ContainerCreating" if first.volume else "CreateContainerConfigError"
        missing = f'{first.kind.lower()} "{first.name}" not found'
        return Judgement(False, "Pending", f"{reason}: {missing} ({first.where})", sandbox=not first.volume)
    gates = ", ".join(text(gate.get("conditionType")) for gate in objects(spec.get("readinessGates")))
    problem = next(_probe_problems(spec), "")
    if known.strict and gates and not problem:
        problem = f"readiness gate {gates} is not set"
    assumed = [Assumption("ASSUMED_REFERENCE", f"{r.kind} {namespace}/{r.name}") for r in absent]
    assumed += () if problem else _probe_assumptions(f"{namespace}/{name}", spec)
    if gates:
        assumed.append(Assumption("ASSUMED_READINESS_GATE", f"{namespace}/{name} {gates}"))
    return Judgement(not problem, why=problem, assumed=tuple(assumed))


SAID = {
    "ASSUMED_REFERENCE": "referenced but not in the input, assumed to exist (--strict-refs says otherwise)",
    "ASSUMED_PROBE": "readiness probes assumed to succeed",
    "PROBE_PORT_NOT_DECLARED": "readiness probes of ports that no container declares, assumed to succeed",
    "ASSUMED_READINESS_GATE": "readiness gates assumed to be True",
}


def notes_of(assumptions: Iterable[Assumption]) -> list[Note]:
    """Return one note for all assumptions of a code."""
    by_code: dict[str, set[str]] = {}
    for assumption in assumptions:
        by_code.setdefault(assumption.code, set()).add(assumption.what)
    return [Note(code, f"{SAID[code]}: {'; '.join(sorted(found))}") for code, found in sorted(by_code.items())]


def references(spec: Spec) -> Iterator[Reference]:
    """Yield the ConfigMaps and Secrets without which the pod does not start; optional ones are left out."""
    for volume in objects(spec.get("volumes")):
        yield from _volume_references(volume, f"volume {text(volume.get('name'))}")
    for key in ("initContainers", "containers"):
        for container in objects(spec.get(key)):
            yield from _container_references(container)


def _volume_references(volume: Spec, where: str) -> Iterator[Reference]:
    sources = [volume, *objects(mapping(volume.get("projected")).get("sources"))]
    for source in sources:
        for kind, key, name in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
            item = mapping(source.get(key))
            found = text(item.get(name)) or text(item.get("name"))
            if found and item.get("optional") is not True:
                yield Reference(kind, found, where, volume=True)


def _container_references(container: Spec) -> Iterator[Reference]:
    where = f"container {text(container.get('name'))}"
    items = [mapping(env.get("valueFrom")) for env in objects(container.get("env"))]
    keys = (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef"))
    from_keys = (("ConfigMap", "configMapRef"), ("Secret", "secretRef"))
    listed = [(kind, mapping(item.get(key))) for item in items for kind, key in keys]
    listed += [(k, mapping(item.get(key))) for item in objects(container.get("envFrom")) for k, key in from_keys]
    for kind, item in listed:
        if text(item.get("name")) and item.get("optional") is not True:
            yield Reference(kind, text(item.get("name")), where, volume=False)


def _running(spec: Spec) -> list[Spec]:
    """Return containers and sidecars: those whose probes decide readiness."""
    sidecars = [c for c in objects(spec.get("initContainers")) if c.get("restartPolicy") == "Always"]
    return [*sidecars, *objects(spec.get("containers"))]


def _probe_problems(spec: Spec) -> Iterator[str]:
    """Yield why a probe can never succeed: it names a port that its container does not declare."""
    for container in _running(spec):
        named = {text(port.get("name")) for port in objects(container.get("ports"))}
        for kind in ("startupProbe", "readinessProbe"):
            for handler in ("httpGet", "tcpSocket"):
                port = mapping(mapping(container.get(kind)).get(handler)).get("port")
                if isinstance(port, str) and port and not port.isdigit() and port not in named:
                    yield f'{kind} of container {text(container.get("name"))}: port "{port}" is not declared'


def _probe_assumptions(owner: str, spec: Spec) -> Iterator[Assumption]:
    for container in _running(spec):
        numbers = {port.get("containerPort") for port in objects(container.get("ports"))}
        probe = mapping(container.get("readinessProbe"))
        http, tcp = mapping(probe.get("httpGet")), mapping(probe.get("tcpSocket"))
        port = (http or tcp).get("port")
        where = f"{owner} container {text(container.get('name'))}"
        if isinstance(port, int) and port not in numbers:
            yield Assumption("PROBE_PORT_NOT_DECLARED", f"{where} port {port}")
        elif probe:
            yield Assumption("ASSUMED_PROBE", f"{where} {_handler(probe)}")


def _handler(probe: Spec) -> str:
    http, tcp = mapping(probe.get("httpGet")), mapping(probe.get("tcpSocket"))
    if http:
        return f"GET {text(http.get('path')) or '/'}"
    return f"TCP port {tcp.get('port')}" if tcp else "grpc" if "grpc" in probe else "exec"
