"""The controller's own settings: flags and ConfigMap, from the command line, or from its Deployment in the input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from netsim.cluster.model import Cluster
from netsim.cluster.read import labels_of, mapping, text
from netsim.errors import UsageError
from netsim.l7.ingress import items
from netsim.manifests.objects import Manifest
from netsim.notes import Note

NGINX_CONTROLLER: Final = "k8s.io/ingress-nginx"
APISIX_CONTROLLER: Final = "apisix.apache.org/apisix-ingress-controller"
DIALECTS: Final = ("spec", "ingress-nginx", "apisix", "gateway-api")

_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))

_MODELLED: Final = frozenset(
    [
        "controller-class",
        "ingress-class",
        "ingress-class-by-name",
        "watch-ingress-without-class",
        "ignore-ingress-class",
        "disable-catch-all",
        "default-backend-service",
        "default-ssl-certificate",
        "controller-name",
        "configmap",
        "disable-svc-external-name",
        "http-port",
        "https-port",
        "watch-namespace",
    ]
)
# Flags of ingress-nginx v1.15 and the APISIX ingress controller that change no routing decision.
_WITHOUT_EFFECT: Final = frozenset(
    [
        "annotations-prefix",
        "apiserver-host",
        "bucket-factor",
        "certificate-authority",
        "deep-inspect",
        "default-server-port",
        "disable-full-test",
        "disable-leader-election",
        "disable-sync-events",
        "dynamic-configuration-retries",
        "election-id",
        "election-ttl",
        "enable-annotation-validation",
        "enable-metrics",
        "enable-ssl-chain-completion",
        "enable-ssl-passthrough",
        "enable-topology-aware-routing",
        "exclude-socket-metrics",
        "health-check-path",
        "health-check-timeout",
        "healthz-host",
        "healthz-port",
        "httpport",
        "internal-logger-address",
        "kubeconfig",
        "length-buckets",
        "log_dir",
        "max-buckets",
        "maxmind-edition-ids",
        "maxmind-license-key",
        "metrics-per-host",
        "metrics-per-undefined-host",
        "monitor-max-batch-size",
        "post-shutdown-grace-period",
        "profiler-port",
        "profiling",
        "publish-service",
        "publish-status-address",
        "report-node-internal-ip-address",
        "report-status-classes",
        "shutdown-grace-period",
        "size-buckets",
        "ssl-passthrough-proxy-port",
        "status-port",
        "status-update-interval",
        "stream-port",
        "sync-period",
        "sync-rate-limit",
        "tcp-services-configmap",
        "time-buckets",
        "udp-services-configmap",
        "update-status",
        "update-status-on-shutdown",
        "validating-webhook",
        "validating-webhook-certificate",
        "validating-webhook-key",
        "version",
        "watch-namespace-selector",
        "v",
        "vmodule",
        "logtostderr",
        "stderrthreshold",
        "config-path",
        "log-level",
        "metrics-bind-address",
        "health-probe-bind-address",
    ]
)


@dataclass(frozen=True, slots=True)
class Controller:
    """One controller's settings: flags without dashes, its ConfigMap's data, and the objects that they came from."""

    flags: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    workload: Manifest | None = None
    notes: tuple[Note, ...] = ()

    def flag(self, name: str, default: str = "") -> str:
        """Return a flag's text."""
        return self.flags.get(name, default)

    def is_set(self, name: str) -> bool:
        """Return a boolean flag, false when absent; raise UsageError when it is none that Go reads."""
        value = self.flags.get(name)
        if value is None:
            return False
        parsed = parse_bool(value)
        if parsed is None:
            raise UsageError(f"controller flag --{name}: {value!r} is not a boolean")
        return parsed


def parse_bool(value: str) -> bool | None:
    """Return what Go's strconv.ParseBool reads, None when it reads nothing."""
    return True if value in _TRUE else False if value in _FALSE else None


def read_flags(words: Iterable[str]) -> dict[str, str]:
    """Return flags by name of words like `--name=value`, `--name value` and `--name` (true)."""
    flags: dict[str, str] = {}
    pending = ""
    for word in words:
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            pending = "" if equals else name
            flags[name] = value if equals else "true"
        elif pending:
            flags[pending], pending = word, ""
    return flags


def read_settings(pairs: Iterable[str]) -> dict[str, str]:
    """Return KEY=VALUE pairs; raise UsageError for a word without `=`."""
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--controller-config {pair!r}: write KEY=VALUE")
        settings[key] = value
    return settings


def flag_notes(flags: Mapping[str, str]) -> tuple[Note, ...]:
    """Return a note naming flags that no controller modelled here knows."""
    unknown = sorted(name for name in flags if name not in _MODELLED and name not in _WITHOUT_EFFECT)
    return (Note("UNKNOWN_CONTROLLER_FLAG", f"ignored: {', '.join(unknown)}"),) if unknown else ()


def find_controller(
    cluster: Cluster, controller_class: str, flags: Mapping[str, str], config: Mapping[str, str]
) -> Controller:
    """Return the settings of the controller of *controller_class*: its workload in the input, overridden by the
    arguments.
    """
    workload = next(
        (manifest for manifest, given in nginx_workloads(cluster) if _serves(given, controller_class)), None
    )
    from_input = dict(next((given for manifest, given in nginx_workloads(cluster) if manifest is workload), {}))
    merged = {**from_input, **flags}
    data = _config_map(cluster, workload, merged.get("configmap", ""))
    return Controller(merged, {**data, **config}, workload, flag_notes(flags))


def _serves(flags: Mapping[str, str], controller_class: str) -> bool:
    return flags.get("controller-class", NGINX_CONTROLLER) == controller_class


def nginx_workloads(cluster: Cluster) -> Iterable[tuple[Manifest, Mapping[str, str]]]:
    """Yield the Deployments, DaemonSets and Pods that run ingress-nginx, each with its flags."""
    for manifest in _workloads(cluster):
        for container in _containers(manifest):
            words = [text(word) for key in ("command", "args") for word in items(container.get(key))]
            if _is_nginx(text(container.get("image")), words):
                yield manifest, read_flags(word for word in words if not word.startswith("/"))


def _workloads(cluster: Cluster) -> Iterable[Manifest]:
    for kind in ("Deployment", "DaemonSet", "StatefulSet"):
        yield from cluster.objects.get(kind, ())
    yield from (pod.source for pod in cluster.pods if pod.source is not None and pod.source.kind == "Pod")


def _containers(manifest: Manifest) -> Iterable[Mapping[str, Any]]:
    spec = mapping(manifest.data.get("spec"))
    template = spec if manifest.kind == "Pod" else mapping(mapping(spec.get("template")).get("spec"))
    return [mapping(container) for container in items(template.get("containers"))]


def _is_nginx(image: str, words: Iterable[str]) -> bool:
    repository = image.partition("@")[0].rpartition("/")[0]
    program = any(word.rpartition("/")[2] == "nginx-ingress-controller" for word in words)
    return program or repository.endswith("ingress-nginx") or "nginx-ingress-controller" in image


def _config_map(cluster: Cluster, workload: Manifest | None, reference: str) -> Mapping[str, str]:
    namespace, _, name = reference.rpartition("/")
    if "$(" in namespace and workload is not None:
        namespace = workload.namespace
    for manifest in cluster.objects.get("ConfigMap", ()):
        if name and manifest.name == name and manifest.namespace == namespace:
            return labels_of(manifest.data.get("data"))
    return {}
