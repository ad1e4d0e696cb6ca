"""What changed between Kubernetes versions, one named predicate each; nothing else compares versions.

Sources: kube-proxy's change log, and recordings of kube-proxy v1.30 and v1.36.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from iptables_gen.values import decimal


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A Kubernetes minor version: `v1.36` is Version(1, 36)."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}"


DEFAULT: Final = Version(1, 36)
"""The version that every recording was made with."""


def parse_version(text: str) -> Version:
    """Return the version of `v1.36`, `1.36` or `v1.36.2`; raise ValueError for anything else."""
    parts = text.removeprefix("v").split(".")
    numbers = [decimal(part) for part in parts]
    match numbers:
        case [int() as major, int() as minor] | [int() as major, int() as minor, int()]:
            return Version(major, minor)
        case _:
            raise ValueError(f"{text!r} is not a Kubernetes version such as v1.36")


def counts_with_nfacct(version: Version) -> bool:
    """Whether rules count with nfacct objects (dropped INVALID packets, accepted localhost nodePorts): since v1.32."""
    return version >= Version(1, 32)


def understands_node_hints(version: Version) -> bool:
    """Whether `hints.forNodes` is read (KEP-3015, PreferSameNode; on by default since v1.34)."""
    return version >= Version(1, 34)
