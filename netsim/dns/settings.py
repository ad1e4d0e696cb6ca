"""The kubernetes plugin's settings, read from its Corefile directive (coredns.io/plugins/kubernetes)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from iptables_gen.values import decimal
from netsim.dns import selector
from netsim.dns.corefile import CorefileError, Directive
from netsim.dns.names import fqdn, is_reverse
from netsim.errors import UsageError

PodMode = Literal["disabled", "insecure", "verified"]
DEFAULT_TTL = 5
# Options that change how CoreDNS talks to the API server or nothing at all any more, never an answer.
SILENT = frozenset(
    (
        "endpoint",
        "tls",
        "kubeconfig",
        "resyncperiod",
        "startup_timeout",
        "upstream",
        "apiserver_qps",
        "apiserver_burst",
        "apiserver_max_inflight",
    )
)


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """zones are lower-case with the final dot; fallthrough None: never; ("." ,): everywhere; ttl in seconds."""

    zones: tuple[str, ...] = ("cluster.local.",)
    ttl: int = DEFAULT_TTL
    pods: PodMode = "disabled"
    fallthrough: tuple[str, ...] | None = None
    endpoint_pod_names: bool = False
    no_endpoints: bool = False
    ignore_empty_service: bool = False
    namespaces: frozenset[str] = frozenset()
    labels: selector.Selector = ()
    namespace_labels: selector.Selector = ()
    unmodelled: tuple[str, ...] = ()

    @property
    def primary_zone(self) -> str:
        """Return the zone that PTR targets use: the first that is not a reverse zone."""
        return next((zone for zone in self.zones if not is_reverse(zone)), self.zones[0])


def zone_of(key: str) -> str:
    """Return a zone as CoreDNS normalises it: lower case, final dot, no scheme or port, a CIDR as its reverse zone."""
    text = key.partition("://")[2] or key
    if "/" in text and (reverse := _reverse_zone(text)):
        return reverse
    host, colon, port = text.rpartition(":")
    return fqdn((host if colon and decimal(port) is not None else text).lower())


def _reverse_zone(text: str) -> str:
    """Return the reverse zone of a CIDR (with a port behind it or not), "" for what is none."""
    import ipaddress

    try:
        network = ipaddress.ip_network(text.rpartition(":")[0] if text.count(":") == 1 else text, strict=False)
    except ValueError:
        return ""
    step = 8 if network.version == 4 else 4
    parts = network.network_address.reverse_pointer.split(".")
    return ".".join(parts[(network.max_prefixlen - network.prefixlen) // step :]) + "."


def read_kubernetes(directive: Directive, server_zones: tuple[str, ...], file: str) -> KubernetesSettings:
    """Return the settings of one `kubernetes` directive; CorefileError for what CoreDNS refuses to start with."""
    try:
        zones = tuple(map(zone_of, directive.arguments)) or server_zones
        values: dict[str, object] = {"zones": zones}
        unmodelled: list[str] = []
        for line in directive.block or ():
            _read_option(line, values, unmodelled)
        if values.get("namespaces") and values.get("namespace_labels"):
            raise UsageError("namespaces and namespace_labels cannot both be set")
        return KubernetesSettings(**values, unmodelled=tuple(unmodelled))  # type: ignore[arg-type]
    except (UsageError, ValueError) as error:
        raise CorefileError(f"{file}:{directive.line}: kubernetes: {error}") from error


def _read_option(line: Directive, values: dict[str, object], unmodelled: list[str]) -> None:
    words = line.arguments
    match line.name:
        case "ttl":
            values["ttl"] = _ttl(words)
        case "pods":
            values["pods"] = _pod_mode(words)
        case "fallthrough":
            values["fallthrough"] = tuple(map(zone_of, words)) or (".",)
        case "endpoint_pod_names":
            values["endpoint_pod_names"] = True
        case "noendpoints":
            values["no_endpoints"] = True
        case "ignore":
            if words != ("empty_service",):
                raise UsageError(f"unable to parse ignore value: {' '.join(words)!r}")
            values["ignore_empty_service"] = True
        case "namespaces":
            values["namespaces"] = frozenset(words)
        case "labels" | "namespace_labels":
            values[line.name] = selector.parse(" ".join(words))
        case name if name in SILENT:
            pass
        case "multicluster":
            unmodelled.append("kubernetes/multicluster")
        case name:
            raise UsageError(f"unknown property {name!r}")


def _ttl(words: tuple[str, ...]) -> int:
    value = decimal(words[0]) if len(words) == 1 else None
    if value is None or value > 3600:
        raise UsageError(f"ttl must be in range [0, 3600]: {' '.join(words)}")
    return value


def _pod_mode(words: tuple[str, ...]) -> str:
    if len(words) != 1 or words[0] not in ("disabled", "insecure", "verified"):
        raise UsageError(f"wrong value for pods: {' '.join(words)}, must be one of: disabled, verified, insecure")
    return words[0]
