"""The semantic rules cheap enough for every verb; `netsim validate` knows more."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.errors import Problem
from netsim.manifests.objects import Manifest


def check_objects(objects: Sequence[Manifest]) -> tuple[Problem, ...]:
    """Return what the API server would reject of these objects, as warnings."""
    return ()
