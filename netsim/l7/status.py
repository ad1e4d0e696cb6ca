"""What controllers write into status: Gateways, listeners, routes, TLS policies; unhandled Ingresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from netsim.l7.gateway.attach import ParentResult
from netsim.l7.gateway.backends import resolve_rule
from netsim.l7.gateway.filters import mirror_reasons
from netsim.l7.gateway.objects import GROUP, ROUTE_KINDS, Gateway, Route
from netsim.l7.gateway.policies import PolicyStatus
from netsim.l7.gateway.table import GatewayTable, ListenerTable
from netsim.l7.router import Router, unhandled

Json = dict[str, Any]
_ROUTE_ORDER: Final = {kind: number for number, kind in enumerate(ROUTE_KINDS)}


def status_items(routers: Sequence[Router]) -> list[Json]:
    """Return `{kind, namespace, name, status}` of every object whose status a controller of the input decides."""
    items = list(_ingress_items(routers))
    for router in routers:
        if isinstance(router.table, GatewayTable):
            items += _gateway_items(router.table)
    return items


def _item(kind: str, namespace: str, name: str, status: Json) -> Json:
    return {"kind": kind, "namespace": namespace, "name": name, "status": status}


def condition(kind: str, good: str, reason: str, *, negative: bool = False) -> Json:
    """Return a condition: True when the reason is the good one (False for a condition that reports trouble)."""
    is_good = reason == good
    return {"type": kind, "status": str(is_good != negative), "reason": reason}


def _ingress_items(routers: Sequence[Router]) -> Iterator[Json]:
    """An Ingress that nobody handles keeps an empty load balancer status; addresses of the others are not modelled."""
    for key, reason in sorted(unhandled(routers).items()):
        namespace, _, name = key.partition("/")
        yield {**_item("Ingress", namespace, name, {"loadBalancer": {"ingress": []}}), "why": reason}


def _gateway_items(table: GatewayTable) -> Iterator[Json]:
    for name in sorted(table.classes):
        yield _item("GatewayClass", "", name, {"conditions": [condition("Accepted", "Accepted", "Accepted")]})
    for key, gateway in table.gateways.items():
        yield _item("Gateway", gateway.namespace, gateway.name, _gateway(table, key, gateway))
    for route in sorted(table.routes, key=lambda found: (_ROUTE_ORDER[found.kind], found.namespace, found.name)):
        yield _item(route.kind, route.namespace, route.name, _route(table, route))
    for key, status in sorted(table.policies.status.items()):
        namespace, _, name = key.partition("/")
        yield _item("BackendTLSPolicy", namespace, name, {"ancestors": [{"conditions": _policy(status)}]})


def _policy(status: PolicyStatus) -> list[Json]:
    return [
        condition("Accepted", "Accepted", status.accepted),
        condition("ResolvedRefs", "ResolvedRefs", status.resolved),
    ]


def _gateway(table: GatewayTable, key: str, gateway: Gateway) -> Json:
    """Accepted is True as long as one listener is; its reason tells when some are not."""
    listeners = table.listeners[key]
    good = [one for one in listeners if one.state.accepted == "Accepted"]
    programmed = any(one.state.programmed for one in listeners)
    conditions = [
        {
            "type": "Accepted",
            "status": str(bool(good)),
            "reason": "Accepted" if len(good) == len(listeners) else "ListenersNotValid",
        },
        condition("Programmed", "Programmed", "Programmed" if programmed else "Invalid"),
    ]
    return {"conditions": conditions, "listeners": [_listener(table, key, one) for one in listeners]}


def _listener(table: GatewayTable, key: str, found: ListenerTable) -> Json:
    state, listener = found.state, found.listener
    return {
        "name": listener.name,
        "attachedRoutes": len(table.attached.listeners.get((key, listener.index), ())),
        "supportedKinds": [{"group": GROUP, "kind": kind} for kind in listener.supported_kinds],
        "conditions": [
            condition("Accepted", "Accepted", state.accepted),
            condition("Conflicted", "NoConflicts", state.conflicted, negative=True),
            condition("ResolvedRefs", "ResolvedRefs", state.resolved),
            condition("Programmed", "Programmed", "Programmed" if state.programmed else "Invalid"),
        ],
    }


def _route(table: GatewayTable, route: Route) -> Json:
    results = table.attached.parents.get((route.kind, route.namespace, route.name), ())
    reason = unresolved(table, route) or "ResolvedRefs"
    return {"parents": [_parent(table, one, reason) for one in results]}


def _parent(table: GatewayTable, result: ParentResult, resolved: str) -> Json:
    ref = result.parent
    gateway = table.gateways[f"{ref.namespace}/{ref.name}"]
    shown: Json = {"group": ref.group, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
    shown.update({"sectionName": ref.section} if ref.section is not None else {})
    shown.update({"port": ref.port} if ref.port is not None else {})
    conditions = [
        condition("Accepted", "Accepted", result.reason),
        condition("ResolvedRefs", "ResolvedRefs", resolved),
    ]
    owner = table.controller_names.get(gateway.class_name, "")
    return {"parentRef": shown, "controllerName": owner, "conditions": conditions}


def unresolved(table: GatewayTable, route: Route) -> str:
    """Return why a route's references do not all resolve: the first reason by rule, backends before mirrors; "" if
    they do.
    """
    for rule in route.rules:
        reasons = [target.reason for target in resolve_rule(table.resolver, route, rule.backends)]
        reasons += mirror_reasons(table.resolver, route, rule.filters)
        found = next((reason for reason in reasons if reason), "")
        if found:
            return found
    return ""


def find_status(items: Iterable[Mapping[str, Any]], kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
    """Return the status of one object among items."""
    wanted = (kind, namespace, name)
    return next((item["status"] for item in items if (item["kind"], item["namespace"], item["name"]) == wanted), None)
