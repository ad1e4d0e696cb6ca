"""Request: one HTTP (or TLS, TCP, UDP) request as a proxy sees it, and how URLs and queries become one."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from netsim.errors import UsageError

DEFAULT_CLIENT: Final = "192.0.2.10"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "tls": 443}
_EMPTY: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as sent: `host` is the raw Host header ("" is HTTP/1.0 without one), `path` raw, `query` None when
    absent.

    Header names are lower case; `spellings` has them as sent. `sni` None means the host's name. `backend_status` and
    `backend_headers` are what every
    backend answers. `gateway` is `ns/name` of a Gateway, "" for any.
    """

    scheme: str = "http"
    host: str = ""
    port: int = 80
    method: str = "GET"
    path: str = "/"
    query: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    client: str = DEFAULT_CLIENT
    sni: str | None = None
    body_bytes: int = 0
    protocol: str = ""
    gateway: str = ""
    backend_headers: Mapping[str, str] = field(default_factory=dict)
    backend_status: int = 200
    spellings: Mapping[str, str] = field(default_factory=dict)

    @property
    def spelled_headers(self) -> dict[str, str]:
        """Return the headers with their names as the client spelled them."""
        return {self.spellings.get(name, name): value for name, value in self.headers.items()}

    @property
    def uri(self) -> str:
        """Return the raw request URI: path and query."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def host_name(self) -> str:
        """Return the Host header in lower case without port and without one trailing dot."""
        return bare_host(self.host)

    @property
    def server_name(self) -> str:
        """Return the TLS server name: the SNI given, else the host's name."""
        return self.host_name if self.sni is None else bare_host(self.sni)

    @property
    def secure(self) -> bool:
        """Whether the client speaks TLS."""
        return self.scheme in ("https", "tls")


def bare_host(host: str) -> str:
    """Return a Host header's name: lower case, no port, no trailing dot (as nginx reads it)."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    name = host.partition(":")[0] if ":" in host else host
    return name.lower().removesuffix(".")


def from_url(url: str) -> Request:
    """Return the GET request of a URL; raise UsageError when it is none that can be routed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is not a URL: write http(s)://HOST[:PORT]/PATH?QUERY")
    default = _DEFAULT_PORTS[parts.scheme]
    query = url.partition("#")[0].partition("?")
    return Request(
        scheme=parts.scheme,
        host=parts.netloc.rpartition("@")[2],
        port=port or default,
        path=parts.path or "/",
        query=query[2] if query[1] else None,
    )


QUERY_KEYS: Final = frozenset(
    [
        "url",
        "scheme",
        "host",
        "port",
        "method",
        "path",
        "query",
        "headers",
        "cookies",
        "client",
        "sni",
        "bodyBytes",
        "protocol",
        "gateway",
        "backendResponseHeaders",
        "backendStatus",
    ]
)


def from_query(query: Mapping[str, Any]) -> Request:
    """Return the request of a query object (docs: `netsim route --queries`); raise UsageError naming the wrong key."""
    base = from_url(_text(query, "url", "")) if "url" in query else Request()
    scheme = _text(query, "scheme", base.scheme)
    if scheme not in ("http", "https", "tls", "tcp", "udp"):
        raise UsageError(f"scheme: {scheme!r} is none of http, https, tls, tcp, udp")
    path = _text(query, "path", base.path) or "/"
    path, mark, inline = path.partition("?")
    port = base.port if "url" in query else _DEFAULT_PORTS.get(scheme, 80)
    headers = _texts(query, "headers")
    request = replace(
        base,
        scheme=scheme,
        host=_text(query, "host", base.host),
        port=_number(query, "port", port),
        method=_text(query, "method", base.method),
        path=path if path.startswith("/") else f"/{path}",
        query=_text(query, "query", "") if query.get("query") is not None else inline if mark else base.query,
        client=_address(query, "client"),
        sni=_text(query, "sni", "") if query.get("sni") is not None else None,
        body_bytes=_number(query, "bodyBytes", 0),
        protocol=_text(query, "protocol", ""),
        gateway=_gateway(query),
        backend_headers=_texts(query, "backendResponseHeaders"),
    )
    return with_headers(request, headers, _texts(query, "cookies"), query.get("backendStatus"))


def with_headers(request: Request, headers: Mapping[str, str], cookies: Mapping[str, str], status: object) -> Request:
    """Return the request with headers (a Host header replaces the host) and cookies, both ways between `Cookie` and
    cookies.
    """
    merged = {**request.headers, **{name.lower(): value for name, value in headers.items()}}
    spellings = {**request.spellings, **{name.lower(): name for name in headers}}
    host = merged.pop("host", request.host)
    jar = {**_cookies(merged.get("cookie", "")), **cookies}
    if cookies:
        merged["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
    answered = _status(merged.get("x-want-status") if status is None else status)
    return replace(request, host=host, headers=merged, spellings=spellings, cookies=jar, backend_status=answered)


def _status(value: object) -> int:
    if value is None:
        return 200
    try:
        status = int(str(value))
    except ValueError:
        status = 0
    if not 100 <= status <= 599:
        raise UsageError(f"backendStatus: {value!r} is no HTTP status")
    return status


def _cookies(header: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, equals, value in pairs if equals}


def _text(query: Mapping[str, Any], key: str, default: str) -> str:
    value = query.get(key, default)
    if not isinstance(value, str):
        raise UsageError(f"{key}: {value!r} is not a string")
    return value


def _number(query: Mapping[str, Any], key: str, default: int) -> int:
    value = query.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{key}: {value!r} is not a number of 0 or more")
    return value


def _texts(query: Mapping[str, Any], key: str) -> Mapping[str, str]:
    value = query.get(key)
    if value is None:
        return _EMPTY
    if not isinstance(value, dict):
        raise UsageError(f"{key}: {value!r} is not an object of strings")
    return {str(name): str(item) for name, item in value.items()}


def _address(query: Mapping[str, Any], key: str) -> str:
    value = query.get(key)
    if value is None:
        return DEFAULT_CLIENT
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise UsageError(f"{key}: {value!r} is not an address") from error


def _gateway(query: Mapping[str, Any]) -> str:
    value = query.get("gateway")
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return f"{value.get('namespace') or 'default'}/{value['name']}"
    raise UsageError(f"gateway: {value!r} is not {{namespace, name}}")
