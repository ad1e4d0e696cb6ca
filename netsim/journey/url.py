"""A URL's journey: its name, the connection to the controller, the routing decision, the connection to the backend.

Every leg is an ordinary trace; probabilities multiply through. A request that the controller answers itself ends there:
REFUSED when the answer is an error (status 400 and above), DELIVERED for a redirect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from iptables_gen.values import format_endpoint, format_ip
from netsim.cluster.model import Cluster, Pod
from netsim.journey.certificate import Presented, mismatch, presented
from netsim.journey.entrance import entrances
from netsim.journey.names import Names
from netsim.l7.decision import Decision, Share
from netsim.l7.frontend import Frontend, find
from netsim.l7.request import Request, from_url
from netsim.l7.router import Answer as Routed
from netsim.l7.router import RouteOptions, Router, build_routers, decide, host_owner, names_host, unhandled
from netsim.l7.tls import read_certificates
from netsim.notes import Note
from netsim.packet.words import UrlRef, parse_via
from netsim.trace.answer import Answer, Disposition, Hint, HttpStep, Lookup, Outcome, Place, Trail, judge, merge
from netsim.trace.pick import picked
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
class Leg:
    """One decision of a controller, the certificate that it presents, and the clients that it sees (in order)."""

    router: Router
    decision: Decision
    shown: Presented | None
    clients: dict[str, None] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the decision as a line."""
        decision = self.decision
        where = f" by {decision.matched}" if decision.matched else ""
        served = ", ".join(_share_text(share) for share in decision.backends) or "answers itself"
        location = f" to {decision.location}" if decision.location else ""
        return f"{self.router.dialect} {decision.status} {decision.code}: {served}{location}{where}"


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
        self.certificates = read_certificates(self.cluster)

    def trace(self, query: TraceQuery, word: UrlRef, asks: Asks | None = None) -> Answer:
        """Follow one URL."""
        asks = asks or self.asks
        request = request_of(word, asks)
        addresses, lookup, notes = self._addresses(query, word, request)
        if not addresses:
            lost = Outcome(Fraction(1), "NO_SUCH_NAME", lookup.code if lookup else "NXDOMAIN")
            return self._answer(query, None, (lost,), (), lookup, notes, tuple(self._ignored(request)))
        steps: dict[str, Leg] = {}
        share = Fraction(1, len(addresses))
        dialled = (replace(query, target=address, protocol="tcp", pick=None) for address in addresses)
        legs = [self.tracer.trace(one) for one in dialled]
        outcomes = merge(
            end._replace(probability=end.probability * share)
            for leg in legs
            for first in leg.outcomes
            for end in self._second(first, request, query, steps)
        )
        asked_in_vain = all(end.code == "NO_RULE" for end in outcomes)
        more = tuple(self._ignored(request)) if asked_in_vain else ()
        hints = tuple(dict.fromkeys(hint for leg in legs for hint in leg.hints))
        chosen = picked(outcomes, query.pick)
        return self._answer(query, legs[0]._replace(hints=hints), chosen, tuple(steps.values()), lookup, notes, more)

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
        dialled = self._entrances(routed, request, word.port, query.via) if routed else ()
        if not routed or not dialled:
            return (), resolved.lookup, resolved.notes
        places = dialled[0] if len(dialled) == 1 else f"{dialled[0]} and {len(dialled) - 1} more, evenly"
        where = f"{word.host} is taken to lead to {places}, where {routed.router.name} is reached"
        return dialled, None, (Note("HOST_FROM_INGRESS", where),)

    def _ignored(self, request: Request) -> Iterator[Hint]:
        """Yield a hint for each Ingress that names the host and that no controller handles."""
        reasons = unhandled(self.routers)
        found = {one.key: one for router in self.routers for one in router.all_ingresses if one.key in reasons}
        for key, ingress in found.items():
            if names_host(ingress, request):
                yield Hint("NO_CLASS", f"Ingress {key} names the host, but nobody handles it: {reasons[key]}")

    def _entrances(self, routed: Routed, request: Request, port: int, via: str | None) -> tuple[str, ...]:
        """Return where clients reach the controller that serves the host; () when no controller does."""
        matched, owner = routed.decision.matched, host_owner(routed.router, request)
        if matched is None and owner is None:
            return ()
        source = matched.source if matched else owner.source if owner else None
        front = find(self.cluster, routed.router)
        return entrances(self.cluster, front, source, port, parse_via(via) if via else None)

    def _second(self, first: Outcome, request: Request, query: TraceQuery, steps: dict[str, Leg]) -> Iterator[Outcome]:
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
        leg = Leg(router, decision, presented(decision, request, router, self.certificates))
        steps.setdefault(leg.text, leg).clients[client] = None
        yield from self._ends(decision, first, pod, query)

    def _ends(self, decision: Decision, first: Outcome, pod: Pod, query: TraceQuery) -> Iterator[Outcome]:
        shares = [share for share in decision.backends if share.endpoints]
        yield from (_own_answer(first, decision, status, weight) for status, weight in _answered(decision, shares))
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
        legs: tuple[Leg, ...],
        lookup: Lookup | None,
        notes: tuple[Note, ...],
        hints: tuple[Hint, ...] = (),
    ) -> Answer:
        base = leg or self.tracer.nothing(query, outcomes)
        verdict, code = judge(outcomes)
        asked = base.asked._replace(source=query.source, target=query.target)
        steps = tuple(_step(leg) for leg in legs)
        every = tuple(dict.fromkeys((*base.notes, *notes, *self.notes)))
        doubts = (mismatch(leg.shown) for leg in legs if leg.shown and not leg.shown.covers)
        all_hints = tuple(dict.fromkeys((*base.hints, *doubts, *hints)))
        return Answer(asked, outcomes, verdict, code, _summary(outcomes, steps, base), every, all_hints, lookup, steps)


def request_of(word: UrlRef, asks: Asks) -> Request:
    """Return the request that a URL, a method and headers make; a Host header wins over the URL's host."""
    request = from_url(word.url)
    headers = {name.lower(): value for name, value in asks.headers.items()}
    host = headers.pop("host", request.host)
    spelled = {name.lower(): name for name in asks.headers}
    sni = None if host == request.host else request.host.partition(":")[0]
    return replace(request, method=asks.method, headers=headers, host=host, spellings=spelled, sni=sni)


def _answered(decision: Decision, shares: Sequence[Share]) -> Iterator[tuple[int, Fraction]]:
    """Yield (status, weight) of what the controller answers by itself."""
    if decision.outcomes:
        yield from ((o.status, o.weight) for o in decision.outcomes if o.backend is None or not o.backend.endpoints)
        return
    rest = 1 - sum((share.weight for share in shares), Fraction(0))
    if rest > 0:
        yield decision.status or 0, rest


def _own_answer(first: Outcome, decision: Decision, status: int, share: Fraction) -> Outcome:
    plain = decision.code in ("OK", "PARTIAL")
    code = f"HTTP_{status}" if plain else decision.code
    disposition: Disposition = "REFUSED" if status >= ERROR else "DELIVERED"
    detail = f"the controller answers {status}" + (f" to {decision.location}" if decision.location else "")
    changed = first._replace(probability=first.probability * share, disposition=disposition, code=code, detail=detail)
    return changed if disposition == "DELIVERED" else changed._replace(endpoint=None, reached=first.endpoint)


def _step(leg: Leg) -> HttpStep:
    shown: dict[str, Any] = {k: v for k, v in leg.decision.as_json().items() if k not in ("schema", "id")}
    if leg.shown is not None:
        shown["certificate"] = leg.shown.as_json()
    return HttpStep(", ".join(leg.clients), leg.router.name, leg.text, shown, leg.shown.text if leg.shown else "")


def _share_text(share: Share) -> str:
    weight = "" if share.weight == 1 else f" ({share.weight})"
    return f"{share.namespace}/{share.service}:{share.port}{weight}"


def _summary(outcomes: Sequence[Outcome], steps: Sequence[HttpStep], leg: Answer) -> str:
    if not steps:
        return leg.summary
    good = sum(1 for outcome in outcomes if outcome.disposition == "DELIVERED")
    return f"{good} of {len(outcomes)} outcomes answered; {steps[0].text}"
