"""Conditions of listeners: protocol, conflicts, kinds, certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netsim.l7.gateway.objects import KINDS_BY_PROTOCOL, Gateway, Grants, Listener, ObjectRef
from netsim.l7.tls import Certificate


@dataclass(frozen=True, slots=True)
class ListenerState:
    """Reasons of a listener's conditions. Each is True for the reason given first: Accepted, NoConflicts (condition
    Conflicted is then False), ResolvedRefs, Programmed. `secrets` are the certificates that can be served."""

    accepted: str = "Accepted"
    conflicted: str = "NoConflicts"
    resolved: str = "ResolvedRefs"
    secrets: tuple[str, ...] = ()
    programmed: bool = True


def judge_listeners(
    gateway: Gateway, grants: Grants, certificates: Mapping[str, Certificate]
) -> tuple[ListenerState, ...]:
    """Return the state of every listener of a Gateway, in order."""
    return tuple(_judge(gateway, one, grants, certificates) for one in gateway.listeners)


def _judge(
    gateway: Gateway, listener: Listener, grants: Grants, certificates: Mapping[str, Certificate]
) -> ListenerState:
    conflict = _conflict(gateway, listener)
    accepted = "UnsupportedProtocol" if listener.protocol not in KINDS_BY_PROTOCOL else "Accepted"
    if conflict == "ProtocolConflict" and accepted == "Accepted":
        accepted = conflict
    secrets, reason = _certificates(gateway, listener, grants, certificates)
    resolved = "InvalidRouteKinds" if listener.invalid_kinds else reason or "ResolvedRefs"
    programmed = accepted == "Accepted" and conflict == "NoConflicts" and not reason and bool(listener.supported_kinds)
    return ListenerState(accepted, conflict, resolved, secrets, programmed)


_FAMILIES = {"HTTP": "http", "HTTPS": "tls", "TLS": "tls", "TCP": "tcp"}


def _conflict(gateway: Gateway, listener: Listener) -> str:
    """TCP shares no port with HTTP, HTTPS or TLS, nor HTTP with the latter two: then none of them works. UDP is
    apart.
    """
    family = _FAMILIES.get(listener.protocol)
    sharing = [one for one in gateway.listeners if one.port == listener.port and one.index != listener.index]
    if family and any(_FAMILIES.get(one.protocol) not in (None, family) for one in sharing):
        return "ProtocolConflict"
    same = (listener.protocol, listener.hostname)
    if any((one.protocol, one.hostname) == same and one.index < listener.index for one in sharing):
        return "HostnameConflict"
    return "NoConflicts"


def _certificates(
    gateway: Gateway, listener: Listener, grants: Grants, certificates: Mapping[str, Certificate]
) -> tuple[tuple[str, ...], str]:
    """Return the usable Secrets, and the reason when any reference is not one (a terminating listener needs at least
    one).
    """
    terminates = listener.protocol == "HTTPS" or (listener.protocol == "TLS" and listener.tls_mode == "Terminate")
    if not terminates:
        return (), ""
    reasons = [_certificate(gateway, ref, grants, certificates) for ref in listener.certificates]
    usable = tuple(
        f"{ref.namespace}/{ref.name}" for ref, reason in zip(listener.certificates, reasons, strict=True) if not reason
    )
    bad = next((reason for reason in reasons if reason), "" if reasons else "InvalidCertificateRef")
    return usable, bad


def _certificate(gateway: Gateway, ref: ObjectRef, grants: Grants, certificates: Mapping[str, Certificate]) -> str:
    if (ref.group, ref.kind) != ("", "Secret"):
        return "InvalidCertificateRef"
    if not grants.permits("Gateway", gateway.namespace, ref):
        return "RefNotPermitted"
    return "" if f"{ref.namespace}/{ref.name}" in certificates else "InvalidCertificateRef"
