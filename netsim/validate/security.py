"""Security contexts of pods and containers, as far as they are numbers and names."""

from __future__ import annotations

from netsim.validate.cause import At, Causes, forbidden, invalid, not_supported, required
from netsim.validate.containers import all_containers
from netsim.validate.fields import Object, flag, has, number, obj, text

_MAX_ID = 2**31 - 1
_IDS = ("runAsUser", "runAsGroup", "fsGroup")
_SECCOMP = ("Localhost", "RuntimeDefault", "Unconfined")


def security(spec: Object, at: At) -> Causes:
    """Check the security contexts of a pod spec."""
    yield from _context(obj(spec, "securityContext"), at.child("securityContext"))
    for field, index, container in all_containers(spec):
        place = at.child(field).index(index).child("securityContext")
        yield from _context(obj(container, "securityContext"), place)
    if spec.get("hostUsers") is False:
        for field, name in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if flag(spec, field):
                yield forbidden(at.child(field, spelled=name), "when `pod.Spec.HostUsers` is false")


def _context(found: Object, at: At) -> Causes:
    for field in _IDS:
        if has(found, field) and not 0 <= number(found, field) <= _MAX_ID:
            yield invalid(at.child(field), number(found, field), f"must be between 0 and {_MAX_ID}, inclusive")
    if has(found, "seccompProfile"):
        yield from _seccomp(obj(found, "seccompProfile"), at.child("seccompProfile"))


def _seccomp(found: Object, at: At) -> Causes:
    kind = text(found, "type")
    if not kind:
        yield required(at.child("type"), "type is required when seccompProfile is set")
    elif kind not in _SECCOMP:
        yield not_supported(at.child("type"), kind, _SECCOMP)
    elif kind == "Localhost" and not has(found, "localhostProfile"):
        yield required(at.child("localhostProfile"), "must be set when seccomp type is Localhost")
