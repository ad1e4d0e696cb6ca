"""Ingress and IngressClass objects as plain frozen data, read leniently: what cannot be read counts as absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from netsim.cluster.model import Cluster
from netsim.cluster.read import labels_of, mapping, text
from netsim.manifests.objects import Manifest

CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
DEFAULT_CLASS_ANNOTATION: Final = "ingressclass.kubernetes.io/is-default-class"


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service backend: its port as the rule spells it (None when neither name nor number is given)."""

    service: str
    port: int | str | None


@dataclass(frozen=True, slots=True)
class IngressPath:
    """rules[rule].http.paths[index]. `backend` None: a resource backend, or none that can be read."""

    rule: int
    index: int
    path: str
    path_type: str
    backend: Backend | None
    resource: bool = False

    @property
    def field(self) -> tuple[str | int, ...]:
        """Return the field path of this rule path."""
        return ("spec", "rules", self.rule, "http", "paths", self.index)


@dataclass(frozen=True, slots=True)
class IngressRule:
    """rules[index]; `has_http` is false for a rule of a host alone."""

    index: int
    host: str
    paths: tuple[IngressPath, ...]
    has_http: bool


@dataclass(frozen=True, slots=True)
class IngressTLS:
    """tls[index]."""

    index: int
    hosts: tuple[str, ...]
    secret: str


@dataclass(frozen=True, slots=True)
class Ingress:
    """An Ingress. `class_name` None: the field is absent. `created` is metadata.creationTimestamp ("" sorts oldest)."""

    namespace: str
    name: str
    created: str
    class_name: str | None
    annotations: Mapping[str, str]
    rules: tuple[IngressRule, ...]
    tls: tuple[IngressTLS, ...]
    default_backend: Backend | None
    has_default_backend: bool
    source: Manifest

    @property
    def key(self) -> str:
        """Return `ns/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def class_annotation(self) -> str | None:
        """Return the deprecated class annotation, None when absent."""
        return self.annotations.get(CLASS_ANNOTATION)


@dataclass(frozen=True, slots=True)
class IngressClass:
    """An IngressClass; only the annotation value "true" makes it a default."""

    name: str
    controller: str
    is_default: bool
    created: str
    source: Manifest | None = None


def ingresses(cluster: Cluster) -> tuple[Ingress, ...]:
    """Return every Ingress of the cluster, by namespace and name."""
    found = (read_ingress(manifest) for manifest in cluster.objects.get("Ingress", ()) if _networking(manifest))
    return tuple(sorted(found, key=lambda ingress: (ingress.namespace, ingress.name)))


def ingress_classes(cluster: Cluster) -> Mapping[str, IngressClass]:
    """Return every IngressClass by name."""
    found = (read_class(manifest) for manifest in cluster.objects.get("IngressClass", ()) if _networking(manifest))
    return {found_class.name: found_class for found_class in found}


def _networking(manifest: Manifest) -> bool:
    return manifest.group in ("networking.k8s.io", "extensions", "")


def read_class(manifest: Manifest) -> IngressClass:
    """Return the IngressClass of a manifest."""
    metadata, spec = mapping(manifest.data.get("metadata")), mapping(manifest.data.get("spec"))
    default = labels_of(metadata.get("annotations")).get(DEFAULT_CLASS_ANNOTATION) == "true"
    return IngressClass(manifest.name, text(spec.get("controller")), default, created(metadata), manifest)


def read_ingress(manifest: Manifest) -> Ingress:
    """Return the Ingress of a manifest."""
    metadata, spec = mapping(manifest.data.get("metadata")), mapping(manifest.data.get("spec"))
    class_name = spec.get("ingressClassName")
    return Ingress(
        namespace=manifest.namespace or "default",
        name=manifest.name,
        created=created(metadata),
        class_name=class_name if isinstance(class_name, str) else None,
        annotations=labels_of(metadata.get("annotations")),
        rules=tuple(_rule(index, mapping(rule)) for index, rule in enumerate(items(spec.get("rules")))),
        tls=tuple(_tls(index, mapping(entry)) for index, entry in enumerate(items(spec.get("tls")))),
        default_backend=_backend(mapping(spec.get("defaultBackend"))),
        has_default_backend=bool(spec.get("defaultBackend")),
        source=manifest,
    )


def _rule(index: int, rule: Mapping[str, Any]) -> IngressRule:
    http = rule.get("http")
    paths = items(mapping(http).get("paths"))
    listed = tuple(_path(index, number, mapping(path)) for number, path in enumerate(paths))
    return IngressRule(index, text(rule.get("host")), listed, isinstance(http, dict))


def _path(rule: int, index: int, path: Mapping[str, Any]) -> IngressPath:
    backend = mapping(path.get("backend"))
    return IngressPath(
        rule=rule,
        index=index,
        path=text(path.get("path")),
        path_type=text(path.get("pathType")) or "ImplementationSpecific",
        backend=_backend(backend),
        resource="resource" in backend,
    )


def _backend(backend: Mapping[str, Any]) -> Backend | None:
    service = mapping(backend.get("service"))
    name = text(service.get("name"))
    if not name:
        return None
    port = mapping(service.get("port"))
    number, label = port.get("number"), port.get("name")
    if isinstance(label, str) and label:
        return Backend(name, label)
    return Backend(name, number if isinstance(number, int) and not isinstance(number, bool) else None)


def _tls(index: int, entry: Mapping[str, Any]) -> IngressTLS:
    hosts = tuple(host for host in items(entry.get("hosts")) if isinstance(host, str))
    return IngressTLS(index, hosts, text(entry.get("secretName")))


def items(value: object) -> Iterable[Any]:
    """Return the value when it is a list, else an empty one."""
    return value if isinstance(value, list) else ()


def created(metadata: Mapping[str, Any]) -> str:
    """Return metadata.creationTimestamp as comparable text, "" when absent."""
    value = metadata.get("creationTimestamp")
    return "" if value is None else str(value)
