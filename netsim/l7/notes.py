"""Notes that qualify a routing decision."""

from __future__ import annotations

from collections.abc import Iterable

from netsim.l7.decision import Matched
from netsim.notes import Note


def not_modelled(matched: Matched | None, names: Iterable[str]) -> Note:
    """Return the note naming annotations that can change the answer but are not modelled."""
    return Note("NOT_MODELLED", f"{matched}: {', '.join(names)} may change this answer", qualifies=True)
