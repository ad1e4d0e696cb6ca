"""An answer as people read it: at most 25 lines, the verdict first, only the rules that matched."""

from __future__ import annotations


def answer_text(answer: object, *, detail: str, back: bool, color: bool) -> str:
    """Return the text."""
    return f"{answer}\n"
