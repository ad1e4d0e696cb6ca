"""Labels, annotations and label selectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.validate import names
from netsim.validate.cause import At, Causes, forbidden, invalid, invalids, required, too_long
from netsim.validate.fields import Object, has, items, obj, strings, text, texts

_ANNOTATIONS_SIZE = 256 * 1024
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def labels(found: Mapping[str, str], at: At) -> Causes:
    """Check keys and values; the path is the map's, as the API server reports it."""
    for key, value in found.items():
        place = At((*at.parts, key), at.text)
        yield from invalids(place, key, names.qualified_name(key))
        yield from invalids(place, value, names.label_value(value))


def check_annotations(found: Mapping[str, str], at: At) -> Causes:
    """Check keys (in any case) and the total size."""
    size = 0
    for key, value in found.items():
        yield from invalids(At((*at.parts, key), at.text), key, names.qualified_name(key.lower()))
        size += len(key.encode()) + len(value.encode())
    if size > _ANNOTATIONS_SIZE:
        yield too_long(at, _ANNOTATIONS_SIZE)


def selector(data: Object, name: str, at: At) -> Causes:
    """Check the LabelSelector in a field; none there is fine."""
    if not has(data, name):
        return
    found, place = obj(data, name), at.child(name)
    yield from labels(strings(found, "matchLabels"), place.child("matchLabels"))
    for index, requirement in enumerate(items(found, "matchExpressions")):
        yield from _requirement(requirement, place.child("matchExpressions").index(index))


def _requirement(found: Object, at: At) -> Causes:
    values = texts(found, "values")
    match text(found, "operator"):
        case "In" | "NotIn":
            if not values:
                yield required(at.child("values"), "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if values:
                why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield forbidden(at.child("values"), why)
        case other:
            yield invalid(at.child("operator"), other, "not a valid selector operator")
    key = text(found, "key")
    yield from invalids(at.child("key"), key, names.qualified_name(key))
    for index, value in enumerate(values):
        yield from invalids(at.child("values").index(index), value, names.label_value(value))


def is_empty(found: Object) -> bool:
    """Return whether a LabelSelector selects everything."""
    return not strings(found, "matchLabels") and not items(found, "matchExpressions")


def is_usable(found: Object) -> bool:
    """Return whether a LabelSelector can be turned into a selector at all."""
    return not any(True for _ in selector({"selector": found}, "selector", At()))


def matches(found: Object, wanted: Mapping[str, str]) -> bool:
    """Return whether a LabelSelector selects an object with these labels."""
    plain = all(wanted.get(key) == value for key, value in strings(found, "matchLabels").items())
    return plain and all(_holds(requirement, wanted) for requirement in items(found, "matchExpressions"))


def _holds(requirement: Object, wanted: Mapping[str, str]) -> bool:
    key, values = text(requirement, "key"), texts(requirement, "values")
    match text(requirement, "operator"):
        case "In":
            return key in wanted and wanted[key] in values
        case "NotIn":
            return key not in wanted or wanted[key] not in values
        case "Exists":
            return key in wanted
        case _:
            return key not in wanted


def as_go(found: Object) -> dict[str, Any]:
    """Return a LabelSelector as the server prints it: what is empty is left out."""
    printed: dict[str, Any] = {}
    if matched := strings(found, "matchLabels"):
        printed["matchLabels"] = dict(matched)
    if expressions := items(found, "matchExpressions"):
        printed["matchExpressions"] = [_expression(expression) for expression in expressions]
    return printed


def _expression(found: Object) -> dict[str, Any]:
    printed: dict[str, Any] = {"key": text(found, "key"), "operator": text(found, "operator")}
    if values := texts(found, "values"):
        printed["values"] = list(values)
    return printed
