"""Router: one controller's routing table in its dialect, and its decision for a request.

This is the library's entry point (`netsim route`, `netsim trace external http://…`):

    routers = build_routers(cluster, RouteOptions())     # one per controller that handles anything
    answer = decide(routers, from_url("http://shop.example.com/cart"))
    answer.decision.backends      # Share: namespace, service, service_port, endpoints, exact weight
    answer.decision.status        # the proxy's own answer when it does not forward
    answer.decision.tls           # the certificate presented, None over plain HTTP
    answer.router                 # who decided; `netsim.l7.frontend.find` names its Service and Pods
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from netsim.cluster.model import Cluster
from netsim.cluster.read import mapping
from netsim.errors import UsageError
from netsim.l7.apisix.decide import ApisixTable, build_apisix, decide_apisix
from netsim.l7.apisix.routes import apisix_routes, ingress_routes
from netsim.l7.classes import (
    Handling,
    Ownership,
    apisix_class,
    apisix_handling,
    nginx_handling,
    ownership,
    spec_handling,
)
from netsim.l7.controller import (
    APISIX_CONTROLLER,
    DIALECTS,
    NGINX_CONTROLLER,
    Controller,
    find_controller,
    nginx_workloads,
)
from netsim.l7.decision import Decision
from netsim.l7.gateway.decide import decide_gateway
from netsim.l7.gateway.table import GatewayTable, build_gateways
from netsim.l7.ingress import Ingress, IngressClass, ingress_classes, ingresses
from netsim.l7.nginx.build import build_nginx
from netsim.l7.nginx.decide import Counters, NginxTable, decide_nginx
from netsim.l7.request import Request
from netsim.l7.services import Services, index_services
from netsim.l7.spec import SpecTable, build_spec, decide_spec
from netsim.l7.tls import Certificate, read_certificates
from netsim.notes import Note

_BY_CONTROLLER: Final = {NGINX_CONTROLLER: "ingress-nginx", APISIX_CONTROLLER: "apisix"}
_UNANSWERED: Final = frozenset(("NO_RULE", "NO_LISTENER"))


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What the command line says: dialect, class and gateway ("": the input decides), controller flags and ConfigMap
    data.
    """

    dialect: str = ""
    class_name: str = ""
    gateway: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    resolve: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Table = SpecTable | NginxTable | ApisixTable | GatewayTable


@dataclass(frozen=True, slots=True)
class Router:
    """One controller. `name` is what `handledBy` shows; `handlings` says of each Ingress (ns/name) whether and why."""

    dialect: str
    name: str
    controller: Controller
    table: Table
    owned: Ownership
    handlings: Mapping[str, Handling] = field(default_factory=dict)
    handled: tuple[Ingress, ...] = ()
    all_ingresses: tuple[Ingress, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision and the router that made it."""

    router: Router
    decision: Decision


@dataclass(frozen=True, slots=True)
class Inputs:
    """What every router is built from."""

    cluster: Cluster
    services: Services
    certificates: Mapping[str, Certificate]
    classes: Mapping[str, IngressClass]
    ingresses: tuple[Ingress, ...]
    options: RouteOptions


def build_routers(cluster: Cluster, options: RouteOptions | None = None) -> tuple[Router, ...]:
    """Return the routers of the dialects that the options or the input call for; raise UsageError for unknown names."""
    options = options or RouteOptions()
    services = index_services(cluster, options.resolve)
    found = ingress_classes(cluster)
    inputs = Inputs(cluster, services, read_certificates(cluster), found, ingresses(cluster), options)
    return tuple(
        _build(dialect, inputs, name) for dialect in _dialects(inputs) for name in _controllers(dialect, inputs)
    )


def _controllers(dialect: str, inputs: Inputs) -> tuple[str, ...]:
    """Return the names of a dialect's controllers: "" is the one that the options or the dialect itself name.

    Several ingress-nginx controllers in one cluster tell their classes apart by --controller-class.
    """
    options = inputs.options
    if dialect != "ingress-nginx" or options.dialect or options.class_name or "controller-class" in options.flags:
        return ("",)
    running = dict.fromkeys(_running_nginx(inputs.cluster))
    others = tuple(name for name in running if name != NGINX_CONTROLLER)
    named = any(known.controller == NGINX_CONTROLLER for known in inputs.classes.values())
    first = named or NGINX_CONTROLLER in running or _named_nginx(inputs)
    return (*((NGINX_CONTROLLER,) if first and others else ("",) if not others else ()), *others)


def _running_nginx(cluster: Cluster) -> Iterator[str]:
    """Yield the controller names (--controller-class) that the workloads of ingress-nginx in the input serve."""
    for _, flags in nginx_workloads(cluster):
        yield flags.get("controller-class", NGINX_CONTROLLER)


def _dialect_of(controller: str, cluster: Cluster) -> str:
    if controller in _BY_CONTROLLER:
        return _BY_CONTROLLER[controller]
    return "ingress-nginx" if controller in _running_nginx(cluster) else "spec"


def _dialects(inputs: Inputs) -> tuple[str, ...]:
    options, cluster = inputs.options, inputs.cluster
    if options.dialect:
        if options.dialect not in DIALECTS:
            raise UsageError(f"--dialect {options.dialect!r}: one of {', '.join(DIALECTS)}")
        return (options.dialect,)
    if options.gateway:
        return ("gateway-api",)
    if options.class_name:
        return (_class_dialect(inputs, options.class_name),)
    found = {_dialect_of(known.controller, cluster) for known in inputs.classes.values()}
    if any(True for _ in nginx_workloads(cluster)) or _named_nginx(inputs):
        found.add("ingress-nginx")
    if cluster.objects.get("ApisixRoute"):
        found.add("apisix")
    if cluster.objects.get("Gateway"):
        found.add("gateway-api")
    return tuple(dialect for dialect in ("ingress-nginx", "apisix", "gateway-api", "spec") if dialect in found) or (
        "spec",
    )


def _class_dialect(inputs: Inputs, name: str) -> str:
    if name in inputs.classes:
        return _dialect_of(inputs.classes[name].controller, inputs.cluster)
    known = ", ".join(sorted(inputs.classes)) or "none"
    raise UsageError(f"--class {name!r} names no IngressClass of the input (there: {known})")


def _named_nginx(inputs: Inputs) -> bool:
    """Whether an Ingress names the class nginx by its annotation alone, which needs no IngressClass."""
    return any(found.class_name is None and found.class_annotation == "nginx" for found in inputs.ingresses)


def _build(dialect: str, inputs: Inputs, name: str) -> Router:
    options = inputs.options
    named = {"controller-class": name} if name else {}
    owned = ownership(dialect, Controller({**named, **options.flags}), inputs.classes, options.class_name)
    controller = find_controller(inputs.cluster, owned.controller, options.flags, options.config)
    match dialect:
        case "spec":
            return _spec_router(inputs, controller, owned)
        case "ingress-nginx":
            return _nginx_router(inputs, controller, owned)
        case "apisix":
            return _apisix_router(inputs, controller, owned)
        case "gateway-api":
            return _gateway_router(inputs, controller, owned)
        case _:
            raise AssertionError(dialect)


def _spec_router(inputs: Inputs, controller: Controller, owned: Ownership) -> Router:
    options = inputs.options
    handlings = {found.key: spec_handling(found, inputs.classes, options.class_name) for found in inputs.ingresses}
    if not options.dialect and not options.class_name:
        handlings = {key: _unless_another(handling, inputs) for key, handling in handlings.items()}
    handled = _handled(inputs, handlings)
    name = options.class_name or _class_names(handlings)
    table = build_spec(handled, inputs.services)
    return Router("spec", name, controller, table, owned, handlings, handled, inputs.ingresses)


def _unless_another(handling: Handling, inputs: Inputs) -> Handling:
    """Leave an Ingress alone whose class belongs to a controller with a dialect of its own."""
    known = inputs.classes.get(handling.class_name)
    dialect = _dialect_of(known.controller, inputs.cluster) if known and handling.handled else "spec"
    if known is None or dialect == "spec":
        return handling
    return Handling(False, handling.class_name, f"IngressClass {known.name} belongs to controller {known.controller}")


def _nginx_router(inputs: Inputs, controller: Controller, owned: Ownership) -> Router:
    handlings = {found.key: nginx_handling(found, inputs.classes, controller, owned) for found in inputs.ingresses}
    handled = _handled(inputs, handlings)
    table = build_nginx(handled, inputs.services, inputs.certificates, controller)
    name = inputs.options.class_name or _class_names(handlings) or controller.flag("ingress-class", "nginx")
    return Router(
        "ingress-nginx", name, controller, table, owned, handlings, handled, inputs.ingresses, _notes(controller, owned)
    )


def _apisix_router(inputs: Inputs, controller: Controller, owned: Ownership) -> Router:
    handlings = {found.key: apisix_handling(found, inputs.classes, owned) for found in inputs.ingresses}
    handled = _handled(inputs, handlings)
    routes = [route for found in handled for route in ingress_routes(found, inputs.services)]
    for manifest in inputs.cluster.objects.get("ApisixRoute", ()):
        name = mapping(manifest.data.get("spec")).get("ingressClassName")
        if apisix_class(name if isinstance(name, str) else None, inputs.classes, owned).handled:
            routes += apisix_routes(manifest, inputs.services)
    table = build_apisix(routes, _apisix_certificates(handled, inputs.certificates))
    name = inputs.options.class_name or _class_names(handlings) or "apisix"
    return Router(
        "apisix", name, controller, table, owned, handlings, handled, inputs.ingresses, _notes(controller, owned)
    )


def _gateway_router(inputs: Inputs, controller: Controller, owned: Ownership) -> Router:
    options = inputs.options
    table = build_gateways(
        inputs.cluster, inputs.services, inputs.certificates,
        class_name=options.class_name, controller=controller.flag("controller-name"),
    )  # fmt: skip
    return Router("gateway-api", options.gateway, controller, table, owned, notes=controller.notes)


def _apisix_certificates(handled: Iterable[Ingress], certificates: Mapping[str, Certificate]) -> dict[str, str]:
    """Secrets by server name: the hosts of each tls section, else those of its certificate."""
    found: dict[str, str] = {}
    for ingress in handled:
        for entry in ingress.tls:
            certificate = certificates.get(f"{ingress.namespace}/{entry.secret}")
            if certificate is not None:
                for host in entry.hosts or certificate.names:
                    found.setdefault(host.lower(), certificate.secret)
    return found


def _handled(inputs: Inputs, handlings: Mapping[str, Handling]) -> tuple[Ingress, ...]:
    return tuple(found for found in inputs.ingresses if handlings[found.key].handled)


def _class_names(handlings: Mapping[str, Handling]) -> str:
    names = {handling.class_name for handling in handlings.values() if handling.handled and handling.class_name}
    return ",".join(sorted(names))


def _notes(controller: Controller, owned: Ownership) -> tuple[Note, ...]:
    assumed = Note(
        "CLASS_ASSUMED", f"no IngressClass names controller {owned.controller}; every class is taken as its own"
    )
    return (*controller.notes, *((assumed,) if owned.any_class else ()))


def decide(routers: Sequence[Router], request: Request, counters: Counters | None = None) -> Answer:
    """Return the answer of the first router that has a rule for the request, else of the first that serves its host,
    else of the first router.
    """
    if not routers:
        raise UsageError("the input has no Ingress, Gateway or route: nothing routes this request")
    unanswered: list[Answer] = []
    for router in _asked(routers, request):
        answer = Answer(router, _decision(router, request, counters))
        if answer.decision.code not in _UNANSWERED:
            return answer
        unanswered.append(answer)
    return next((answer for answer in unanswered if host_owner(answer.router, request)), unanswered[0])


def host_owner(router: Router, request: Request) -> Ingress | None:
    """Return the first Ingress that a router handles and that names the request's host, None when none does."""
    return next((found for found in router.handled if names_host(found, request)), None)


def names_host(ingress: Ingress, request: Request) -> bool:
    """Whether a rule of an Ingress names the request's host, itself or by a wildcard."""
    host = request.host_name
    return any(rule.host.lower() in (host, "*." + host.partition(".")[2]) for rule in ingress.rules if rule.host)


def _asked(routers: Sequence[Router], request: Request) -> Sequence[Router]:
    """A request to a named Gateway, or below HTTP, is for Gateways alone, where there are any."""
    if request.gateway or request.scheme in ("tcp", "udp", "tls"):
        gateways = [router for router in routers if isinstance(router.table, GatewayTable)]
        return gateways or routers
    return routers


def _decision(router: Router, request: Request, counters: Counters | None) -> Decision:
    table = router.table
    match table:
        case SpecTable():
            decision = decide_spec(table, request)
        case NginxTable():
            decision = decide_nginx(table, request, counters)
        case ApisixTable():
            decision = decide_apisix(table, request)
        case GatewayTable():
            return decide_gateway(table, request)
        case _:
            assert_never(table)
    return replace(decision, handled_by=router.name)


def unhandled(routers: Iterable[Router]) -> Mapping[str, str]:
    """Return the Ingresses that no router handles, each with the reason of the first."""
    reasons: dict[str, str] = {}
    taken: set[str] = set()
    for router in routers:
        for key, handling in router.handlings.items():
            if handling.handled:
                taken.add(key)
            else:
                reasons.setdefault(key, handling.reason)
    return {key: reason for key, reason in reasons.items() if key not in taken}
