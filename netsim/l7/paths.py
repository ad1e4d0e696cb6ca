"""URL paths as proxies compare them: nginx's normalization, the Ingress specification's prefix elements."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

_HEX: Final = frozenset("0123456789abcdefABCDEF")


def normalize(path: str) -> str | None:
    """Return nginx's `$uri`: percent-decoded once, `//` merged, `.` and `..` resolved; None is a bad request (400).

    Bytes beyond ASCII are kept as Latin-1 characters, one per byte. Source: ngx_http_parse_complex_uri, merge_slashes
    on.
    """
    if not path.isascii():
        path = as_bytes(path)
    if "%" not in path and "//" not in path and "/." not in path:
        return path
    decoded = _percent_decoded(path)
    return None if decoded is None or "\0" in decoded else _resolved(decoded)


def as_bytes(text: str) -> str:
    """Return text as nginx sees it: the bytes of its UTF-8 form, each as one Latin-1 character."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


def _percent_decoded(path: str) -> str | None:
    head, *rest = path.split("%")
    parts = [head]
    for piece in rest:
        if len(piece) < 2 or piece[0] not in _HEX or piece[1] not in _HEX:
            return None
        parts.append(chr(int(piece[:2], 16)) + piece[2:])
    return "".join(parts)


def _resolved(path: str) -> str | None:
    kept: list[str] = []
    elements = path.split("/")[1:]
    for element in elements[:-1]:
        if element == "..":
            if not kept:
                return None
            kept.pop()
        elif element not in ("", "."):
            kept.append(element)
    last = elements[-1]
    if last == "..":
        if not kept:
            return None
        kept.pop()
    closing = last if last not in ("", ".", "..") else ""
    return "/" + "".join(f"{element}/" for element in kept) + closing


def escape_uri(path: str) -> str:
    """Return a decoded path as nginx writes it into an upstream request or a redirect (NGX_ESCAPE_URI)."""
    return quote(path.encode("latin-1", "replace"), safe="!$&'()*+,-./:;=@[]_~")


def prefix_matches(rule: str, path: str) -> bool:
    """Whether a Prefix rule matches element by element; a trailing slash of the rule is ignored
    (networking.k8s.io/v1).
    """
    base = rule.rstrip("/")
    return not base or path == base or path.startswith(f"{base}/")


def prefixes(path: str) -> list[str]:
    """Return every element-wise prefix of a path without trailing slash, longest first, "" (all paths) last."""
    found = [path] if not path.endswith("/") else []
    cut = path.rfind("/") if found else len(path) - 1
    while cut > 0:
        found.append(path[:cut])
        cut = path.rfind("/", 0, cut)
    found.append("")
    return found
