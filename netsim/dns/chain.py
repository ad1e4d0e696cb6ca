"""The seam between CoreDNS plugins: each answers a query or hands it to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from netsim.dns.records import Outcome, Query, Reply, Unwritten

MAX_DEPTH = 24


class Lookup(Protocol):
    """The whole server, asked again by a plugin that chases a name."""

    def lookup(self, query: Query, call: Call) -> Reply:
        """Return the reply as the server would send it."""


@dataclass(frozen=True, slots=True)
class Call:
    """What goes along with a query: the server to look names up with, seconds on the clock, depth of look-ups."""

    server: Lookup
    now: float = 0.0
    depth: int = 0


class Plugin(Protocol):
    """One link of the chain."""

    def answer(self, query: Query, call: Call) -> Outcome:
        """Return what this plugin or one after it writes."""


@dataclass(frozen=True, slots=True)
class End:
    """After the last plugin: nobody answers."""

    def answer(self, query: Query, call: Call) -> Outcome:
        """Return SERVFAIL without a message (plugin.NextOrFailure)."""
        return Unwritten("SERVFAIL")
