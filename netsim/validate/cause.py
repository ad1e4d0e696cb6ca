"""Causes: what field validation finds, in the API server's words, with the place that each belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netsim.errors import Severity
from netsim.manifests.goformat import go_json, go_quote


@dataclass(frozen=True, slots=True)
class At:
    """A field: its parts in the object, and its path as the API spells it (`spec.LoadBalancerSourceRanges`)."""

    parts: tuple[str | int, ...] = ()
    text: str = ""

    def child(self, *names: str, spelled: str = "") -> At:
        """Return a field below; *spelled* is the API's own spelling where it is not the field's name."""
        text = self.text
        for name in names:
            text = f"{text}.{spelled or name}" if text else spelled or name
        return At((*self.parts, *names), text)

    def index(self, index: int) -> At:
        """Return an element of a list."""
        return At((*self.parts, index), f"{self.text}[{index}]")

    def key(self, key: str) -> At:
        """Return a value of a map: `metadata.annotations[a/b]`."""
        return At((*self.parts, key), f"{self.text}[{key}]")


ROOT = At()
META = ROOT.child("metadata")
SPEC = ROOT.child("spec")


@dataclass(frozen=True, slots=True)
class Cause:
    """One mistake. `reason` is the API's cause reason; `severity` tells errors from what the server only warns of."""

    at: At
    message: str
    reason: str
    severity: Severity = "error"


Causes = Iterator[Cause]


def invalid(at: At, value: Any, why: str) -> Cause:
    """Return `Invalid value: VALUE: why`."""
    return Cause(at, f"Invalid value: {_shown(value)}: {why}", "FieldValueInvalid")


def invalids(at: At, value: Any, whys: Iterable[str]) -> Causes:
    """Yield one `Invalid value` for each reason."""
    for why in whys:
        yield invalid(at, value, why)


def _shown(value: Any) -> str:
    return go_quote(value) if isinstance(value, str) else go_json(value)


def required(at: At, why: str = "") -> Cause:
    """Return `Required value[: why]`."""
    return Cause(at, f"Required value: {why}" if why else "Required value", "FieldValueRequired")


def not_supported(at: At, value: Any, supported: Iterable[str]) -> Cause:
    """Return `Unsupported value: "x": supported values: "A", "B"`, the values in the order given."""
    known = ", ".join(f'"{name}"' for name in supported)
    return Cause(at, f"Unsupported value: {_shown(value)}: supported values: {known}", "FieldValueNotSupported")


def duplicate(at: At, value: Any) -> Cause:
    """Return `Duplicate value: VALUE`."""
    return Cause(at, f"Duplicate value: {_shown(value)}", "FieldValueDuplicate")


def forbidden(at: At, why: str) -> Cause:
    """Return `Forbidden: why`."""
    return Cause(at, f"Forbidden: {why}", "FieldValueForbidden")


def too_many(at: At, count: int, most: int) -> Cause:
    """Return `Too many: COUNT: must have at most MOST items`."""
    return Cause(at, f"Too many: {count}: must have at most {most} items", "FieldValueTooMany")


def too_long(at: At, most: int) -> Cause:
    """Return `Too long: may not be more than MOST bytes`."""
    return Cause(at, f"Too long: may not be more than {most} bytes", "FieldValueTooLong")


def not_found(at: At, value: Any) -> Cause:
    """Return `Not found: VALUE`."""
    return Cause(at, f"Not found: {_shown(value)}", "FieldValueNotFound")


def warning(at: At, text: str) -> Cause:
    """Return what the server accepts and warns of; the text names the field itself."""
    return Cause(at, text, "", "warning")
