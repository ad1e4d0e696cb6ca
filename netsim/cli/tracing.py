"""Tracing: the tracer of a session, and the journeys of URLs, opened when the first URL is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netsim.cli.session import Session, build_options
from netsim.errors import UsageError
from netsim.hosts.dump_notes import dump_notes
from netsim.hosts.dumps import read_dumps
from netsim.journey.lazy import given_names, names_of
from netsim.notes import Note
from netsim.packet.words import UrlRef, parse_to
from netsim.trace.answer import Answer
from netsim.trace.query import TraceQuery
from netsim.trace.setup import make_network
from netsim.trace.tracer import Tracer

if TYPE_CHECKING:
    from iptables_gen.kubeproxy.inputs import ProxyConfig
    from netsim.cluster.model import Cluster
    from netsim.journey.url import Asks, Journeys


class Tracing:
    """Answers queries of one command: addresses and names by the tracer, URLs by journeys over it."""

    def __init__(
        self, session: Session, config: ProxyConfig, params: Mapping[str, Any], notes: Iterable[Note] = ()
    ) -> None:
        self._session, self._config, self._params = session, config, params
        self._notes = tuple(notes)
        self.tracer = self._tracer(session.cluster)
        shown = {*session.notes, *self._notes}
        session.note(note for note in self.tracer.notes if note not in shown)

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes that every answer carries."""
        return self.tracer.notes

    def trace(self, query: TraceQuery, words: Mapping[str, Any] | None = None) -> Answer:
        """Answer one query; `words` may say method and headers of a URL query."""
        target, _ = parse_to(query.target, self._session.namespace, query.protocol)
        if isinstance(target, UrlRef):
            return self._journeys.trace(query, target, self._asks(words or self._params))
        return self.tracer.trace(query)

    def _tracer(self, cluster: Cluster) -> Tracer:
        params, config = self._params, self._config
        dumps = read_dumps(params.get("rulesets") or (), cluster)
        network = make_network(cluster, config, dumps)
        return Tracer(
            network,
            config.mode,
            namespace=self._session.namespace,
            notes=(*self._session.notes, *self._notes, *network.cni.notes, *dump_notes(dumps)),
            resolver=names_of(network, config.mode, given_names(params.get("resolve") or ())),
        )

    @cached_property
    def _journeys(self) -> Journeys:
        from netsim.journey.controllers import note_of, with_controllers
        from netsim.journey.url import Journeys
        from netsim.l7.router import RouteOptions, build_routers

        asks = self._asks(self._params)
        cluster = self._session.cluster
        routers = build_routers(cluster, RouteOptions(resolve=asks.resolve)) if has_routes(cluster) else ()
        objects = self._session.loaded.objects
        full = with_controllers(objects, cluster, routers, build_options(self._params))
        notes = [note for router in routers if (note := note_of(router, cluster))]
        tracer = self.tracer if full is cluster else self._tracer(full)
        return Journeys(tracer, asks, notes)

    def _asks(self, words: Mapping[str, Any]) -> Asks:
        from netsim.journey.url import Asks

        headers = words.get("headers") or ()
        listed = headers if isinstance(headers, Mapping) else dict(map(header_of, headers))
        given = given_names(self._params.get("resolve") or ())
        return Asks(str(words.get("method") or "GET"), listed, given)


ROUTES = ("Ingress", "ApisixRoute", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")


def has_routes(cluster: Cluster) -> bool:
    """Whether anything in the input routes HTTP: only then a controller is assumed."""
    return any(cluster.objects.get(kind) for kind in ROUTES)


def header_of(word: str) -> tuple[str, str]:
    """Return (name, value) of `-H 'K: V'`; UsageError for another form or a line break."""
    name, colon, value = word.partition(":")
    if not colon or not name.strip() or "\n" in word or "\r" in word:
        raise UsageError(f"-H {word!r}: write 'NAME: VALUE'")
    return name.strip(), value.strip()


def url_words(query: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a query of --queries says of its URL, else the command line; UsageError for values of a wrong
    type.
    """
    method, headers = query.get("method"), query.get("headers")
    if method is not None and not isinstance(method, str):
        raise UsageError("`method` is not a string")
    plain = isinstance(headers, dict) and all(isinstance(value, str) for value in headers.values())
    if headers is not None and not plain:
        raise UsageError("`headers` is not an object of strings")
    return {
        "method": method or given.get("method"),
        "headers": given.get("headers") or () if headers is None else headers,
    }
