"""What touches a packet's path in the input but is not modelled yet: the note NOT_MODELLED names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from netsim.cluster.model import Cluster, Labels, Pod
from netsim.manifests.objects import Manifest
from netsim.notes import Note
from netsim.trace.answer import Outcome

POLICIES = (
    "NetworkPolicy",
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "CiliumNetworkPolicy",
    "GlobalNetworkPolicy",
)
MESH_CONTAINERS = ("istio-proxy", "linkerd-proxy", "kuma-sidecar", "envoy-sidecar")


MESH_OBJECTS = ("VirtualService", "DestinationRule", "ServiceProfile")


class Subject(NamedTuple):
    """What a question is about: the client's pod, the node dialled (with port and protocol), the Service dialled."""

    client: tuple[str, str] | None = None
    node: str = ""
    port: int = 0
    protocol: str = "tcp"
    service: tuple[str, str] | None = None


def not_modelled(cluster: Cluster, outcomes: Sequence[Outcome], subject: Subject) -> Iterator[Note]:
    """Yield a note for each policy, hostPort or mesh object that concerns the client, the Service or a pod reached."""
    policies = [policy for kind in POLICIES for policy in cluster.objects.get(kind, ())]
    pods = _pods(cluster, outcomes, subject.client)
    for policy in policies:
        egress = subject.client is not None
        if any(_concerns(policy, pod, egress=index == 0 and egress) for index, pod in enumerate(pods)):
            yield _note(f"{policy.kind} {_named(policy)}")
    for pod in pods:
        names = mesh_containers(pod)
        if names:
            yield _note(f"the mesh sidecar {', '.join(names)} of pod {pod.namespace}/{pod.name}")
    yield from (_note(f"hostPort {subject.port} of pod {name}") for name in _host_ports(cluster, subject))
    yield from (_note(f"{item.kind} {_named(item)}") for item in _mesh_objects(cluster, subject))


def _named(item: Manifest) -> str:
    return f"{item.namespace}/{item.name}" if item.namespace else item.name


def _host_ports(cluster: Cluster, subject: Subject) -> Iterator[str]:
    """Yield the pods for which the CNI's portmap plugin would translate the port of the node dialled."""
    if not subject.node:
        return
    for pod in cluster.pods:
        if pod.node_name == subject.node and not pod.host_network:
            ports = [(port.host_port, port.protocol.lower()) for port in pod.ports]
            if (subject.port, subject.protocol) in ports:
                yield f"{pod.namespace}/{pod.name}"


def _mesh_objects(cluster: Cluster, subject: Subject) -> Iterator[Manifest]:
    if subject.service is None:
        return
    namespace, name = subject.service
    for kind in MESH_OBJECTS:
        for item in cluster.objects.get(kind, ()):
            spec = item.data.get("spec")
            spec = spec if isinstance(spec, dict) else {}
            listed = spec.get("hosts")
            hosts = [*(listed if isinstance(listed, list) else ()), spec.get("host"), item.name]
            short = name if (item.namespace or "default") == namespace else None
            full = (short, f"{name}.{namespace}", f"{name}.{namespace}.svc.{cluster.cluster_domain}")
            if any(host in full for host in hosts if host):
                yield item


def _note(what: str) -> Note:
    return Note("NOT_MODELLED", f"{what} is on the way of this packet and is not modelled yet", True)


def _pods(cluster: Cluster, outcomes: Sequence[Outcome], client: tuple[str, str] | None) -> list[Pod]:
    names = [] if client is None else [client]
    for outcome in outcomes:
        if outcome.reached is not None and outcome.reached.pod is not None:
            namespace, _, name = outcome.reached.pod.partition("/")
            names.append((namespace, name))
    found = (cluster.pod(*name) for name in dict.fromkeys(names))
    return [pod for pod in found if pod is not None]


def mesh_containers(pod: Pod) -> tuple[str, ...]:
    """Return the names of a pod's containers that are a service mesh's proxy."""
    spec = pod.source.data.get("spec") if pod.source else None
    if not isinstance(spec, dict):
        return ()
    listed = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    names = [item.get("name") for item in listed if isinstance(item, dict)]
    return tuple(name for name in names if name in MESH_CONTAINERS)


def _concerns(policy: Manifest, pod: Pod, *, egress: bool) -> bool:
    """Whether a NetworkPolicy selects the pod in the packet's direction; other policies may concern any pod."""
    if policy.kind != "NetworkPolicy":
        return True
    spec = policy.data.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    if (policy.namespace or "default") != pod.namespace or not selects(spec.get("podSelector"), pod.labels):
        return False
    listed = spec.get("policyTypes")
    types = listed if isinstance(listed, list) else ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return ("Egress" if egress else "Ingress") in types


def selects(selector: object, labels: Labels) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) selects labels; an empty one selects everything."""
    if not isinstance(selector, dict):
        return True
    wanted = selector.get("matchLabels")
    if isinstance(wanted, dict) and any(labels.get(key) != value for key, value in wanted.items()):
        return False
    expressions = selector.get("matchExpressions")
    return all(_holds(item, labels) for item in expressions) if isinstance(expressions, list) else True


def _holds(expression: Any, labels: Labels) -> bool:
    if not isinstance(expression, Mapping):
        return True
    key, values = str(expression.get("key")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return True
