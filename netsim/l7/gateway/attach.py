"""Which routes attach to which listeners, and why others do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from netsim.cluster.selectors import matches_selector
from netsim.l7.gateway.hostnames import intersection
from netsim.l7.gateway.objects import GROUP, Gateway, Listener, ObjectRef, Route

L4_KINDS: Final = ("TCPRoute", "UDPRoute")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A route on a listener with the hostnames that both have in common ("" any)."""

    gateway: Gateway
    listener: Listener
    route: Route
    hostnames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParentResult:
    """What became of one parentRef: where it attaches, or the reason of condition Accepted=False."""

    parent: ObjectRef
    reason: str
    attachments: tuple[Attachment, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether any listener accepts the route."""
        return bool(self.attachments)


@dataclass(frozen=True, slots=True)
class Attached:
    """All results: by route (kind, namespace, name), and attachments by (gateway key, listener index)."""

    parents: Mapping[tuple[str, str, str], tuple[ParentResult, ...]] = field(default_factory=dict)
    listeners: Mapping[tuple[str, int], tuple[Attachment, ...]] = field(default_factory=dict)


def attach(
    routes: Iterable[Route], gateways: Mapping[str, Gateway], namespaces: Mapping[str, Mapping[str, str]]
) -> Attached:
    """Attach every route; parents that are not Gateways of this controller are left out."""
    parents: dict[tuple[str, str, str], tuple[ParentResult, ...]] = {}
    listeners: dict[tuple[str, int], list[Attachment]] = {}
    for route in routes:
        results = tuple(
            _parent(route, ref, gateways[f"{ref.namespace}/{ref.name}"], namespaces)
            for ref in route.parents
            if (ref.group, ref.kind) == (GROUP, "Gateway") and f"{ref.namespace}/{ref.name}" in gateways
        )
        parents[route.kind, route.namespace, route.name] = results
        for attachment in dict.fromkeys(
            (a.gateway.key, a.listener.index) for result in results for a in result.attachments
        ):
            found = next(
                a for result in results for a in result.attachments if (a.gateway.key, a.listener.index) == attachment
            )
            listeners.setdefault(attachment, []).append(found)
    return Attached(parents, {key: tuple(found) for key, found in listeners.items()})


def _parent(
    route: Route, ref: ObjectRef, gateway: Gateway, namespaces: Mapping[str, Mapping[str, str]]
) -> ParentResult:
    """Filter listeners by section and port, then by kind and namespace, then by hostname; one that remains suffices."""
    named = [one for one in gateway.listeners if _named(one, ref)]
    if not named:
        return ParentResult(ref, "NoMatchingParent")
    allowed = [one for one in named if route.kind in one.supported_kinds and _from(one, gateway, route, namespaces)]
    if not allowed:
        return ParentResult(ref, "NotAllowedByListeners")
    found = ((one, _hostnames(one, route)) for one in allowed)
    attachments = tuple(Attachment(gateway, one, route, names) for one, names in found if names)
    return ParentResult(ref, "Accepted" if attachments else "NoMatchingListenerHostname", attachments)


def _named(listener: Listener, ref: ObjectRef) -> bool:
    return ref.section in (None, listener.name) and ref.port in (None, listener.port)


def _hostnames(listener: Listener, route: Route) -> tuple[str, ...]:
    return ("",) if route.kind in L4_KINDS else intersection(listener.hostname, route.hostnames)


def _from(listener: Listener, gateway: Gateway, route: Route, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    match listener.namespaces:
        case "All":
            return True
        case "Selector":
            return matches_selector(listener.selector, namespaces.get(route.namespace, {}))
        case _:
            return route.namespace == gateway.namespace
