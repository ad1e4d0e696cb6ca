"""Decision: what a proxy does with one request, in every dialect, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from netsim.manifests.objects import Manifest
from netsim.notes import Note

ONE: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class BackendTLS:
    """TLS from the proxy to the backend (BackendTLSPolicy)."""

    sni: str
    verify_hostname: str


@dataclass(frozen=True, slots=True)
class Share:
    """One backend and its part of the requests.

    `port` is spelled as the route spells it, `service_port` is the Service's number (None: there is none). `endpoints`
    are `ip:port` (`[v6]:port`), every one that may be chosen; with `via_cluster_ip` the one ClusterIP and port.
    """

    namespace: str
    service: str
    port: int | str | None
    service_port: int | None
    endpoints: tuple[str, ...]
    weight: Fraction = ONE
    via_cluster_ip: bool = False
    tls: BackendTLS | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the contract's backend object."""
        shown: dict[str, Any] = {
            "namespace": self.namespace,
            "service": self.service,
            "port": self.port,
            "servicePort": self.service_port,
            "weight": str(self.weight),
            "endpoints": list(self.endpoints),
        }
        if self.via_cluster_ip:
            shown["viaClusterIP"] = True
        if self.headers:
            shown["upstreamHeaders"] = dict(self.headers)
        return shown


@dataclass(frozen=True, slots=True)
class Outcome:
    """One of several random results: the status the client sees, and the backend that answered (None: the proxy)."""

    status: int
    weight: Fraction
    backend: Share | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the contract's outcome object."""
        backend = self.backend.as_json() if self.backend else None
        return {"status": self.status, "backend": backend, "weight": str(self.weight)}


@dataclass(frozen=True, slots=True)
class Matched:
    """The object and field that decided. `rule` is an index (ApisixRoute: the rule's name), `path` an index or
    "default".
    """

    kind: str
    namespace: str
    name: str
    rule: int | str | None
    path: int | str | None
    path_type: str | None
    source: Manifest | None = None
    field: tuple[str | int, ...] = ()
    rule_index: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the contract's matched object with file and line."""
        where = self.source.where(*self.field) if self.source else None
        return {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "rule": self.rule,
            "path": self.path,
            "pathType": self.path_type,
            "file": where.file if where else None,
            "line": where.line if where else None,
            "ruleIndex": self.rule_index if self.rule_index is not None else self.rule,
        }

    def __str__(self) -> str:
        """Return `Kind ns/name` and the place."""
        where = self.source.where(*self.field) if self.source else None
        return f"{self.kind} {self.namespace}/{self.name}" + (f" ({where.file}:{where.line})" if where else "")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of the request sent elsewhere; `percent` of the requests."""

    namespace: str
    service: str
    port: int | str | None
    percent: Fraction
    endpoints: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return service, port, percent (a number) and endpoints."""
        percent = self.percent
        return {
            "namespace": self.namespace,
            "service": self.service,
            "port": self.port,
            "percent": int(percent) if percent.denominator == 1 else float(percent),
            "endpoints": list(self.endpoints),
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a request. `status` is what the client sees, None where HTTP never answers (TCP, UDP, passed
    TLS).

    `code` is one of CODES. `set_cookie` is the affinity cookie's name. `outcome` is forward or reject for layer 4.
    """

    status: int | None
    code: str
    handled_by: str = ""
    backends: tuple[Share, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    upstream_path: str | None = None
    upstream_host: str | None = None
    upstream_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    location: str | None = None
    tls: Mapping[str, str] | str | None = None
    matched: Matched | None = None
    notes: tuple[Note, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    backend_tls: BackendTLS | None = None
    grpc_status: int | None = None
    outcome: str | None = None
    set_cookie: str | None = None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the contract's `netsim.route/v1` answer; keys beyond the contract's come last, only where they say
        something.
        """
        answer: dict[str, Any] = {
            "schema": "netsim.route/v1",
            "id": None,
            "status": self.status,
            "code": self.code,
            "handledBy": self.handled_by or None,
            "backends": [share.as_json() for share in self.backends],
            "outcomes": [outcome.as_json() for outcome in self.outcomes],
            "upstreamPath": self.upstream_path,
            "upstreamHost": self.upstream_host,
            "upstreamHeaders": dict(self.upstream_headers),
            "responseHeaders": dict(self.response_headers),
            "location": self.location,
            "tls": self.tls,
            "matched": self.matched.as_json() if self.matched else None,
            "notes": [note.as_json() for note in self.notes],
        }
        answer.update((key, value) for key, value in self._extras() if value is not None)
        return answer

    def _extras(self) -> tuple[tuple[str, Any], ...]:
        tls = self.backend_tls
        return (
            ("outcome", self.outcome),
            ("grpcStatus", self.grpc_status),
            ("mirrors", [mirror.as_json() for mirror in self.mirrors] or None),
            ("backendTLS", {"sni": tls.sni, "verifyHostname": tls.verify_hostname} if tls else None),
            ("viaClusterIP", True if any(share.via_cluster_ip for share in self.backends) else None),
            ("setCookie", self.set_cookie),
            ("why", self.why or None),
        )


CODES: Final[Mapping[str, str]] = {
    "OK": "forwarded to a backend",
    "DEFAULT_BACKEND": "no rule matched; a default backend was asked",
    "NO_RULE": "no rule matches the host and path, and there is no default backend",
    "NO_SERVICE": "the Service that the rule names does not exist",
    "NO_SERVICE_PORT": "the Service has no such port",
    "NO_ENDPOINTS": "the Service has no ready endpoint",
    "UNRESOLVED_EXTERNAL_NAME": "the ExternalName does not resolve for the proxy",
    "BAD_REFERENCE": "the route refers to something that does not exist or may not be referred to",
    "REDIRECT": "the proxy answers with a redirect",
    "SSL_REDIRECT": "the proxy sends plain HTTP to HTTPS",
    "SLASH_REDIRECT": "nginx adds the trailing slash of a location",
    "APP_ROOT": "the root of the host is redirected",
    "WWW_REDIRECT": "the host is redirected to its www. twin or back",
    "FORBIDDEN": "the client's address is not allowed",
    "BAD_ANNOTATION": "an annotation that cannot be read closes the location",
    "BODY_TOO_LARGE": "the request's body exceeds the limit",
    "RATE_LIMITED": "the client exceeds the location's rate",
    "CUSTOM_ERROR": "the backend's error was replaced by the custom error backend's answer",
    "PREFLIGHT": "the proxy answers the CORS preflight",
    "MISDIRECTED": "the connection's TLS server name belongs to another listener (421)",
    "NO_LISTENER": "no listener takes this connection",
    "HEALTH_CHECK": "the proxy's own health check path",
    "BAD_REQUEST": "the proxy refuses the request as malformed",
    "REWRITE_REDIRECT": "a rewrite target that is a URL redirects",
    "PARTIAL": "some of the requests are answered by the proxy with an error",
}
"""The codes of decisions, each with what it means."""
