"""Resource requests and limits, and quantities."""

from __future__ import annotations

import re
from decimal import Decimal

from netsim.manifests.goformat import go_number
from netsim.validate import names
from netsim.validate.cause import At, Causes, invalid, invalids
from netsim.validate.fields import Object, obj

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{letter + "i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([numkKMGTPE]i?)?)")
_CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def quantity(value: object) -> Decimal | None:
    """Return a quantity's value, None if it is none (which decoding has reported)."""
    written = go_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    match = _QUANTITY.fullmatch(written) if isinstance(written, str) else None
    if match is None or (match.group(3) or "") not in _SUFFIXES:
        return None
    try:
        return Decimal(match.group(1) + (match.group(2) or "")) * _SUFFIXES[match.group(3) or ""]
    except ArithmeticError:
        return None


def shown(value: object) -> str:
    """Return a quantity as an error message quotes it."""
    return value if isinstance(value, str) else go_number(value) if isinstance(value, int | float) else "0"


def resources(found: Object, at: At) -> Causes:
    """Check requests and limits of a container."""
    limits, requests = obj(found, "limits"), obj(found, "requests")
    for field, listed in (("limits", limits), ("requests", requests)):
        for name, value in listed.items():
            place = At((*at.child(field).parts, name), f"{at.text}.{field}[{name}]")
            yield from _resource_name(name, At(place.parts, f"{at.text}.{field}"))
            amount = quantity(value)
            if amount is not None and amount < 0:
                yield invalid(place, shown(value), "must be greater than or equal to 0")
    for name, value in requests.items():
        yield from _within_limit(name, value, limits, at)


def _resource_name(name: str, at: At) -> Causes:
    reasons = names.qualified_name(name)
    yield from invalids(at, name, reasons)
    if not reasons and "/" not in name and name not in _CONTAINER_RESOURCES and not name.startswith("hugepages-"):
        yield invalid(at, name, "must be a standard resource type or fully qualified")
        yield invalid(at, name, "must be a standard resource for containers")


def _within_limit(name: str, value: object, limits: Object, at: At) -> Causes:
    amount, limit = quantity(value), quantity(limits.get(name))
    place = At((*at.child("requests").parts, name), f"{at.text}.requests")
    if amount is not None and limit is not None and amount > limit:
        yield invalid(place, shown(value), f"must be less than or equal to {name} limit of {shown(limits[name])}")
