"""Label selectors in Kubernetes' set-based text form: `environment in (production,qa),!hidden`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from iptables_gen.values import decimal
from netsim.errors import UsageError

Operator = Literal["in", "notin", "exists", "!", "gt", "lt"]
_SET = re.compile(r"\s*(?P<key>[^\s=!<>(),]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*$")
_PLAIN = re.compile(r"\s*(?P<key>[^\s=!<>(),]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s,()=!<>]*)\s*$")
_BARE = re.compile(r"\s*(?P<not>!?)\s*(?P<key>[^\s=!<>(),]+)\s*$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One comma-separated part of a selector."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it; `notin` and `!=` are met where the key is absent (labels.Requirement.Matches)."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "gt":
                return _compared(value, self.values[0]) > 0
            case "lt":
                return _compared(value, self.values[0]) < 0
            case _ as never:
                assert_never(never)


Selector = tuple[Requirement, ...]


def _compared(value: str | None, limit: str) -> int:
    """Return whether a label is above (1) or below (-1) a limit, as integers; 0 also where either is none."""
    left, right = _number(value or ""), _number(limit)
    return 0 if left is None or right is None else (left > right) - (left < right)


def _number(value: str) -> int | None:
    number = decimal(value.removeprefix("-"))
    return -number if number is not None and value.startswith("-") else number


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether labels meet every requirement; the empty selector is met by all."""
    return all(requirement.matches(labels) for requirement in selector)


def parse(text: str) -> Selector:
    """Return the selector of its text; UsageError when it is none."""
    return tuple(_requirement(part) for part in re.split(r",(?![^(]*\))", text) if part.strip())


def _requirement(part: str) -> Requirement:
    if found := _SET.match(part):
        values = tuple(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], "in" if found["op"] == "in" else "notin", values)
    if found := _PLAIN.match(part):
        return _plain(found["key"], found["op"], found["value"])
    if found := _BARE.match(part):
        return Requirement(found["key"], "!" if found["not"] else "exists")
    raise UsageError(f"{part.strip()!r} is not a label selector")


def _plain(key: str, operator: str, value: str) -> Requirement:
    if operator in ("=", "=="):
        return Requirement(key, "in", (value,))
    if operator == "!=":
        return Requirement(key, "notin", (value,))
    if _number(value) is None:
        raise UsageError(f"{key}{operator}{value}: the value must be an integer")
    return Requirement(key, "gt" if operator == ">" else "lt", (value,))
