"""The autopath plugin: the server walks the client's search path in one go. Behaviour observed on CoreDNS 1.13.1."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netsim.dns.chain import Call, Plugin
from netsim.dns.names import best_zone, in_zone, labels
from netsim.dns.records import Outcome, Query, Record, Reply, Unwritten
from netsim.dns.view import ZoneView


@dataclass(frozen=True, slots=True)
class Autopath:
    """`autopath [ZONES] @kubernetes`: search path by the client's pod; view None: none is known."""

    zones: tuple[str, ...]
    view: ZoneView | None
    next: Plugin

    def answer(self, query: Query, call: Call) -> Outcome:
        """Try every name of the search path until one is not NXDOMAIN; all NXDOMAIN: the first reply."""
        name = query.name.lower()
        path = self._search_path(name, query.src) if best_zone(name, self.zones) else ()
        if not path or not in_zone(name, path[0]):
            return self.next.answer(query, call)
        if len(labels(name)) == len(labels(path[0])):
            # The name is the search domain itself: cutting it off leaves nothing, and CoreDNS gives up.
            return Unwritten("SERVFAIL")
        base = query.name[: len(query.name) - len(path[0]) - 1]
        first: Outcome | None = None
        for domain in path:
            outcome = self.next.answer(replace(query, name=f"{base}.{domain}"), call)
            if isinstance(outcome, Unwritten) and outcome.error:
                return outcome
            first = first or outcome
            if isinstance(outcome, Reply) and outcome.rcode != "NXDOMAIN":
                return _with_cname(outcome, query.name)
        return first or Unwritten("SERVFAIL")

    def _search_path(self, name: str, client: str) -> tuple[str, ...]:
        view = self.view
        zone = best_zone(name, view.settings.zones) if view else ""
        if not view or not zone or view.settings.pods != "verified":
            return ()
        namespaces = view.pods_by_ip.get(client, ())
        tail = "" if zone == "." else zone
        return (f"{namespaces[0]}.svc.{tail}", f"svc.{tail}", zone, "") if namespaces else ()


def _with_cname(reply: Reply, asked: str) -> Reply:
    for record in reply.answer:
        if record.name.lower() != asked.lower():
            return reply._replace(answer=(Record(asked, record.ttl, "CNAME", record.name), *reply.answer))
    return reply
