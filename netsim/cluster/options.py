"""What-ifs and settings that change how a Cluster is built; the command line fills it, defaults need no input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Pods are named `ns/name`. `at` is an RFC 3339 time for CronJobs."""

    not_ready: frozenset[str] = frozenset()
    ready: frozenset[str] = frozenset()
    terminating: frozenset[str] = frozenset()
    phases: Mapping[str, str] = field(default_factory=dict)
    strict_refs: bool = False
    at: str = ""
    default_namespace: str = "default"
