"""A URL's journey: its name, the connection to the controller, the routing decision, the connection to the backend.

Every leg is an ordinary trace; probabilities multiply through. A request that the controller answers itself ends there:
REFUSED when the answer is an error (status 400 and above), DELIVERED for a redirect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from iptables_gen.values import format_endpoint, format_ip, parse_ip
from netsim.cluster.model import Cluster, Pod, Service
from netsim.journey.names import Names
from netsim.l7.decision import Decision, Share
from netsim.l7.frontend import Frontend, addresses_of, find
from netsim.l7.request import Request, from_url
from netsim.l7.router import Answer as Routed
from netsim.l7.router import RouteOptions, Router, build_routers, decide
from netsim.notes import Note
from netsim.packet.words import UrlRef
from netsim.trace.answer import Answer, Disposition, HttpStep, Lookup, Outcome, Place, Trail, judge, merge
from netsim.trace.query import TraceQuery
from netsim.trace.tracer import Tracer
from netsim.trace.walk import Hop

ERROR = 400


@dataclass(frozen=True, slots=True)
class Joined:
    """Two legs as one trail; the answer comes back over the second first."""

    first: Trail
    second: Trail

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Return the hosts of both legs."""
        return (*self.first.hops, *self.second.hops)

    @property
    def back(self) -> tuple[Hop, ...]:
        """Return the hosts of the answer's way over both legs."""
        return (*self.second.back, *self.first.back)


@dataclass(frozen=True, slots=True)
class Asks:
    """What a URL query says beyond its words: method, headers, and what names resolve to (`--resolve`)."""

    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    resolve: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Journeys:
    """Answers URL queries over one cluster; `tracer` must be over a network that has the controllers."""

    def __init__(self, tracer: Tracer, asks: Asks, notes: Sequence[Note] = ()) -> None:
        self.tracer = tracer
        self.cluster: Cluster = tracer.cluster
        self.asks = asks
        self.notes = tuple(notes)
        self.routers = build_routers(self.cluster, RouteOptions(resolve=asks.resolve))
        self.fronts = [(router, find(self.cluster, router)) for router in self.routers]
        self.names = Names(tracer.network, tracer.mode, asks.resolve)

    def trace(self, query: TraceQuery, word: UrlRef, asks: Asks | None = None) -> Answer:
        """Follow one URL."""
        asks = asks or self.asks
        request = request_of(word, asks)
        addresses, lookup, notes = self._addresses(query, word, request)
        if not addresses:
            lost = Outcome(Fraction(1), "NO_SUCH_NAME", lookup.code if lookup else "NXDOMAIN")
            return self._answer(query, None, (lost,), (), lookup, notes)
        steps: dict[str, HttpStep] = {}
        share = Fraction(1, len(addresses))
        legs = [self.tracer.trace(replace(query, target=address, protocol="tcp")) for address in addresses]
        outcomes = merge(
            end._replace(probability=end.probability * share)
            for leg in legs
            for first in leg.outcomes
            for end in self._second(first, request, query, steps)
        )
        return self._answer(query, legs[0], outcomes, tuple(steps.values()), lookup, notes)

    def _addresses(
        self, query: TraceQuery, word: UrlRef, request: Request
    ) -> tuple[tuple[str, ...], Lookup | None, tuple[Note, ...]]:
        """Return `IP:PORT`s that the client dials, how it learnt them, and what was assumed."""
        start = self.tracer.start(query)
        resolved = self.names(word, start, "tcp")
        if resolved.goals:
            found = tuple(format_endpoint(format_ip(g.family, g.address), g.port) for g in resolved.goals)
            return found, resolved.lookup, resolved.notes
        routed = decide(self.routers, request) if self.routers else None
        dialled = tuple(self._entrance(routed, word.port)) if routed and routed.decision.matched else ()
        if not dialled:
            return (), resolved.lookup, resolved.notes
        where = f"{word.host} is taken to lead to {dialled[0]}, where {routed.router.name if routed else ''} is reached"
        return dialled, None, (Note("HOST_FROM_INGRESS", where),)

    def _entrance(self, routed: Routed, port: int) -> Iterator[str]:
        """Yield where clients reach a controller: the Ingress's address, else its Service's, else a nodePort."""
        for address in addresses_of(routed.decision.matched):
            if _is_ip(address):
                yield format_endpoint(address, port)
                return
        front = find(self.cluster, routed.router)
        for service in front.services:
            yield from _service_entrance(self.cluster, service, port)
            return
        for pod in front.pods:
            yield from (format_endpoint(ip, port) for ip in pod.ips[:1])
            return

    def _second(
        self, first: Outcome, request: Request, query: TraceQuery, steps: dict[str, HttpStep]
    ) -> Iterator[Outcome]:
        place = first.endpoint
        controller = self._controller(place) if first.disposition == "DELIVERED" and place else None
        if controller is None or place is None:
            yield first
            return
        router, front, pod = controller
        client = format_ip(place.family, first.server_sees) if first.server_sees is not None else request.client
        scheme = front.scheme(place.port) or request.scheme
        routed = decide((router,), replace(request, client=client, scheme=scheme))
        decision = routed.decision
        step = _step(client, router, decision)
        known = steps.get(step.text)
        clients = known.client.split(", ") if known else []
        steps[step.text] = step._replace(client=", ".join(dict.fromkeys((*clients, client))))
        yield from self._ends(decision, first, pod, query)

    def _ends(self, decision: Decision, first: Outcome, pod: Pod, query: TraceQuery) -> Iterator[Outcome]:
        shares = [share for share in decision.backends if share.endpoints]
        total = sum((share.weight for share in shares), Fraction(0))
        rest = Fraction(1) - total
        if rest > 0:
            yield _own_answer(first, decision, rest)
        for share in shares:
            for endpoint in share.endpoints:
                weight = first.probability * share.weight / len(share.endpoints)
                yield from self._to_backend(first, pod, share, endpoint, weight, query)

    def _to_backend(
        self, first: Outcome, pod: Pod, share: Share, endpoint: str, weight: Fraction, query: TraceQuery
    ) -> Iterator[Outcome]:
        source = f"pod/{pod.namespace}/{pod.name}"
        leg = self.tracer.trace(TraceQuery(source, endpoint, protocol="tcp", with_return=query.with_return))
        for second in leg.outcomes:
            yield second._replace(
                probability=weight * second.probability,
                snat=first.snat or second.snat,
                cni_snat=first.cni_snat or second.cni_snat,
                trail=Joined(first.trail, second.trail),
            )

    def _controller(self, place: Place) -> tuple[Router, Frontend, Pod] | None:
        """Return the controller at an endpoint, None when it is an ordinary server."""
        for router, front in self.fronts:
            for pod in front.pods:
                if place.pod == f"{pod.namespace}/{pod.name}" and front.scheme(place.port):
                    return router, front, pod
        return None

    def _answer(
        self,
        query: TraceQuery,
        leg: Answer | None,
        outcomes: tuple[Outcome, ...],
        steps: tuple[HttpStep, ...],
        lookup: Lookup | None,
        notes: tuple[Note, ...],
    ) -> Answer:
        base = leg or self.tracer.nothing(query, outcomes)
        verdict, code = judge(outcomes)
        asked = base.asked._replace(source=query.source, target=query.target)
        summary = _summary(outcomes, steps, base)
        every = tuple(dict.fromkeys((*base.notes, *notes, *self.notes)))
        return Answer(asked, outcomes, verdict, code, summary, every, base.hints, lookup, steps)


def request_of(word: UrlRef, asks: Asks) -> Request:
    """Return the request that a URL, a method and headers make; a Host header wins over the URL's host."""
    request = from_url(word.url)
    headers = {name.lower(): value for name, value in asks.headers.items()}
    host = headers.pop("host", request.host)
    spelled = {name.lower(): name for name in asks.headers}
    sni = None if host == request.host else request.host.partition(":")[0]
    return replace(request, method=asks.method, headers=headers, host=host, spellings=spelled, sni=sni)


def _own_answer(first: Outcome, decision: Decision, share: Fraction) -> Outcome:
    status = decision.status or 0
    code = decision.code if decision.code != "OK" else f"HTTP_{status}"
    disposition: Disposition = "REFUSED" if status >= ERROR else "DELIVERED"
    detail = f"the controller answers {status}" + (f" to {decision.location}" if decision.location else "")
    changed = first._replace(probability=first.probability * share, disposition=disposition, code=code, detail=detail)
    return changed if disposition == "DELIVERED" else changed._replace(endpoint=None, reached=first.endpoint)


def _step(client: str, router: Router, decision: Decision) -> HttpStep:
    shown: dict[str, Any] = {key: value for key, value in decision.as_json().items() if key not in ("schema", "id")}
    where = f" by {decision.matched}" if decision.matched else ""
    served = ", ".join(_share_text(share) for share in decision.backends) or "answers itself"
    location = f" to {decision.location}" if decision.location else ""
    text = f"{router.dialect} {decision.status} {decision.code}: {served}{location}{where}"
    return HttpStep(client, router.name, text, shown)


def _share_text(share: Share) -> str:
    weight = "" if share.weight == 1 else f" ({share.weight})"
    return f"{share.namespace}/{share.service}:{share.port}{weight}"


def _summary(outcomes: Sequence[Outcome], steps: Sequence[HttpStep], leg: Answer) -> str:
    if not steps:
        return leg.summary
    good = sum(1 for outcome in outcomes if outcome.disposition == "DELIVERED")
    return f"{good} of {len(outcomes)} outcomes answered; {steps[0].text}"


def _service_entrance(cluster: Cluster, service: Service, port: int) -> Iterator[str]:
    vips = [item.ip for item in service.ingress if item.ip and item.ip_mode != "Proxy"] or list(service.external_ips)
    if vips:
        yield format_endpoint(vips[0], port)
        return
    node_port = next((item.node_port for item in service.ports if item.port == port and item.node_port), 0)
    for node in cluster.nodes if node_port else ():
        yield from (format_endpoint(ip, node_port) for ip in node.internal_ips[:1])
        return
    yield from (format_endpoint(ip, port) for ip in service.cluster_ips[:1] if ip != "None")


def _is_ip(text: str) -> bool:
    try:
        parse_ip(text)
    except ValueError:
        return False
    return True
