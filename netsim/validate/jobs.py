"""Job and CronJob."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from netsim.validate import cron, names
from netsim.validate.cause import META, SPEC, At, Cause, Causes, invalid, invalids, not_supported, required
from netsim.validate.fields import Object, flag, has, number, obj, strings, text
from netsim.validate.labels import as_go, is_usable, matches, selector
from netsim.validate.meta import metadata
from netsim.validate.podspec import template
from netsim.validate.workloads import MISMATCH, nonnegative

_UID = "<uid>"
"""Stands for the uid that the server would give the Job."""
_MAX_CRON_NAME = 52
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")
_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


def job(data: Object) -> Causes:
    """Check a Job; the server adds labels and a selector of its own unless manualSelector is set."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    name = text(obj(data, "metadata"), "name")
    yield from _generated_labels(spec, name)
    yield from _job_spec(spec, SPEC)
    if flag(spec, "manualSelector"):
        yield from _manual_selector(spec)
    elif has(spec, "selector"):
        yield from _unneeded_selector(spec, name)
    yield from _indexed_names(spec, name)


def _generated(name: str) -> dict[str, str]:
    prefix = "batch.kubernetes.io/"
    return {f"{prefix}controller-uid": _UID, f"{prefix}job-name": name, "controller-uid": _UID, "job-name": name}


def _generated_labels(spec: Object, name: str) -> Causes:
    """Check the labels that the server makes of the Job's name, which may be longer than a label's value."""
    if flag(spec, "manualSelector"):
        return
    at = At(("metadata", "name"), "spec.template.labels")
    for key in ("job-name", "batch.kubernetes.io/job-name"):
        if key not in strings(obj(obj(spec, "template"), "metadata"), "labels"):
            yield from invalids(at, name, names.label_value(name) if len(name) > 63 else [])


def _manual_selector(spec: Object) -> Causes:
    if not has(spec, "selector"):
        yield required(SPEC.child("selector"))
    yield from selector(spec, "selector", SPEC)
    found = strings(obj(obj(spec, "template"), "metadata"), "labels")
    if not has(spec, "selector") or (is_usable(obj(spec, "selector")) and not matches(obj(spec, "selector"), found)):
        yield invalid(SPEC.child("template", "metadata", "labels"), dict(found) or None, MISMATCH)


def _unneeded_selector(spec: Object, name: str) -> Causes:
    found = obj(spec, "selector")
    key = "batch.kubernetes.io/controller-uid"
    wanted: dict[str, Any] = {**as_go(found), "matchLabels": {**strings(found, "matchLabels"), key: _UID}}
    yield from selector(spec, "selector", SPEC)
    ours = _generated(name)
    labels = {**strings(obj(obj(spec, "template"), "metadata"), "labels"), **ours}
    if not matches(wanted, ours):
        yield _unescaped(invalid(SPEC.child("selector"), wanted, "`selector` not auto-generated"))
    if not matches(wanted, labels):
        yield _unescaped(invalid(SPEC.child("template", "metadata", "labels"), labels, MISMATCH))


def _unescaped(cause: Cause) -> Cause:
    """Return a cause in which the uid's stand-in reads as such (JSON escapes its brackets)."""
    return replace(cause, message=cause.message.replace("\\u003cuid\\u003e", _UID))


def _indexed_names(spec: Object, name: str) -> Causes:
    if text(spec, "completionMode") == "Indexed" and number(spec, "completions") > 0:
        longest = f"{name}-{number(spec, 'completions') - 1}"
        if names.dns_label(longest):
            why = f"will not able to create pod with invalid DNS label: {longest}"
            yield invalid(META.child("name"), name, why)


def _job_spec(spec: Object, at: At) -> Causes:
    yield from nonnegative(spec, at, *_COUNTS)
    yield from _completion(spec, at)
    policy = text(spec, "podReplacementPolicy", "TerminatingOrFailed")
    if policy not in ("Failed", "TerminatingOrFailed"):
        yield not_supported(at.child("podReplacementPolicy"), policy, ("Failed", "TerminatingOrFailed"))
    place = at.child("template")
    yield from template(obj(spec, "template"), place)
    restart = text(obj(obj(spec, "template"), "spec"), "restartPolicy", "Always")
    here = place.child("spec", "restartPolicy")
    if restart == "Always":
        yield required(here, 'valid values: "OnFailure", "Never"')
    elif restart not in ("OnFailure", "Never"):
        yield not_supported(here, restart, ("OnFailure", "Never"))
    elif has(spec, "podFailurePolicy") and restart != "Never":
        yield invalid(here, restart, 'only "Never" is supported when podFailurePolicy is specified')


def _completion(spec: Object, at: At) -> Causes:
    mode = text(spec, "completionMode", "NonIndexed")
    if mode not in ("NonIndexed", "Indexed"):
        yield not_supported(at.child("completionMode"), mode, ("NonIndexed", "Indexed"))
    # Both counts are 1 when neither is given; completions alone has no default.
    if mode == "Indexed" and has(spec, "parallelism") and not has(spec, "completions"):
        yield required(at.child("completions"), "when completion mode is Indexed")
    if mode == "Indexed" and number(spec, "parallelism") > 100_000:
        why = "must be less than or equal to 100000 when completion mode is Indexed"
        yield invalid(at.child("parallelism"), number(spec, "parallelism"), why)
    if has(spec, "maxFailedIndexes") and not has(spec, "backoffLimitPerIndex"):
        yield required(at.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified")
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if mode == "NonIndexed" and has(spec, field):
            yield invalid(at.child(field), number(spec, field), "requires indexed completion mode")


def cron_job(data: Object) -> Causes:
    """Check a CronJob; its Jobs' names get eleven characters behind, so its own has 52 at most."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    name = text(obj(data, "metadata"), "name")
    if len(name) > _MAX_CRON_NAME:
        yield invalid(META.child("name"), name, f"must be no more than {_MAX_CRON_NAME} characters")
    yield from _schedule(spec)
    yield from _time_zone(spec)
    yield from nonnegative(
        spec, SPEC, "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"
    )
    policy = text(spec, "concurrencyPolicy", "Allow")
    if policy not in ("Allow", "Forbid", "Replace"):
        yield not_supported(SPEC.child("concurrencyPolicy"), policy, ("Allow", "Forbid", "Replace"))
    inner, at = obj(obj(spec, "jobTemplate"), "spec"), SPEC.child("jobTemplate", "spec")
    yield from _job_spec(inner, at)
    if has(inner, "selector"):
        yield invalid(at.child("selector"), as_go(obj(inner, "selector")), "`selector` will be auto-generated")
    if flag(inner, "manualSelector"):
        yield not_supported(at.child("manualSelector"), True, ("nil", "false"))


def _schedule(spec: Object) -> Causes:
    schedule, at = text(spec, "schedule"), SPEC.child("schedule")
    if not schedule:
        yield required(at)
        return
    if why := cron.problem(schedule):
        yield invalid(at, schedule, why)
    if "TZ" in schedule:
        yield invalid(at, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")


def _time_zone(spec: Object) -> Causes:
    zone, at = text(spec, "timeZone"), SPEC.child("timeZone")
    if not has(spec, "timeZone"):
        return
    if not zone:
        yield invalid(at, zone, "timeZone must be nil or non-empty string")
    elif zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid(at, zone, why)
    elif not _is_zone(zone):
        yield invalid(at, zone, f"unknown time zone {zone}")


def _is_zone(zone: str) -> bool:
    from zoneinfo import ZoneInfo, available_timezones

    parts = zone.split("/")
    if any(part in (".", "..") or part.startswith("-") or not _ZONE_PART.fullmatch(part) for part in parts):
        return False
    known = available_timezones()
    if not known:
        # A machine without a time zone database cannot tell.
        return True
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return False
    return True
