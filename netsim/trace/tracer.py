"""Tracer: from a query to its answer. One tracer serves one cluster, one rule source and any number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from iptables_gen.values import format_ip
from netsim.cluster.collector import paused_collector, settle
from netsim.cluster.model import Cluster
from netsim.errors import UsageError
from netsim.hosts.network import Network
from netsim.hosts.services import external_local
from netsim.notes import Note
from netsim.packet.packet import Packet
from netsim.packet.words import HostRef, UrlRef, parse_via
from netsim.trace.answer import Answer, Asked, Outcome, Place, judge, merge
from netsim.trace.facts import Facts, Meaning
from netsim.trace.finish import Finisher
from netsim.trace.health import health_notes
from netsim.trace.hints import hints_for
from netsim.trace.later import Retrace
from netsim.trace.limits import Subject, not_modelled
from netsim.trace.machine import Affinities
from netsim.trace.passage import ONE, Delivered, Lost, Passage
from netsim.trace.passes import Detour
from netsim.trace.pick import picked
from netsim.trace.query import (
    USUAL_CLIENT,
    Goal,
    Resolved,
    Resolver,
    Start,
    TraceQuery,
    find_node,
)
from netsim.trace.shared import Shared
from netsim.trace.summary import summarize
from netsim.trace.walk import PLAIN, Leaf, Scene, Walker
from netsim.trace.words import Words


class Tracer:
    """Answers trace queries over one Network."""

    def __init__(
        self,
        network: Network,
        mode: str = "iptables",
        *,
        namespace: str = "default",
        notes: Iterable[Note] = (),
        resolver: Resolver | None = None,
        share_after: int = 16,
    ) -> None:
        """Make a tracer; walks are shared between questions once *share_after* of them have been asked."""
        self.network = network
        self.cluster: Cluster = network.cluster
        self.walker = Walker(network)
        self.facts = Facts(network.cluster, network)
        self._finisher = Finisher(self.walker, self.facts)
        self.mode = mode
        self.namespace = namespace
        self.notes = tuple(notes)
        self._resolver = resolver
        self._words = Words(network, self.facts, namespace)
        self._shared = Shared(self.walker, self._finish)
        self._share_after = share_after
        self._asked = 0

    def trace(self, query: TraceQuery, ages: Affinities | None = None) -> Answer:
        """Answer one query; `ages` are affinity tables that earlier connections of a sequence left.

        Raises:  UsageError for words that name nothing.
        """
        start, via, resolved = self._understand(query)
        if not resolved.goals:
            lost = Outcome(ONE, "NO_SUCH_NAME", resolved.code)
            return self._answer(query, start, None, (lost,), resolved)
        plain = ages is None and not query.established and len(resolved.goals) == 1
        shared = self._from_shared_walks(query, start, resolved.goals[0]) if plain else None
        outcomes = shared or self._walked(query, start, via, resolved.goals, ages)
        return self._answer(query, start, resolved.goals[0], picked(outcomes, query.pick), resolved)

    def start(self, query: TraceQuery) -> Start:
        """Return where a query starts; UsageError for words that name nothing."""
        via = None if query.via is None else find_node(self.network, parse_via(query.via))
        return self._words.start(query.source, via)

    def nothing(self, query: TraceQuery, outcomes: tuple[Outcome, ...]) -> Answer:
        """Return the answer to a query that sends no packet: the name it dials leads nowhere."""
        return self._answer(query, self.start(query), None, outcomes, Resolved())

    def _walked(
        self, query: TraceQuery, start: Start, via: str | None, goals: tuple[Goal, ...], ages: Affinities | None
    ) -> tuple[Outcome, ...]:
        """Return the outcomes of a query, walked in full."""
        share = Fraction(1, len(goals))
        # The first walk through a node makes its rules executable: none of what it makes is garbage.
        with paused_collector():
            outcomes = merge(
                outcome if share == 1 else outcome._replace(probability=outcome.probability * share)
                for goal in goals
                for outcome in self._outcomes(query, start, via, goal, ages)
            )
            if self._asked in (1, self._share_after):
                settle(len(self.cluster.services))
        return outcomes

    def _from_shared_walks(self, query: TraceQuery, start: Start, goal: Goal) -> tuple[Outcome, ...] | None:
        """Return the outcomes for a pod that dials a Service, None when the question has to be walked in full."""
        if start.address is not None or start.outside or start.stranger:
            return None
        self._asked += 1
        host, source = self._client(start, goal)
        if source is None or self._asked <= self._share_after:
            return None
        retrace = Retrace(lambda: self._walked(query, start, None, (goal,), None))
        return self._shared.outcomes(host, self._packet(source, goal, query), retrace)

    def _understand(self, query: TraceQuery) -> tuple[Start, str | None, Resolved]:
        via = None if query.via is None else find_node(self.network, parse_via(query.via))
        start = self._words.start(query.source, via)
        target, protocol, resolved = self._words.target(query.target, query.protocol, start)
        if resolved is None:
            assert isinstance(target, HostRef | UrlRef)
            if self._resolver is None:
                raise UsageError(f"{query.target}: names cannot be resolved here; write an address")
            resolved = self._resolver(target, start, protocol or "tcp")
        return start, via, resolved

    def _outcomes(
        self, query: TraceQuery, start: Start, via: str | None, goal: Goal, ages: Affinities | None
    ) -> Iterator[Outcome]:
        entries = self._entries(start, via, goal)
        if not entries:
            yield Outcome(ONE, "DROPPED", "NO_HEALTHY_NODE")
            return
        share = Fraction(1, len(entries))
        for entry in entries:
            for leaf in self._leaves(query, start, goal, entry, ages):
                outcome = self._finisher.outcome(leaf)
                yield outcome if share == 1 else outcome._replace(probability=outcome.probability * share)

    def _entries(self, start: Start, via: str | None, goal: Goal) -> tuple[str, ...]:
        """Return the nodes at which the router may hand the packet in; `("",)` when routing alone decides."""
        if not start.outside:
            return ("",)
        if via is not None:
            return (via,)
        owner = self.network.owner(goal.family, goal.address)
        vips = self.facts.vips(format_ip(goal.family, goal.address))
        if owner is not None or not any(vip.kind != "clusterIP" for vip in vips):
            return ("",)
        meaning = self.facts.meaning(*goal)
        return tuple(name for name in self.network.facts if self._receives(name, meaning))

    def _receives(self, node: str, meaning: Meaning) -> bool:
        """Whether a load balancer sends to a node: with a Local policy only while its health check would answer 200."""
        service = meaning.service
        if service is None or meaning.kind != "loadBalancer" or meaning.proxied or not external_local(service):
            return not meaning.proxied
        return any(
            endpoint.ready is not False and endpoint.node_name == node
            for item in self.cluster.slices
            if (item.namespace, item.service) == (service.namespace, service.name)
            for endpoint in item.endpoints
        )

    def _leaves(
        self, query: TraceQuery, start: Start, goal: Goal, entry: str, ages: Affinities | None
    ) -> Iterator[Leaf]:
        scene = Scene(self._detour(start), entry, ages)
        for leaf in self._sent(query, start, goal, scene):
            for finished in self._finisher.finished(leaf, scene):
                if query.established and isinstance(finished.end, Delivered):
                    again = scene._replace(established=finished.hops)
                    yield from (
                        later._replace(weight=finished.weight, back=finished.back)
                        for later in self._sent(query, start, goal, again)
                    )
                else:
                    yield finished

    def _finish(self, leaf: Leaf) -> list[Outcome]:
        return [self._finisher.outcome(finished) for finished in self._finisher.finished(leaf, PLAIN)]

    def _sent(self, query: TraceQuery, start: Start, goal: Goal, scene: Scene) -> list[Leaf]:
        if start.stranger and start.address is not None and start.address[0] == goal.family:
            assert scene.detour is not None
            packet = self._packet(start.address[1], goal, query)
            return self.walker.enter(start.host, scene.detour.interface, packet, scene)
        host, source = self._client(start, goal)
        if source is None:
            blank = self._packet(0, goal, query)
            return [_without_source(leaf) for leaf in self.walker.send(host, blank, scene)[:1]]
        return self.walker.send(host, self._packet(source, goal, query), scene)

    @staticmethod
    def _packet(source: int, goal: Goal, query: TraceQuery) -> Packet:
        sport = query.source_port if goal.port else 0
        return Packet(goal.family, goal.protocol, source, goal.address, sport, goal.port)

    def _client(self, start: Start, goal: Goal) -> tuple[str, int | None]:
        """Return the sending host and the source address its kernel chooses."""
        if start.outside:
            value = start.address[1] if start.address else USUAL_CLIENT[goal.family]
            family = start.address[0] if start.address else goal.family
            return f"external/{format_ip(family, value)}", value if family == goal.family else None
        if start.address is not None:
            return start.host, start.address[1] if start.address[0] == goal.family else None
        machine = self.walker.machine(start.host)
        if machine.is_local(goal.family, goal.address):
            return start.host, goal.address
        route = machine.route(goal.family, goal.address)
        return start.host, None if route is None else machine.source_for(goal.family, route, goal.address)

    def _detour(self, start: Start) -> Detour | None:
        if not start.stranger:
            return None
        assert start.address is not None
        family, value = start.address
        machine = self.walker.machine(start.host)
        route = machine.route(family, value)
        uplink = next((i.name for i in machine.host.interfaces if i.kind == "ethernet"), "eth0")
        own = self.network.facts[start.host].primary(family)
        interface = uplink if route is None else route.interface
        return Detour(family, value, start.host, interface, None if own is None else own.value)

    def _answer(
        self,
        query: TraceQuery,
        start: Start,
        goal: Goal | None,
        outcomes: tuple[Outcome, ...],
        resolved: Resolved,
    ) -> Answer:
        verdict, code = judge(outcomes)
        meaning = resolved.meaning or (Meaning() if goal is None else self.facts.meaning(*goal))
        protocol = goal.protocol if goal else query.protocol or "tcp"
        named = self._named(start, goal, resolved.dialled)
        about = resolved.about or meaning.name
        asked = Asked(query.source, query.target, query.via, protocol, self.mode, *named, about)
        notes = (*self.notes, *resolved.notes, *self._notes(outcomes, start, goal, meaning, query.via))
        return Answer(
            asked,
            outcomes,
            verdict,
            code,
            summarize(outcomes, asked),
            tuple(dict.fromkeys(notes)),
            hints_for(outcomes, meaning),
            resolved.lookup,
        )

    def _named(self, start: Start, goal: Goal | None, dialled: str) -> tuple[str, str]:
        if goal is None:
            return "", ""
        if start.stranger or start.address:
            assert start.address is not None
            client = format_ip(*start.address)
        else:
            source = self._client(start, goal)[1]
            client = "" if source is None else format_ip(goal.family, source)
        return client, dialled or Place(goal.family, goal.address, goal.port).text

    def _notes(
        self, outcomes: tuple[Outcome, ...], start: Start, goal: Goal | None, meaning: Meaning, via: str | None
    ) -> Iterator[Note]:
        protocol = goal.protocol if goal else "tcp"
        for outcome in outcomes:
            yield from (Note(item.code, item.text, True) for item in outcome.assumed)
            if outcome.undeclared and outcome.reached is not None:
                reached = outcome.reached
                yield Note("PORT_NOT_DECLARED", f"pod {reached.pod} declares no port {reached.port}/{protocol}")
        if via is not None and not (start.outside or start.stranger or start.address is not None):
            yield Note("VIA_IGNORED", f"{via} says where packets from outside arrive; this one starts inside")
        yield from health_notes(self.cluster, outcomes)
        yield from not_modelled(self.cluster, outcomes, self._subject(start, goal, meaning))

    def _subject(self, start: Start, goal: Goal | None, meaning: Meaning) -> Subject:
        owner = self.network.owner(goal.family, goal.address) if goal is not None and not meaning.service else None
        service = (meaning.service.namespace, meaning.service.name) if meaning.service else None
        if goal is None or owner is None or owner.kind != "node":
            return Subject(start.pod, service=service)
        return Subject(start.pod, owner.node, goal.port, goal.protocol, service)


def _without_source(leaf: Leaf) -> Leaf:
    """Return what becomes of a packet that no address can be written into: it is never sent; without a route, that."""
    if isinstance(leaf.end, Lost):
        return leaf._replace(weight=ONE)
    unsent = Lost("NO_SOURCE_ADDRESS", disposition="NO_ROUTE")
    first = leaf.hops[0]
    return Leaf(ONE, (first._replace(passage=Passage(ONE, unsent), out=first.packet),), unsent)
