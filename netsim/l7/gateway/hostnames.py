"""Hostnames of listeners and routes: `*.x` stands for any number of labels, and the more specific name remains."""

from __future__ import annotations

from collections.abc import Iterable


def covers(pattern: str, host: str) -> bool:
    """Whether a hostname ("" any, `*.x` any name below x) covers a host or a narrower pattern."""
    if not pattern or pattern == host:
        return True
    return (
        pattern.startswith("*.")
        and host.removeprefix("*").endswith(pattern[1:])
        and host.removeprefix("*.") != pattern[2:]
    )


def specificity(pattern: str) -> tuple[int, int]:
    """Return what orders names, greater being more specific: exact names, then wildcards, by length; "" last."""
    return (0, 0) if not pattern else (1, len(pattern)) if pattern.startswith("*.") else (2, len(pattern))


def intersection(listener: str, routes: Iterable[str]) -> tuple[str, ...]:
    """Return the hostnames that a route serves on a listener: () when none is common, ("",) for any name."""
    names = tuple(routes)
    if not names:
        return (listener,)
    found: dict[str, None] = {}
    for name in names:
        if covers(listener, name):
            found[name] = None
        elif covers(name, listener):
            found[listener] = None
    return tuple(found)
