"""What the API server would reject in objects that other verbs use as they are."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.errors import Problem
from netsim.manifests.objects import Manifest


def check_objects(objects: Sequence[Manifest]) -> tuple[Problem, ...]:
    """Return the problems that every verb reports: cheap checks only, in input order."""
    return ()
