"""What becomes of a pod that no kubelet reports on: the annotations that say how it fares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The recordings of a real control plane were made with a kubelet that only reports status; it reads `fakelet/…`.
PREFIXES = ("netsim.dev/", "fakelet/")


@dataclass(frozen=True, slots=True)
class Fate:
    """The phase a pod reaches when its containers start, and whether it becomes ready."""

    phase: str
    ready: bool

    @property
    def ended(self) -> bool:
        """Whether its containers have ended."""
        return self.phase in ("Succeeded", "Failed")


def fate_of(annotations: Mapping[str, str], *, in_job: bool) -> Fate:
    """Return a pod's fate: `ready-after: never`, `complete-after: never`, `result: Failed`; a Job's pods complete."""
    said = {key: _said(annotations, key) for key in ("ready-after", "complete-after", "result")}
    completes = in_job if not said["complete-after"] else said["complete-after"] != "never"
    if completes:
        return Fate("Failed" if said["result"] == "Failed" else "Succeeded", False)
    return Fate("Running", said["ready-after"] != "never")


def _said(annotations: Mapping[str, str], key: str) -> str:
    return next((annotations[prefix + key] for prefix in PREFIXES if prefix + key in annotations), "")
