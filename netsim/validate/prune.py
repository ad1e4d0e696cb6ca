"""What is left of an object once wrong types are taken out: what the checks that follow may look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Path = tuple[str | int, ...]


def prune(data: Mapping[str, Any], paths: Iterable[Path]) -> Mapping[str, Any]:
    """Return an object in which the values at these paths are null; what does not change is shared."""
    result: Any = data
    for path in paths:
        result = _without(result, path)
    return result if isinstance(result, dict) else {}


def _without(value: Any, path: Path) -> Any:
    if not path:
        return None
    head, rest = path[0], path[1:]
    if isinstance(value, dict) and head in value:
        return {**value, head: _without(value[head], rest)}
    if isinstance(value, list) and isinstance(head, int) and head < len(value):
        return [*value[:head], _without(value[head], rest), *value[head + 1 :]]
    return value


def touches(path: Path, pruned: Iterable[Path]) -> bool:
    """Return whether a place is one of those taken out, below one, or holds one."""
    return any(path[: len(other)] == other or other[: len(path)] == path for other in pruned)
