"""Why a Service does not answer: the on-call questions in order, each with its place in the manifests.

Does it exist, what does it select, which pods match, which of them are endpoints and why not the others, which ports
resolve, which nodes have local endpoints, who can reach it, and what to fix first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from netsim.cluster.endpointslices import counts, named_port
from netsim.cluster.model import Cluster, EndpointSlice, Pod, Service, ServicePort, SliceEndpoint
from netsim.cluster.selectors import matches_map
from netsim.manifests.objects import Manifest
from netsim.report.why_reach import Reach, reach

State = Literal["ok", "warn", "bad", "none"]
PROXY_LABELS = ("service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the input something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fix:
    """One thing that is wrong: a code of docs/codes.md, what it is, what to do. `bad`: nobody gets an answer."""

    code: str
    text: str
    advice: str
    place: Place | None = None
    bad: bool = True


@dataclass(frozen=True, slots=True)
class PodLine:
    """A pod that the selector matches; `why` says why it is no (ready) endpoint, "" when it is one."""

    pod: Pod
    endpoint: bool
    why: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class PortLine:
    """A port of the Service: how many ready endpoints it has and what is wrong with it."""

    port: ServicePort
    ready: int
    problem: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The whole answer. `service` is None when there is no such Service."""

    namespace: str
    name: str
    service: Service | None
    place: Place | None = None
    pods: tuple[PodLine, ...] = ()
    ports: tuple[PortLine, ...] = ()
    endpoints: tuple[SliceEndpoint, ...] = ()
    local: tuple[tuple[str, int], ...] = ()
    reach: tuple[Reach, ...] = ()
    fixes: tuple[Fix, ...] = ()
    selector_place: Place | None = field(default=None)

    @property
    def verdict(self) -> str:
        """Return BROKEN (nobody gets an answer), DEGRADED (some do not) or OK."""
        if any(fix.bad for fix in self.fixes):
            return "BROKEN"
        return "DEGRADED" if self.fixes else "OK"

    @property
    def summary(self) -> str:
        """Return one sentence: the first thing that is wrong, or how many endpoints answer."""
        if self.fixes:
            return self.fixes[0].text
        if self.service and self.service.type == "ExternalName":
            return f"an alias for {self.service.external_name}"
        ready = sum(endpoint.ready is not False for endpoint in self.endpoints)
        return f"{ready} of {len(self.endpoints)} endpoints are ready"


def place_of(manifest: Manifest | None, *path: str | int) -> Place | None:
    """Return where a field stands, None for what is not from a file."""
    if manifest is None:
        return None
    where = manifest.where(*path)
    return Place(where.file, where.line) if where.line else None


def diagnose(cluster: Cluster, namespace: str, name: str) -> Diagnosis:
    """Return the answer to `why svc/NAMESPACE/NAME`."""
    service = cluster.service(namespace, name)
    if service is None:
        return Diagnosis(namespace, name, None, fixes=(_missing(cluster, namespace, name),))
    slices = [item for item in cluster.slices if (item.namespace, item.service) == (namespace, name)]
    endpoints = tuple(_distinct(slices))
    pods = tuple(_pod_lines(cluster, service))
    ports = tuple(_port_lines(service, slices, pods))
    local = tuple(
        (node.name, sum(_usable(e) and e.node_name == node.name for e in endpoints)) for node in cluster.nodes
    )
    fixes = (*_fixes(cluster, service, slices, endpoints, pods, ports), *_reach_fixes(service, endpoints, local))
    return Diagnosis(
        namespace,
        name,
        service,
        place_of(service.source, "metadata", "name"),
        pods,
        ports,
        endpoints,
        local,
        reach(service, _answers(ports, endpoints), [node for node, count in local if count]),
        tuple(sorted(fixes, key=lambda fix: not fix.bad)),
        place_of(service.source, "spec", "selector") if service.selector else None,
    )


def _usable(endpoint: SliceEndpoint) -> bool:
    """Whether kube-proxy would send anything to an endpoint: ready, or still serving while it terminates."""
    return endpoint.ready is not False or (endpoint.serving is not False and endpoint.terminating is True)


def _answers(ports: Sequence[PortLine], endpoints: Sequence[SliceEndpoint]) -> bool:
    """Whether anything answers: some port has endpoints (a Service without ports is headless: any endpoint)."""
    return any(line.ready for line in ports) if ports else any(map(_usable, endpoints))


def _distinct(slices: Sequence[EndpointSlice]) -> Iterator[SliceEndpoint]:
    seen: set[str] = set()
    for item in slices:
        for endpoint in item.endpoints:
            if endpoint.addresses and endpoint.addresses[0] not in seen:
                seen.add(endpoint.addresses[0])
                yield endpoint


def _missing(cluster: Cluster, namespace: str, name: str) -> Fix:
    elsewhere = [s.namespace for s in cluster.services if s.name == name]
    near = get_close_matches(name, [s.name for s in cluster.services if s.namespace == namespace], n=1)
    if elsewhere:
        advice = f"it is in namespace {', '.join(elsewhere)}: ask for svc/{elsewhere[0]}/{name}"
    elif near:
        advice = f"did you mean svc/{namespace}/{near[0]}?"
    else:
        advice = "netsim get svc -A lists what there is"
    return Fix("NO_SUCH_SERVICE", f"there is no Service {namespace}/{name}", advice)


def _pod_lines(cluster: Cluster, service: Service) -> Iterator[PodLine]:
    if not service.selector:
        return
    nodes = {node.name for node in cluster.nodes}
    for pod in cluster.pods:
        if pod.namespace == service.namespace and matches_map(service.selector, pod.labels):
            why = why_no_endpoint(pod, service, nodes)
            yield PodLine(pod, not why, why, place_of(pod.source, "metadata", "name"))


def why_no_endpoint(pod: Pod, service: Service, nodes: set[str]) -> str:
    """Return why a matching pod is not a ready endpoint, "" when it is."""
    if not counts(pod):
        ended = pod.phase in ("Succeeded", "Failed")
        return f"has ended (phase {pod.phase})" if ended else pod.why_not_ready or f"has no address (phase {pod.phase})"
    if service.publish_not_ready:
        return ""
    if pod.node_name not in nodes:
        return f"runs on node {pod.node_name or '(none)'}, which is not in the input"
    if pod.terminating:
        return "is being deleted"
    return "" if pod.ready else f"not ready: {pod.why_not_ready or 'no reason given'}"


def _port_lines(service: Service, slices: Sequence[EndpointSlice], pods: Sequence[PodLine]) -> Iterator[PortLine]:
    for index, port in enumerate(service.ports):
        ready = {
            endpoint.addresses[0]
            for item in slices
            if any(p.name == port.name and p.protocol == port.protocol and p.port for p in item.ports)
            for endpoint in item.endpoints
            if endpoint.addresses and _usable(endpoint)
        }
        yield PortLine(
            port, len(ready), _port_problem(port, slices, pods), place_of(service.source, "spec", "ports", index)
        )


def _port_problem(port: ServicePort, slices: Sequence[EndpointSlice], pods: Sequence[PodLine]) -> str:
    target = port.target_port
    if isinstance(target, str) and pods:
        without = [line.pod.name for line in pods if named_port(line.pod, target, port.protocol) is None]
        declared = sorted({f"{p.name}={p.port}" for line in pods for p in line.pod.ports if p.name})
        if without:
            return (
                f'targetPort "{target}" is not declared by {_few(without)} (declared: {", ".join(declared) or "none"})'
            )
    names = sorted({p.name or '""' for item in slices if item.endpoints for p in item.ports})
    if not pods and names and (port.name or '""') not in names:
        return f'no EndpointSlice has a port named "{port.name}" (they have {", ".join(names)})'
    return _undeclared(port, pods)


def _undeclared(port: ServicePort, pods: Sequence[PodLine]) -> str:
    target = port.target_port
    declaring = [line.pod for line in pods if line.pod.ports]
    if isinstance(target, str) or not declaring:
        return ""
    without = [pod for pod in declaring if all(p.port != target or p.protocol != port.protocol for p in pod.ports)]
    if not without:
        return ""
    declared = sorted({f"{p.port}/{p.protocol}" for p in without[0].ports})
    return (
        f"port {target}/{port.protocol} is not declared by {_few([p.name for p in without])} ({', '.join(declared)} is)"
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _fixes(
    cluster: Cluster,
    service: Service,
    slices: Sequence[EndpointSlice],
    endpoints: Sequence[SliceEndpoint],
    pods: Sequence[PodLine],
    ports: Sequence[PortLine],
) -> Iterator[Fix]:
    """Yield what is wrong, the deepest cause first."""
    if service.type == "ExternalName":
        return
    if service.selector and not pods and not endpoints:
        yield _no_pods(cluster, service)
    elif not service.selector and not endpoints:
        where = place_of(service.source, "spec")
        advice = "give it a selector, or an EndpointSlice labelled kubernetes.io/service-name"
        yield Fix("NO_SELECTOR", "it has no selector and no EndpointSlice names it", advice, where)
    elif not any(map(_usable, endpoints)):
        yield _none_ready(pods, endpoints, service)
    else:
        yield from (_pod_fix(line) for line in pods if not line.endpoint)
    for label in PROXY_LABELS:
        if label in service.labels and not service.headless:
            advice = "remove the label, or run the proxy it names"
            yield Fix("NOT_PROGRAMMED", f"label {label} hides it from kube-proxy", advice, place_of(service.source))
    for port in ports:
        if port.problem:
            yield _port_fix(port, bool(endpoints))


def _pod_fix(line: PodLine) -> Fix:
    return Fix("POD_NOT_READY", f"pod {line.pod.name} {line.why}", _pod_advice(line.pod), line.place, bad=False)


def _pod_advice(pod: Pod) -> str:
    """Return what can be done for a pod that is no ready endpoint; one that ends or has ended is not to be revived."""
    if pod.terminating:
        return f"wait until pod {pod.name} is gone; a new one has to take its place"
    if pod.phase in ("Succeeded", "Failed"):
        return f"replace pod {pod.name}: it does not run again"
    if not pod.node_name:
        return f"let pod {pod.name} be scheduled"
    return f"make pod {pod.name} ready"


def _port_fix(line: PortLine, endpoints: bool) -> Fix:
    name = line.port.name or str(line.port.port)
    dead = endpoints and line.ready == 0
    declared = isinstance(line.port.target_port, str) or dead
    code = "TARGET_PORT_NOT_DECLARED" if declared else "PORT_NOT_DECLARED"
    return Fix(code, f"port {name}: {line.problem}", "correct targetPort or the container's port", line.place, bad=dead)


def _no_pods(cluster: Cluster, service: Service) -> Fix:
    """Return what the selector probably meant: a pod that differs in one label, or matches in another namespace."""
    selector = service.selector or {}
    text = f"no pod of namespace {service.namespace} has labels {_pairs(selector)}"
    where = place_of(service.source, "spec", "selector")
    for pod in cluster.pods:
        differing = {key: value for key, value in selector.items() if pod.labels.get(key) != value}
        if pod.namespace == service.namespace and len(differing) == 1:
            key, value = next(iter(differing.items()))
            if key in pod.labels and (len(selector) > 1 or get_close_matches(value, [pod.labels[key]], cutoff=0.5)):
                place = place_of(pod.source, "metadata", "labels", key)
                advice = f"pod {pod.name} has {key}={pod.labels[key]}" + (f" ({place})" if place else "")
                return Fix("SELECTOR_MATCHES_NOTHING", text, f"{advice}: correct the selector", where)
    elsewhere = sorted({pod.namespace for pod in cluster.pods if matches_map(selector, pod.labels)})
    advice = f"pods in namespace {', '.join(elsewhere)} match: a Service sees its own only" if elsewhere else ""
    return Fix("SELECTOR_MATCHES_NOTHING", text, advice or "correct the selector or the pods' labels", where)


def _pairs(labels: object) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items()) if isinstance(labels, dict) else str(labels)


def _none_ready(pods: Sequence[PodLine], endpoints: Sequence[SliceEndpoint], service: Service) -> Fix:
    first = next((line for line in pods if line.why), None)
    if first is None:
        where = place_of(service.source, "metadata", "name")
        return Fix("NO_ENDPOINTS", f"none of {len(endpoints)} endpoints is ready", "make one ready", where)
    text = f"none of {len(pods)} matching pods is ready: {first.pod.name} {first.why}"
    return Fix("NO_ENDPOINTS", text, _pod_advice(first.pod), first.place)


def _reach_fixes(
    service: Service, endpoints: Sequence[SliceEndpoint], local: Sequence[tuple[str, int]]
) -> Iterator[Fix]:
    """Yield where a Local policy leaves nodes without endpoints, and what waits for a load balancer."""
    without = [node for node, count in local if not count]
    if any(map(_usable, endpoints)) and without:
        if service.internal_traffic_policy == "Local":
            where = place_of(service.source, "spec", "internalTrafficPolicy")
            text = f"internalTrafficPolicy Local: pods on {_few(without)} reach nothing"
            yield Fix("NO_LOCAL_ENDPOINTS", text, "run a pod there, or use Cluster", where, bad=False)
        if service.external_traffic_policy == "Local":
            where = place_of(service.source, "spec", "externalTrafficPolicy")
            text = f"externalTrafficPolicy Local: clients from outside that arrive at {_few(without)} wait for ever"
            yield Fix("NO_LOCAL_ENDPOINTS", text, "run a pod there, or use Cluster", where, bad=False)
    if service.type == "LoadBalancer" and not service.ingress:
        where = place_of(service.source, "spec", "type")
        advice = "a load balancer controller writes status.loadBalancer.ingress"
        yield Fix("LOAD_BALANCER_PENDING", "the load balancer has no address yet", advice, where, bad=False)
