"""A finding of the linter: code, severity, place, message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from netsim.errors import Severity, Where, printable
from netsim.manifests.objects import Manifest, spell

CODES: Final[Mapping[str, str]] = {
    "NO_CLASS": "no controller handles the Ingress",
    "NO_SERVICE": "the Service does not exist",
    "NO_SERVICE_PORT": "the Service has no such port",
    "NO_ENDPOINTS": "the Service has no ready endpoint",
    "UNRESOLVED_EXTERNAL_NAME": "the ExternalName does not resolve for the proxy",
    "RESOURCE_BACKEND": "a resource backend, which the controllers skip",
    "NO_SECRET": "the TLS Secret does not exist or holds no certificate",
    "CERTIFICATE_MISMATCH": "the certificate does not cover the host",
    "HOST_WITHOUT_CERTIFICATE": "a host of an Ingress with tls has no certificate of its own",
    "SAME_PATH": "two rules claim one host, path and pathType",
    "SAME_LOCATION": "two paths become one nginx location; nginx refuses the configuration",
    "REGEX_HOST": "the path became a case-insensitive regular expression because of another Ingress",
    "SHADOWED_PATH": "another location of a regex host answers requests for this path",
    "EXACT_REDIRECTED": "nginx redirects the path without its trailing slash",
    "BAD_PATTERN": "the path is no regular expression that nginx compiles",
    "BAD_ANNOTATION": "an annotation that cannot be read closes the location",
    "IGNORED_ANNOTATION": "an annotation that the controller ignores",
    "SNIPPET_REFUSED": "configuration text in an annotation",
    "CANARY_ALONE": "a canary that finds no main Ingress of its host, path and pathType",
    "CANARY_IGNORED": "a canary whose policy is not used",
    "ALIAS_DROPPED": "an alias that is another server's name",
    "SHARED_UPSTREAM": "settings ignored because an older Ingress made the upstream of that Service and port",
    "NOT_ACCEPTED": "a Gateway does not accept the route",
    "UNRESOLVED_REFERENCE": "a reference of the route does not resolve",
}
"""The linter's codes, each with what it means."""


class Located(Protocol):
    """An object with a manifest behind it."""

    @property
    def source(self) -> Manifest:
        """Return the manifest."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One conflict or dead end; errors make the exit code 1."""

    code: str
    severity: Severity
    where: Where
    kind: str
    namespace: str
    name: str
    field: str
    message: str

    def __str__(self) -> str:
        """Return `file:line:col: severity CODE: Kind ns/name: field: message`."""
        owner = f"{self.kind} {self.namespace}/{self.name}"
        return printable(f"{self.where}: {self.severity} {self.code}: {owner}: {self.field}: {self.message}")

    def as_json(self) -> dict[str, Any]:
        """Return the finding as an object."""
        return {
            "code": self.code,
            "severity": self.severity,
            "file": self.where.file,
            "line": self.where.line,
            "column": self.where.column,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "field": self.field,
            "message": self.message,
        }


def finding(code: str, severity: Severity, owner: Located, field: tuple[str | int, ...], message: str) -> Finding:
    """Return a finding at a field of an object, or at the nearest field that exists."""
    assert code in CODES, code
    manifest = owner.source
    where = manifest.where(*field)
    return Finding(
        code, severity, where, manifest.kind, manifest.namespace or "default", manifest.name, spell(field), message
    )
