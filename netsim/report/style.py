"""Colour of verdicts on a terminal."""

from __future__ import annotations

COLOURS = {"REACHABLE": "32", "PARTIAL": "33", "UNDETERMINED": "35"}


def paint(text: str, verdict: str, *, color: bool) -> str:
    """Return text in the verdict's colour (ANSI), or as it is."""
    return f"\033[1;{COLOURS.get(verdict, '31')}m{text}\033[0m" if color else text
