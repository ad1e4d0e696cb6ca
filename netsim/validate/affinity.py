"""Node and pod affinity, topology spread."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.validate import names
from netsim.validate.cause import At, Causes, duplicate, forbidden, invalid, invalids, not_supported, required
from netsim.validate.fields import Object, has, items, number, obj, text, texts
from netsim.validate.labels import selector

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity(found: Object, at: At) -> Causes:
    """Check a pod spec's affinity."""
    node, place = obj(found, "nodeAffinity"), at.child("nodeAffinity")
    if has(node, _REQUIRED):
        yield from node_selector(obj(node, _REQUIRED), place.child(_REQUIRED))
    for index, term in enumerate(items(node, _PREFERRED)):
        here = place.child(_PREFERRED).index(index)
        yield from _weight(term, here)
        yield from _term(obj(term, "preference"), here.child("preference"), values=False)
    for kind in ("podAffinity", "podAntiAffinity"):
        yield from _pod_affinity(obj(found, kind), at.child(kind))


def node_selector(found: Object, at: At) -> Causes:
    """Check a NodeSelector."""
    terms, place = items(found, "nodeSelectorTerms"), at.child("nodeSelectorTerms")
    if not terms:
        yield required(place, "must have at least one node selector term")
    for index, term in enumerate(terms):
        yield from _term(term, place.index(index), values=True)


def _term(found: Object, at: At, *, values: bool) -> Causes:
    for index, requirement in enumerate(items(found, "matchExpressions")):
        yield from _expression(requirement, at.child("matchExpressions").index(index), check_values=values)
    for index, requirement in enumerate(items(found, "matchFields")):
        yield from _field(requirement, at.child("matchFields").index(index))


def _expression(found: Object, at: At, *, check_values: bool) -> Causes:
    operator, values, place = text(found, "operator"), texts(found, "values"), at.child("values")
    match operator:
        case "In" | "NotIn":
            if not values:
                yield required(place, "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if values:
                yield forbidden(place, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        case "Gt" | "Lt":
            if len(values) != 1:
                yield required(place, "must be specified single value when `operator` is 'Lt' or 'Gt'")
        case _:
            yield invalid(at.child("operator"), operator, "not a valid selector operator")
    key = text(found, "key")
    yield from invalids(at.child("key"), key, names.qualified_name(key))
    for index, value in enumerate(values if check_values else ()):
        yield from invalids(place.index(index), value, names.label_value(value))


def _field(found: Object, at: At) -> Causes:
    operator, values = text(found, "operator"), texts(found, "values")
    if operator not in ("In", "NotIn"):
        yield invalid(at.child("operator"), operator, "not a valid selector operator")
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(at.child("values"), why)
    if text(found, "key") != "metadata.name":
        yield invalid(at.child("key"), text(found, "key"), "not a valid field selector key")
        return
    for index, value in enumerate(values):
        yield from invalids(at.child("values").index(index), value, names.dns_subdomain(value))


def _weight(found: Object, at: At) -> Causes:
    weight = number(found, "weight")
    if not 1 <= weight <= 100:
        yield invalid(at.child("weight"), weight, "must be in the range 1-100")


def _pod_affinity(found: Object, at: At) -> Causes:
    for index, term in enumerate(items(found, _REQUIRED)):
        yield from _pod_term(term, at.child(_REQUIRED).index(index))
    for index, weighted in enumerate(items(found, _PREFERRED)):
        here = at.child(_PREFERRED).index(index)
        yield from _weight(weighted, here)
        yield from _pod_term(obj(weighted, "podAffinityTerm"), here.child("podAffinityTerm"))


def _pod_term(found: Object, at: At) -> Causes:
    yield from selector(found, "labelSelector", at)
    yield from selector(found, "namespaceSelector", at)
    for name in texts(found, "namespaces"):
        place = At(at.child("namespaces").parts, f"{at.text}.namespace")
        yield from invalids(place, name, names.dns_label(name))
    key = text(found, "topologyKey")
    if not key:
        yield required(at.child("topologyKey"), "can not be empty")
    yield from invalids(at.child("topologyKey"), key, names.qualified_name(key))


def spread_constraints(spec: Object, at: At) -> Causes:
    """Check a pod spec's topologySpreadConstraints."""
    found = items(spec, "topologySpreadConstraints")
    for index, constraint in enumerate(found):
        yield from _constraint(constraint, found[:index], at.index(index))


def _constraint(found: Object, before: Sequence[Object], at: At) -> Causes:
    skew, key, when = number(found, "maxSkew"), text(found, "topologyKey"), text(found, "whenUnsatisfiable")
    if skew <= 0:
        yield invalid(at.child("maxSkew"), skew, "must be greater than zero")
    if not key:
        yield required(at.child("topologyKey"), "can not be empty")
    else:
        yield from invalids(at.child("topologyKey"), key, names.qualified_name(key))
    if when not in ("DoNotSchedule", "ScheduleAnyway"):
        yield not_supported(at.child("whenUnsatisfiable"), when, ("DoNotSchedule", "ScheduleAnyway"))
    if any((text(other, "topologyKey"), text(other, "whenUnsatisfiable")) == (key, when) for other in before):
        yield duplicate(at.child("{topologyKey, whenUnsatisfiable}"), f"{{{key}, {when}}}")
    if has(found, "minDomains"):
        least = number(found, "minDomains")
        if least <= 0:
            yield invalid(at.child("minDomains"), least, "must be greater than zero")
        if when != "DoNotSchedule":
            why = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"
            yield invalid(at.child("minDomains"), least, why)
    yield from selector(found, "labelSelector", at)
