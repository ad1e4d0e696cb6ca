"""Manifest: one Kubernetes object as plain data, with the position of every field."""

from __future__ import annotations

from typing import Any, Protocol

from iptables_gen.values import decimal
from netsim.errors import Problem, Severity, Where


class Positions(Protocol):
    """Where the fields of one object stand; may be computed on demand (JSON)."""

    def find(self, path: tuple[str | int, ...], *, key: bool = False) -> Where:
        """Return the place of the value at *path* (of its key with `key`), or of its nearest existing ancestor."""


class Manifest:
    """One object: `data` is JSON-like and never mutated; identity fields are "" where absent or of a wrong type."""

    __slots__ = ("api_version", "data", "kind", "name", "namespace", "positions")

    def __init__(self, data: dict[str, Any], positions: Positions) -> None:
        metadata = data.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        self.data = data
        self.positions = positions
        self.api_version = _text(data.get("apiVersion"))
        self.kind = _text(data.get("kind"))
        self.name = _text(metadata.get("name"))
        self.namespace = _text(metadata.get("namespace"))

    @property
    def group(self) -> str:
        """Return the API group, "" for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def stored(self) -> bool:
        """Whether the object came from an API server (it has a uid)."""
        metadata = self.data.get("metadata")
        return isinstance(metadata, dict) and bool(metadata.get("uid"))

    def where(self, *path: str | int) -> Where:
        """Return the place of a value, or of its nearest existing ancestor."""
        return self.positions.find(path)

    def where_key(self, *path: str | int) -> Where:
        """Return the place of the key of a field."""
        return self.positions.find(path, key=True)

    def locate(self, field: str) -> tuple[str, int, int]:
        """Implement `iptables_gen.origin.Locator`."""
        where = self.positions.find(field_path(field))
        return where.file, where.line, where.column

    def problem(
        self,
        path: tuple[str | int, ...],
        message: str,
        *,
        reason: str = "",
        hint: str = "",
        field: str | None = None,
        severity: Severity = "error",
        at_key: bool = False,
    ) -> Problem:
        """Return a Problem of this object at *path*; `field` overrides the path's own spelling."""
        return Problem(
            where=self.positions.find(path, key=at_key),
            message=message,
            kind=self.kind,
            namespace=self.namespace,
            name=self.name,
            field=spell(path) if field is None else field,
            reason=reason,
            hint=hint,
            severity=severity,
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def spell(path: tuple[str | int, ...]) -> str:
    """Return a path in the API's spelling: ("spec", "ports", 0, "port") -> `spec.ports[0].port`.

    Map keys with dots use brackets, as field.Path.Key does: `metadata.annotations[a.b/c]`.
    """
    text = ""
    for part in path:
        if isinstance(part, int) or "." in part or "/" in part:
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def field_path(field: str) -> tuple[str | int, ...]:
    """Return the path of a field in the API's spelling; the inverse of `spell`."""
    path: list[str | int] = []
    rest = field
    while rest:
        if rest[0] == "[":
            inner, _, rest = rest[1:].partition("]")
            index = decimal(inner)
            path.append(inner if index is None else index)
        else:
            cut = min((i for i in (rest.find("."), rest.find("[")) if i >= 0), default=len(rest))
            path.append(rest[:cut])
            rest = rest[cut:]
        rest = rest.removeprefix(".")
    return tuple(path)
