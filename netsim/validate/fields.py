"""Reading fields of raw objects: null and absent are one, and a wrong type (reported elsewhere) counts as absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]
_EMPTY: Object = {}


def obj(data: Object, name: str) -> Object:
    """Return a mapping, empty if absent."""
    value = data.get(name)
    return value if isinstance(value, dict) else _EMPTY


def has(data: Object, name: str) -> bool:
    """Return whether a field is there (a Go pointer that is not nil)."""
    return data.get(name) is not None


def items(data: Object, name: str) -> Sequence[Object]:
    """Return a list of mappings; a null element is an empty one, as Go decodes it."""
    value = data.get(name)
    return [item if isinstance(item, dict) else _EMPTY for item in value] if isinstance(value, list) else ()


def texts(data: Object, name: str) -> Sequence[str]:
    """Return a list of strings; a null element is an empty one."""
    value = data.get(name)
    return [item if isinstance(item, str) else "" for item in value] if isinstance(value, list) else ()


def text(data: Object, name: str, default: str = "") -> str:
    """Return a string, *default* if absent or empty (the zero value is what Kubernetes defaults)."""
    value = data.get(name)
    return value if isinstance(value, str) and value else default


def number(data: Object, name: str, default: int = 0) -> int:
    """Return an integer, *default* if absent."""
    value = data.get(name)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def flag(data: Object, name: str) -> bool:
    """Return a boolean, false if absent."""
    return data.get(name) is True


def strings(data: Object, name: str) -> Mapping[str, str]:
    """Return a map of strings; null values are empty strings."""
    return {key: value if isinstance(value, str) else "" for key, value in obj(data, name).items()}


def int_or_text(data: Object, name: str) -> int | str | None:
    """Return an IntOrString, None if absent."""
    value = data.get(name)
    if isinstance(value, str):
        return value
    return number(data, name) if isinstance(value, int | float) and not isinstance(value, bool) else None
