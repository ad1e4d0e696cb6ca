"""Gateway API objects as plain frozen data, read leniently: what cannot be read counts as absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from netsim.cluster.model import Cluster
from netsim.cluster.read import mapping, text
from netsim.l7.ingress import created, items
from netsim.manifests.objects import Manifest

GROUP: Final = "gateway.networking.k8s.io"
ROUTE_KINDS: Final = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
KINDS_BY_PROTOCOL: Final[Mapping[str, tuple[str, ...]]] = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute",),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """A reference to an object: group "" is the core group; `namespace` is filled in; port None when absent."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """spec.listeners[index]. `kinds` are allowedRoutes.kinds as given, None when absent. `selector` is the label
    selector.
    """

    index: int
    name: str
    port: int
    protocol: str
    hostname: str
    tls_mode: str
    certificates: tuple[ObjectRef, ...]
    namespaces: str
    selector: Mapping[str, Any] | None
    kinds: tuple[tuple[str, str], ...] | None

    @property
    def supported_kinds(self) -> tuple[str, ...]:
        """Return the kinds that may attach: those of the protocol, narrowed to the valid ones asked for."""
        known = KINDS_BY_PROTOCOL.get(self.protocol, ())
        if self.kinds is None:
            return known
        return tuple(kind for group, kind in self.kinds if group == GROUP and kind in known)

    @property
    def invalid_kinds(self) -> bool:
        """Whether a kind is asked for that this protocol cannot serve."""
        return self.kinds is not None and len(self.supported_kinds) < len(self.kinds)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A Gateway with its listeners."""

    namespace: str
    name: str
    class_name: str
    listeners: tuple[Listener, ...]
    source: Manifest

    @property
    def key(self) -> str:
        """Return `ns/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a route as it stands; `index` counts from 0."""

    index: int
    name: str
    matches: tuple[Mapping[str, Any], ...]
    filters: tuple[Mapping[str, Any], ...]
    backends: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTPRoute, GRPCRoute, TLSRoute, TCPRoute or UDPRoute."""

    kind: str
    namespace: str
    name: str
    created: str
    hostnames: tuple[str, ...]
    parents: tuple[ObjectRef, ...]
    rules: tuple[Rule, ...]
    source: Manifest

    @property
    def age(self) -> tuple[str, str, str]:
        """Return what orders routes of equal merit: oldest, then namespace and name."""
        return self.created, self.namespace, self.name


def read_gateways(cluster: Cluster) -> tuple[Gateway, ...]:
    """Return every Gateway, by namespace and name."""
    found = (_gateway(manifest) for manifest in cluster.objects.get("Gateway", ()) if manifest.group == GROUP)
    return tuple(sorted(found, key=lambda gateway: (gateway.namespace, gateway.name)))


def controllers(cluster: Cluster) -> Mapping[str, str]:
    """Return controllerName by GatewayClass."""
    classes = (manifest for manifest in cluster.objects.get("GatewayClass", ()) if manifest.group == GROUP)
    return {found.name: text(mapping(found.data.get("spec")).get("controllerName")) for found in classes}


def _gateway(manifest: Manifest) -> Gateway:
    spec, namespace = mapping(manifest.data.get("spec")), manifest.namespace or "default"
    listeners = (_listener(i, mapping(item), namespace) for i, item in enumerate(items(spec.get("listeners"))))
    return Gateway(namespace, manifest.name, text(spec.get("gatewayClassName")), tuple(listeners), manifest)


def _listener(index: int, item: Mapping[str, Any], namespace: str) -> Listener:
    allowed, tls = mapping(item.get("allowedRoutes")), mapping(item.get("tls"))
    where = mapping(allowed.get("namespaces"))
    kinds = allowed.get("kinds")
    port = item.get("port")
    return Listener(
        index=index,
        name=text(item.get("name")),
        port=port if isinstance(port, int) else 0,
        protocol=text(item.get("protocol")),
        hostname=text(item.get("hostname")).lower(),
        tls_mode=text(tls.get("mode")) or "Terminate",
        certificates=tuple(read_ref(ref, namespace, "Secret") for ref in items(tls.get("certificateRefs"))),
        namespaces=text(where.get("from")) or "Same",
        selector=where.get("selector") if isinstance(where.get("selector"), dict) else None,
        kinds=tuple(_kind(mapping(kind)) for kind in kinds) if isinstance(kinds, list) and kinds else None,
    )


def _kind(kind: Mapping[str, Any]) -> tuple[str, str]:
    group = kind.get("group")
    return (group if isinstance(group, str) else GROUP), text(kind.get("kind"))


def read_ref(value: object, namespace: str, kind: str, group: str = "") -> ObjectRef:
    """Return a reference with what it leaves out: group, kind, and the namespace of the referring object."""
    ref = mapping(value)
    given, port = ref.get("group"), ref.get("port")
    section = ref.get("sectionName")
    return ObjectRef(
        group=given if isinstance(given, str) else group,
        kind=text(ref.get("kind")) or kind,
        namespace=text(ref.get("namespace")) or namespace,
        name=text(ref.get("name")),
        port=port if isinstance(port, int) else None,
        section=section if isinstance(section, str) else None,
    )


def read_routes(cluster: Cluster) -> tuple[Route, ...]:
    """Return every route of the five kinds, oldest first."""
    found = (_route(m) for kind in ROUTE_KINDS for m in cluster.objects.get(kind, ()) if m.group == GROUP)
    return tuple(sorted(found, key=lambda route: (route.age, route.kind)))


def _route(manifest: Manifest) -> Route:
    spec, namespace = mapping(manifest.data.get("spec")), manifest.namespace or "default"
    hosts = (text(host).lower() for host in items(spec.get("hostnames")))
    parents = (read_ref(ref, namespace, "Gateway", GROUP) for ref in items(spec.get("parentRefs")))
    return Route(
        kind=manifest.kind,
        namespace=namespace,
        name=manifest.name,
        created=created(mapping(manifest.data.get("metadata"))),
        hostnames=tuple(host for host in hosts if host),
        parents=tuple(parents),
        rules=tuple(_rules(spec)),
        source=manifest,
    )


def _rules(spec: Mapping[str, Any]) -> Iterator[Rule]:
    for index, rule in enumerate(map(mapping, items(spec.get("rules")))):
        yield Rule(
            index,
            text(rule.get("name")),
            tuple(map(mapping, items(rule.get("matches")))),
            tuple(map(mapping, items(rule.get("filters")))),
            tuple(map(mapping, items(rule.get("backendRefs")))),
        )


@dataclass(frozen=True, slots=True)
class Grants:
    """What ReferenceGrants allow: (from group, kind, namespace, to namespace, group, kind, name or "" for all)."""

    allowed: frozenset[tuple[str, str, str, str, str, str, str]]

    def permits(self, kind: str, namespace: str, to: ObjectRef) -> bool:
        """Whether an object of *kind* (Gateway API group) in *namespace* may refer to *to*."""
        if namespace == to.namespace:
            return True
        base = (GROUP, kind, namespace, to.namespace, to.group, to.kind)
        return (*base, to.name) in self.allowed or (*base, "") in self.allowed


def read_grants(cluster: Cluster) -> Grants:
    """Return the grants of all ReferenceGrants; each counts for its own namespace as the target."""
    return Grants(
        frozenset(
            (*_texts(source, "group", "kind", "namespace"), namespace, *_texts(target, "group", "kind", "name"))
            for manifest in cluster.objects.get("ReferenceGrant", ())
            for namespace, spec in ((manifest.namespace or "default", mapping(manifest.data.get("spec"))),)
            for source in map(mapping, items(spec.get("from")))
            for target in map(mapping, items(spec.get("to")))
        )
    )


def _texts(data: Mapping[str, Any], first: str, second: str, third: str) -> tuple[str, str, str]:
    return text(data.get(first)), text(data.get(second)), text(data.get(third))
