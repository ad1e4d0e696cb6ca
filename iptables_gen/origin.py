"""Origin: which object, field and manifest line a rule comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Locator(Protocol):
    """Something that knows where its fields stand; positions may be computed on demand."""

    def locate(self, field: str) -> tuple[str, int, int]:
        """Return (file, line, column), both 1-based, of a field path as the API spells it (`spec.ports[0].port`)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The manifest field that a rule was made for.

    `stage` names the compiler stage (`cluster IP`, `node port`, `static`). A rule without any object has kind "".
    """

    kind: str = ""
    namespace: str = ""
    name: str = ""
    field: str = ""
    locator: Locator | None = None
    stage: str = ""

    @property
    def where(self) -> tuple[str, int, int] | None:
        """Return (file, line, column) of the field, None when the object is not from a file."""
        return self.locator.locate(self.field) if self.locator else None

    def as_json(self) -> dict[str, object] | None:
        """Return the contract's origin object; None when no manifest explains the rule."""
        if not self.kind:
            return None
        where = self.where
        return {
            "kind": self.kind,
            "namespace": self.namespace or None,
            "name": self.name,
            "field": self.field,
            "file": where[0] if where else None,
            "line": where[1] if where else None,
        }

    def __str__(self) -> str:
        """Return `Kind ns/name field (file:line)` as the text output shows it."""
        where = self.where
        place = "" if where is None else f" ({where[0]}:{where[1]})" if where[1] else f" {where[0]}"
        owner = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {owner} {self.field}{place}".replace("  ", " ").strip()
