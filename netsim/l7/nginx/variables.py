"""nginx variables in annotation values: `$request_uri`, `$host`, captures … expanded for one request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from netsim.l7.nginx.merge import DEFAULT_SERVER
from netsim.l7.request import Request

# `$1` is one digit, whatever follows; `${1}` would be a variable of that name, which nginx does not know.
VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([1-9]|[A-Za-z_][A-Za-z0-9_]*))")


@dataclass(frozen=True, slots=True)
class Context:
    """What variables are computed from. `uri` is the normalized path; `captures` those of the last regular
    expression.
    """

    request: Request
    uri: str
    captures: Mapping[str, str]

    @property
    def host(self) -> str:
        """Return `$host`: the Host header's name, else the server's name."""
        return self.request.host_name or DEFAULT_SERVER

    @property
    def http_host(self) -> str:
        """Return `$best_http_host`: the raw Host header, else `$host`."""
        return self.request.host or self.host


_SIMPLE: Final[Mapping[str, Callable[[Context], str]]] = {
    "request_uri": lambda c: c.request.uri,
    "uri": lambda c: c.uri,
    "document_uri": lambda c: c.uri,
    "host": lambda c: c.host,
    "http_host": lambda c: c.request.host,
    "best_http_host": lambda c: c.http_host,
    "scheme": lambda c: "https" if c.request.secure else "http",
    "pass_access_scheme": lambda c: "https" if c.request.secure else "http",
    "args": lambda c: c.request.query or "",
    "query_string": lambda c: c.request.query or "",
    "is_args": lambda c: "?" if c.request.query else "",
    "request_method": lambda c: c.request.method,
    "remote_addr": lambda c: c.request.client,
    "server_port": lambda c: str(c.request.port),
}


def expand(text: str, context: Context) -> str:
    """Return *text* with its variables; unknown ones are empty."""
    if "$" not in text:
        return text
    return VARIABLE.sub(lambda found: _value(found[1] or found[2], context), text)


def _value(name: str, context: Context) -> str:
    simple = _SIMPLE.get(name)
    if simple is not None:
        return simple(context)
    if name in context.captures:
        return context.captures[name]
    kind, _, rest = name.partition("_")
    if kind == "http":
        return context.request.headers.get(rest.replace("_", "-").lower(), "")
    if kind == "cookie":
        return context.request.cookies.get(rest, "")
    return _argument(rest, context.request.query or "") if kind == "arg" else ""


def _argument(name: str, query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&"))
    return next((value for key, _, value in pairs if key.lower() == name.lower()), "")


def known_variable(name: str) -> bool:
    """Whether a stock nginx knows this variable in every location."""
    return name in _SIMPLE or name.startswith(("http_", "arg_", "cookie_")) or name.isdigit()


def captures_of(found: re.Match[str] | None) -> dict[str, str]:
    """Return numbered and named captures of a match; unset groups are empty."""
    if found is None:
        return {}
    numbered = {str(i): value or "" for i, value in enumerate(found.groups(), 1)}
    named = {name: value or "" for name, value in found.groupdict().items()}
    return {"0": found[0], **numbered, **named}
