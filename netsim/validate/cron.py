"""Cron schedules as robfig/cron's standard parser reads them, with its words for what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass

from iptables_gen.values import decimal

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: index for index, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: index for index, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_DURATION = re.compile(
    r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*|[-+]?0"
)


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: int
    high: int
    names: dict[str, int]


_FIELDS = (
    _Bounds(0, 59, {}),
    _Bounds(0, 23, {}),
    _Bounds(1, 31, {}),
    _Bounds(1, 12, _MONTHS),
    _Bounds(0, 6, _DAYS),
)


class _Bad(ValueError):
    """A field that is not understood."""


def problem(schedule: str) -> str:
    """Return why a schedule is none, "" if it is one."""
    spec = schedule
    if spec.startswith(("TZ=", "CRON_TZ=")):
        _, _, spec = spec.partition(" ")
        spec = spec.strip()
    if spec.startswith("@"):
        return _descriptor(spec)
    fields = spec.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    try:
        for text, bounds in zip(fields, _FIELDS, strict=True):
            for part in text.split(","):
                if part:
                    _range(part, bounds)
    except _Bad as error:
        return str(error)
    return ""


def _descriptor(spec: str) -> str:
    if spec in _DESCRIPTORS:
        return ""
    if spec.startswith("@every "):
        duration = spec.removeprefix("@every ")
        if _DURATION.fullmatch(duration):
            return ""
        return f'failed to parse duration {spec}: time: invalid duration "{duration}"'
    return f"unrecognized descriptor: {spec}"


def _range(text: str, bounds: _Bounds) -> None:
    """Raise _Bad when a range or step is not understood or out of bounds."""
    parts = text.split("/")
    ends = parts[0].split("-")
    start, end = _ends(text, ends, bounds)
    if len(parts) > 2:
        raise _Bad(f"too many slashes: {text}")
    step = _number(parts[1]) if len(parts) == 2 else 1
    if len(parts) == 2 and len(ends) == 1 and ends[0] not in ("*", "?"):
        end = bounds.high
    if start < bounds.low:
        raise _Bad(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise _Bad(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise _Bad(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise _Bad(f"step of range should be a positive number: {text}")


def _ends(text: str, ends: list[str], bounds: _Bounds) -> tuple[int, int]:
    if ends[0] in ("*", "?"):
        return bounds.low, bounds.high
    start = _value(ends[0], bounds)
    if len(ends) > 2:
        raise _Bad(f"too many hyphens: {text}")
    return start, _value(ends[1], bounds) if len(ends) == 2 else start


def _value(text: str, bounds: _Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _number(text) if named is None else named


def _number(text: str) -> int:
    failed = f'failed to parse int from {text}: strconv.Atoi: parsing "{text}"'
    if not re.fullmatch("[-+]?[0-9]+", text):
        raise _Bad(f"{failed}: invalid syntax")
    value = decimal(text.lstrip("+-").lstrip("0") or "0")
    if value is None or value >= 2**63:
        raise _Bad(f"{failed}: value out of range")
    if text[0] == "-" and value:
        raise _Bad(f"negative number ({-value}) not allowed: {text}")
    return value
