"""Notes: what the model assumed or does not model, shown on stderr and in every JSON answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One assumption or limitation. `code` is one of docs/codes.md; `qualifies` marks NOT_MODELLED and its like."""

    code: str
    text: str
    qualifies: bool = False

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"

    def as_json(self) -> dict[str, str]:
        """Return the note as every JSON answer has it."""
        return {"code": self.code, "text": self.text}
