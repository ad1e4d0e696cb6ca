"""Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptables_gen.values import decimal
from netsim.validate import names
from netsim.validate.cause import SPEC, At, Cause, Causes, forbidden, invalid, invalids, not_supported, required
from netsim.validate.fields import Object, has, int_or_text, number, obj, strings, text
from netsim.validate.labels import as_go, check_annotations, is_empty, is_usable, labels, matches, selector
from netsim.validate.meta import metadata
from netsim.validate.podspec import template

NEGATIVE = "must be greater than or equal to 0"
MISMATCH = "`selector` does not match template `labels`"
_TEMPLATE = SPEC.child("template")


def nonnegative(spec: Object, at: At, *fields: str) -> Causes:
    """Check that these numbers are not below zero."""
    for field in fields:
        if number(spec, field) < 0:
            yield invalid(at.child(field), number(spec, field), NEGATIVE)


def deployment(data: Object) -> Causes:
    """Check a Deployment."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    yield from nonnegative(spec, SPEC, "replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    yield from _selector_and_template(spec, "deployment", "invalid label selector")
    yield from _deployment_strategy(obj(spec, "strategy"), SPEC.child("strategy"))
    deadline = number(spec, "progressDeadlineSeconds", 600)
    if deadline <= number(spec, "minReadySeconds"):
        yield invalid(SPEC.child("progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds")


def replica_set(data: Object) -> Causes:
    """Check a ReplicaSet."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    yield from nonnegative(spec, SPEC, "replicas", "minReadySeconds")
    yield from _selector_and_template(spec, "deployment", "invalid label selector")


def _selector_and_template(spec: Object, noun: str, unusable: str) -> Causes:
    found, at = obj(spec, "selector"), SPEC.child("selector")
    yield from selector_field(spec, noun)
    if has(spec, "selector") and not is_usable(found):
        yield invalid(at, as_go(found), unusable)
        return
    yield from selector_mismatch(spec)
    yield from template(obj(spec, "template"), _TEMPLATE)
    yield from always_restart(obj(obj(spec, "template"), "spec"), "ReplicaSet")


def selector_field(spec: Object, noun: str) -> Causes:
    """Check a workload's selector: there, well formed, not empty."""
    found, at = obj(spec, "selector"), SPEC.child("selector")
    if not has(spec, "selector"):
        yield required(at)
        return
    yield from selector(spec, "selector", SPEC)
    if is_empty(found):
        yield invalid(at, {}, f"empty selector is invalid for {noun}")


def selector_mismatch(spec: Object) -> Causes:
    """Check that the selector selects the template's pods; no selector at all selects nothing."""
    found = obj(spec, "selector")
    meta = obj(obj(spec, "template"), "metadata")
    if has(spec, "selector") and (is_empty(found) or matches(found, strings(meta, "labels"))):
        return
    yield invalid(_TEMPLATE.child("metadata", "labels"), dict(strings(meta, "labels")) or None, MISMATCH)


def always_restart(spec: Object, kind: str) -> Causes:
    """Check what pods of a kind that keeps them running may not have."""
    at = _TEMPLATE.child("spec")
    policy = text(spec, "restartPolicy", "Always")
    if policy != "Always":
        yield not_supported(at.child("restartPolicy"), policy, ("Always",))
    if has(spec, "activeDeadlineSeconds"):
        yield forbidden(at.child("activeDeadlineSeconds"), f"activeDeadlineSeconds in {kind} is not Supported")


def _go_strategy(kind: str, rolling: str) -> str:
    return f'{{"Type":"{kind}","RollingUpdate":{rolling}}}'


def _deployment_strategy(found: Object, at: At) -> Causes:
    kind = text(found, "type", "RollingUpdate")
    place = at.child("rollingUpdate")
    match kind:
        case "Recreate":
            if has(found, "rollingUpdate"):
                yield forbidden(place, "may not be specified when strategy `type` is 'Recreate'")
        case "RollingUpdate":
            yield from _rolling_deployment(obj(found, "rollingUpdate"), place)
        case _:
            supported = 'supported values: "Recreate", "RollingUpdate"'
            shown = _go_strategy(kind, _go_rolling_deployment(found))
            yield Cause(at, f"Unsupported value: {shown}: {supported}", "FieldValueNotSupported")


def _go_rolling_deployment(found: Object) -> str:
    from netsim.manifests.goformat import go_json

    if not has(found, "rollingUpdate"):
        return "null"
    rolling = obj(found, "rollingUpdate")
    values = {name: int_or_text(rolling, name) for name in ("maxUnavailable", "maxSurge")}
    return (
        f'{{"MaxUnavailable":{go_json(values["maxUnavailable"] or 0)},"MaxSurge":{go_json(values["maxSurge"] or 0)}}}'
    )


def _amount(found: Object, name: str, default: int | str) -> int | str:
    value = int_or_text(found, name)
    return default if value is None else value


def _share(value: int | str) -> int:
    """Return an IntOrString's number: of a percentage its digits, of another text 0."""
    if isinstance(value, str):
        return decimal(value[:-1] if not names.percent(value) else value) or 0
    return value


def int_or_percent(value: int | str, at: At) -> Causes:
    """Check that a value is a number that is not negative, or a percentage."""
    if isinstance(value, str):
        yield from invalids(at, value, names.percent(value))
    elif value < 0:
        yield invalid(at, value, NEGATIVE)


def _at_most_all(value: int | str, at: At) -> Causes:
    if isinstance(value, str) and not names.percent(value) and _share(value) > 100:
        yield invalid(at, value, "must not be greater than 100%")


def _rolling_deployment(found: Object, at: At) -> Causes:
    unavailable, surge = _amount(found, "maxUnavailable", "25%"), _amount(found, "maxSurge", "25%")
    yield from int_or_percent(unavailable, at.child("maxUnavailable"))
    yield from int_or_percent(surge, at.child("maxSurge"))
    if _share(unavailable) == 0 and _share(surge) == 0:
        yield invalid(at.child("maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0")
    yield from _at_most_all(unavailable, at.child("maxUnavailable"))


def stateful_set(data: Object) -> Causes:
    """Check a StatefulSet; its pod template is checked only when pods are made of it."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_label)
    policy = text(spec, "podManagementPolicy", "OrderedReady")
    if policy not in ("OrderedReady", "Parallel"):
        yield invalid(SPEC.child("podManagementPolicy"), policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _stateful_strategy(obj(spec, "updateStrategy"), SPEC.child("updateStrategy"))
    yield from _retention(spec)
    yield from nonnegative(spec, SPEC, "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from nonnegative(obj(spec, "ordinals"), SPEC.child("ordinals"), "start")
    if name := text(spec, "serviceName"):
        yield from invalids(SPEC.child("serviceName"), name, names.dns_label(name))
    yield from selector_field(spec, "statefulset")
    if has(spec, "selector") and not is_usable(obj(spec, "selector")):
        yield invalid(SPEC.child("selector"), as_go(obj(spec, "selector")), "")
        return
    yield from selector_mismatch(spec)
    yield from _stateful_template(obj(spec, "template"))


def _stateful_template(found: Object) -> Causes:
    meta = obj(found, "metadata")
    for field, check in (("labels", labels), ("annotations", check_annotations)):
        yield from check(strings(meta, field), At((*_TEMPLATE.parts, "metadata", field), f"{_TEMPLATE.text}.{field}"))
    yield from always_restart(obj(found, "spec"), "StatefulSet")


def _stateful_strategy(found: Object, at: At) -> Causes:
    kind, rolling = text(found, "type", "RollingUpdate"), obj(found, "rollingUpdate")
    place = at.child("rollingUpdate")
    shown = f'{{"Partition":{number(rolling, "partition")},"MaxUnavailable":null}}'
    match kind:
        case "OnDelete":
            if has(found, "rollingUpdate"):
                why = "only allowed for updateStrategy 'RollingUpdate'"
                yield Cause(place, f"Invalid value: {shown}: {why}", "FieldValueInvalid")
        case "RollingUpdate":
            yield from nonnegative(rolling, place, "partition")
        case _:
            value = _go_strategy(kind, shown if has(found, "rollingUpdate") else "null")
            why = "must be 'RollingUpdate' or 'OnDelete'"
            yield Cause(at, f"Invalid value: {value}: {why}", "FieldValueInvalid")


def _retention(spec: Object) -> Causes:
    found, at = obj(spec, "persistentVolumeClaimRetentionPolicy"), SPEC.child("persistentVolumeClaimRetentionPolicy")
    for field in ("whenDeleted", "whenScaled"):
        policy = text(found, field, "Retain")
        if policy not in ("Retain", "Delete"):
            yield not_supported(at.child(field), policy, ("Retain", "Delete"))


def daemon_set(data: Object) -> Causes:
    """Check a DaemonSet."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    yield from selector(spec, "selector", SPEC)
    usable = is_usable(obj(spec, "selector"))
    if usable:
        yield from selector_mismatch(spec)
    if has(spec, "selector") and is_empty(obj(spec, "selector")):
        yield invalid(SPEC.child("selector"), {}, "empty selector is invalid for daemonset")
    yield from template(obj(spec, "template"), _TEMPLATE)
    yield from always_restart(obj(obj(spec, "template"), "spec"), "DaemonSet")
    yield from nonnegative(spec, SPEC, "minReadySeconds", "revisionHistoryLimit")
    yield from _daemon_strategy(obj(spec, "updateStrategy"), SPEC.child("updateStrategy"))


def _daemon_strategy(found: Object, at: At) -> Causes:
    kind, rolling = text(found, "type", "RollingUpdate"), obj(found, "rollingUpdate")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        value = _go_strategy(kind, "null")
        supported = 'supported values: "RollingUpdate", "OnDelete"'
        yield Cause(at, f"Unsupported value: {value}: {supported}", "FieldValueNotSupported")
        return
    place = at.child("rollingUpdate")
    unavailable, surge = _amount(rolling, "maxUnavailable", 1), _amount(rolling, "maxSurge", 0)
    for field, value_ in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        yield from int_or_percent(value_, place.child(field))
        yield from _at_most_all(value_, place.child(field))
    if _share(unavailable) and _share(surge):
        yield invalid(place.child("maxSurge"), surge, "may not be set when maxUnavailable is non-zero")
    elif not _share(unavailable) and not _share(surge):
        yield required(place.child("maxUnavailable"), "cannot be 0 when maxSurge is 0")


def replication_controller(data: Object) -> Causes:
    """Check a ReplicationController, whose selector is a plain map and by default the template's labels."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    yield from nonnegative(spec, SPEC, "minReadySeconds", "replicas")
    wanted: Mapping[str, Any] = strings(obj(obj(spec, "template"), "metadata"), "labels")
    chosen = strings(spec, "selector") or wanted
    if not chosen:
        yield required(SPEC.child("selector"))
    elif any(wanted.get(key) != value for key, value in chosen.items()):
        yield invalid(_TEMPLATE.child("metadata", "labels"), dict(wanted), MISMATCH)
    if not has(spec, "template"):
        yield required(_TEMPLATE)
        return
    yield from template(obj(spec, "template"), _TEMPLATE)
    yield from always_restart(obj(obj(spec, "template"), "spec"), "ReplicationController")
